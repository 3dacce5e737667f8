-- How many jobs there are: kept by each write of a job, so that nobody counts them.
CREATE TABLE job_counts (
    user_id BLOB    NOT NULL REFERENCES users (id),
    kind    TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    count   INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (user_id, kind, state)
) STRICT, WITHOUT ROWID;

INSERT INTO job_counts SELECT user_id, kind, state, count(*) FROM jobs GROUP BY user_id, kind, state;

CREATE TRIGGER jobs_count_new AFTER INSERT ON jobs BEGIN
    INSERT INTO job_counts VALUES (new.user_id, new.kind, new.state, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER jobs_count_moved AFTER UPDATE OF state ON jobs WHEN old.state <> new.state BEGIN
    UPDATE job_counts SET count = count - 1
        WHERE user_id = old.user_id AND kind = old.kind AND state = old.state;
    INSERT INTO job_counts VALUES (new.user_id, new.kind, new.state, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER jobs_count_gone AFTER DELETE ON jobs BEGIN
    UPDATE job_counts SET count = count - 1
        WHERE user_id = old.user_id AND kind = old.kind AND state = old.state;
END;

-- What happened within a time: five minutes of a user's jobs (origin ''), an hour of those of an
-- origin. `late_N` and `took_N` count attempts, N being the place in `booper.model.bucket.LIMITS`
-- of the first limit that is not exceeded; the sums are microseconds.
CREATE TABLE buckets (
    user_id   BLOB    NOT NULL REFERENCES users (id),
    origin    TEXT    NOT NULL,
    begins_at INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    discarded INTEGER NOT NULL,
    skipped   INTEGER NOT NULL,
    late_sum  INTEGER NOT NULL,
    took_sum  INTEGER NOT NULL,
    late_0  INTEGER NOT NULL, late_1  INTEGER NOT NULL, late_2  INTEGER NOT NULL,
    late_3  INTEGER NOT NULL, late_4  INTEGER NOT NULL, late_5  INTEGER NOT NULL,
    late_6  INTEGER NOT NULL, late_7  INTEGER NOT NULL, late_8  INTEGER NOT NULL,
    late_9  INTEGER NOT NULL, late_10 INTEGER NOT NULL, late_11 INTEGER NOT NULL,
    late_12 INTEGER NOT NULL, late_13 INTEGER NOT NULL, late_14 INTEGER NOT NULL,
    took_0  INTEGER NOT NULL, took_1  INTEGER NOT NULL, took_2  INTEGER NOT NULL,
    took_3  INTEGER NOT NULL, took_4  INTEGER NOT NULL, took_5  INTEGER NOT NULL,
    took_6  INTEGER NOT NULL, took_7  INTEGER NOT NULL, took_8  INTEGER NOT NULL,
    took_9  INTEGER NOT NULL, took_10 INTEGER NOT NULL, took_11 INTEGER NOT NULL,
    took_12 INTEGER NOT NULL, took_13 INTEGER NOT NULL, took_14 INTEGER NOT NULL,
    PRIMARY KEY (user_id, origin, begins_at)
) STRICT, WITHOUT ROWID;

-- For whoever deletes old ones.
CREATE INDEX buckets_by_time ON buckets (begins_at);
