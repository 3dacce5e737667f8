-- What happened to a user's jobs on each day of UTC: the sums of its buckets of five minutes.
CREATE TABLE days (
    user_id   BLOB    NOT NULL REFERENCES users (id),
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
    PRIMARY KEY (user_id, begins_at)
) STRICT, WITHOUT ROWID;

-- For whoever deletes old ones.
CREATE INDEX days_by_time ON days (begins_at);

INSERT INTO days (user_id, begins_at,
    completed, failed, discarded, skipped, late_sum, took_sum, late_0, late_1, late_2, late_3,
    late_4, late_5, late_6, late_7, late_8, late_9, late_10, late_11, late_12, late_13,
    late_14, took_0, took_1, took_2, took_3, took_4, took_5, took_6, took_7, took_8, took_9,
    took_10, took_11, took_12, took_13, took_14
)
SELECT user_id, begins_at - begins_at % 86400000000 AS day,
    sum(completed), sum(failed), sum(discarded), sum(skipped), sum(late_sum), sum(took_sum),
    sum(late_0), sum(late_1), sum(late_2), sum(late_3), sum(late_4), sum(late_5), sum(late_6),
    sum(late_7), sum(late_8), sum(late_9), sum(late_10), sum(late_11), sum(late_12),
    sum(late_13), sum(late_14), sum(took_0), sum(took_1), sum(took_2), sum(took_3),
    sum(took_4), sum(took_5), sum(took_6), sum(took_7), sum(took_8), sum(took_9), sum(took_10),
    sum(took_11), sum(took_12), sum(took_13), sum(took_14)
FROM buckets WHERE user_id IN (SELECT id FROM users) AND origin = '' GROUP BY user_id, day;
