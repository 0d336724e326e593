-- The repositories that were heard of: each is looked at now and then for what no webhook has told (app/catch_up.c).
CREATE TABLE repository (
    forge        text NOT NULL,
    owner        text NOT NULL,
    name         text NOT NULL,
    installation bigint NOT NULL DEFAULT 0,
    heard_ms     bigint NOT NULL,           -- first
    installed_ms bigint NOT NULL DEFAULT 0, -- nothing before it was meant for us; 0: not asked yet
    seen_ms      bigint NOT NULL DEFAULT 0, -- everything before it was looked at
    PRIMARY KEY (forge, owner, name)
);
CREATE INDEX repository_turn ON repository (forge, seen_ms);
INSERT INTO repository (forge, owner, name, installation, heard_ms)
SELECT forge, owner, repo, max(installation), min(created_ms) FROM job GROUP BY forge, owner, repo;
