"""The engine: how a prompt becomes a picture and how a folder of pictures becomes a file."""
