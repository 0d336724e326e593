/* SQLite's part of moving: the whole file for ourselves, rows one by one, one INSERT for each. */
#include "app/store_move.h"
#include "app/store_sqlite.h"

/* Leaving WAL needs that nobody else has the file open, and says so; then the lock keeps it that way. */
static int take_alone(struct store *store, struct error *err)
{
    int code = sqlite3_exec(db_of(store), "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if ((code & 0xff) == SQLITE_BUSY)
        return error_set(err, ERROR_CONFLICT, "another process uses database %s; " MOVE_WHEN_STILL, path_of(store));
    return code == SQLITE_OK ? sqlite_execute(store, "BEGIN EXCLUSIVE", err) : sqlite_failed(store, code, err);
}

static int sqlite_move_begin(struct store *store, enum move_hold hold, struct error *err)
{
    if (hold == HOLD_STILL)
        return take_alone(store, err);
    return sqlite_execute(store, hold == HOLD_TARGET ? "BEGIN IMMEDIATE" : "BEGIN", err);
}

static void sqlite_move_end(struct store *store)
{
    struct sqlite *sqlite = store->connection;
    sqlite3_finalize(sqlite->loading);
    sqlite->loading = NULL;
    sqlite3_exec(sqlite->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL); /* or whoever opens it next does it */
}

static int sqlite_move_read(struct store *store, const char *sql, const struct sql_reader *reader, struct error *err)
{
    sqlite3_stmt *prepared = NULL;
    int code = sqlite3_prepare_v2(db_of(store), sql, -1, &prepared, NULL);
    int64_t rows = code == SQLITE_OK ? sqlite_step_all(store, prepared, reader, err) : sqlite_failed(store, code, err);
    sqlite3_finalize(prepared);
    return rows < 0 ? -1 : 0;
}

static int sqlite_load_begin(struct store *store, const struct move_shape *shape, struct error *err)
{
    struct sqlite *sqlite = store->connection;
    AUTO_BUF struct buf sql = BUF_INIT(KiB(16));
    buf_printf(&sql, "INSERT INTO \"%s\" (%s) VALUES (", shape->table, shape->columns);
    for (size_t i = 0; i < shape->column_count; i++)
        buf_puts(&sql, i ? ", ?" : "?");
    buf_puts(&sql, ")");
    if (buf_check(&sql, shape->table, err) < 0)
        return -1;
    int code = sqlite3_prepare_v2(sqlite->db, buf_text(&sql), -1, &sqlite->loading, NULL);
    return code == SQLITE_OK ? 0 : sqlite_failed(store, code, err);
}

static int sqlite_load_row(struct store *store, const struct sql_row *row, struct error *err)
{
    sqlite3_stmt *insert = ((struct sqlite *)store->connection)->loading;
    int code = SQLITE_OK;
    for (size_t i = 0; i < row->count && code == SQLITE_OK; i++)
        code = sqlite_bind(insert, (int)i + 1, &row->columns[i]);
    if (code != SQLITE_OK)
        return sqlite_failed(store, code, err);
    int64_t rows = sqlite_step_all(store, insert, NULL, err);
    sqlite3_reset(insert);
    return rows < 0 ? -1 : 0;
}

static int sqlite_load_end(struct store *store, struct error *err)
{
    struct sqlite *sqlite = store->connection;
    (void)err;
    sqlite3_finalize(sqlite->loading);
    sqlite->loading = NULL;
    return 0;
}

const struct store_mover store_sqlite_mover = {
    .begin = sqlite_move_begin,
    .end = sqlite_move_end,
    .read = sqlite_move_read,
    .load_begin = sqlite_load_begin,
    .load_row = sqlite_load_row,
    .load_end = sqlite_load_end,
};
