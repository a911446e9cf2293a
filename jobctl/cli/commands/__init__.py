"""A module for each command. Its function ``run`` declares arguments and options for Typer and returns the exit code."""
