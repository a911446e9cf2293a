-- When the next attempt of a failed run starts.

ALTER TABLE runs ADD COLUMN retry_at BIGINT;
