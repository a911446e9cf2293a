-- Leases: heartbeats are counted, and no wall clock decides who is alive.

DROP TRIGGER owners_seen ON owners;
DROP FUNCTION seen_now();
ALTER TABLE owners DROP COLUMN beat;
ALTER TABLE owners DROP COLUMN seen;
ALTER TABLE owners ADD COLUMN heartbeats BIGINT NOT NULL DEFAULT 0;
ALTER TABLE owners ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;
ALTER TABLE owners ADD COLUMN observed TEXT;
