"""The run store on SQLite: one file, write-ahead log, many processes."""
