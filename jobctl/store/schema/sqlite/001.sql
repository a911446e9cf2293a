-- Times are whole milliseconds since 1970 UTC, durations whole milliseconds.
-- Two constraints carry promise 1: runs_one_unfinished and runs_one_a_slot.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value INTEGER
) WITHOUT ROWID;

INSERT INTO meta VALUES ('epoch', 1), ('last_cleanup', NULL);

CREATE TABLE owners (
  id     TEXT PRIMARY KEY,
  kind   TEXT NOT NULL,
  host   TEXT NOT NULL,
  pid    INTEGER NOT NULL,
  start  TEXT NOT NULL,
  boot   TEXT NOT NULL,
  since  INTEGER NOT NULL,
  beat   INTEGER NOT NULL,
  ended  INTEGER,
  killed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE jobs (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  schedule     TEXT NOT NULL,
  timezone     TEXT NOT NULL,
  anchor       INTEGER NOT NULL,
  cursor       INTEGER,
  cursor_epoch INTEGER NOT NULL DEFAULT 1,
  next_run     INTEGER,
  stopped      INTEGER,
  stop_reason  TEXT,
  last_run     INTEGER,
  completed    INTEGER NOT NULL DEFAULT 0,
  failed       INTEGER NOT NULL DEFAULT 0,
  skipped      INTEGER NOT NULL DEFAULT 0,
  missed       INTEGER NOT NULL DEFAULT 0,
  timed        INTEGER NOT NULL DEFAULT 0,
  total_ms     INTEGER NOT NULL DEFAULT 0,
  max_ms       INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE runs (
  seq           INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  job_id        TEXT NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT,
  trigger       TEXT NOT NULL,
  scheduled_for INTEGER,
  epoch         INTEGER,
  started_at    INTEGER NOT NULL,
  finished_at   INTEGER,
  duration_ms   INTEGER,
  error         TEXT,
  result        TEXT,
  owner         TEXT,
  host          TEXT NOT NULL,
  pid           INTEGER,
  attempt       INTEGER NOT NULL DEFAULT 1
);

CREATE UNIQUE INDEX runs_one_unfinished ON runs (job_id) WHERE status = 'running';
CREATE UNIQUE INDEX runs_one_a_slot ON runs (job_id, scheduled_for, epoch) WHERE scheduled_for IS NOT NULL;
CREATE INDEX runs_of_job ON runs (job_id, seq);
CREATE INDEX runs_durations ON runs (job_id, seq, duration_ms) WHERE duration_ms IS NOT NULL;
CREATE INDEX runs_failed ON runs (seq) WHERE status = 'failed';

CREATE TABLE cache (
  key         TEXT PRIMARY KEY,
  value       TEXT NOT NULL,
  computed_at INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL
) WITHOUT ROWID;
