"""From a settled plan to a picture."""
