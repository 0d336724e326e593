-- What goes after a time (app/housekeeping.h), a few rows at once so that others come in between. A job keeps its
-- row for good: it is known by its key and its cost counts. What it left goes when it has ended and no pull request of
-- it is open.

-- name: deliveries_forget
DELETE FROM delivery WHERE seq IN (
    SELECT seq FROM delivery
    WHERE state = 'done' AND ended_ms < :before AND note NOT LIKE 'failed:%'
    ORDER BY ended_ms LIMIT :limit)
RETURNING seq;

-- name: lost_deliveries_forget
DELETE FROM delivery WHERE seq IN (
    SELECT seq FROM delivery
    WHERE (state = 'dead' OR (state = 'done' AND note LIKE 'failed:%')) AND ended_ms < :before
    ORDER BY ended_ms LIMIT :limit)
RETURNING seq;

-- name: snapshots_forget
UPDATE stage SET snapshot = NULL WHERE id IN (
    SELECT stage.id FROM stage JOIN job ON job.id = stage.job
    WHERE stage.snapshot IS NOT NULL AND job.state IN ('done', 'cancelled', 'failed') AND job.ended_ms < :before
      AND (NOT EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull')
           OR EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull_ended'))
    LIMIT :limit)
RETURNING id;

-- name: artifacts_forget
DELETE FROM artifact WHERE (job, name) IN (
    SELECT artifact.job, artifact.name FROM artifact JOIN job ON job.id = artifact.job
    WHERE job.state IN ('done', 'cancelled', 'failed') AND job.ended_ms < :before
      AND (NOT EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull')
           OR EXISTS (SELECT 1 FROM effect WHERE effect.job = job.id AND effect.key = 'pull_ended'))
    LIMIT :limit)
RETURNING job;

-- name: eval_results_forget
DELETE FROM eval_result WHERE (run, task_id) IN (
    SELECT run, task_id FROM eval_result WHERE at_ms < :before ORDER BY at_ms LIMIT :limit)
RETURNING run;

-- name: eval_runs_forget
DELETE FROM eval_run WHERE id IN (
    SELECT id FROM eval_run
    WHERE started_ms < :before AND NOT EXISTS (SELECT 1 FROM eval_result WHERE run = eval_run.id)
    LIMIT :limit)
RETURNING id;

-- Whether a waiting or running job needs a repository.
-- name: repository_in_use
SELECT id FROM job
WHERE forge = :forge AND owner = :owner COLLATE NOCASE AND repo = :repo COLLATE NOCASE
  AND state IN ('queued', 'running', 'question')
LIMIT 1;

-- "free" is room within the file that is used again.
-- name: sizes
SELECT 'database' AS what, 0 AS n, page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size
UNION ALL
SELECT 'free', freelist_count, freelist_count * page_size FROM pragma_freelist_count, pragma_page_size
UNION ALL
SELECT 'deliveries', count(*), coalesce(sum(length(bytes)), 0) FROM payload
UNION ALL
SELECT 'journal', count(*), coalesce(sum(length(snapshot)), 0) FROM stage
UNION ALL
SELECT 'artifacts', count(*), coalesce(sum(length(bytes)), 0) FROM artifact
UNION ALL
SELECT 'evaluations', count(*), coalesce(sum(length(line)), 0) FROM eval_result;
