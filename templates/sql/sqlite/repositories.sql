-- Pull requests of ours of which it is not known that they have ended. :number 0: all.
-- name: open_pulls
SELECT job.id AS job, CAST(effect.value AS bigint) AS number
FROM job JOIN effect ON effect.job = job.id AND effect.key = 'pull'
WHERE job.forge = :forge AND job.owner = :owner COLLATE NOCASE AND job.repo = :repo COLLATE NOCASE
  AND (:number = 0 OR CAST(effect.value AS bigint) = :number)
  AND NOT EXISTS (SELECT 1 FROM effect AS ended WHERE ended.job = job.id AND ended.key = 'pull_ended')
ORDER BY job.id;
