-- What `assay migrate` asks the database about itself, so that a new table moves without a word about it.

-- What a new database has rows in: they go when it is filled.
-- name: seed_list
SELECT 'turn_clock' AS name;
