-- :fence is NULL for a handle that is not fenced (store_fence). FOR SHARE holds the job still from the look at its
-- fence to the commit.

-- name: job_get
SELECT job.*, (SELECT json_object_agg(key, value::json) FROM effect WHERE effect.job = job.id) AS published
FROM job
WHERE id = :id;

-- name: job_list
SELECT job.*, (SELECT json_object_agg(key, value::json) FROM effect WHERE effect.job = job.id) AS published
FROM job
WHERE (:forge::text IS NULL OR forge = :forge)
  AND (:owner::text IS NULL OR lower(owner) = lower(:owner))
  AND (:repo::text IS NULL OR lower(repo) = lower(:repo))
  AND (:number::bigint = 0 OR number = :number)
  AND (:superseded_by::bigint = 0 OR superseded_by = :superseded_by)
  AND (:state::text IS NULL OR state = :state)
ORDER BY id DESC
LIMIT :limit;

-- The same where all of the subject is known, by its index.
-- name: job_list_subject
SELECT job.*, (SELECT json_object_agg(key, value::json) FROM effect WHERE effect.job = job.id) AS published
FROM job
WHERE forge = :forge AND lower(owner) = lower(:owner) AND lower(repo) = lower(:repo) AND number = :number
  AND (:superseded_by::bigint = 0 OR superseded_by = :superseded_by)
  AND (:state::text IS NULL OR state = :state)
ORDER BY id DESC
LIMIT :limit;

-- name: jobs_recover
UPDATE job SET state = 'queued', lease_owner = NULL, lease_until_ms = 0
WHERE id IN (
    SELECT id FROM job WHERE state = 'running' AND lease_until_ms < :now
    FOR UPDATE SKIP LOCKED)
RETURNING id;

-- The newest request for the same target wins. On a pull request, a command with other words asks for something else.
-- name: jobs_supersede_waiting
UPDATE job SET state = 'cancelled', superseded_by = :id, reason = :reason, ended_ms = :now
WHERE state IN ('queued', 'question') AND id < :id AND forge = :forge AND lower(owner) = lower(:owner) AND lower(repo) = lower(:repo) AND number = :number
  AND on_pull = :on_pull AND kind = :kind
  AND (on_pull = 0 OR coalesce(request::json ->> 'text', '') = :text);

-- name: jobs_supersede_running
UPDATE job SET cancel_requested = 1, superseded_by = :id
WHERE state = 'running' AND id < :id AND forge = :forge AND lower(owner) = lower(:owner) AND lower(repo) = lower(:repo) AND number = :number
  AND on_pull = :on_pull AND kind = :kind
  AND (on_pull = 0 OR coalesce(request::json ->> 'text', '') = :text);

-- name: effect_put
INSERT INTO effect (job, key, value, fence, first_ms, last_ms)
SELECT id, :key::text, :value::text, fence, :now::bigint, :now::bigint
FROM job
WHERE id = :id AND (:fence::bigint IS NULL OR fence = :fence)
FOR SHARE
ON CONFLICT (job, key) DO UPDATE SET value = excluded.value, fence = excluded.fence, last_ms = excluded.last_ms
RETURNING job;
