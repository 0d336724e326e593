-- Whose turn it is: app/store_turns.c.

-- The transaction has the file to itself already.
-- name: turns_lock
SELECT 1 AS locked;

-- Jobs that were to wait until now come into line.
-- name: jobs_due
UPDATE job SET not_before_ms = 0
WHERE id IN (
    SELECT id FROM job WHERE state = 'queued' AND not_before_ms > 0 AND not_before_ms <= :now
    ORDER BY not_before_ms LIMIT :most)
RETURNING id;

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
