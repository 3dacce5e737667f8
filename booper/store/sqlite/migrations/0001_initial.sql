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
    args            TEXT    NOT NULL CHECK (json_valid(args)),
    state           TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(state)),
    previous        TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(previous)),
    inserted_at     INTEGER NOT NULL,
    disabled_at     INTEGER
) STRICT;

CREATE INDEX schedules_by_user ON schedules (user_id, id);

CREATE TABLE jobs (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    uuid            BLOB    NOT NULL UNIQUE CHECK (length(uuid) = 16),
    user_id         BLOB    NOT NULL REFERENCES users (id),
    schedule_id     BLOB    CHECK (length(schedule_id) = 16),
    idempotency_key TEXT,
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
    attempted_at    INTEGER,
    completed_at    INTEGER CHECK ((completed_at IS NOT NULL) = (state = 'completed')),
    discarded_at    INTEGER CHECK ((discarded_at IS NOT NULL) = (state = 'discarded')),
    cancelled_at    INTEGER CHECK ((cancelled_at IS NOT NULL) = (state = 'cancelled')),
    last_error      TEXT,
    CHECK (attempt > 0 OR state IN ('scheduled', 'cancelled')),
    CHECK ((attempted_at IS NOT NULL) OR attempt = 0)
) STRICT;

-- Covers the refill of the timers: the next due jobs without touching a row.
CREATE INDEX jobs_waiting ON jobs (scheduled_at, id, host, state)
    WHERE state IN ('scheduled', 'retryable');
CREATE INDEX jobs_executing ON jobs (id) WHERE state = 'executing';
CREATE INDEX jobs_by_user ON jobs (user_id, id);
CREATE INDEX jobs_by_state ON jobs (user_id, state, id);
CREATE INDEX jobs_by_time ON jobs (user_id, scheduled_at, id);
CREATE UNIQUE INDEX jobs_holding_key ON jobs (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND state IN ('scheduled', 'executing', 'retryable');

CREATE TABLE logs (
    seq         INTEGER NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    user_id     BLOB    NOT NULL REFERENCES users (id),
    job_id      INTEGER NOT NULL,
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
