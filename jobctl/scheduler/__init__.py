"""Decides when jobs run, runs them, and records the results."""
