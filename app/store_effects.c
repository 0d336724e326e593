/* Effects on a forge: intended before they are tried, ended when it is known how it went. */
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/store_internal.h"

void effect_row_release(struct effect_row *row)
{
    free(row->forge);
    free(row->owner);
    free(row->repo);
    free(row->kind);
    free(row->key);
    free(row->delivery);
    free(row->state);
    free(row->external_id);
    free(row->note);
    json_decref(row->request);
    *row = (struct effect_row){0};
}

void effect_rows_free(struct effect_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        effect_row_release(&rows[i]);
    free(rows);
}

static int read_effect(const struct sql_row *row, struct effect_row *out, struct error *err)
{
    *out = (struct effect_row){
        .forge = row_text(row, "forge"),
        .owner = row_text(row, "owner"),
        .repo = row_text(row, "repo"),
        .kind = row_text(row, "kind"),
        .key = row_text(row, "key"),
        .job = row_int(row, "job"),
        .delivery = row_text(row, "delivery"),
        .state = row_text(row, "state"),
        .token = row_int(row, "token"),
        .tries = row_int(row, "tries"),
        .external_id = row_text(row, "external_id"),
        .note = row_text(row, "note"),
        .first_ms = row_int(row, "first_ms"),
        .last_ms = row_int(row, "last_ms"),
    };
    bool whole = out->forge && out->owner && out->repo && out->kind && out->key && out->delivery && out->state &&
                 out->external_id && out->note;
    return whole ? row_json(row, "request", &out->request, err) : sql_out_of_memory(err);
}

/* The columns by which an effect is known. */
#define IDENTITY(row)                                                                                                  \
    sql_text("forge", (row)->forge), sql_text("owner", (row)->owner), sql_text("repo", (row)->repo),                   \
        sql_text("kind", (row)->kind), sql_text("key", (row)->key)

static int read_one(void *context, const struct sql_row *row, struct error *err)
{
    return read_effect(row, context, err);
}

int store_effect_find(struct store *store, const struct effect_row *wanted, struct effect_row *out, bool *found,
                      struct error *err)
{
    struct effect_row row = {0};
    int64_t rows =
        sql_run(store, "effect_get", SQL_PARAMS(IDENTITY(wanted)), &(struct sql_reader){read_one, &row}, err);
    if (rows <= 0)
        effect_row_release(&row);
    if (rows < 0)
        return error_wrap(err, "read %s %s", wanted->kind, wanted->key);
    *found = rows > 0;
    *out = row;
    return 0;
}

static int begin(struct store *store, const struct effect_row *wanted, struct effect_row *before, bool *refused,
                 struct error *err)
{
    bool found;
    if (sql_run(store, "effect_lock", SQL_PARAMS(IDENTITY(wanted)), NULL, err) < 0 ||
        store_effect_find(store, wanted, before, &found, err) < 0)
        return -1;
    if (found && strcmp(before->state, "done") == 0)
        return 0;
    int64_t rows = sql_run(store, "effect_begin",
                           SQL_PARAMS(IDENTITY(wanted), sql_int("job", wanted->job),
                                      sql_text("delivery", wanted->delivery ? wanted->delivery : ""),
                                      sql_int("token", wanted->token), sql_int("now", clock_wall_ms()),
                                      sql_fence(store, wanted->job)),
                           NULL, err);
    *refused = rows == 0;
    return rows < 0 ? -1 : 0;
}

int store_effect_begin(struct store *store, const struct effect_row *wanted, struct effect_row *before,
                       struct error *err)
{
    struct effect_row row = {0};
    bool refused = false;
    int status = sql_begin(store, err) < 0 ? -1 : begin(store, wanted, &row, &refused, err);
    status = sql_end(store, status, err);
    if (status == 0 && refused)
        status = job_refused(store, wanted->job, "go on with", err);
    if (status < 0) {
        effect_row_release(&row);
        return error_wrap(err, "intend %s %s", wanted->kind, wanted->key);
    }
    *before = row;
    return 0;
}

int store_effect_holds(struct store *store, const struct effect_row *row, struct error *err)
{
    int64_t rows = sql_run(
        store, "effect_holds",
        SQL_PARAMS(IDENTITY(row), sql_int("token", row->token), sql_int("job", row->job), sql_fence(store, row->job)),
        NULL, err);
    if (rows < 0)
        return error_wrap(err, "look at %s %s", row->kind, row->key);
    return rows > 0 ? 0 : error_set(err, ERROR_CONFLICT, "%s %s: another process has taken over", row->kind, row->key);
}

static int end(struct store *store, const struct effect_row *row, const char *request, struct error *err)
{
    int64_t rows = sql_run(store, "effect_end",
                           SQL_PARAMS(IDENTITY(row), sql_int("token", row->token), sql_text("state", row->state),
                                      sql_text("external_id", row->external_id ? row->external_id : ""),
                                      sql_text("note", row->note ? row->note : ""), sql_text("request", request),
                                      sql_int("now", clock_wall_ms())),
                           NULL, err);
    if (rows == 0)
        return error_set(err, ERROR_CONFLICT, "another process has taken over");
    return rows < 0 ? -1 : 0;
}

int store_effect_end(struct store *store, const struct effect_row *row, struct error *err)
{
    AUTO_FREE char *request = row->request ? sql_json(row->request, err) : NULL;
    if (row->request && !request)
        return error_wrap(err, "note %s %s", row->kind, row->key);
    int status = sql_begin(store, err) < 0 ? -1 : end(store, row, request, err);
    return sql_end(store, status, err) < 0 ? error_wrap(err, "note %s %s", row->kind, row->key) : 0;
}

struct effect_list {
    struct effect_row *rows;
    size_t count;
};

static int add_row(void *context, const struct sql_row *row, struct error *err)
{
    struct effect_list *list = context;
    struct effect_row *grown = reallocarray(list->rows, list->count + 1, sizeof *grown);
    if (!grown)
        return sql_out_of_memory(err);
    list->rows = grown;
    return read_effect(row, &grown[list->count++], err);
}

int store_effects(struct store *store, int64_t job, struct effect_row **out, size_t *count, struct error *err)
{
    struct effect_list list = {0};
    if (sql_run(store, "effect_list", SQL_PARAMS(sql_int("job", job)), &(struct sql_reader){add_row, &list}, err) < 0) {
        effect_rows_free(list.rows, list.count);
        return error_wrap(err, "list the effects of job %lld", (long long)job);
    }
    *out = list.rows;
    *count = list.count;
    return 0;
}
