-- name: status
SELECT 'deliveries' AS kind, state, count(*) AS n FROM delivery GROUP BY state
UNION ALL
SELECT 'jobs' AS kind, state, count(*) AS n FROM job GROUP BY state;
