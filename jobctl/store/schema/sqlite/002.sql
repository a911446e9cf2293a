-- Counters since the last cleanup: cache hits and misses, queries and their time.

CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
