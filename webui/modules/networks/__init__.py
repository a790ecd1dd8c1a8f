"""The networks of a main model, behind our own Protocols."""
