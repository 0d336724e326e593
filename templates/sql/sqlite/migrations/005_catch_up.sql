-- How far a forge's own records were compared with what its webhooks have told (app/catch_up.c).
CREATE TABLE catch_up (
    forge   TEXT NOT NULL,
    what    TEXT NOT NULL CHECK (what IN ('deliveries', 'repositories')),
    due_ms  INTEGER NOT NULL,           -- when somebody should look again
    seen_ms INTEGER NOT NULL DEFAULT 0, -- everything before it was looked at
    PRIMARY KEY (forge, what)
) STRICT, WITHOUT ROWID;

-- Deliveries that never came, and how often we have done something about it.
CREATE TABLE missed (
    forge   TEXT NOT NULL,
    id      TEXT NOT NULL,
    tries   INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (forge, id)
) STRICT, WITHOUT ROWID;
