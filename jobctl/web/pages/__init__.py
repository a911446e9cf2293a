"""The page: jobs, runs and what can be done with them, in a browser."""
