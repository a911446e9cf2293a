"""The database, on Postgres or SQLite. Nothing here changes its schema. Only workers import it."""
