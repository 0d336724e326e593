/* Between the parts of the SQLite back end: operations (app/store_sqlite.c) and moving (app/store_sqlite_move.c). */
#ifndef APP_STORE_SQLITE_H
#define APP_STORE_SQLITE_H

#include <sqlite3.h>

#include "app/store_internal.h"

struct sqlite {
    sqlite3 *db;
    char *path;
    int64_t give_up_ms;    /* when the wait for the write lock is over */
    sqlite3_stmt *loading; /* the INSERT of the table that is being filled */
};

static inline sqlite3 *db_of(const struct store *store)
{
    return ((struct sqlite *)store->connection)->db;
}

static inline const char *path_of(const struct store *store)
{
    return ((struct sqlite *)store->connection)->path;
}

/* Says what an SQLite result means for a person, with the fix. Returns -1. */
int sqlite_failed(const struct store *store, int code, struct error *err);

int sqlite_execute(struct store *store, const char *sql, struct error *err);

/* An SQLite result code. */
int sqlite_bind(sqlite3_stmt *prepared, int at, const struct sql_value *value);

/* Runs a statement to its end and hands its rows over: how many, or -1. */
int64_t sqlite_step_all(struct store *store, sqlite3_stmt *prepared, const struct sql_reader *reader,
                        struct error *err);

#endif
