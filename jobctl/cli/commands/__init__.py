"""One file a command: ``Options`` is what it takes, ``run(options, context)`` answers with the exit code."""
