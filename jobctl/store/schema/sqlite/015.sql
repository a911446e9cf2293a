-- The notifications that were sent, one row for each receiver.

CREATE TABLE notifications (
  id       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  job_id   TEXT NOT NULL,
  run_id   TEXT,
  event    TEXT NOT NULL,
  channel  TEXT NOT NULL,
  receiver TEXT NOT NULL,
  error    TEXT
);
CREATE INDEX notifications_of_job ON notifications (job_id, id);
