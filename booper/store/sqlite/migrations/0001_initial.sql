-- Times are integers: microseconds since 1970 in UTC. Identifiers of 16 bytes are UUIDs (version 7).

CREATE TABLE users (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name        TEXT    NOT NULL UNIQUE,
    inserted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id     BLOB    NOT NULL REFERENCES users (id),
    name        TEXT    NOT NULL,
    scope       TEXT    NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    digest      BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    inserted_at INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT;

CREATE TABLE schedules (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id         BLOB    NOT NULL REFERENCES users (id),
    idempotency_key TEXT,
    name            TEXT,
    description     TEXT,
    host            TEXT    NOT NULL,
    args            TEXT    NOT NULL,
    anchor          INTEGER NOT NULL,
    next_at         INTEGER,
    runs            INTEGER NOT NULL CHECK (runs >= 0),
    state           TEXT    NOT NULL,
    previous        TEXT    NOT NULL,
    gap             TEXT,
    inserted_at     INTEGER NOT NULL,
    disabled_at     INTEGER,
    ended_at        INTEGER CHECK (ended_at IS NULL OR next_at IS NULL)
) STRICT;

CREATE INDEX schedules_by_user ON schedules (user_id, id);
CREATE UNIQUE INDEX schedules_holding_key ON schedules (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND ended_at IS NULL;

CREATE INDEX schedules_by_key ON schedules (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE jobs (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    uuid            BLOB    NOT NULL UNIQUE CHECK (length(uuid) = 16),
    user_id         BLOB    NOT NULL REFERENCES users (id),
    kind            TEXT    NOT NULL CHECK (
        kind IN ('request', 'run', 'callback', 'webhook', 'channel')
    ),
    schedule_id     BLOB    CHECK (length(schedule_id) = 16),
    parent_id       INTEGER,
    idempotency_key TEXT,
    key_until       INTEGER,
    name            TEXT,
    description     TEXT,
    host            TEXT    NOT NULL,
    args            TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (
        state IN ('scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled')
    ),
    attempt         INTEGER NOT NULL CHECK (attempt >= 0),
    max_attempts    INTEGER NOT NULL CHECK (max_attempts >= 1),
    interruptions   INTEGER NOT NULL CHECK (interruptions >= 0),
    inserted_at     INTEGER NOT NULL,
    scheduled_at    INTEGER NOT NULL,
    planned_at      INTEGER NOT NULL,
    retry_until     INTEGER,
    attempted_at    INTEGER,
    completed_at    INTEGER CHECK ((completed_at IS NOT NULL) = (state = 'completed')),
    discarded_at    INTEGER CHECK ((discarded_at IS NOT NULL) = (state = 'discarded')),
    cancelled_at    INTEGER CHECK ((cancelled_at IS NOT NULL) = (state = 'cancelled')),
    last_error      TEXT,
    CHECK (attempt > 0 OR state IN ('scheduled', 'cancelled')),
    CHECK ((attempted_at IS NOT NULL) OR attempt = 0),
    CHECK (kind <> 'run' OR schedule_id IS NOT NULL)
) STRICT;

-- Covers the refill of the timers: the next due jobs without touching a row.
CREATE INDEX jobs_waiting ON jobs (scheduled_at, id, host, state)
    WHERE state IN ('scheduled', 'retryable');
CREATE INDEX jobs_waiting_of_host ON jobs (host, scheduled_at, id, state)
    WHERE state IN ('scheduled', 'retryable');
CREATE INDEX jobs_executing ON jobs (id) WHERE state = 'executing';
CREATE INDEX jobs_by_user ON jobs (user_id, id);
CREATE INDEX jobs_by_state ON jobs (user_id, state, id);
CREATE INDEX jobs_by_time ON jobs (user_id, scheduled_at, id);
CREATE INDEX jobs_by_schedule ON jobs (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX jobs_unfinished_of_schedule ON jobs (schedule_id, state)
    WHERE schedule_id IS NOT NULL AND state IN ('scheduled', 'executing', 'retryable');
CREATE INDEX jobs_by_parent ON jobs (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_by_key ON jobs (user_id, idempotency_key, id)
    WHERE idempotency_key IS NOT NULL AND schedule_id IS NULL;

-- No second run for one planned time.
CREATE UNIQUE INDEX jobs_planned ON jobs (schedule_id, planned_at)
    WHERE kind = 'run' AND state <> 'cancelled';
CREATE UNIQUE INDEX jobs_holding_key ON jobs (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND schedule_id IS NULL
        AND state IN ('scheduled', 'executing', 'retryable');

CREATE TABLE job_tags (
    tag    TEXT    NOT NULL,
    job_id INTEGER NOT NULL,
    PRIMARY KEY (tag, job_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_tags_by_job ON job_tags (job_id);

-- Hosts to which nothing is sent for now; '*' stands for all.
CREATE TABLE pauses (
    host      TEXT    NOT NULL PRIMARY KEY,
    paused_at INTEGER NOT NULL
) STRICT;

CREATE TABLE logs (
    seq         INTEGER NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    user_id     BLOB    NOT NULL REFERENCES users (id),
    job_id      INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    inserted_at INTEGER NOT NULL,
    payload     TEXT    NOT NULL
) STRICT;

CREATE INDEX logs_by_user ON logs (user_id, seq);
CREATE INDEX logs_by_job ON logs (job_id, seq);

-- One row that a readiness check writes to.
CREATE TABLE pulse (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    beat_at INTEGER NOT NULL
) STRICT;
