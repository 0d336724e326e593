-- The first schema. Times are wall-clock milliseconds; 0 means not yet.
PRAGMA application_id = 1095979865; -- "ASSY": tells our files from other programs' files

CREATE TABLE delivery (
    seq         INTEGER PRIMARY KEY,
    forge       TEXT NOT NULL,
    id          TEXT NOT NULL,
    event       TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'done', 'dead')),
    attempts    INTEGER NOT NULL DEFAULT 0, -- also the fencing token: who took it last knows the number
    due_ms      INTEGER NOT NULL DEFAULT 0, -- waiting: not before; taken: the lease's end
    ended_ms    INTEGER NOT NULL DEFAULT 0,
    note        TEXT NOT NULL DEFAULT '',
    UNIQUE (forge, id)
) STRICT;
CREATE INDEX delivery_open ON delivery (seq) WHERE state IN ('waiting', 'taken');
CREATE INDEX delivery_state ON delivery (state);

-- Apart from its delivery, so that a change of state does not rewrite megabytes.
CREATE TABLE payload (
    delivery INTEGER PRIMARY KEY REFERENCES delivery (seq) ON DELETE CASCADE,
    encoding TEXT NOT NULL DEFAULT 'identity' CHECK (encoding IN ('identity')),
    bytes    BLOB NOT NULL
) STRICT;

CREATE TABLE job (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    forge            TEXT NOT NULL,
    owner            TEXT NOT NULL,
    repo             TEXT NOT NULL,
    installation     INTEGER NOT NULL DEFAULT 0,
    number           INTEGER NOT NULL,
    on_pull          INTEGER NOT NULL DEFAULT 0,
    kind             TEXT NOT NULL,
    request_key      TEXT NOT NULL UNIQUE,
    title            TEXT NOT NULL DEFAULT '',
    request          TEXT NOT NULL, -- JSON
    state            TEXT NOT NULL DEFAULT 'queued'
                     CHECK (state IN ('queued', 'running', 'question', 'done', 'cancelled', 'failed')),
    outcome          TEXT NOT NULL DEFAULT '',
    reason           TEXT NOT NULL DEFAULT '',
    attempt          INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    cost_usd         REAL NOT NULL DEFAULT 0,
    tokens_in        INTEGER NOT NULL DEFAULT 0,
    tokens_out       INTEGER NOT NULL DEFAULT 0,
    created_ms       INTEGER NOT NULL,
    started_ms       INTEGER NOT NULL DEFAULT 0,
    ended_ms         INTEGER NOT NULL DEFAULT 0,
    triggered_ms     INTEGER NOT NULL DEFAULT 0,
    not_before_ms    INTEGER NOT NULL DEFAULT 0,
    lease_owner      TEXT,
    lease_until_ms   INTEGER NOT NULL DEFAULT 0,
    fence            INTEGER NOT NULL DEFAULT 0, -- grows with every claim and is never reset
    CHECK ((state = 'running') = (lease_owner IS NOT NULL))
) STRICT;
CREATE INDEX job_queued ON job (id) WHERE state = 'queued';
CREATE INDEX job_running ON job (forge, owner, repo) WHERE state = 'running';
CREATE INDEX job_state ON job (state);
CREATE INDEX job_subject ON job (forge, owner, repo, number);

-- What a job has made outside, one row for each thing: written as soon as the forge has confirmed it, so that the
-- next attempt finds it and does not make a second.
CREATE TABLE effect (
    job      INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL, -- JSON
    fence    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE stage (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    job          INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    attempt      INTEGER NOT NULL,
    round        INTEGER NOT NULL,
    fence        INTEGER NOT NULL, -- the job's when the stage began
    stage        TEXT NOT NULL,
    status       TEXT NOT NULL DEFAULT 'running',
    detail       TEXT NOT NULL DEFAULT '',
    input_digest TEXT NOT NULL DEFAULT '',
    started_ms   INTEGER NOT NULL,
    ended_ms     INTEGER NOT NULL DEFAULT 0,
    forgotten    INTEGER NOT NULL DEFAULT 0, -- of a run that was started afresh
    snapshot     TEXT -- JSON
) STRICT;
CREATE INDEX stage_job ON stage (job, id);

CREATE TABLE model_call (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    job             INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    stage           INTEGER REFERENCES stage (id) ON DELETE SET NULL,
    at_ms           INTEGER NOT NULL,
    name            TEXT NOT NULL,
    model           TEXT NOT NULL,
    role            TEXT NOT NULL,
    template_path   TEXT NOT NULL,
    template_digest TEXT NOT NULL,
    request_digest  TEXT NOT NULL,
    error           TEXT,
    tokens_in       INTEGER NOT NULL,
    tokens_out      INTEGER NOT NULL,
    tokens_cached   INTEGER NOT NULL,
    elapsed_ms      INTEGER NOT NULL,
    cost_usd        REAL NOT NULL
) STRICT;
CREATE INDEX model_call_job ON model_call (job, id);
CREATE INDEX model_call_stage ON model_call (stage);
CREATE INDEX model_call_cost ON model_call (at_ms, cost_usd);

CREATE TABLE artifact (
    job        INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    written_ms INTEGER NOT NULL,
    bytes      BLOB NOT NULL,
    PRIMARY KEY (job, name)
) STRICT;
