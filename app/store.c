/* Opening a store by its URL, transactions, and reading rows; the operations are in app/store_*.c. */
#include "app/store.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/store_internal.h"

static const struct store_backend *find_backend(const char *url, struct error *err)
{
    for (const struct store_backend *const *at = store_backends; *at; at++) {
        size_t len = strlen((*at)->scheme);
        if (strncmp(url, (*at)->scheme, len) == 0 && strncmp(url + len, "://", 3) == 0)
            return *at;
    }
    /* A password may stand in the rest of the address. */
    error_set(err, ERROR_CONFIG,
              "\"%.*s\" is not a kind of database known here; use sqlite:///PATH or "
              "postgresql://USER@HOST/NAME",
              (int)strcspn(url, ":"), url);
    return NULL;
}

int store_check_url(const char *url, struct error *err)
{
    const struct store_backend *backend = find_backend(url, err);
    return backend ? backend->check(url, err) : -1;
}

char *store_whole_url(const struct store *store, struct error *err)
{
    return store->backend->whole_url(store, err);
}

int store_needs(const struct store *store, struct store_needs *out, struct error *err)
{
    struct store_needs needs = {0};
    if (store->backend->needs(store, &needs, err) < 0) {
        store_needs_release(&needs);
        return -1;
    }
    *out = needs;
    return 0;
}

void store_needs_release(struct store_needs *needs)
{
    free(needs->folder);
    for (size_t i = 0; i < sizeof needs->files / sizeof needs->files[0]; i++)
        free(needs->files[i]);
    *needs = (struct store_needs){0};
}

struct store *store_open(const char *url, struct error *err)
{
    const struct store_backend *backend = find_backend(url, err);
    if (!backend)
        return NULL;
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        sql_out_of_memory(err);
        return NULL;
    }
    store->backend = backend;
    if (sql_statements_load(store, backend->scheme, err) == 0 && backend->open(store, url, err) == 0)
        return store;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store->backend->close(store);
    sql_statements_free(store);
    compressor_free(store->compressor);
    free(store);
}

/* Only what is committed reaches the disk, so the delivery is added and taken away in one transaction. */
static int write_and_erase(struct store *store, struct error *err)
{
    struct sql_value forge = sql_text("forge", ""); /* no configuration can name a forge so */
    struct sql_value id = sql_text("id", "ping");
    int64_t now_ms = store_now_ms(store);
    if (sql_run(store, "delivery_add", SQL_PARAMS(forge, id, sql_text("event", ""), sql_int("received_ms", now_ms)),
                NULL, err) < 0)
        return -1;
    return sql_run(store, "delivery_erase", SQL_PARAMS(forge, id), NULL, err) < 0 ? -1 : 0;
}

int store_ping(struct store *store, struct error *err)
{
    return sql_end(store, sql_begin(store, err) < 0 ? -1 : write_and_erase(store, err), err);
}

int store_backup(struct store *store, const char *path, struct error *err)
{
    return store->backend->backup(store, path, err);
}

int store_spare(struct store *store, struct error *err)
{
    return store->backend->spare ? store->backend->spare(store, err) : 0;
}

int store_examine(struct store *store, struct error *err)
{
    return store->backend->examine ? store->backend->examine(store, err) : 0;
}

int64_t store_now_ms(const struct store *store)
{
    return store->backend->now_ms(store);
}

bool store_wait(struct store *store, enum store_news news, int fd, int64_t ms)
{
    return store->backend->wait(store, news, fd, ms);
}

static int add_count(void *context, const struct sql_row *row, struct error *err)
{
    AUTO_FREE char *kind = row_text(row, "kind");
    AUTO_FREE char *state = row_text(row, "state");
    json_t *counts = kind ? json_object_get(context, kind) : NULL;
    if (!state || json_object_set_new(counts, state, json_integer(row_int(row, "n"))) < 0)
        return sql_out_of_memory(err);
    return 0;
}

static int read_version(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "version");
    return 0;
}

