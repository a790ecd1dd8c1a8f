"""Builds the starter checkpoint from public pictograms; see README.md beside this file."""
