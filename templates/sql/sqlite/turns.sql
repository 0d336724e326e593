-- Whose turn it is: app/store_turns.c.

-- The transaction has the file to itself already.
-- name: turns_lock
SELECT 1 AS locked;

-- name: turn_clock
SELECT turn, urgent_turns FROM turn_clock;

-- name: turn_clock_set
UPDATE turn_clock SET turn = :turn, urgent_turns = :urgent_turns;

-- Jobs that were to wait until now come into line.
-- name: jobs_due
UPDATE job SET not_before_ms = 0
WHERE id IN (
    SELECT id FROM job WHERE state = 'queued' AND not_before_ms > 0 AND not_before_ms <= :now
    ORDER BY not_before_ms LIMIT :most)
RETURNING id;

-- name: turn_wait_account
INSERT INTO turn_account (forge, owner, urgent, served, since, waiting)
SELECT forge, owner, urgent, 0, id, 1 FROM job WHERE id = :id
ON CONFLICT (forge, owner, urgent) DO UPDATE SET since = excluded.since, waiting = 1
WHERE turn_account.waiting = 0;

-- name: turn_wait_repository
INSERT INTO turn_repository (forge, owner, repo, urgent, served, since, waiting)
SELECT forge, owner, repo, urgent, 0, id, 1 FROM job WHERE id = :id
ON CONFLICT (forge, owner, repo, urgent) DO UPDATE SET since = excluded.since, waiting = 1
WHERE turn_repository.waiting = 0;

-- The repository that was served longest ago, of the account that was, among those that have room for one more.
-- name: turn_next
SELECT forge, owner, (
    SELECT repo FROM turn_repository AS one
    WHERE one.forge = account.forge AND one.owner = account.owner AND one.urgent = account.urgent AND one.waiting = 1
      AND (SELECT count(*) FROM job AS busy
           WHERE busy.state = 'running' AND busy.forge = one.forge AND busy.owner = one.owner
             AND busy.repo = one.repo) < :per_repository
    ORDER BY one.served, one.since LIMIT 1) AS repo
FROM turn_account AS account
WHERE waiting = 1 AND urgent = :urgent AND repo IS NOT NULL
ORDER BY served, since LIMIT 1;

-- name: job_claim
UPDATE job
SET state = 'running', attempt = attempt + 1, fence = fence + 1, lease_owner = :worker, lease_until_ms = :until,
    started_ms = CASE started_ms WHEN 0 THEN :now ELSE started_ms END
WHERE id = (
    SELECT id FROM job
    WHERE state = 'queued' AND not_before_ms = 0 AND forge = :forge AND owner = :owner AND repo = :repo
      AND urgent = :urgent
    ORDER BY created_ms, id LIMIT 1)
RETURNING id;

-- name: turn_had_repository
UPDATE turn_repository
SET served = :turn,
    waiting = CASE WHEN EXISTS (
        SELECT 1 FROM job
        WHERE state = 'queued' AND not_before_ms = 0 AND job.forge = turn_repository.forge
          AND job.owner = turn_repository.owner AND job.repo = turn_repository.repo
          AND job.urgent = turn_repository.urgent) THEN 1 ELSE 0 END
WHERE forge = :forge AND owner = :owner AND repo = :repo AND urgent = :urgent;

-- name: turn_had_account
UPDATE turn_account
SET served = :turn,
    waiting = CASE WHEN EXISTS (
        SELECT 1 FROM turn_repository AS one
        WHERE one.waiting = 1 AND one.forge = turn_account.forge AND one.owner = turn_account.owner
          AND one.urgent = turn_account.urgent) THEN 1 ELSE 0 END
WHERE forge = :forge AND owner = :owner AND urgent = :urgent;
