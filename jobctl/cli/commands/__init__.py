"""One file a command: what it takes, and ``run(options, context)``, which answers with the exit code."""
