-- Two runs of a group never run at the same time.

ALTER TABLE runs ADD COLUMN grouped TEXT;
CREATE UNIQUE INDEX runs_one_in_group ON runs (grouped) WHERE status = 'running' AND grouped IS NOT NULL;
