-- :fence is NULL for a handle that is not fenced (store_fence).

-- name: job_add
INSERT INTO job (forge, owner, repo, installation, number, on_pull, kind, request_key, title, request, created_ms,
                 triggered_ms, urgent)
VALUES (:forge, :owner, :repo, :installation, :number, :on_pull, :kind, :request_key, :title, :request, :now,
        :triggered_ms, :urgent)
ON CONFLICT (request_key) DO NOTHING
RETURNING id;

-- name: job_by_key
SELECT id FROM job WHERE request_key = :request_key;

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

-- name: job_extend
UPDATE job SET lease_until_ms = :until
WHERE id = :id AND state = 'running' AND lease_owner = :worker AND (:fence IS NULL OR fence = :fence)
RETURNING cancel_requested;

-- name: jobs_recover
UPDATE job SET state = 'queued', lease_owner = NULL, lease_until_ms = 0
WHERE state = 'running' AND lease_until_ms < :now
RETURNING id;

-- name: stages_interrupt
UPDATE stage SET status = 'interrupted', ended_ms = :now
WHERE status = 'running' AND job = :id;

-- name: job_fence
SELECT id FROM job WHERE id = :id AND state = 'running' AND fence = :fence;

-- name: job_requeue
UPDATE job SET state = 'queued', not_before_ms = :not_before_ms, reason = :reason, lease_owner = NULL, lease_until_ms = 0
WHERE id = :id AND state = 'running' AND (:fence IS NULL OR fence = :fence)
RETURNING id;

-- name: job_finish
UPDATE job SET state = :state, outcome = :outcome, reason = :reason, lease_owner = NULL, lease_until_ms = 0,
               ended_ms = CASE :state WHEN 'question' THEN 0 ELSE :now END
WHERE id = :id AND state = 'running' AND (:fence IS NULL OR fence = :fence)
RETURNING id;

-- name: job_cancel_running
UPDATE job SET cancel_requested = 1 WHERE id = :id AND state = 'running' RETURNING id;

-- name: jobs_to_cancel
SELECT id FROM job WHERE state = 'running' AND lease_owner = :worker AND cancel_requested = 1 ORDER BY id LIMIT :max;

-- name: job_cancel_waiting
UPDATE job SET state = 'cancelled', reason = 'cancelled before it ran', ended_ms = :now
WHERE id = :id AND state IN ('queued', 'question')
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

-- name: job_again
UPDATE job SET state = 'queued', urgent = 1, superseded_by = 0, outcome = '', reason = '', attempt = 0, cancel_requested = 0, started_ms = 0,
               ended_ms = 0, not_before_ms = 0, request = coalesce(:request, request)
WHERE id = :id AND (state NOT IN ('queued', 'running') OR (state = 'queued' AND not_before_ms > 0))
RETURNING id;

-- The stage at which a job stopped, and what came after it.
-- name: stages_reopen
UPDATE stage SET forgotten = 1, snapshot = NULL
WHERE job = :id AND id >= (SELECT max(id) FROM stage WHERE job = :id AND status = 'stopped' AND forgotten = 0);

-- name: stages_forget
UPDATE stage SET forgotten = 1, snapshot = NULL WHERE job = :id;

-- name: effect_put
INSERT INTO effect (job, key, value, fence, first_ms, last_ms)
SELECT id, :key, :value, fence, :now, :now FROM job WHERE id = :id AND (:fence IS NULL OR fence = :fence)
ON CONFLICT (job, key) DO UPDATE SET value = excluded.value, fence = excluded.fence, last_ms = excluded.last_ms
RETURNING job;
