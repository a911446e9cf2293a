"""The site's database: its tables as they are, on Postgres or SQLite. Nothing here changes the schema."""
