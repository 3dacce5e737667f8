-- Who has claimed a job last (0: nobody), and how often it was claimed: what comes of an older claim
-- changes nothing, and what an owner that is gone has left is found.
ALTER TABLE jobs ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
-- Since when a due run has waited for its predecessor: that is no lateness.
ALTER TABLE jobs ADD COLUMN held_since INTEGER;

-- Processes that have opened the file; numbers are never used again.
CREATE TABLE owners (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT
) STRICT;

-- A request that is written with what came of it: two entries in one row.
ALTER TABLE logs ADD COLUMN request TEXT;
ALTER TABLE logs ADD COLUMN requested_at INTEGER CHECK (
    (requested_at IS NULL) = (request IS NULL)
);

-- When a job ended, whichever way: for whoever deletes old ones.
ALTER TABLE jobs ADD COLUMN ended_at INTEGER
    AS (coalesce(completed_at, discarded_at, cancelled_at)) VIRTUAL;
