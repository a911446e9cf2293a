"""One module a command: its function ``run`` declares arguments and options for Typer and returns the exit code."""
