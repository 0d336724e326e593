-- :fence is NULL for a handle that is not fenced (store_fence).

-- name: job_get
SELECT job.*, (SELECT json_group_object(key, json(value)) FROM effect WHERE effect.job = job.id) AS published
FROM job
WHERE id = :id;

-- name: job_list
SELECT job.*, (SELECT json_group_object(key, json(value)) FROM effect WHERE effect.job = job.id) AS published
FROM job
WHERE (:forge IS NULL OR forge = :forge)
  AND (:owner IS NULL OR owner = :owner COLLATE NOCASE)
  AND (:repo IS NULL OR repo = :repo COLLATE NOCASE)
  AND (:number = 0 OR number = :number)
  AND (:superseded_by = 0 OR superseded_by = :superseded_by)
  AND (:state IS NULL OR state = :state)
ORDER BY id DESC
LIMIT :limit;

-- The same where all of the subject is known, by its index.
-- name: job_list_subject
SELECT job.*, (SELECT json_group_object(key, json(value)) FROM effect WHERE effect.job = job.id) AS published
FROM job
WHERE forge = :forge AND owner = :owner COLLATE NOCASE AND repo = :repo COLLATE NOCASE AND number = :number
  AND (:superseded_by = 0 OR superseded_by = :superseded_by)
  AND (:state IS NULL OR state = :state)
ORDER BY id DESC
LIMIT :limit;

-- name: jobs_recover
UPDATE job SET state = 'queued', lease_owner = NULL, lease_until_ms = 0
WHERE state = 'running' AND lease_until_ms < :now
RETURNING id;

-- The newest request for the same target wins. On a pull request, a command with other words asks for something else.
-- name: jobs_supersede_waiting
UPDATE job SET state = 'cancelled', superseded_by = :id, reason = :reason, ended_ms = :now
WHERE state IN ('queued', 'question') AND id < :id AND forge = :forge AND owner = :owner COLLATE NOCASE AND repo = :repo COLLATE NOCASE
  AND number = :number AND on_pull = :on_pull AND kind = :kind
  AND (on_pull = 0 OR coalesce(json_extract(request, '$.text'), '') = :text);

-- name: jobs_supersede_running
UPDATE job SET cancel_requested = 1, superseded_by = :id
WHERE state = 'running' AND id < :id AND forge = :forge AND owner = :owner COLLATE NOCASE AND repo = :repo COLLATE NOCASE
  AND number = :number AND on_pull = :on_pull AND kind = :kind
  AND (on_pull = 0 OR coalesce(json_extract(request, '$.text'), '') = :text);

-- name: effect_put
INSERT INTO effect (job, key, value, fence, first_ms, last_ms)
SELECT id, :key, :value, fence, :now, :now FROM job WHERE id = :id AND (:fence IS NULL OR fence = :fence)
ON CONFLICT (job, key) DO UPDATE SET value = excluded.value, fence = excluded.fence, last_ms = excluded.last_ms
RETURNING job;
