-- That a person or a program has asked a run to end: by whom, why, and whether without a grace time.

ALTER TABLE runs ADD COLUMN cancelled_by TEXT;
ALTER TABLE runs ADD COLUMN cancel_reason TEXT;
ALTER TABLE runs ADD COLUMN cancel_now INTEGER NOT NULL DEFAULT 0;
