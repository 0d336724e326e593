/* What the store lets go of after a time, and what it takes in room; the rules are in app/housekeeping.h. */
#include "app/base/json.h"
#include "app/store_internal.h"

int store_forget(struct store *store, enum store_part part, int64_t before_ms, size_t limit, size_t *count,
                 struct error *err)
{
    static const char *const statements[] = {
        [STORE_DELIVERIES] = "deliveries_forget",     [STORE_LOST_DELIVERIES] = "lost_deliveries_forget",
        [STORE_SNAPSHOTS] = "snapshots_forget",       [STORE_ARTIFACTS] = "artifacts_forget",
        [STORE_EVAL_RESULTS] = "eval_results_forget", [STORE_EVAL_RUNS] = "eval_runs_forget",
    };
    int64_t rows = sql_begin(store, err);
    if (rows == 0)
        rows = sql_run(store, statements[part],
                       SQL_PARAMS(sql_int("before", before_ms), sql_int("limit", (int64_t)limit)), NULL, err);
    if (sql_end(store, rows < 0 ? -1 : 0, err) < 0)
        return error_wrap(err, "forget what is old");
    *count = (size_t)rows;
    return 0;
}

int store_repository_in_use(struct store *store, const char *forge, const char *owner, const char *repo, bool *used,
                            struct error *err)
{
    int64_t rows =
        sql_run(store, "repository_in_use",
                SQL_PARAMS(sql_text("forge", forge), sql_text("owner", owner), sql_text("repo", repo)), NULL, err);
    if (rows < 0)
        return error_wrap(err, "look for jobs of %s/%s", owner, repo);
    *used = rows > 0;
    return 0;
}

static int read_size(void *context, const struct sql_row *row, struct error *err)
{
    AUTO_FREE char *what = row_text(row, "what");
    json_t *size =
        json_pack("{s:I, s:I}", "count", (json_int_t)row_int(row, "n"), "bytes", (json_int_t)row_int(row, "bytes"));
    if (!what || json_object_set_new(context, what, size) < 0)
        return sql_out_of_memory(err);
    return 0;
}

json_t *store_sizes(struct store *store, struct error *err)
{
    json_auto_t *sizes = json_object();
    if (!sizes) {
        sql_out_of_memory(err);
        return NULL;
    }
    if (sql_run(store, "sizes", NULL, 0, &(struct sql_reader){read_size, sizes}, err) < 0) {
        error_wrap(err, "measure the database");
        return NULL;
    }
    return STEAL(sizes);
}
