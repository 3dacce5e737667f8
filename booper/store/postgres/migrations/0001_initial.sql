-- Times are microseconds since 1970 in UTC, as in the SQLite store. Text of users is written by
-- `booper.store.postgres.values.text_in`, since PostgreSQL's text holds no NUL.

CREATE TABLE users (
    id          uuid   PRIMARY KEY,
    name        text   COLLATE "C" NOT NULL UNIQUE,
    inserted_at bigint NOT NULL
);

CREATE TABLE keys (
    id           uuid   PRIMARY KEY,
    user_id      uuid   NOT NULL REFERENCES users (id),
    name         text   NOT NULL,
    scope        text   NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    digest       bytea  NOT NULL UNIQUE CHECK (length(digest) = 32),
    inserted_at  bigint NOT NULL,
    revoked_at   bigint,
    last_used_at bigint,
    -- Until when a node that is gone was given it by its operator.
    given_until  timestamptz
);

CREATE TABLE sessions (
    digest       bytea  PRIMARY KEY CHECK (length(digest) = 32),
    key_id       uuid   NOT NULL REFERENCES keys (id),
    inserted_at  bigint NOT NULL,
    last_used_at bigint NOT NULL
);
CREATE INDEX sessions_by_use ON sessions (last_used_at);

CREATE TABLE schedules (
    id              uuid   PRIMARY KEY,
    user_id         uuid   NOT NULL REFERENCES users (id),
    idempotency_key text   COLLATE "C",
    name            text,
    description     text,
    origin          text   COLLATE "C" NOT NULL,
    args            text   NOT NULL,
    anchor          bigint NOT NULL,
    next_at         bigint,
    runs            bigint NOT NULL CHECK (runs >= 0),
    state           text   NOT NULL,
    previous        text   NOT NULL,
    gap             text,
    inserted_at     bigint NOT NULL,
    disabled_at     bigint,
    ended_at        bigint CHECK (ended_at IS NULL OR next_at IS NULL)
) WITH (fillfactor = 70);
CREATE INDEX schedules_by_user ON schedules (user_id, id);
CREATE UNIQUE INDEX schedules_holding_key ON schedules (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND ended_at IS NULL;
CREATE INDEX schedules_by_key ON schedules (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- Who claims jobs: each process that has opened the store, from its start on. Numbers are never
-- used again. `key_digest` is that of the key which the operator gave to it (BOOPER_API_KEY),
-- `clock_offset` by how many microseconds its clock is ahead of the database's, as far as it knows.
CREATE TABLE nodes (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text   NOT NULL,
    started_at bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    key_digest bytea,
    clock_offset bigint
) WITH (fillfactor = 50);

-- Which node does what one alone is to do.
CREATE TABLE leaders (
    task text   COLLATE "C" PRIMARY KEY,
    node bigint NOT NULL
);

CREATE SEQUENCE job_numbers AS bigint;

-- Jobs that have not finished. What a claim changes (state, attempt, owner) is in no index of all.
-- In the indexes `by_id` NULLS LAST makes an order that no other index has: for the plain one the
-- planner may go through the jobs of all users by their primary key, to meet those of one.
CREATE TABLE live_jobs (
    id              bigint NOT NULL DEFAULT nextval('job_numbers') PRIMARY KEY,
    uuid            uuid   NOT NULL UNIQUE,
    user_id         uuid   NOT NULL,
    kind            text   COLLATE "C" NOT NULL CHECK (
        kind IN ('request', 'run', 'callback', 'webhook', 'channel')
    ),
    schedule_id     uuid,
    parent_id       bigint,
    idempotency_key text   COLLATE "C",
    name            text,
    description     text,
    origin          text   COLLATE "C" NOT NULL,
    path            bigint NOT NULL,
    args            text   NOT NULL,
    state           text   COLLATE "C" NOT NULL CHECK (
        state IN ('scheduled', 'executing', 'retryable')
    ),
    attempt         bigint NOT NULL CHECK (attempt >= 0),
    max_attempts    bigint NOT NULL CHECK (max_attempts >= 1),
    interruptions   bigint NOT NULL CHECK (interruptions >= 0),
    inserted_at     bigint NOT NULL,
    scheduled_at    bigint NOT NULL,
    planned_at      bigint NOT NULL,
    retry_until     bigint,
    attempted_at    bigint,
    completed_at    bigint CHECK (completed_at IS NULL),
    discarded_at    bigint CHECK (discarded_at IS NULL),
    cancelled_at    bigint CHECK (cancelled_at IS NULL),
    last_error      text,
    owner           bigint NOT NULL,
    epoch           bigint NOT NULL,
    held_since      bigint,
    key_until       bigint,
    keep_for        bigint CHECK (keep_for >= 0),
    tags            text[] COLLATE "C" NOT NULL,
    CHECK (attempt > 0 OR state = 'scheduled'),
    CHECK (attempted_at IS NOT NULL OR attempt = 0),
    CHECK (kind <> 'run' OR schedule_id IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX live_jobs_by_id ON live_jobs (user_id, kind, state, id DESC NULLS LAST)
    WHERE state <> 'executing';
CREATE INDEX live_jobs_by_time ON live_jobs (user_id, kind, state, scheduled_at, id)
    WHERE state <> 'executing';
CREATE INDEX live_jobs_on_their_way ON live_jobs (origin) WHERE state = 'executing';
CREATE INDEX live_jobs_executing ON live_jobs (owner, id) WHERE state = 'executing';
CREATE INDEX live_jobs_by_schedule ON live_jobs (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX live_jobs_by_parent ON live_jobs (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX live_jobs_by_tag ON live_jobs USING gin (tags) WHERE tags <> '{}';
CREATE UNIQUE INDEX live_jobs_holding_key ON live_jobs (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND schedule_id IS NULL;

-- What waits for its time: all that the loop looks through, and all that a claim takes away.
CREATE TABLE due (
    job_id bigint NOT NULL,
    at     bigint NOT NULL,
    origin text   COLLATE "C" NOT NULL,
    path   bigint NOT NULL,
    PRIMARY KEY (job_id) WITH (fillfactor = 70)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 10000);
CREATE INDEX due_by_time ON due (at, job_id) INCLUDE (origin, path);
CREATE INDEX due_of_origin ON due (origin, at, job_id) INCLUDE (path);

-- Jobs that have finished, by how and on which day, so that whole days are dropped when they are
-- old. `kept` are those that go by a rule of their own: jobs of schedules, and what asked for it.
CREATE TABLE ended_jobs (
    LIKE live_jobs,
    ended_at bigint NOT NULL,
    class    text   COLLATE "C" NOT NULL,
    CHECK (state IN ('completed', 'discarded', 'cancelled')),
    CHECK ((completed_at IS NOT NULL) = (state = 'completed')),
    CHECK ((discarded_at IS NOT NULL) = (state = 'discarded')),
    CHECK ((cancelled_at IS NOT NULL) = (state = 'cancelled')),
    CHECK (class = state OR class = 'kept'),
    CHECK (class = 'kept' OR schedule_id IS NULL)
) PARTITION BY LIST (class);

CREATE INDEX ended_jobs_by_number ON ended_jobs (id);
CREATE INDEX ended_jobs_by_uuid ON ended_jobs (uuid);
CREATE INDEX ended_jobs_by_id ON ended_jobs (user_id, kind, state, id DESC NULLS LAST);
CREATE INDEX ended_jobs_by_time ON ended_jobs (user_id, kind, state, scheduled_at, id);
CREATE INDEX ended_jobs_by_schedule ON ended_jobs (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX ended_jobs_by_parent ON ended_jobs (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX ended_jobs_by_tag ON ended_jobs USING gin (tags) WHERE tags <> '{}';
CREATE INDEX ended_jobs_by_key ON ended_jobs (user_id, idempotency_key, id)
    WHERE idempotency_key IS NOT NULL AND schedule_id IS NULL;
CREATE INDEX ended_jobs_kept_until ON ended_jobs ((ended_at + keep_for), id)
    WHERE keep_for IS NOT NULL;

CREATE TABLE completed_jobs PARTITION OF ended_jobs FOR VALUES IN ('completed')
    PARTITION BY RANGE (ended_at);
CREATE TABLE discarded_jobs PARTITION OF ended_jobs FOR VALUES IN ('discarded')
    PARTITION BY RANGE (ended_at);
CREATE TABLE cancelled_jobs PARTITION OF ended_jobs FOR VALUES IN ('cancelled')
    PARTITION BY RANGE (ended_at);
CREATE TABLE kept_jobs PARTITION OF ended_jobs FOR VALUES IN ('kept');
-- For days that nobody has made a partition for.
CREATE TABLE completed_jobs_other PARTITION OF completed_jobs DEFAULT;
CREATE TABLE discarded_jobs_other PARTITION OF discarded_jobs DEFAULT;
CREATE TABLE cancelled_jobs_other PARTITION OF cancelled_jobs DEFAULT;

CREATE VIEW jobs AS
    SELECT id, uuid, user_id, kind, schedule_id, parent_id, idempotency_key, name, description,
        origin, path, args, state, attempt, max_attempts, interruptions, inserted_at, scheduled_at,
        planned_at, retry_until, attempted_at, completed_at, discarded_at, cancelled_at, last_error,
        owner, epoch, held_since, key_until, keep_for, tags
    FROM live_jobs
    UNION ALL
    SELECT id, uuid, user_id, kind, schedule_id, parent_id, idempotency_key, name, description,
        origin, path, args, state, attempt, max_attempts, interruptions, inserted_at, scheduled_at,
        planned_at, retry_until, attempted_at, completed_at, discarded_at, cancelled_at, last_error,
        owner, epoch, held_since, key_until, keep_for, tags
    FROM ended_jobs;

-- The planned times of runs, so that no second run has one; that of a cancelled run is free again.
CREATE TABLE planned (
    schedule_id uuid   NOT NULL,
    at          bigint NOT NULL,
    job_id      bigint NOT NULL,
    PRIMARY KEY (schedule_id, at)
);
CREATE UNIQUE INDEX planned_by_job ON planned (job_id);

-- What was sent and received. `class` and `ended_at` are those of the job once it has finished.
CREATE SEQUENCE log_numbers AS bigint;
CREATE TABLE logs (
    seq          bigint NOT NULL DEFAULT nextval('log_numbers'),
    id           uuid   NOT NULL,
    user_id      uuid   NOT NULL,
    job_id       bigint NOT NULL,
    kind         text   COLLATE "C" NOT NULL,
    event        text   COLLATE "C" NOT NULL,
    inserted_at  bigint NOT NULL,
    payload      text   NOT NULL,
    request      text,
    requested_at bigint,
    class        text   COLLATE "C" NOT NULL,
    ended_at     bigint NOT NULL,
    CHECK ((requested_at IS NULL) = (request IS NULL))
) PARTITION BY LIST (class);
CREATE INDEX logs_by_number ON logs (seq);
CREATE INDEX logs_by_uuid ON logs (id);
CREATE INDEX logs_by_event ON logs (user_id, kind, event, seq DESC NULLS LAST);
CREATE INDEX logs_by_job ON logs (job_id, seq);

CREATE TABLE live_logs PARTITION OF logs FOR VALUES IN ('live');
CREATE TABLE kept_logs PARTITION OF logs FOR VALUES IN ('kept');
CREATE TABLE completed_logs PARTITION OF logs FOR VALUES IN ('completed')
    PARTITION BY RANGE (ended_at);
CREATE TABLE discarded_logs PARTITION OF logs FOR VALUES IN ('discarded')
    PARTITION BY RANGE (ended_at);
CREATE TABLE cancelled_logs PARTITION OF logs FOR VALUES IN ('cancelled')
    PARTITION BY RANGE (ended_at);
CREATE TABLE completed_logs_other PARTITION OF completed_logs DEFAULT;
CREATE TABLE discarded_logs_other PARTITION OF discarded_logs DEFAULT;
CREATE TABLE cancelled_logs_other PARTITION OF cancelled_logs DEFAULT;

-- What a claim locks while it counts what is on its way: claims begin one after the other.
CREATE TABLE limits (
    kind text COLLATE "C" NOT NULL,
    key  text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, key)
);
INSERT INTO limits VALUES ('all', '');

-- Origins that fail: they are probed by one request at a time. `state` is the JSON of a
-- `booper.model.breaker.Breaker`.
CREATE TABLE breakers (
    origin text COLLATE "C" PRIMARY KEY,
    state  text NOT NULL
);

-- Targets to which nothing is sent for now; '*' stands for all.
CREATE TABLE pauses (
    target    text   COLLATE "C" PRIMARY KEY,
    paused_at bigint NOT NULL
);

-- One row that a readiness check writes to.
CREATE TABLE pulse (
    id      bigint PRIMARY KEY CHECK (id = 1),
    beat_at bigint NOT NULL
);

-- The attempt of each node that was made with nothing else on its way, and may be blamed for a
-- crash.
CREATE TABLE alone (
    owner   bigint PRIMARY KEY,
    job_id  bigint NOT NULL,
    attempt bigint NOT NULL
);

-- How many jobs there are: only ever added to, and summed up now and then, so that writers do not
-- wait for each other.
CREATE TABLE job_counts (
    user_id uuid   NOT NULL,
    kind    text   COLLATE "C" NOT NULL,
    state   text   COLLATE "C" NOT NULL,
    count   bigint NOT NULL
);

-- What happened within a time: five minutes of a user's jobs (origin ''), an hour of those of an
-- origin. `late_N` and `took_N` count attempts, N being the place in `booper.model.bucket.LIMITS`
-- of the first limit that is not exceeded; the sums are microseconds. Rows of one bucket are added
-- up by whoever reads, and now and then written as one.
CREATE TABLE buckets (
    user_id   uuid   NOT NULL,
    origin    text   COLLATE "C" NOT NULL,
    begins_at bigint NOT NULL,
    completed bigint NOT NULL,
    failed    bigint NOT NULL,
    discarded bigint NOT NULL,
    skipped   bigint NOT NULL,
    late_sum  bigint NOT NULL,
    took_sum  bigint NOT NULL,
    late_0  bigint NOT NULL, late_1  bigint NOT NULL, late_2  bigint NOT NULL,
    late_3  bigint NOT NULL, late_4  bigint NOT NULL, late_5  bigint NOT NULL,
    late_6  bigint NOT NULL, late_7  bigint NOT NULL, late_8  bigint NOT NULL,
    late_9  bigint NOT NULL, late_10 bigint NOT NULL, late_11 bigint NOT NULL,
    late_12 bigint NOT NULL, late_13 bigint NOT NULL, late_14 bigint NOT NULL,
    took_0  bigint NOT NULL, took_1  bigint NOT NULL, took_2  bigint NOT NULL,
    took_3  bigint NOT NULL, took_4  bigint NOT NULL, took_5  bigint NOT NULL,
    took_6  bigint NOT NULL, took_7  bigint NOT NULL, took_8  bigint NOT NULL,
    took_9  bigint NOT NULL, took_10 bigint NOT NULL, took_11 bigint NOT NULL,
    took_12 bigint NOT NULL, took_13 bigint NOT NULL, took_14 bigint NOT NULL
);
CREATE INDEX buckets_by_origin ON buckets (user_id, origin, begins_at);
CREATE INDEX buckets_by_time ON buckets (begins_at);

-- Since when old jobs may be deleted.
CREATE TABLE pruning (
    id        bigint PRIMARY KEY CHECK (id = 1),
    begins_at bigint
);
INSERT INTO pruning VALUES (1, 0);

-- Why an attempt began late: a row for each that was claimed over a second after its time.
CREATE TABLE waits (
    job_id  bigint NOT NULL,
    attempt bigint NOT NULL,
    reason  text   NOT NULL,
    target  text   NOT NULL,
    since   bigint NOT NULL,
    until   bigint NOT NULL,
    PRIMARY KEY (job_id, attempt)
);

-- Who changed what. `object` is the number of a job, the id of a schedule or a key, a target, or
-- '' for many jobs; `user_id` is whose it is, `jobs` how many jobs were changed. Without a key the
-- administrator of this machine did it.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      bigint NOT NULL,
    key_id  uuid,
    user_id uuid,
    action  text   NOT NULL,
    kind    text   NOT NULL,
    object  text   COLLATE "C" NOT NULL,
    jobs    bigint NOT NULL,
    detail  text   NOT NULL
);
CREATE INDEX audit_by_object ON audit (kind, object, id);
CREATE INDEX audit_by_time ON audit (at);

-- Which jobs a change has changed.
CREATE TABLE audit_jobs (
    job_id   bigint NOT NULL,
    audit_id bigint NOT NULL,
    PRIMARY KEY (job_id, audit_id)
);

-- What has happened and nobody has looked at yet: a row for each job that was discarded, and for
-- planned times that were not run. Rows are deleted with the change of the alerts that they lead to.
CREATE TABLE incidents (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text   NOT NULL CHECK (kind IN ('discarded', 'skipped')),
    job_id      bigint NOT NULL,
    schedule_id uuid,
    name        text   NOT NULL,
    origin      text   NOT NULL,
    tags        text   NOT NULL,
    reason      text   NOT NULL,
    count       bigint NOT NULL
);

-- What has happened on nodes that do not look after alerts, for the one that does.
CREATE TABLE findings (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    text   NOT NULL,
    key     text   NOT NULL,
    subject text   NOT NULL,
    detail  text   NOT NULL,
    path    text   NOT NULL,
    count   bigint NOT NULL
);

-- Alerts that are open, or have closed so lately that another opening of them is not sent at once.
CREATE TABLE alerts (
    kind       text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    id         uuid   NOT NULL,
    subject    text   NOT NULL,
    detail     text   NOT NULL,
    path       text   NOT NULL,
    since      bigint NOT NULL,
    last_at    bigint NOT NULL,
    count      bigint NOT NULL,
    closed_at  bigint,
    told       text   NOT NULL CHECK (told IN ('nothing', 'alert.opened', 'alert.closed')),
    told_at    bigint,
    told_count bigint NOT NULL,
    PRIMARY KEY (kind, key)
);
