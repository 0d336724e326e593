/* Looking at deliveries from outside: what became of them, and one more chance. */
#include <stdlib.h>
#include <string.h>

#include "app/store_internal.h"

enum { LIMIT_DEFAULT = 50 };

void delivery_rows_free(struct delivery_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(rows[i].forge);
        free(rows[i].id);
        free(rows[i].event);
        free(rows[i].state);
        free(rows[i].note);
    }
    free(rows);
}

struct list {
    struct delivery_row *rows;
    size_t count;
};

static int add_row(void *context, const struct sql_row *row, struct error *err)
{
    struct list *list = context;
    struct delivery_row *grown = reallocarray(list->rows, list->count + 1, sizeof *grown);
    if (!grown)
        return sql_out_of_memory(err);
    list->rows = grown;
    struct delivery_row *added = &grown[list->count++];
    *added = (struct delivery_row){
        .forge = row_text(row, "forge"),
        .id = row_text(row, "id"),
        .event = row_text(row, "event"),
        .state = row_text(row, "state"),
        .note = row_text(row, "note"),
        .received_ms = row_int(row, "received_ms"),
        .due_ms = row_int(row, "due_ms"),
        .ended_ms = row_int(row, "ended_ms"),
        .attempts = (int)row_int(row, "attempts"),
    };
    bool whole = added->forge && added->id && added->event && added->state && added->note;
    return whole ? 0 : sql_out_of_memory(err);
}

int store_deliveries(struct store *store, const struct delivery_filter *filter, struct delivery_row **out,
                     size_t *count, struct error *err)
{
    struct list list = {0};
    int64_t limit = filter->limit ? (int64_t)filter->limit : LIMIT_DEFAULT;
    if (sql_run(store, "delivery_list",
                SQL_PARAMS(sql_text("state", filter->state), sql_int("lost", filter->lost), sql_int("limit", limit)),
                &(struct sql_reader){add_row, &list}, err) < 0) {
        delivery_rows_free(list.rows, list.count);
        return error_wrap(err, "list the deliveries");
    }
    *out = list.rows;
    *count = list.count;
    return 0;
}

static int refuse(void *context, const struct sql_row *row, struct error *err)
{
    AUTO_FREE char *state = row_text(row, "state");
    return error_set(err, ERROR_CONFLICT, "delivery %s is %s: only one that came to nothing can be tried again",
                     (const char *)context, state ? state : "not to be had");
}

static int retry(struct store *store, const char *id, struct error *err)
{
    int64_t rows = sql_run(store, "delivery_retry", SQL_PARAMS(sql_text("id", id)), NULL, err);
    if (rows != 0)
        return rows < 0 ? -1 : 0;
    rows =
        sql_run(store, "delivery_state", SQL_PARAMS(sql_text("id", id)), &(struct sql_reader){refuse, (void *)id}, err);
    return rows < 0 ? -1 : error_set(err, ERROR_NOT_FOUND, "there is no delivery %s", id);
}

int store_delivery_retry(struct store *store, const char *id, struct error *err)
{
    int status = sql_begin(store, err) < 0 ? -1 : retry(store, id, err);
    if (sql_end(store, status, err) < 0)
        return -1;
    sql_wake(store, STORE_NEWS_DELIVERY);
    return 0;
}
