-- How long a job is kept after its end, in microseconds; NULL is what holds for its state.
ALTER TABLE jobs ADD COLUMN keep_for INTEGER CHECK (keep_for >= 0);

-- Only the few jobs that have a time of their own are in it.
CREATE INDEX jobs_kept_until
    ON jobs (coalesce(completed_at, discarded_at, cancelled_at) + keep_for, id)
    WHERE keep_for IS NOT NULL AND state IN ('completed', 'discarded', 'cancelled');

-- Since when old jobs may be deleted: in a new file from the start. NULL in one that has jobs by
-- now, whose owner is to be told first.
CREATE TABLE pruning (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    begins_at INTEGER
) STRICT;

INSERT INTO pruning SELECT 1, iif(EXISTS (SELECT 1 FROM jobs), NULL, 0);
