-- When a stopped job goes back on its schedule by itself.

ALTER TABLE jobs ADD COLUMN stopped_until INTEGER;
