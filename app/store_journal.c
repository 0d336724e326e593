/* The journal of a job: stages with snapshots, model calls with their cost, artifacts. */
#include <stdlib.h>
#include <string.h>

#include "app/store_internal.h"

static int read_id(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "id");
    return 0;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* ---- stages ---- */

int store_stage_begin(struct store *store, int64_t job, int attempt, int round, const char *stage,
                      const char *input_digest, int64_t *id, struct error *err)
{
    int64_t begun = 0;
    int64_t rows = sql_begin(store, err);
    if (rows == 0)
        rows = sql_run(store, "stage_begin",
                       SQL_PARAMS(sql_int("id", job), sql_int("attempt", attempt), sql_int("round", round),
                                  sql_text("stage", stage), sql_text("input_digest", or_empty(input_digest)),
                                  sql_int("now", store_now_ms(store)), sql_fence(store, job)),
                       &(struct sql_reader){read_id, &begun}, err);
    if (rows == 0)
        rows = job_refused(store, job, "begin a stage of", err);
    if (sql_end(store, rows > 0 ? 0 : -1, err) < 0)
        return error_wrap(err, "stage %s", stage);
    *id = begun;
    return 0;
}

int store_stage_end(struct store *store, int64_t id, const char *status, const char *detail, const json_t *snapshot,
                    struct error *err)
{
    AUTO_FREE char *text = snapshot ? sql_json(snapshot, err) : NULL;
    if (snapshot && !text)
        return error_wrap(err, "end stage %lld", (long long)id);
    int64_t rows = sql_begin(store, err);
    if (rows == 0)
        rows = sql_run(store, "stage_end",
                       SQL_PARAMS(sql_int("id", id), sql_text("status", status), sql_text("detail", or_empty(detail)),
                                  sql_text("snapshot", text), sql_int("now", store_now_ms(store))),
                       NULL, err);
    if (rows == 0)
        error_set(err, ERROR_CONFLICT, "it does not run any more: its job was stopped or claimed again");
    if (sql_end(store, rows > 0 ? 0 : -1, err) < 0)
        return error_wrap(err, "end stage %lld", (long long)id);
    return 0;
}

void stages_free(struct stage_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(rows[i].stage);
        free(rows[i].status);
        free(rows[i].detail);
        free(rows[i].input_digest);
        json_decref(rows[i].snapshot);
    }
    free(rows);
}

struct stage_list {
    struct stage_row *rows;
    size_t count;
};

static int read_stage(void *context, const struct sql_row *row, struct error *err)
{
    struct stage_list *list = context;
    struct stage_row *rows = reallocarray(list->rows, list->count + 1, sizeof *rows);
    if (!rows)
        return sql_out_of_memory(err);
    list->rows = rows;
    struct stage_row *stage = &rows[list->count++];
    *stage = (struct stage_row){
        .id = row_int(row, "id"),
        .job = row_int(row, "job"),
        .attempt = (int)row_int(row, "attempt"),
        .round = (int)row_int(row, "round"),
        .started_ms = row_int(row, "started_ms"),
        .ended_ms = row_int(row, "ended_ms"),
        .stage = row_text(row, "stage"),
        .status = row_text(row, "status"),
        .detail = row_text(row, "detail"),
        .input_digest = row_text(row, "input_digest"),
    };
    if (!stage->stage || !stage->status || !stage->detail || !stage->input_digest)
        return sql_out_of_memory(err);
    return row_json(row, "snapshot", &stage->snapshot, err);
}

int store_stages(struct store *store, int64_t job, bool with_snapshots, struct stage_row **out, size_t *count,
                 struct error *err)
{
    struct stage_list list = {0};
    int64_t rows =
        sql_run(store, "stage_list", SQL_PARAMS(sql_int("id", job), sql_int("with_snapshots", with_snapshots)),
                &(struct sql_reader){read_stage, &list}, err);
    if (rows < 0) {
        stages_free(list.rows, list.count);
        return error_wrap(err, "list the stages of job %lld", (long long)job);
    }
    *out = list.rows;
    *count = list.count;
    return 0;
}

static int read_snapshot(void *context, const struct sql_row *row, struct error *err)
{
    return row_json(row, "snapshot", context, err);
}

int store_last_snapshot(struct store *store, int64_t job, json_t **snapshot, struct error *err)
{
    json_t *read = NULL;
    if (sql_run(store, "last_snapshot", SQL_PARAMS(sql_int("id", job)), &(struct sql_reader){read_snapshot, &read},
                err) < 0)
        return error_wrap(err, "read the last snapshot of job %lld", (long long)job);
    *snapshot = read;
    return 0;
}

/* ---- model calls ---- */

