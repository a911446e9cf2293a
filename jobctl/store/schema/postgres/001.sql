-- Times are whole milliseconds since 1970 UTC, durations whole milliseconds.
-- Two constraints carry promise 1: runs_one_unfinished and runs_one_a_slot.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BIGINT
);

INSERT INTO meta VALUES ('epoch', 1), ('last_cleanup', NULL), ('changes', 0);

CREATE TABLE owners (
  id     TEXT PRIMARY KEY,
  kind   TEXT NOT NULL,
  host   TEXT NOT NULL,
  pid    BIGINT NOT NULL,
  start  TEXT NOT NULL,
  boot   TEXT NOT NULL,
  since  BIGINT NOT NULL,
  beat   BIGINT NOT NULL,
  ended  BIGINT,
  killed INTEGER NOT NULL DEFAULT 0,
  seen   BIGINT NOT NULL
);

-- Machines' clocks differ: only this clock measures how long an owner has been silent.
CREATE FUNCTION seen_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.seen := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  RETURN NEW;
END $$;
CREATE TRIGGER owners_seen BEFORE INSERT OR UPDATE ON owners FOR EACH ROW EXECUTE FUNCTION seen_now();

CREATE TABLE jobs (
  id           TEXT PRIMARY KEY,
  seq          BIGINT GENERATED ALWAYS AS IDENTITY,
  name         TEXT NOT NULL,
  schedule     TEXT NOT NULL,
  timezone     TEXT NOT NULL,
  anchor       BIGINT NOT NULL,
  cursor       BIGINT,
  cursor_epoch BIGINT NOT NULL DEFAULT 1,
  next_run     BIGINT,
  stopped      BIGINT,
  stop_reason  TEXT,
  last_run     BIGINT,
  completed    BIGINT NOT NULL DEFAULT 0,
  failed       BIGINT NOT NULL DEFAULT 0,
  skipped      BIGINT NOT NULL DEFAULT 0,
  missed       BIGINT NOT NULL DEFAULT 0,
  timed        BIGINT NOT NULL DEFAULT 0,
  total_ms     BIGINT NOT NULL DEFAULT 0,
  max_ms       BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE runs (
  seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id            TEXT COLLATE "C" NOT NULL UNIQUE,
  job_id        TEXT NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT,
  trigger       TEXT NOT NULL,
  scheduled_for BIGINT,
  epoch         BIGINT,
  started_at    BIGINT NOT NULL,
  finished_at   BIGINT,
  duration_ms   BIGINT,
  error         TEXT,
  result        TEXT,
  owner         TEXT,
  host          TEXT NOT NULL,
  pid           BIGINT,
  attempt       INTEGER NOT NULL DEFAULT 1
);

CREATE UNIQUE INDEX runs_one_unfinished ON runs (job_id) WHERE status = 'running';
CREATE UNIQUE INDEX runs_one_a_slot ON runs (job_id, scheduled_for, epoch) WHERE scheduled_for IS NOT NULL;
CREATE INDEX runs_durations ON runs (job_id, seq) INCLUDE (duration_ms) WHERE duration_ms IS NOT NULL;
CREATE INDEX runs_of_job ON runs (job_id, seq);
CREATE INDEX runs_failed ON runs (seq) WHERE status = 'failed';

CREATE TABLE cache (
  key         TEXT COLLATE "C" PRIMARY KEY,
  value       TEXT NOT NULL,
  computed_at BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL
);

CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
