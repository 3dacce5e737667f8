-- Claims whose jobs were cancelled while their requests were on their way: they hold their slots
-- until their node notes that the requests have ended.
CREATE TABLE cancelled_claims (
    owner   bigint NOT NULL,
    job_id  bigint NOT NULL,
    epoch   bigint NOT NULL,
    origin  text   NOT NULL,
    PRIMARY KEY (owner, job_id, epoch)
);
