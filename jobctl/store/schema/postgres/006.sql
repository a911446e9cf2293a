-- Fewer pages change with each run: slots of one time lie side by side, and a run enters the index of its job when
-- it has ended. Unfinished runs have an index of their own.

DROP INDEX runs_of_job;
CREATE INDEX runs_without_duration ON runs (job_id, seq) WHERE duration_ms IS NULL AND status <> 'running';
DROP INDEX runs_one_a_slot;
CREATE UNIQUE INDEX runs_one_a_slot ON runs (scheduled_for, job_id, epoch) WHERE scheduled_for IS NOT NULL;
