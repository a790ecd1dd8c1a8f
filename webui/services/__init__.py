"""The use cases that the page, the routes and the command line share."""
