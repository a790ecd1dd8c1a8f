"""What is on disk: model folders, their index, the history of pictures and their infotext."""
