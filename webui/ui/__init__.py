"""The page: what a person sees in the browser, and what it sends to the services."""
