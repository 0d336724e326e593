-- What `assay migrate` asks the database about itself, so that a new table moves without a word about it.

-- In the order in which they can be filled: what a key refers to comes first.
-- name: table_list
WITH RECURSIVE place (oid, depth) AS (
    SELECT oid, 0 FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname <> 'assay_schema'
    UNION
    SELECT reference.conrelid, place.depth + 1
    FROM place
    JOIN pg_constraint AS reference ON reference.contype = 'f' AND reference.confrelid = place.oid
    WHERE reference.conrelid <> reference.confrelid
)
SELECT relname::text AS name
FROM place JOIN pg_class USING (oid)
GROUP BY relname
ORDER BY max(depth), relname::text COLLATE "C";

-- name: column_list
SELECT attname::text AS name FROM pg_attribute
WHERE attrelid = to_regclass(quote_ident(:table::text)) AND attnum > 0 AND NOT attisdropped
ORDER BY attname::text COLLATE "C";

-- Where numbers are given out that must not come twice: the highest so far, 0 for none.
-- name: sequence_list
SELECT relname::text AS "table", attname::text AS "column",
       coalesce(pg_sequence_last_value(pg_get_serial_sequence(quote_ident(relname), attname)::regclass), 0) AS value
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND attidentity <> '';

-- setval() needs no room made for it.
-- name: sequence_clear
SELECT :table::text IS NULL AS cleared;

-- name: sequence_set
SELECT setval(pg_get_serial_sequence(quote_ident(:table::text), :column::text), :value::bigint) AS value;
