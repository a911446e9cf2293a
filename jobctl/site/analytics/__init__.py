"""Analytics: what the jobs compute, and the names of the results."""
