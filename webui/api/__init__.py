"""The HTTP routes: what a program sends, turned into the same requests as the page's."""
