-- The arguments of a run, as a JSON object.

ALTER TABLE runs ADD COLUMN arguments TEXT;
