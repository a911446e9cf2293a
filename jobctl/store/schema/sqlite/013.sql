-- Runs that are kept for later, who started a run, and what people did to jobs and runs.

CREATE TABLE waiting (
  seq       INTEGER PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE,
  job_id    TEXT NOT NULL,
  begins_at INTEGER NOT NULL,
  trigger   TEXT NOT NULL,
  slot      INTEGER,
  arguments TEXT,
  rerun_of  TEXT,
  actor     TEXT,
  reason    TEXT,
  batch     TEXT
);
CREATE INDEX waiting_due ON waiting (begins_at, job_id);
CREATE INDEX waiting_of_job ON waiting (job_id, begins_at, seq);
CREATE INDEX waiting_outside_backfills ON waiting (job_id, begins_at, seq) WHERE batch IS NULL;

CREATE TABLE actions (
  seq    INTEGER PRIMARY KEY,
  kind   TEXT NOT NULL,
  at     INTEGER NOT NULL,
  actor  TEXT NOT NULL,
  job_id TEXT NOT NULL,
  run_id TEXT,
  reason TEXT
);

ALTER TABLE runs ADD COLUMN actor TEXT;
ALTER TABLE runs ADD COLUMN batch TEXT;
CREATE INDEX runs_of_backfill ON runs (job_id, scheduled_for) WHERE batch IS NOT NULL;
