-- :fence is NULL for a handle that is not fenced (store_fence); :job is 0 for an effect of no job.

-- name: effect_get
SELECT * FROM forge_effect
WHERE forge = :forge AND owner = :owner AND repo = :repo AND kind = :kind AND key = :key;

-- :token is 0 for an effect that is there and only brought up to date.
-- name: effect_holds
SELECT token FROM forge_effect
WHERE forge = :forge AND owner = :owner AND repo = :repo AND kind = :kind AND key = :key
  AND (CAST(:token AS bigint) = 0 OR token = CAST(:token AS bigint))
  AND (CAST(:fence AS bigint) IS NULL
       OR EXISTS (SELECT 1 FROM job WHERE id = CAST(:job AS bigint) AND fence = CAST(:fence AS bigint)));

-- name: effect_end
UPDATE forge_effect
SET state = :state,
    external_id = CASE CAST(:external_id AS text) WHEN '' THEN external_id ELSE CAST(:external_id AS text) END,
    note = :note, request = CAST(:request AS text), last_ms = :now
WHERE forge = :forge AND owner = :owner AND repo = :repo AND kind = :kind AND key = :key
  AND (CAST(:token AS bigint) = 0 OR token = CAST(:token AS bigint))
RETURNING token;

-- name: effect_list
SELECT * FROM forge_effect WHERE job = :job ORDER BY first_ms, kind, key;

-- name: effects_forget
DELETE FROM forge_effect WHERE job IS NULL AND last_ms < :before_ms;
