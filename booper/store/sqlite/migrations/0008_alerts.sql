-- What has happened and nobody has looked at yet: a row for each job that was discarded, and for
-- planned times that were not run. Rows are deleted with the change of the alerts that they lead to.
CREATE TABLE incidents (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL CHECK (kind IN ('discarded', 'skipped')),
    job_id      INTEGER NOT NULL,
    schedule_id BLOB    CHECK (length(schedule_id) = 16),
    name        TEXT    NOT NULL,
    origin      TEXT    NOT NULL,
    tags        TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    count       INTEGER NOT NULL
) STRICT;

-- Alerts that are open, or have closed so lately that another opening of them is not sent at once.
CREATE TABLE alerts (
    kind       TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    id         BLOB    NOT NULL CHECK (length(id) = 16),
    subject    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    closed_at  INTEGER,
    told       TEXT    NOT NULL CHECK (told IN ('nothing', 'alert.opened', 'alert.closed')),
    told_at    INTEGER,
    told_count INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