json_t *store_status(struct store *store, struct error *err)
{
    int64_t version = 0;
    json_auto_t *status = json_pack("{s:{}, s:{}}", "deliveries", "jobs");
    if (!status) {
        sql_out_of_memory(err);
        return NULL;
    }
    if (sql_run(store, "schema_version", NULL, 0, &(struct sql_reader){read_version, &version}, err) < 0 ||
        sql_run(store, "status", NULL, 0, &(struct sql_reader){add_count, status}, err) < 0)
        return NULL;
    json_object_set_new(status, "schema", json_integer(version));
    return STEAL(status);
}

/* ---- for the operations ---- */

static int compare_name(const void *name, const void *statement)
{
    return strcmp(name, ((const struct sql_statement *)statement)->name);
}

int64_t sql_run(struct store *store, const char *name, const struct sql_value *params, size_t count,
                const struct sql_reader *reader, struct error *err)
{
    struct sql_statement *statement = store->statement_count ? bsearch(name, store->statements, store->statement_count,
                                                                       sizeof *store->statements, compare_name)
                                                             : NULL;
    if (!statement)
        return error_set(err, ERROR_INTERNAL, "templates/sql has no statement %s for %s", name, store->backend->scheme);
    return store->backend->run(store, statement, params, count, reader, err);
}

int sql_begin(struct store *store, struct error *err)
{
    return store->backend->begin(store, err);
}

int sql_end(struct store *store, int status, struct error *err)
{
    if (status == 0 && store->backend->commit(store, err) == 0)
        return 0;
    store->backend->rollback(store);
    return -1;
}

void sql_wake(struct store *store, enum store_news news)
{
    if (store->backend->wake)
        store->backend->wake(store, news);
}

struct sql_value sql_fence(const struct store *store, int64_t job)
{
    if (store->fenced_job && store->fenced_job == job)
        return sql_int("fence", store->fence);
    return (struct sql_value){.name = "fence", .type = SQL_NULL};
}

int sql_out_of_memory(struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "out of memory");
}

char *sql_json(const json_t *value, struct error *err)
{
    char *text = json_write(value, err);
    if (!text || strlen(text) <= JSON_LIMITS_API.bytes)
        return text;
    free(text);
    error_set(err, ERROR_LIMIT, "the JSON has more than the %zu bytes that can be read back", JSON_LIMITS_API.bytes);
    return NULL;
}

struct sql_value sql_int(const char *name, int64_t value)
{
    return (struct sql_value){.name = name, .type = SQL_INT, .integer = value};
}

struct sql_value sql_real(const char *name, double value)
{
    return (struct sql_value){.name = name, .type = SQL_REAL, .real = value};
}

struct sql_value sql_text(const char *name, const char *value)
{
    return (struct sql_value){
        .name = name, .type = value ? SQL_TEXT : SQL_NULL, .bytes = value, .len = value ? strlen(value) : 0};
}

struct sql_value sql_blob(const char *name, const void *data, size_t len)
{
    return (struct sql_value){.name = name, .type = SQL_BLOB, .bytes = len ? data : "", .len = len};
}

const struct sql_value *row_at(const struct sql_row *row, const char *name)
{
    static const struct sql_value absent = {.name = "", .type = SQL_NULL};
    for (size_t i = 0; i < row->count; i++)
        if (strcmp(row->columns[i].name, name) == 0)
            return &row->columns[i];
    return &absent;
}

int64_t row_int(const struct sql_row *row, const char *name)
{
    return row_at(row, name)->integer;
}

double row_real(const struct sql_row *row, const char *name)
{
    const struct sql_value *value = row_at(row, name);
    return value->type == SQL_INT ? (double)value->integer : value->real;
}

char *row_text(const struct sql_row *row, const char *name)
{
    const struct sql_value *value = row_at(row, name);
    return value->type == SQL_TEXT ? strndup(value->bytes, value->len) : strdup("");
}

int row_json(const struct sql_row *row, const char *name, json_t **value, struct error *err)
{
    const struct sql_value *column = row_at(row, name);
    json_t *read = NULL;
    if (column->type != SQL_NULL) {
        read = json_read(column->bytes ? column->bytes : "", column->len, JSON_LIMITS_API, err);
        if (!read)
            return error_wrap(err, "column %s", name);
    }
    *value = read;
    return 0;
}