static int add_call(struct store *store, const struct call_row *call, struct error *err)
{
    struct sql_value stage = call->stage ? sql_int("stage", call->stage) : sql_text("stage", NULL);
    int64_t rows = sql_run(store, "job_add_cost",
                           SQL_PARAMS(sql_int("id", call->job), sql_real("cost_usd", call->cost_usd),
                                      sql_int("tokens_in", call->tokens_in), sql_int("tokens_out", call->tokens_out)),
                           NULL, err);
    if (rows == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no job %lld", (long long)call->job);
    if (rows < 0)
        return -1;
    rows = sql_run(store, "call_add",
                   SQL_PARAMS(sql_int("id", call->job), stage, sql_int("now", store_now_ms(store)),
                              sql_text("name", or_empty(call->name)), sql_text("model", or_empty(call->model)),
                              sql_text("role", or_empty(call->role)),
                              sql_text("template_path", or_empty(call->template_path)),
                              sql_text("template_digest", or_empty(call->template_digest)),
                              sql_text("request_digest", or_empty(call->request_digest)),
                              sql_text("error", call->error), sql_int("tokens_in", call->tokens_in),
                              sql_int("tokens_out", call->tokens_out), sql_int("tokens_cached", call->tokens_cached),
                              sql_int("elapsed_ms", call->elapsed_ms), sql_real("cost_usd", call->cost_usd)),
                   NULL, err);
    return rows < 0 ? -1 : 0;
}

/* Not fenced: money that was spent is counted, whoever spent it. */
int store_call_add(struct store *store, const struct call_row *call, struct error *err)
{
    int status = sql_begin(store, err) < 0 ? -1 : add_call(store, call, err);
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "note a model call of job %lld", (long long)call->job);
    return 0;
}

static json_t *column_to_json(const struct sql_value *column)
{
    switch (column->type) {
    case SQL_INT:
        return json_integer(column->integer);
    case SQL_REAL:
        return json_real(column->real);
    case SQL_TEXT:
        return json_stringn(column->bytes, column->len);
    default:
        return json_null();
    }
}

static int read_call(void *context, const struct sql_row *row, struct error *err)
{
    json_t *call = json_object();
    for (size_t i = 0; i < row->count; i++)
        if (json_object_set_new(call, row->columns[i].name, column_to_json(&row->columns[i])) < 0) {
            json_decref(call);
            return sql_out_of_memory(err);
        }
    return json_array_append_new(context, call) < 0 ? sql_out_of_memory(err) : 0;
}

json_t *store_calls(struct store *store, int64_t job, struct error *err)
{
    json_auto_t *calls = json_array();
    if (!calls) {
        sql_out_of_memory(err);
        return NULL;
    }
    if (sql_run(store, "call_list", SQL_PARAMS(sql_int("id", job)), &(struct sql_reader){read_call, calls}, err) < 0) {
        error_wrap(err, "list the model calls of job %lld", (long long)job);
        return NULL;
    }
    return STEAL(calls);
}

static int read_cost(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(double *)context = row_real(row, "cost_usd");
    return 0;
}

int store_cost_since(struct store *store, int64_t since_ms, double *cost_usd, struct error *err)
{
    double cost = 0;
    if (sql_run(store, "cost_since", SQL_PARAMS(sql_int("since", since_ms)), &(struct sql_reader){read_cost, &cost},
                err) < 0)
        return error_wrap(err, "add up the cost");
    *cost_usd = cost;
    return 0;
}

/* ---- artifacts ---- */

int store_artifact_put(struct store *store, int64_t job, const char *name, const void *data, size_t len,
                       struct error *err)
{
    int64_t rows = sql_begin(store, err);
    if (rows == 0)
        rows = sql_run(store, "artifact_put",
                       SQL_PARAMS(sql_int("id", job), sql_text("name", name), sql_int("now", store_now_ms(store)),
                                  sql_blob("bytes", data, len)),
                       NULL, err);
    if (sql_end(store, rows < 0 ? -1 : 0, err) < 0)
        return error_wrap(err, "store artifact %s of job %lld", name, (long long)job);
    return 0;
}

static int read_artifact(void *context, const struct sql_row *row, struct error *err)
{
    struct buf *out = context;
    const struct sql_value *bytes = row_at(row, "bytes");
    if (bytes->len <= out->max - out->len && buf_add(out, bytes->bytes, bytes->len) == 0)
        return 0;
    return error_set(err, ERROR_LIMIT, "it has %zu bytes, more than there is room for", bytes->len);
}

int store_artifact_get(struct store *store, int64_t job, const char *name, struct buf *out, struct error *err)
{
    int64_t rows = sql_run(store, "artifact_get", SQL_PARAMS(sql_int("id", job), sql_text("name", name)),
                           &(struct sql_reader){read_artifact, out}, err);
    if (rows == 0)
        return error_set(err, ERROR_NOT_FOUND, "job %lld has no artifact %s", (long long)job, name);
    return rows < 0 ? error_wrap(err, "read artifact %s of job %lld", name, (long long)job) : 0;
}
