"""What the run stores on SQL databases share: statements that SQLite and Postgres both understand."""
