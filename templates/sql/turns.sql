-- Whose turn it is: app/store_turns.c.

-- name: turn_clock
SELECT turn, urgent_turns FROM turn_clock;

-- name: turn_clock_set
UPDATE turn_clock SET turn = :turn, urgent_turns = :urgent_turns;

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
