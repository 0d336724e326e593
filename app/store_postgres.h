/* Between the two halves of the PostgreSQL back end: the connection (app/store_postgres_link.c) and the statements
 * (app/store_postgres.c). */
#ifndef APP_STORE_POSTGRES_H
#define APP_STORE_POSTGRES_H

#include <libpq-fe.h>

#include "app/store_internal.h"

struct postgres {
    PGconn *link;     /* NULL: not connected */
    char *url;        /* may hold a password: for libpq only, never for a message */
    char *place;      /* "assay on db.example.com:5432", for messages */
    int64_t number;   /* of the connection: statements prepared on an earlier one are not there any more */
    int64_t life;     /* of the server: another one after a crash, a restart or a change to another machine */
    int64_t again_ms; /* monotonic: no new try to connect before this; 0: at any time */
    int failures;     /* tries to connect since the last that went well */
    bool in_transaction;
    bool listening[2];  /* by enum store_news */
    int64_t ahead_ms;   /* the server's clock minus our time since boot */
    int64_t compare_ms; /* boot time: compare the clocks again from here on */
    struct buf copying; /* what COPY has not been sent yet */
};

static inline struct postgres *postgres_of(const struct store *store)
{
    return store->connection;
}

/* Connects, or goes on with the connection that is there. After a failure the next try is made after a pause that
 * doubles up to ten seconds and is partly random; until then ERROR_STORE, retryable, at once. */
int postgres_connect(struct postgres *postgres, struct error *err);

/* Forgets the connection; whatever ran on it is rolled back by the server. */
void postgres_drop(struct postgres *postgres);

/* The last result of what was sent, or NULL with the reason when the server refused, the connection broke or it took
 * longer than a statement may. Owned by the caller. */
PGresult *postgres_result(struct postgres *postgres, struct error *err);

/* Sends text that has no parameters and gives no rows: one or more statements. */
int postgres_execute(struct postgres *postgres, const char *sql, struct error *err);

/* A query whose rows come one by one, however many there are. How many, or -1; then the connection may be gone. */
int64_t postgres_stream(struct postgres *postgres, const char *sql, const struct sql_reader *reader, struct error *err);

/* Hands the rows of a result in binary over: how many, or -1. */
int64_t postgres_hand_over(const PGresult *result, const struct sql_reader *reader, struct error *err);

/* Begins a COPY … FROM STDIN. */
int postgres_copy_begins(struct postgres *postgres, const char *sql, struct error *err);

/* Sends a part of what COPY … FROM STDIN reads. */
int postgres_copy(struct postgres *postgres, const char *data, size_t len, struct error *err);

/* A query without parameters that gives one integer; *value is left alone when it gives no row. */
int postgres_ask(struct postgres *postgres, const char *sql, int64_t *value, struct error *err);

/* The server's time now. */
int64_t postgres_clock(const struct postgres *postgres);

/* Compares the clocks when that is due. */
int postgres_compare_clocks(struct postgres *postgres, struct error *err);

/* Waits for a NOTIFY; see store_wait(). */
bool postgres_wait(struct store *store, enum store_news news, int fd, int64_t ms);
void postgres_wake(struct store *store, enum store_news news);

/* app/store_postgres_url.c, for the table of the back end. */
int postgres_check(const char *url, struct error *err);
char *postgres_whole_url(const struct store *store, struct error *err);
int postgres_needs(const struct store *store, struct store_needs *out, struct error *err);
char *postgres_place(const PGconn *link); /* what may be said of where it is; heap */

/* The server cannot be reached at all, or has just gone away. Returns -1. */
int postgres_lost(struct postgres *postgres, struct error *err);

static inline void postgres_clear(PGresult **result)
{
    PQclear(*result);
}
#define AUTO_RESULT __attribute__((cleanup(postgres_clear)))

#endif
