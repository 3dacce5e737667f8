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
