-- Why an attempt began late: a row for each that was claimed over a second after its time.
CREATE TABLE waits (
    job_id  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    reason  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt)
) STRICT, WITHOUT ROWID;

-- Who changed what. `object` is the number of a job, the id of a schedule or a key, a target, or
-- '' for many jobs; `user_id` is whose it is, `jobs` how many jobs were changed. Without a key the
-- administrator of this machine did it.
CREATE TABLE audit (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    key_id  BLOB    REFERENCES keys (id),
    user_id BLOB    REFERENCES users (id),
    action  TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    object  TEXT    NOT NULL,
    jobs    INTEGER NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_by_object ON audit (kind, object, id);
-- For whoever deletes old ones.
CREATE INDEX audit_by_time ON audit (at);

-- Which jobs a change has changed.
CREATE TABLE audit_jobs (
    job_id   INTEGER NOT NULL,
    audit_id INTEGER NOT NULL,
    PRIMARY KEY (job_id, audit_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER jobs_history_gone AFTER DELETE ON jobs BEGIN
    DELETE FROM waits WHERE job_id = old.id;
    DELETE FROM audit_jobs WHERE job_id = old.id;
END;
