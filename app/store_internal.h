/* Between the store's operations (app/store_*.c) and its back ends (app/store_sqlite.c, app/store_postgres.c).
 *
 * A back end knows transactions and how to run a statement; what the statements are stands in templates/sql/, or, where
 * databases differ, in templates/sql/<backend>/ under the same name for each ("-- name: job_claim"), with named
 * parameters (:worker) and named columns. So the operations are written once, and another database is one file of C and
 * what of the SQL it wants otherwise. CAST says a parameter's type where PostgreSQL cannot tell it.
 */
#ifndef APP_STORE_INTERNAL_H
#define APP_STORE_INTERNAL_H

#include "app/base/compress.h"
#include "app/base/template.h"
#include "app/store.h"

enum sql_type { SQL_NULL, SQL_INT, SQL_REAL, SQL_TEXT, SQL_BLOB };

/* A parameter or a column. Bytes are borrowed: a parameter's for the call, a column's until the reader returns. */
struct sql_value {
    const char *name;
    enum sql_type type;
    int64_t integer;
    double real;
    const char *bytes;
    size_t len;
};

struct sql_value sql_int(const char *name, int64_t value);
struct sql_value sql_real(const char *name, double value);
struct sql_value sql_text(const char *name, const char *value); /* NULL is SQL's NULL */
struct sql_value sql_blob(const char *name, const void *data, size_t len);

struct sql_row {
    const struct sql_value *columns;
    size_t count;
};

/* An absent column reads as NULL. */
const struct sql_value *row_at(const struct sql_row *row, const char *name);
int64_t row_int(const struct sql_row *row, const char *name);
double row_real(const struct sql_row *row, const char *name);
char *row_text(const struct sql_row *row, const char *name); /* heap, "" for NULL; NULL without memory */
/* A JSON column; *value is NULL for SQL's NULL. Owned by the caller. */
int row_json(const struct sql_row *row, const char *name, json_t **value, struct error *err);

/* Called for each row; -1 with `err` set ends the statement. */
struct sql_reader {
    int (*each)(void *context, const struct sql_row *row, struct error *err);
    void *context;
};

struct sql_statement {
    char *name;
    const char *text; /* static storage */
    size_t len;
    void *prepared; /* the back end's */
};

struct store_mover;

struct store_backend {
    const char *scheme;                               /* of its URLs, and its folder below templates/sql/ */
    int (*check)(const char *url, struct error *err); /* store_check_url() */
    char *(*whole_url)(const struct store *store, struct error *err);                    /* store_whole_url() */
    int (*needs)(const struct store *store, struct store_needs *out, struct error *err); /* what it sets is released */
    int (*open)(struct store *store, const char *url, struct error *err); /* a failed open is followed by close */
    void (*close)(struct store *store);
    int (*begin)(struct store *store, struct error *err); /* for writing: takes the lock that it needs */
    int (*commit)(struct store *store, struct error *err);
    void (*rollback)(struct store *store);
    int (*backup)(struct store *store, const char *path, struct error *err); /* store_backup() */
    int (*examine)(struct store *store, struct error *err); /* store_examine(); NULL: the server does that */
    int (*spare)(struct store *store, struct error *err);   /* store_spare(); NULL: it keeps nothing */
    int64_t (*now_ms)(const struct store *store);           /* store_now_ms() */
    bool (*wait)(struct store *store, enum store_news news, int fd, int64_t ms); /* store_wait() */
    void (*wake)(struct store *store, enum store_news news); /* whoever waits; NULL: nobody can be woken */
    /* How many rows there were, or -1. `params` name every parameter of the statement exactly once. */
    int64_t (*run)(struct store *store, struct sql_statement *statement, const struct sql_value *params, size_t count,
                   const struct sql_reader *reader, struct error *err);
    const struct store_mover *mover; /* app/store_move.h */
};

struct store {
    const struct store_backend *backend;
    void *connection; /* the back end's */
    struct sql_statement *statements;
    size_t statement_count;
    int64_t fenced_job, fence;     /* store_fence(); 0: none */
    struct compressor *compressor; /* NULL until it is needed */
};

extern const struct store_backend store_sqlite;
extern const struct store_backend store_postgres;

/* Those that this program knows; ends in NULL. All (app/store_backends.c), unless its main file names fewer: then the
 * others, and their libraries, are not linked. */
extern const struct store_backend *const store_backends[];

#define SQL_PARAMS(...)                                                                                                \
    (const struct sql_value[]){__VA_ARGS__}, sizeof((const struct sql_value[]){__VA_ARGS__}) / sizeof(struct sql_value)

/* Runs a named statement inside a transaction, or a reading one on its own. Rows, or -1. */
int64_t sql_run(struct store *store, const char *name, const struct sql_value *params, size_t count,
                const struct sql_reader *reader, struct error *err);

/* A transaction: `return sql_end(store, sql_begin(store, err) < 0 ? -1 : work(…), err)`. sql_end() commits when status
 * is 0 and rolls back otherwise. */
int sql_begin(struct store *store, struct error *err);
int sql_end(struct store *store, int status, struct error *err);

/* Wakes those that wait for it, after the commit: NOTIFY within a transaction would let only one commit at a time. A
 * message that is lost costs a pause, no more. */
void sql_wake(struct store *store, enum store_news news);

/* The parameter :fence for a write to this job. */
struct sql_value sql_fence(const struct store *store, int64_t job);

int sql_out_of_memory(struct error *err);

/* A JSON column's text, heap; ERROR_LIMIT for one that row_json() would refuse. */
char *sql_json(const json_t *value, struct error *err);

/* Held to the end of a transaction that changes whose turn it is, and taken before it changes a job. */
int turns_lock(struct store *store, struct error *err);
/* A job has come into line. */
int turn_wait(struct store *store, int64_t id, struct error *err);

/* Readers: the column `id`, as an int64_t, and appended to a struct id_list (whose items are freed by the caller). */
struct id_list {
    int64_t *ids;
    size_t count;
};
int sql_read_id(void *context, const struct sql_row *row, struct error *err);
int sql_list_id(void *context, const struct sql_row *row, struct error *err);

/* Why a write found no row to change: ERROR_NOT_FOUND without such a job, else ERROR_CONFLICT. Returns -1. */
int job_refused(struct store *store, int64_t id, const char *doing, struct error *err);

/* The statements of templates/sql/ and of templates/sql/<backend>/, sorted by name; each name once. */
int sql_statements_load(struct store *store, const char *backend, struct error *err);
void sql_statements_free(struct store *store);

/* templates/sql/<backend>/migrations/<version, three digits>_<what>.sql; NULL when there is none. */
const struct template_file *sql_migration(const char *backend, int64_t version);

#endif
