-- Messages of channels on their way to the feeds of all nodes; removed after some minutes. Numbers
-- are drawn as `booper.store.postgres.numbers` says, so that whoever follows them misses none.
CREATE SEQUENCE message_numbers AS bigint;
CREATE TABLE messages (
    number      bigint NOT NULL DEFAULT nextval('message_numbers') PRIMARY KEY,
    user_id     uuid   NOT NULL,
    message     text   NOT NULL,
    inserted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Whether a node has a time of its own, that of a test or a simulation: it must be the only one.
ALTER TABLE nodes ADD COLUMN has_own_time boolean NOT NULL DEFAULT false;
