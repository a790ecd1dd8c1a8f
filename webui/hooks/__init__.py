"""What an extension may add, and the host that finds, checks and isolates extensions."""
