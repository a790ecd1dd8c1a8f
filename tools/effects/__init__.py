"""Measures what a training of each kind does to the starter's pictures: see ``README.md``."""
