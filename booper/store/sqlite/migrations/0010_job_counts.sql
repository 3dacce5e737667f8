-- Counting each row as it is written took a page and two statements for it. Now jobs that move are
-- counted in groups, by the statement behind their move, and new ones when they are 256 or when one
-- of them is about to move. Until then they are behind `counted`, in the state in which they began.
DROP TRIGGER jobs_count_new;
DROP TRIGGER jobs_count_moved;
DROP TRIGGER jobs_count_gone;

CREATE TABLE counted (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    job_id INTEGER NOT NULL CHECK (job_id >= 0)
) STRICT;

INSERT INTO counted SELECT 1, coalesce(max(id), 0) FROM jobs;

CREATE VIEW new_jobs AS
    SELECT user_id, kind, state, count(*) AS count FROM jobs
    WHERE id > (SELECT job_id FROM counted) GROUP BY user_id, kind, state;

CREATE VIEW jobs_by_state AS
    SELECT user_id, kind, state, sum(count) AS count
    FROM (SELECT * FROM job_counts UNION ALL SELECT * FROM new_jobs) GROUP BY user_id, kind, state;

CREATE TRIGGER jobs_count_new AFTER INSERT ON jobs WHEN new.id % 256 = 0 BEGIN
    INSERT INTO job_counts SELECT * FROM new_jobs WHERE true
        ON CONFLICT DO UPDATE SET count = count + excluded.count;
    UPDATE counted SET job_id = new.id;
END;

CREATE TRIGGER jobs_count_gone AFTER DELETE ON jobs
    WHEN old.id <= (SELECT job_id FROM counted) BEGIN
    UPDATE job_counts SET count = count - 1
        WHERE user_id = old.user_id AND kind = old.kind AND state = old.state;
END;
