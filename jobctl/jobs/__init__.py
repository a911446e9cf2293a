"""The built-in jobs' functions. Loaded by workers alone, by their import path."""
