-- The jobs that are off their schedules, found without those that are not.

CREATE INDEX jobs_stopped ON jobs (id) WHERE stopped IS NOT NULL;
