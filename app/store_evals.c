/* What `assay eval` measured, for the dashboard's rates over time. */
#include "app/base/json.h"
#include "app/store_internal.h"

static int read_id(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "id");
    return 0;
}

int store_eval_begin(struct store *store, const char *key, const char *tasks, int64_t *run, struct error *err)
{
    int64_t id = 0;
    int64_t rows = sql_begin(store, err);
    if (rows == 0)
        rows = sql_run(store, "eval_run_add",
                       SQL_PARAMS(sql_text("key", key), sql_text("tasks", tasks), sql_int("now", store_now_ms(store))),
                       &(struct sql_reader){read_id, &id}, err);
    if (sql_end(store, rows < 0 ? -1 : 0, err) < 0)
        return error_wrap(err, "note an evaluation");
    *run = id;
    return 0;
}

int store_eval_add(struct store *store, int64_t run, const json_t *line, struct error *err)
{
    AUTO_FREE char *text = sql_json(line, err);
    if (!text)
        return error_wrap(err, "note a result");
    int64_t rows = sql_begin(store, err);
    if (rows == 0)
        rows = sql_run(store, "eval_result_add",
                       SQL_PARAMS(sql_int("run", run), sql_text("task_id", json_text_at(line, "task_id", "")),
                                  sql_int("now", store_now_ms(store)), sql_text("line", text)),
                       NULL, err);
    if (sql_end(store, rows < 0 ? -1 : 0, err) < 0)
        return error_wrap(err, "note a result");
    return 0;
}

static int read_result(void *context, const struct sql_row *row, struct error *err)
{
    json_t *line = NULL;
    AUTO_FREE char *tasks = row_text(row, "tasks");
    if (!tasks)
        return sql_out_of_memory(err);
    if (row_json(row, "line", &line, err) < 0)
        return -1;
    json_t *result =
        json_pack("{s:I, s:s, s:I, s:I, s:o}", "run", (json_int_t)row_int(row, "run"), "tasks", tasks, "started_ms",
                  (json_int_t)row_int(row, "started_ms"), "at_ms", (json_int_t)row_int(row, "at_ms"), "line", line);
    return json_array_append_new(context, result) < 0 ? sql_out_of_memory(err) : 0;
}

json_t *store_evals(struct store *store, int64_t since_ms, struct error *err)
{
    json_auto_t *results = json_array();
    if (!results) {
        sql_out_of_memory(err);
        return NULL;
    }
    if (sql_run(store, "eval_result_list", SQL_PARAMS(sql_int("since", since_ms)),
                &(struct sql_reader){read_result, results}, err) < 0) {
        error_wrap(err, "list the evaluations");
        return NULL;
    }
    return STEAL(results);
}
