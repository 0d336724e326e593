/* PostgreSQL's part of moving: locked tables, rows in single-row mode, COPY in its binary format. */
#include <endian.h>
#include <string.h>

#include "app/store_move.h"
#include "app/store_postgres.h"

enum {
    CHUNK = 256 * 1024,                /* sent at once */
    COPYING_MAX = CHUNK + (512 << 20), /* and a row that begins right before its end */
};

/* ---- holding ---- */

static int add_name(void *context, const struct sql_row *row, struct error *err)
{
    struct buf *sql = context;
    AUTO_FREE char *name = row_text(row, "name");
    if (!name)
        return sql_out_of_memory(err);
    buf_printf(sql, "%s\"%s\"", sql->len ? ", " : "LOCK TABLE ", name);
    return 0;
}

static int lock_tables(struct store *store, const char *mode, struct error *err)
{
    AUTO_BUF struct buf sql = BUF_INIT(KiB(64));
    /* Asked within the transaction the list would fix what it sees, before the lock is had. */
    if (sql_run(store, "table_list", NULL, 0, &(struct sql_reader){add_name, &sql}, err) < 0)
        return -1;
    buf_printf(&sql, " IN %s MODE", mode);
    if (buf_check(&sql, "the list of tables", err) < 0)
        return -1;
    struct postgres *postgres = postgres_of(store);
    if (postgres_execute(postgres, "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE", err) < 0)
        return -1;
    postgres->in_transaction = true;
    return postgres_execute(postgres, buf_text(&sql), err);
}

/* All processes of ours name themselves so; we have taken another name. */
static const char who_else[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                               "application_name = 'assay' AND pid <> pg_backend_pid()";

static int postgres_move_begin(struct store *store, enum move_hold hold, struct error *err)
{
    static const char *const modes[] = {
        [HOLD_TARGET] = "ACCESS EXCLUSIVE", [HOLD_STILL] = "SHARE", [HOLD_SNAPSHOT] = "ACCESS SHARE"};
    struct postgres *postgres = postgres_of(store);
    int64_t others = 0;
    if (postgres_connect(postgres, err) < 0 ||
        postgres_execute(postgres,
                         "SET application_name = 'assay migrate'; SET statement_timeout = 0;"
                         "SET idle_in_transaction_session_timeout = 0",
                         err) < 0)
        return -1;
    if (hold == HOLD_STILL && postgres_ask(postgres, who_else, &others, err) < 0)
        return -1;
    if (others)
        return error_set(err, ERROR_CONFLICT, "%lld other connections of Assay use database %s; " MOVE_WHEN_STILL,
                         (long long)others, postgres->place);
    return lock_tables(store, modes[hold], err);
}

/* The next connection has the usual bounds again. */
static void postgres_move_end(struct store *store)
{
    postgres_drop(postgres_of(store));
    buf_release(&postgres_of(store)->copying);
}

/* ---- reading ---- */

static int postgres_move_read(struct store *store, const char *sql, const struct sql_reader *reader, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    if (!postgres->link)
        return postgres_lost(postgres, err);
    return postgres_stream(postgres, sql, reader, err) < 0 ? -1 : 0;
}

/* ---- filling ---- */

static void put_16(struct buf *out, uint16_t value)
{
    value = htobe16(value);
    buf_add(out, &value, sizeof value);
}

static void put_32(struct buf *out, uint32_t value)
{
    value = htobe32(value);
    buf_add(out, &value, sizeof value);
}

static void put_64(struct buf *out, uint64_t value)
{
    value = htobe64(value);
    buf_add(out, &value, sizeof value);
}

/* The column has the type that goes with the value's: bigint, double precision, text, bytea. */
static void put_value(struct buf *out, const struct sql_value *value)
{
    uint64_t bits = (uint64_t)value->integer;
    switch (value->type) {
    case SQL_NULL:
        put_32(out, UINT32_MAX);
        break;
    case SQL_REAL:
        memcpy(&bits, &value->real, sizeof bits);
        __attribute__((fallthrough));
    case SQL_INT:
        put_32(out, sizeof bits);
        put_64(out, bits);
        break;
    default:
        put_32(out, (uint32_t)value->len);
        buf_add(out, value->bytes, value->len);
    }
}

static int send_copy(struct postgres *postgres, size_t at_least, struct error *err)
{
    struct buf *out = &postgres->copying;
    if (buf_check(out, "a row", err) < 0)
        return -1;
    if (out->len < at_least || out->len == 0)
        return 0;
    if (postgres_copy(postgres, buf_text(out), out->len, err) < 0)
        return -1;
    buf_clear(out);
    return 0;
}

static int postgres_load_begin(struct store *store, const struct move_shape *shape, struct error *err)
{
    static const char signature[11] = "PGCOPY\n\377\r\n"; /* with its NUL */
    struct postgres *postgres = postgres_of(store);
    AUTO_FREE char *sql = text_format("COPY \"%s\" (%s) FROM STDIN (FORMAT binary)", shape->table, shape->columns);
    if (!sql)
        return sql_out_of_memory(err);
    if (!postgres->link)
        return postgres_lost(postgres, err);
    if (postgres_copy_begins(postgres, sql, err) < 0)
        return -1;
    postgres->copying.max = COPYING_MAX;
    buf_clear(&postgres->copying);
    buf_add(&postgres->copying, signature, sizeof signature);
    put_32(&postgres->copying, 0); /* no flags */
    put_32(&postgres->copying, 0); /* and nothing more in the header */
    return 0;
}

static int postgres_load_row(struct store *store, const struct sql_row *row, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    put_16(&postgres->copying, (uint16_t)row->count);
    for (size_t i = 0; i < row->count; i++)
        put_value(&postgres->copying, &row->columns[i]);
    return send_copy(postgres, CHUNK, err);
}

static int postgres_load_end(struct store *store, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    put_16(&postgres->copying, UINT16_MAX);
    if (send_copy(postgres, 0, err) < 0)
        return -1;
    if (PQputCopyEnd(postgres->link, NULL) != 1)
        return postgres_lost(postgres, err);
    AUTO_RESULT PGresult *result = postgres_result(postgres, err);
    return result ? 0 : -1;
}

const struct store_mover store_postgres_mover = {
    .begin = postgres_move_begin,
    .end = postgres_move_end,
    .read = postgres_move_read,
    .load_begin = postgres_load_begin,
    .load_row = postgres_load_row,
    .load_end = postgres_load_end,
};
