-- What goes after a time (app/housekeeping.h), a few rows at once so that others come in between. A job keeps its
-- row for good: it is known by its key and its cost counts. What it left goes when it has ended and no pull request of
-- it is open.

-- name: deliveries_forget
DELETE FROM delivery WHERE seq IN (
    SELECT seq FROM delivery
    WHERE state = 'done' AND ended_ms < :before AND note NOT LIKE 'failed:%'
    ORDER BY ended_ms LIMIT :limit
    FOR UPDATE OF delivery SKIP LOCKED)
RETURNING seq;

-- name: lost_deliveries_forget
DELETE FROM delivery WHERE seq IN (
    SELECT seq FROM delivery
    WHERE (state = 'dead' OR (state = 'done' AND note LIKE 'failed:%')) AND ended_ms < :before
    ORDER BY ended_ms LIMIT :limit
    FOR UPDATE OF delivery SKIP LOCKED)
RETURNING seq;

-- name: snapshots_forget
UPDATE stage SET snapshot = NULL WHERE id IN (
    SELECT stage.id FROM stage JOIN job ON job.id = stage.job
    WHERE stage.snapshot IS NOT NULL AND job.state IN ('done', 'cancelled', 'failed') AND job.ended_ms < :before
      AND (NOT EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull')
           OR EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull_ended'))
    LIMIT :limit
    FOR UPDATE OF stage SKIP LOCKED)
RETURNING id;

-- name: artifacts_forget
DELETE FROM artifact WHERE (job, name) IN (
    SELECT artifact.job, artifact.name FROM artifact JOIN job ON job.id = artifact.job
    WHERE job.state IN ('done', 'cancelled', 'failed') AND job.ended_ms < :before
      AND (NOT EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull')
           OR EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull_ended'))
    LIMIT :limit
    FOR UPDATE OF artifact SKIP LOCKED)
RETURNING job;

-- name: eval_results_forget
DELETE FROM eval_result WHERE (run, task_id) IN (
    SELECT run, task_id FROM eval_result WHERE at_ms < :before ORDER BY at_ms LIMIT :limit
    FOR UPDATE OF eval_result SKIP LOCKED)
RETURNING run;

-- name: eval_runs_forget
DELETE FROM eval_run WHERE id IN (
    SELECT id FROM eval_run
    WHERE started_ms < :before AND NOT EXISTS (SELECT 1 FROM eval_result WHERE run = eval_run.id)
    LIMIT :limit
    FOR UPDATE OF eval_run SKIP LOCKED)
RETURNING id;

-- Whether a waiting or running job needs a repository.
-- name: repository_in_use
SELECT id FROM job
WHERE forge = :forge AND lower(owner) = lower(:owner) AND lower(repo) = lower(:repo)
  AND state IN ('queued', 'running', 'question')
LIMIT 1;

-- name: sizes
SELECT 'database' AS what, 0::bigint AS n, pg_database_size(current_database()) AS bytes
UNION ALL
SELECT 'deliveries', count(*), pg_total_relation_size('delivery') + pg_total_relation_size('payload') FROM delivery
UNION ALL
SELECT 'journal', count(*), pg_total_relation_size('stage') + pg_total_relation_size('model_call') FROM stage
UNION ALL
SELECT 'artifacts', count(*), pg_total_relation_size('artifact') FROM artifact
UNION ALL
SELECT 'evaluations', count(*), pg_total_relation_size('eval_result') FROM eval_result;
