"""The functions of the built-in jobs. Only workers import them, by their import path."""
