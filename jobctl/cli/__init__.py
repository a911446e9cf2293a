"""The face on the terminal: parses, calls the managers, shows what came of it."""
