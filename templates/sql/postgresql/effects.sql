-- :fence is NULL for a handle that is not fenced (store_fence); :job is 0 for an effect of no job.

-- Whoever begins the same effect waits here until the other has noted it.
-- name: effect_lock
SELECT pg_advisory_xact_lock(1095979866, hashtext(:forge::text || :owner::text || :repo::text || :kind::text || :key::text))
       IS NULL AS locked;

-- name: effect_begin
INSERT INTO forge_effect (forge, owner, repo, kind, key, job, delivery, state, token, tries, first_ms, last_ms)
SELECT :forge::text, :owner::text, :repo::text, :kind::text, :key::text, nullif(:job::bigint, 0), :delivery::text,
       'intended', :token::bigint, 1, :now::bigint, :now::bigint
WHERE :fence::bigint IS NULL OR EXISTS (SELECT 1 FROM job WHERE id = :job::bigint AND fence = :fence::bigint FOR SHARE)
ON CONFLICT (forge, owner, repo, kind, key) DO UPDATE
SET state = 'intended', token = excluded.token, tries = forge_effect.tries + 1, last_ms = excluded.last_ms,
    job = coalesce(excluded.job, forge_effect.job)
RETURNING token;
