-- Every effect on a forge: noted before it is tried and again when it is known how it went (docs/reliability.md).
CREATE TABLE forge_effect (
    forge       TEXT NOT NULL,
    owner       TEXT NOT NULL,
    repo        TEXT NOT NULL,
    kind        TEXT NOT NULL,           -- "comment", "pull", …: the table of app/effect.c
    key         TEXT NOT NULL,           -- which one: a comment's marker, a branch and its commit, …
    job         INTEGER REFERENCES job (id) ON DELETE CASCADE,
    delivery    TEXT NOT NULL DEFAULT '', -- the one that asked for it first; '' for a job's own
    state       TEXT NOT NULL CHECK (state IN ('intended', 'done', 'unknown', 'refused', 'dry')),
    token       INTEGER NOT NULL,        -- of who tries it now: whoever tried it before writes no more
    tries       INTEGER NOT NULL,
    external_id TEXT NOT NULL DEFAULT '', -- the forge's name for it
    note        TEXT NOT NULL DEFAULT '', -- why it is unknown or refused
    request     TEXT,                    -- JSON; in a dry run: what would have been sent
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    PRIMARY KEY (forge, owner, repo, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX forge_effect_job ON forge_effect (job, first_ms) WHERE job IS NOT NULL;
CREATE INDEX forge_effect_old ON forge_effect (last_ms) WHERE job IS NULL; -- what no job takes with it goes by age
