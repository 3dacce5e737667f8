-- How many requests keys may make over all nodes ([server] rate_limit): each had `tokens` left at
-- `at`; `granted` is what the last count gave. After a crash of the server keys begin anew.
CREATE UNLOGGED TABLE rate_limits (
    key_id  uuid PRIMARY KEY,
    tokens  double precision NOT NULL,
    at      timestamptz NOT NULL,
    granted bigint NOT NULL
) WITH (fillfactor = 50);

-- When the last probe of a failing origin was claimed, by whichever node.
ALTER TABLE breakers ADD COLUMN claimed_at bigint;

-- One row, which is gone after a crash of the server and at a standby that takes over: numbers of
-- transactions may be given anew then.
CREATE UNLOGGED TABLE server_life (
    id   bigint PRIMARY KEY CHECK (id = 1),
    life uuid   NOT NULL
);
