-- Whether people were told last that the job fails: told once a change, by however many processes.

ALTER TABLE jobs ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
