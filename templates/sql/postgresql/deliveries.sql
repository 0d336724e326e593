-- A delivery that takes its process down with it would come back for ever: it counts as tried when it is taken.
-- name: delivery_bury
UPDATE delivery
SET state = 'dead', ended_ms = :now, note = CASE note WHEN '' THEN 'every attempt at it crashed' ELSE note END
WHERE seq IN (
    SELECT seq FROM delivery
    WHERE state IN ('waiting', 'taken') AND due_ms <= :now AND attempts >= :max_attempts
    FOR UPDATE SKIP LOCKED);

-- name: delivery_take
UPDATE delivery
SET state = 'taken', attempts = attempts + 1, due_ms = :until, holder = :holder
WHERE seq = (
    SELECT seq FROM delivery
    WHERE state IN ('waiting', 'taken') AND due_ms <= :now
    ORDER BY seq LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING seq, forge, id, event, received_ms, attempts;

-- Those that come along with it: what was tried before comes alone, in case it takes its process down.
-- name: delivery_take_fresh
UPDATE delivery
SET state = 'taken', attempts = 1, due_ms = :until, holder = :holder
WHERE seq = (
    SELECT seq FROM delivery
    WHERE state IN ('waiting', 'taken') AND due_ms <= :now AND attempts = 0
    ORDER BY seq LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING seq, forge, id, event, received_ms, attempts;
