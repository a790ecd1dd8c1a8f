"""From a dataset to a file: noise, predict, compare, correct."""
