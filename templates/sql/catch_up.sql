-- :always takes it although it is not due yet: at a start.
-- name: catch_up_claim
INSERT INTO catch_up (forge, what, due_ms) VALUES (:forge, :what, :next_ms)
ON CONFLICT (forge, what) DO UPDATE SET due_ms = excluded.due_ms
WHERE catch_up.due_ms <= CAST(:now AS bigint) OR CAST(:always AS bigint) = 1
RETURNING seen_ms;

-- name: catch_up_seen
UPDATE catch_up SET seen_ms = CAST(:seen_ms AS bigint)
WHERE forge = :forge AND what = :what AND seen_ms < CAST(:seen_ms AS bigint);

-- name: missed_try
INSERT INTO missed (forge, id, tries, last_ms) VALUES (:forge, :id, 1, :now)
ON CONFLICT (forge, id) DO UPDATE SET tries = missed.tries + 1, last_ms = excluded.last_ms
RETURNING tries;

-- name: missed_forget
DELETE FROM missed WHERE forge = :forge AND last_ms < :before_ms;

-- name: delivery_known
SELECT seq FROM delivery WHERE forge = :forge AND id = :id;
