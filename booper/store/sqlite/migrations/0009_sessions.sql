-- Who is signed in to the dashboard: each session by the SHA-256 of the token in its cookie.
CREATE TABLE sessions (
    digest       BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    key_id       BLOB    NOT NULL REFERENCES keys (id),
    inserted_at  INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions end when they were not used for long.
CREATE INDEX sessions_by_use ON sessions (last_used_at);
