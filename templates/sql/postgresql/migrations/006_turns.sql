-- Whose turn it is (app/store_turns.c). A queued job with not_before_ms = 0 stands in line, in one of two: of what a
-- person waits for (urgent = 1), or of fresh work. Within each, accounts take turns, then an account's repositories.
ALTER TABLE job ADD COLUMN urgent bigint NOT NULL DEFAULT 0;
DROP INDEX job_queued;
CREATE INDEX job_in_line ON job (forge, owner, repo, urgent, created_ms, id)
    WHERE state = 'queued' AND not_before_ms = 0;
CREATE INDEX job_deferred ON job (not_before_ms) WHERE state = 'queued' AND not_before_ms > 0;

CREATE TABLE turn_account (
    forge   text NOT NULL,
    owner   text NOT NULL,
    urgent  bigint NOT NULL,
    served  bigint NOT NULL, -- the turn it had last; 0: none yet
    since   bigint NOT NULL, -- the job with which it came to wait: among those that had no turn yet
    waiting bigint NOT NULL, -- 1: some repository of it does
    PRIMARY KEY (forge, owner, urgent)
);
CREATE INDEX turn_account_next ON turn_account (urgent, served, since) WHERE waiting = 1;

CREATE TABLE turn_repository (
    forge   text NOT NULL,
    owner   text NOT NULL,
    repo    text NOT NULL,
    urgent  bigint NOT NULL,
    served  bigint NOT NULL,
    since   bigint NOT NULL,
    waiting bigint NOT NULL, -- 1: a job may stand in line
    PRIMARY KEY (forge, owner, repo, urgent)
);
CREATE INDEX turn_repository_next ON turn_repository (forge, owner, urgent, served, since) WHERE waiting = 1;

-- One row: the last turn, and how many turns in a row went to what a person waits for.
CREATE TABLE turn_clock (turn bigint NOT NULL, urgent_turns bigint NOT NULL);
INSERT INTO turn_clock (turn, urgent_turns) VALUES (0, 0);

-- The first claims put them in line.
UPDATE job SET not_before_ms = 1 WHERE state = 'queued' AND not_before_ms = 0;
