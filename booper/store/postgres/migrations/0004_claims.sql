-- Claims are numbered one after the other. Whoever counts what executes begins behind those that it
-- has seen end: while somebody holds a snapshot, PostgreSQL keeps the index entries of all others.
CREATE SEQUENCE claim_numbers AS bigint;
ALTER TABLE live_jobs ADD COLUMN claim bigint NOT NULL DEFAULT 0;
CREATE INDEX live_jobs_by_claim ON live_jobs (claim) INCLUDE (origin)
    WHERE state = 'executing' AND claim > 0;
-- Those of boopers of the schema before, which number none.
CREATE INDEX live_jobs_unnumbered ON live_jobs (claim) INCLUDE (origin)
    WHERE state = 'executing' AND claim = 0;
