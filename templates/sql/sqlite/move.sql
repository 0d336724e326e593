-- What `assay migrate` asks the database about itself, so that a new table moves without a word about it.

-- In the order in which they can be filled: what a key refers to comes first.
-- name: table_list
WITH RECURSIVE place (name, depth) AS (
    SELECT name, 0 FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
    UNION
    SELECT owner.name, place.depth + 1
    FROM place
    JOIN sqlite_schema AS owner ON owner.type = 'table'
    JOIN pragma_foreign_key_list(owner.name) AS reference ON reference."table" = place.name
    WHERE owner.name <> place.name
)
SELECT name FROM place GROUP BY name ORDER BY max(depth), name;

-- name: column_list
SELECT name FROM pragma_table_info(:table) ORDER BY name;

-- Where numbers are given out that must not come twice: the highest so far, 0 for none.
-- name: sequence_list
SELECT owner.name AS "table", key.name AS "column", coalesce(sqlite_sequence.seq, 0) AS value
FROM sqlite_schema AS owner
JOIN pragma_table_info(owner.name) AS key ON key.pk = 1
LEFT JOIN sqlite_sequence ON sqlite_sequence.name = owner.name
WHERE owner.type = 'table' AND owner.sql LIKE '%AUTOINCREMENT%';

-- name: sequence_clear
DELETE FROM sqlite_sequence WHERE name = :table;

-- name: sequence_set
INSERT INTO sqlite_sequence (name, seq) SELECT :table, :value WHERE :column IS NOT NULL;
