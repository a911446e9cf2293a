-- For alerts: when a job last completed, whether its last finished run failed, and whether people were
-- notified of that: once for each change, by however many processes.

ALTER TABLE jobs ADD COLUMN last_success INTEGER;
ALTER TABLE jobs ADD COLUMN failing INTEGER;
ALTER TABLE jobs ADD COLUMN told INTEGER NOT NULL DEFAULT 0;

UPDATE jobs SET
  last_success = (
    SELECT finished_at FROM runs WHERE job_id = jobs.id AND status = 'completed' ORDER BY seq DESC LIMIT 1
  ),
  failing = (
    SELECT CASE WHEN status = 'failed' THEN 1 ELSE 0 END FROM runs
    WHERE job_id = jobs.id AND status IN ('completed', 'failed') ORDER BY seq DESC LIMIT 1
  );
