"""An Ever Works site, which the built-in jobs work on: its content, database, mail, analytics and reports."""
