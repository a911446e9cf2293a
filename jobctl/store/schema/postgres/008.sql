-- How far a run is, as it reports itself: a JSON array of done, total and note.

ALTER TABLE runs ADD COLUMN progress TEXT;
