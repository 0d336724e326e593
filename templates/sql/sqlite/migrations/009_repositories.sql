-- The repositories that were heard of: each is looked at now and then for what no webhook has told (app/catch_up.c).
CREATE TABLE repository (
    forge        TEXT NOT NULL,
    owner        TEXT NOT NULL,
    name         TEXT NOT NULL,
    installation INTEGER NOT NULL DEFAULT 0,
    heard_ms     INTEGER NOT NULL,           -- first
    installed_ms INTEGER NOT NULL DEFAULT 0, -- nothing before it was meant for us; 0: not asked yet
    seen_ms      INTEGER NOT NULL DEFAULT 0, -- everything before it was looked at
    PRIMARY KEY (forge, owner, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_turn ON repository (forge, seen_ms);
INSERT INTO repository (forge, owner, name, installation, heard_ms)
SELECT forge, owner, repo, max(installation), min(created_ms) FROM job GROUP BY forge, owner, repo;
