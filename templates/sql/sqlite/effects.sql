-- :fence is NULL for a handle that is not fenced (store_fence); :job is 0 for an effect of no job.

-- SQLite has one writer at a time; elsewhere whoever begins the same effect waits here.
-- name: effect_lock
SELECT :forge || :owner || :repo || :kind || :key IS NULL AS locked;

-- name: effect_begin
INSERT INTO forge_effect (forge, owner, repo, kind, key, job, delivery, state, token, tries, first_ms, last_ms)
SELECT :forge, :owner, :repo, :kind, :key, nullif(:job, 0), :delivery, 'intended', :token, 1, :now, :now
WHERE :fence IS NULL OR EXISTS (SELECT 1 FROM job WHERE id = :job AND fence = :fence)
ON CONFLICT (forge, owner, repo, kind, key) DO UPDATE
SET state = 'intended', token = excluded.token, tries = forge_effect.tries + 1, last_ms = excluded.last_ms,
    job = coalesce(excluded.job, forge_effect.job)
RETURNING token;
