-- :fence is NULL for a handle that is not fenced (store_fence); :job is 0 for an effect of no job.

-- SQLite has one writer at a time; elsewhere whoever begins the same effect waits here.
-- name: effect_lock
SELECT :forge || :owner || :repo || :kind || :key IS NULL AS locked;

-- name: effect_get
SELECT * FROM forge_effect
WHERE forge = :forge AND owner = :owner AND repo = :repo AND kind = :kind AND key = :key;

-- name: effect_begin
INSERT INTO forge_effect (forge, owner, repo, kind, key, job, delivery, state, token, tries, first_ms, last_ms)
SELECT :forge, :owner, :repo, :kind, :key, nullif(:job, 0), :delivery, 'intended', :token, 1, :now, :now
WHERE :fence IS NULL OR EXISTS (SELECT 1 FROM job WHERE id = :job AND fence = :fence)
ON CONFLICT (forge, owner, repo, kind, key) DO UPDATE
SET state = 'intended', token = excluded.token, tries = forge_effect.tries + 1, last_ms = excluded.last_ms,
    job = coalesce(excluded.job, forge_effect.job)
RETURNING token;

-- :token is 0 for an effect that is there and only brought up to date.
-- name: effect_holds
SELECT token FROM forge_effect
WHERE forge = :forge AND owner = :owner AND repo = :repo AND kind = :kind AND key = :key
  AND (:token = 0 OR token = :token)
  AND (:fence IS NULL OR EXISTS (SELECT 1 FROM job WHERE id = :job AND fence = :fence));

-- name: effect_end
UPDATE forge_effect
SET state = :state, external_id = CASE :external_id WHEN '' THEN external_id ELSE :external_id END, note = :note,
    request = :request, last_ms = :now
WHERE forge = :forge AND owner = :owner AND repo = :repo AND kind = :kind AND key = :key
  AND (:token = 0 OR token = :token)
RETURNING token;

-- name: effect_list
SELECT * FROM forge_effect WHERE job = :job ORDER BY first_ms, kind, key;

-- name: effects_forget
DELETE FROM forge_effect WHERE job IS NULL AND last_ms < :before_ms;
