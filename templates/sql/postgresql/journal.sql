-- :fence is NULL for a handle that is not fenced (store_fence).

-- name: stage_begin
INSERT INTO stage (job, attempt, round, fence, stage, input_digest, started_ms)
SELECT id, :attempt::bigint, :round::bigint, fence, :stage::text, :input_digest::text, :now::bigint
FROM job
WHERE id = :id AND state = 'running' AND attempt = :attempt AND (:fence::bigint IS NULL OR fence = :fence)
FOR SHARE
RETURNING id;
