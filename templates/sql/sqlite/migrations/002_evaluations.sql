-- What `assay eval` measured. A run is one way of doing one file of tasks; its results are the lines of its file.
CREATE TABLE eval_run (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT NOT NULL UNIQUE, -- equal for an evaluation that goes on after an interruption
    tasks      TEXT NOT NULL,        -- the file's name
    started_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE eval_result (
    run     INTEGER NOT NULL REFERENCES eval_run (id) ON DELETE CASCADE,
    task_id TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    line    TEXT NOT NULL, -- JSON
    PRIMARY KEY (run, task_id)
) STRICT;
CREATE INDEX eval_result_at ON eval_result (at_ms);
