-- Leases: heartbeats are counted, and no wall clock decides who is alive.

ALTER TABLE owners DROP COLUMN beat;
ALTER TABLE owners ADD COLUMN heartbeats INTEGER NOT NULL DEFAULT 0;
ALTER TABLE owners ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;
ALTER TABLE owners ADD COLUMN observed TEXT;
