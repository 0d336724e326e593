-- Every effect on a forge: noted before it is tried and again when it is known how it went (docs/reliability.md).
CREATE TABLE forge_effect (
    forge       text NOT NULL,
    owner       text NOT NULL,
    repo        text NOT NULL,
    kind        text NOT NULL,           -- "comment", "pull", …: the table of app/effect.c
    key         text NOT NULL,           -- which one: a comment's marker, a branch and its commit, …
    job         bigint REFERENCES job (id) ON DELETE CASCADE,
    delivery    text NOT NULL DEFAULT '', -- the one that asked for it first; '' for a job's own
    state       text NOT NULL CHECK (state IN ('intended', 'done', 'unknown', 'refused', 'dry')),
    token       bigint NOT NULL,        -- of who tries it now: whoever tried it before writes no more
    tries       bigint NOT NULL,
    external_id text NOT NULL DEFAULT '', -- the forge's name for it
    note        text NOT NULL DEFAULT '', -- why it is unknown or refused
    request     text,                    -- JSON; in a dry run: what would have been sent
    first_ms    bigint NOT NULL,
    last_ms     bigint NOT NULL,
    PRIMARY KEY (forge, owner, repo, kind, key)
);
CREATE INDEX forge_effect_job ON forge_effect (job, first_ms) WHERE job IS NOT NULL;
CREATE INDEX forge_effect_old ON forge_effect (last_ms) WHERE job IS NULL; -- what no job takes with it goes by age
