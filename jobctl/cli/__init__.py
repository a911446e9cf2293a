"""The command line: parses calls, runs commands and shows results."""
