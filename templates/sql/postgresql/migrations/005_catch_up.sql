-- How far a forge's own records were compared with what its webhooks have told (app/catch_up.c).
CREATE TABLE catch_up (
    forge   text NOT NULL,
    what    text NOT NULL CHECK (what IN ('deliveries', 'repositories')),
    due_ms  bigint NOT NULL,           -- when somebody should look again
    seen_ms bigint NOT NULL DEFAULT 0, -- everything before it was looked at
    PRIMARY KEY (forge, what)
);

-- Deliveries that never came, and how often we have done something about it.
CREATE TABLE missed (
    forge   text NOT NULL,
    id      text NOT NULL,
    tries   bigint NOT NULL,
    last_ms bigint NOT NULL,
    PRIMARY KEY (forge, id)
);
