-- name: repository_get
SELECT installation FROM repository WHERE forge = :forge AND owner = :owner AND name = :name;

-- Another installation: it was taken out and put in again, and what was before is not meant for us.
-- name: repository_note
INSERT INTO repository (forge, owner, name, installation, heard_ms) VALUES (:forge, :owner, :name, :installation, :now)
ON CONFLICT (forge, owner, name) DO UPDATE
SET installation = excluded.installation, heard_ms = excluded.heard_ms, installed_ms = 0, seen_ms = 0
WHERE repository.installation <> excluded.installation;

-- name: repository_gone
DELETE FROM repository WHERE forge = :forge AND owner = :owner AND name = :name;

-- The one that was not looked at for the longest time first.
-- name: repository_list
SELECT forge, owner, name, installation, heard_ms, installed_ms, seen_ms FROM repository
WHERE forge = :forge AND seen_ms < :before
ORDER BY seen_ms, owner, name LIMIT :limit;

-- name: repository_seen
UPDATE repository SET seen_ms = :seen_ms, installed_ms = :installed_ms
WHERE forge = :forge AND owner = :owner AND name = :name;
