-- Lists are merged from one stream for each kind and state, which these two keep in order. A job
-- that is being sent is in neither: there are few, and it would be moved twice in each attempt.
DROP INDEX jobs_by_user;
DROP INDEX jobs_by_state;
DROP INDEX jobs_by_time;
-- The time at the end spares reading the rows that a list by id passes over for it.
CREATE INDEX jobs_by_id ON jobs (user_id, kind, state, id, scheduled_at)
    WHERE state <> 'executing';
CREATE INDEX jobs_by_time ON jobs (user_id, kind, state, scheduled_at, id)
    WHERE state <> 'executing';

DROP INDEX logs_by_user;
CREATE INDEX logs_by_event ON logs (user_id, kind, event, seq);
