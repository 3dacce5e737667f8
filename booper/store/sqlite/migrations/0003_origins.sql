-- What was kept per host is kept per origin: a dead port holds nothing back from a live one.
-- `path` tells the paths of an origin apart, so that one that fails hides no other.
ALTER TABLE jobs RENAME COLUMN host TO origin;
ALTER TABLE jobs ADD COLUMN path INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schedules RENAME COLUMN host TO origin;
-- An origin, a host with its port, a host, or '*' for all.
ALTER TABLE pauses RENAME COLUMN host TO target;

DROP INDEX jobs_waiting;
DROP INDEX jobs_waiting_of_host;
UPDATE jobs SET origin = booper_origin(args ->> '$.url', origin),
    path = booper_path(args ->> '$.url');
UPDATE schedules SET origin = booper_origin(args ->> '$.url', origin);

-- Covers the refill of the timers: the next due jobs without touching a row.
CREATE INDEX jobs_waiting ON jobs (scheduled_at, id, origin, path, state)
    WHERE state IN ('scheduled', 'retryable');
CREATE INDEX jobs_waiting_of_origin ON jobs (origin, scheduled_at, id, path, state)
    WHERE state IN ('scheduled', 'retryable');

-- The attempt that was made with nothing else on its way, and may be blamed for a crash.
CREATE TABLE alone (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    job_id  INTEGER NOT NULL,
    attempt INTEGER NOT NULL
) STRICT;
