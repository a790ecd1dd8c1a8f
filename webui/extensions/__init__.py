"""The extensions that come with the program; the best examples for one's own."""
