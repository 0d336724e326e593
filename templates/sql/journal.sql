-- :fence is NULL for a handle that is not fenced (store_fence).

-- name: stage_end
UPDATE stage SET status = :status, detail = :detail, snapshot = :snapshot, ended_ms = :now
WHERE id = :id AND status = 'running'
  AND fence = (SELECT fence FROM job WHERE job.id = stage.job AND job.state = 'running')
RETURNING id;

-- name: stage_list
SELECT id, job, attempt, round, stage, status, detail, input_digest, started_ms, ended_ms,
       CASE WHEN CAST(:with_snapshots AS bigint) <> 0 THEN snapshot END AS snapshot
FROM stage
WHERE job = :id AND forgotten = 0
ORDER BY id;

-- name: last_snapshot
SELECT snapshot FROM stage
WHERE job = :id AND forgotten = 0 AND snapshot IS NOT NULL
ORDER BY id DESC LIMIT 1;

-- name: call_add
INSERT INTO model_call (job, stage, at_ms, name, model, role, template_path, template_digest, request_digest, error,
                        tokens_in, tokens_out, tokens_cached, elapsed_ms, cost_usd)
VALUES (:id, :stage, :now, :name, :model, :role, :template_path, :template_digest, :request_digest, :error,
        :tokens_in, :tokens_out, :tokens_cached, :elapsed_ms, :cost_usd);

-- name: job_add_cost
UPDATE job
SET cost_usd = cost_usd + :cost_usd, tokens_in = tokens_in + :tokens_in, tokens_out = tokens_out + :tokens_out
WHERE id = :id
RETURNING id;

-- name: call_list
SELECT job, stage, at_ms, name, model, role, template_path, template_digest, request_digest, error, tokens_in,
       tokens_out, tokens_cached, elapsed_ms, cost_usd
FROM model_call
WHERE job = :id
ORDER BY id;

-- name: cost_since
SELECT coalesce(sum(cost_usd), 0.0) AS cost_usd FROM model_call WHERE at_ms >= :since;

-- name: artifact_put
INSERT INTO artifact (job, name, written_ms, bytes) VALUES (:id, :name, :now, :bytes)
ON CONFLICT (job, name) DO UPDATE SET bytes = excluded.bytes, written_ms = excluded.written_ms;

-- name: artifact_get
SELECT bytes FROM artifact WHERE job = :id AND name = :name;
