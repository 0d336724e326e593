-- name: eval_run_add
INSERT INTO eval_run (key, tasks, started_ms) VALUES (:key, :tasks, :now)
ON CONFLICT (key) DO UPDATE SET tasks = excluded.tasks
RETURNING id;

-- name: eval_result_add
INSERT INTO eval_result (run, task_id, at_ms, line) VALUES (:run, :task_id, :now, :line)
ON CONFLICT (run, task_id) DO NOTHING;

-- name: eval_result_list
SELECT run, tasks, started_ms, at_ms, line
FROM eval_result JOIN eval_run ON eval_run.id = eval_result.run
WHERE at_ms >= :since
ORDER BY run, at_ms, task_id;
