-- name: delivery_add
INSERT INTO delivery (forge, id, event, received_ms)
VALUES (:forge, :id, :event, :received_ms)
ON CONFLICT (forge, id) DO NOTHING
RETURNING seq;

-- name: delivery_erase
DELETE FROM delivery WHERE forge = :forge AND id = :id;

-- name: payload_add
INSERT INTO payload (delivery, encoding, bytes) VALUES (:delivery, :encoding, :bytes);

-- Of one who has died. Only what was tried once: it may be the delivery that takes its process down.
-- name: delivery_let_go
UPDATE delivery
SET due_ms = :now
WHERE state = 'taken' AND holder = :holder AND attempts = 1 AND due_ms > :now
RETURNING seq;

-- name: payload_get
SELECT encoding, bytes FROM payload WHERE delivery = :delivery;

-- name: delivery_done
UPDATE delivery
SET state = 'done', ended_ms = :now, note = :note
WHERE forge = :forge AND id = :id AND state = 'taken' AND attempts = :attempts
RETURNING seq;

-- name: delivery_defer
UPDATE delivery
SET state = CASE WHEN attempts >= :max_attempts THEN 'dead' ELSE 'waiting' END,
    ended_ms = CASE WHEN attempts >= :max_attempts THEN CAST(:now AS bigint) ELSE 0 END,
    due_ms = :again_ms,
    note = :reason
WHERE forge = :forge AND id = :id AND state = 'taken' AND attempts = :attempts
RETURNING seq;

-- :lost: those that came to nothing, given up or failed for good.
-- name: delivery_list
SELECT forge, id, event, state, note, received_ms, due_ms, ended_ms, attempts FROM delivery
WHERE (CAST(:state AS text) IS NULL OR state = :state)
  AND (:lost = 0 OR state = 'dead' OR (state = 'done' AND note LIKE 'failed:%'))
ORDER BY seq DESC
LIMIT :limit;

-- name: delivery_retry
UPDATE delivery SET state = 'waiting', attempts = 0, due_ms = 0, ended_ms = 0
WHERE id = :id AND (state = 'dead' OR (state = 'done' AND note LIKE 'failed:%'))
RETURNING seq;

-- name: delivery_state
SELECT state, note FROM delivery WHERE id = :id;

-- It was not tried: nothing is counted.
-- name: delivery_put_back
UPDATE delivery
SET state = 'waiting', attempts = attempts - 1, due_ms = :now
WHERE forge = :forge AND id = :id AND state = 'taken' AND attempts = :attempts
RETURNING seq;
