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

-- name: job_extend
UPDATE job SET lease_until_ms = :until
WHERE id = :id AND state = 'running' AND lease_owner = :worker AND (CAST(:fence AS bigint) IS NULL OR fence = :fence)
RETURNING cancel_requested;

-- name: stages_interrupt
UPDATE stage SET status = 'interrupted', ended_ms = :now
WHERE status = 'running' AND job = :id;

-- name: job_fence
SELECT id FROM job WHERE id = :id AND state = 'running' AND fence = :fence;

-- name: job_requeue
UPDATE job
SET state = 'queued', not_before_ms = :not_before_ms, reason = :reason, lease_owner = NULL, lease_until_ms = 0
WHERE id = :id AND state = 'running' AND (CAST(:fence AS bigint) IS NULL OR fence = :fence)
RETURNING id;

-- name: job_finish
UPDATE job SET state = :state, outcome = :outcome, reason = :reason, lease_owner = NULL, lease_until_ms = 0,
               ended_ms = CASE :state WHEN 'question' THEN 0 ELSE CAST(:now AS bigint) END
WHERE id = :id AND state = 'running' AND (CAST(:fence AS bigint) IS NULL OR fence = :fence)
RETURNING id;

-- name: job_cancel_running
UPDATE job SET cancel_requested = 1 WHERE id = :id AND state = 'running' RETURNING id;

-- name: jobs_to_cancel
SELECT id FROM job WHERE state = 'running' AND lease_owner = :worker AND cancel_requested = 1 ORDER BY id LIMIT :max;

-- name: job_cancel_waiting
UPDATE job SET state = 'cancelled', reason = 'cancelled before it ran', ended_ms = :now
WHERE id = :id AND state IN ('queued', 'question')
RETURNING id;

-- name: job_again
UPDATE job
SET state = 'queued', urgent = 1, superseded_by = 0, outcome = '', reason = '', attempt = 0, cancel_requested = 0,
    started_ms = 0, ended_ms = 0, not_before_ms = 0, request = coalesce(CAST(:request AS text), request)
WHERE id = :id AND (state NOT IN ('queued', 'running') OR (state = 'queued' AND not_before_ms > 0))
RETURNING id;

-- The stage at which a job stopped, and what came after it.
-- name: stages_reopen
UPDATE stage SET forgotten = 1, snapshot = NULL
WHERE job = :id AND id >= (SELECT max(id) FROM stage WHERE job = :id AND status = 'stopped' AND forgotten = 0);

-- name: stages_forget
UPDATE stage SET forgotten = 1, snapshot = NULL WHERE job = :id;
