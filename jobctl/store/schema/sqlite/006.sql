-- When the next attempt of a run that failed begins.

ALTER TABLE runs ADD COLUMN retry_at INTEGER;
