-- What runs printed, in pieces of their log files, for JOBCTL_LOGS=store. A piece begins where the one before ends.

CREATE TABLE logs (
  run_id       TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  position     BIGINT NOT NULL,
  data         BYTEA NOT NULL,
  ends_attempt INTEGER,
  PRIMARY KEY (run_id, position)
);
