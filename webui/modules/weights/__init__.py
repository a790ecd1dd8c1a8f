"""A file on disk: reading it safely, saying what it is, writing it whole."""
