-- Since when people are notified that a job is late: an expectation of it is not met.

ALTER TABLE jobs ADD COLUMN late INTEGER;
