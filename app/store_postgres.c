/* The back end for many machines: PostgreSQL by libpq, one connection for each process.
 *
 * Everything runs at READ COMMITTED; where a look at one row decides about another, the statement locks what it looked
 * at (templates/sql/postgresql/). A connection that breaks between transactions is made again without a word; one that
 * breaks inside fails the transaction, retryable. When it breaks while COMMIT runs, the server is asked afterwards what
 * became of the transaction.
 */
#include "app/store_postgres.h"

#include <ctype.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/store_move.h"

enum { PARAMS_MAX = 32, COLUMNS_MAX = 64, NUMBER_SIZE = 32, FIND_OUT_MS = 10 * 1000 };

/* What `sql_statement.prepared` points to. */
struct prepared {
    struct buf sql; /* with $1 in place of :name */
    char *names[PARAMS_MAX];
    size_t count;
    int64_t number; /* of the connection that knows it */
};

/* ---- from :name to $1 ---- */

static void free_prepared(struct prepared *prepared)
{
    for (size_t i = 0; prepared && i < prepared->count; i++)
        free(prepared->names[i]);
    if (prepared)
        buf_release(&prepared->sql);
    free(prepared);
}

/* Counted from 1; 0 when there is no room for another. */
static size_t number_of(struct prepared *prepared, const char *name, size_t len)
{
    for (size_t i = 0; i < prepared->count; i++)
        if (strlen(prepared->names[i]) == len && memcmp(prepared->names[i], name, len) == 0)
            return i + 1;
    if (prepared->count == PARAMS_MAX || !(prepared->names[prepared->count] = strndup(name, len)))
        return 0;
    return ++prepared->count;
}

static size_t name_length(const char *at)
{
    size_t len = 0;
    while (isalnum((unsigned char)at[len]) || at[len] == '_')
        len++;
    return len;
}

/* What is copied as it stands from here: a comment, a quoted text, "::", or one byte. */
static size_t plain_length(const char *at)
{
    if (at[0] == '-' && at[1] == '-')
        return strcspn(at, "\n");
    if (at[0] == '\'') {
        size_t len = 1 + strcspn(at + 1, "'");
        return at[len] ? len + 1 : len;
    }
    return at[0] == ':' && at[1] == ':' ? 2 : 1;
}

static int translate(const struct sql_statement *statement, struct prepared *prepared, struct error *err)
{
    const char *end = statement->text + statement->len;
    for (const char *at = statement->text; at < end;) {
        size_t name = *at == ':' ? name_length(at + 1) : 0;
        size_t plain = plain_length(at);
        if (name) {
            size_t number = number_of(prepared, at + 1, name);
            if (!number)
                return error_set(err, ERROR_INTERNAL, "statement %s has too many parameters", statement->name);
            buf_printf(&prepared->sql, "$%zu", number);
            at += name + 1;
        } else {
            buf_add(&prepared->sql, at, plain);
            at += plain;
        }
    }
    return buf_check(&prepared->sql, statement->name, err);
}

/* Its translation, and the server knows it. */
static int prepare(struct postgres *postgres, struct sql_statement *statement, struct error *err)
{
    struct prepared *prepared = statement->prepared;
    if (!prepared) {
        prepared = calloc(1, sizeof *prepared);
        if (!prepared)
            return sql_out_of_memory(err);
        prepared->sql = BUF_INIT(KiB(64));
        if (translate(statement, prepared, err) < 0) {
            free_prepared(prepared);
            return -1;
        }
        statement->prepared = prepared;
    }
    if (prepared->number == postgres->number)
        return 0;
    if (!PQsendPrepare(postgres->link, statement->name, buf_text(&prepared->sql), 0, NULL))
        return postgres_lost(postgres, err);
    AUTO_RESULT PGresult *result = postgres_result(postgres, err);
    if (!result)
        return error_wrap(err, "statement %s", statement->name);
    prepared->number = postgres->number;
    return 0;
}

/* ---- parameters ---- */

struct arguments {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
    char numbers[PARAMS_MAX][NUMBER_SIZE];
    json_t *texts[PARAMS_MAX]; /* as UTF-8 */
};

static void arguments_release(struct arguments *arguments)
{
    for (size_t i = 0; i < PARAMS_MAX; i++)
        json_decref(arguments->texts[i]);
}

/* A message that was cut off may end within a character, and the server would refuse all of it. */
static int set_text(struct arguments *arguments, size_t at, const struct sql_value *value, struct error *err)
{
    arguments->texts[at] = json_from_text(value->bytes, value->len);
    arguments->values[at] = json_string_value(arguments->texts[at]);
    return arguments->texts[at] ? 0 : sql_out_of_memory(err);
}

static int set_argument(struct arguments *arguments, size_t at, const struct sql_value *value, struct error *err)
{
    switch (value->type) {
    case SQL_INT:
        snprintf(arguments->numbers[at], NUMBER_SIZE, "%lld", (long long)value->integer);
        arguments->values[at] = arguments->numbers[at];
        return 0;
    case SQL_REAL:
        snprintf(arguments->numbers[at], NUMBER_SIZE, "%.17g", value->real);
        arguments->values[at] = arguments->numbers[at];
        return 0;
    case SQL_TEXT:
        return set_text(arguments, at, value, err);
    case SQL_BLOB:
        arguments->values[at] = value->bytes;
        arguments->lengths[at] = (int)value->len;
        arguments->formats[at] = 1;
        return value->len < MiB(512) ? 0 : error_set(err, ERROR_LIMIT, "%s is too large to store", value->name);
    default:
        return 0;
    }
}

static int set_arguments(struct arguments *arguments, const struct sql_statement *statement,
                         const struct sql_value *params, size_t count, struct error *err)
{
    const struct prepared *prepared = statement->prepared;
    if (prepared->count != count)
        return error_set(err, ERROR_INTERNAL, "statement %s has %zu parameters, not %zu", statement->name,
                         prepared->count, count);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < count && strcmp(prepared->names[at], params[i].name) != 0)
            at++;
        if (at == count)
            return error_set(err, ERROR_INTERNAL, "statement %s has no parameter %s", statement->name, params[i].name);
        if (set_argument(arguments, at, &params[i], err) < 0)
            return -1;
    }
    return 0;
}

/* ---- rows ---- */

/* PostgreSQL's numbers for the types that our statements give, in binary. */
enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_FLOAT8 = 701 };

static int64_t read_integer(const char *bytes, size_t len)
{
    uint64_t value = (unsigned char)bytes[0] & 0x80 ? ~UINT64_C(0) : 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return (int64_t)value;
}

static struct sql_value read_column(const PGresult *result, int row, int at)
{
    struct sql_value value = {.name = PQfname(result, at), .type = SQL_NULL};
    if (PQgetisnull(result, row, at))
        return value;
    value.bytes = PQgetvalue(result, row, at);
    value.len = (size_t)PQgetlength(result, row, at);
    switch (PQftype(result, at)) {
    case OID_BOOL:
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        value.type = SQL_INT;
        value.integer = read_integer(value.bytes, value.len);
        break;
    case OID_FLOAT8: {
        uint64_t bits = (uint64_t)read_integer(value.bytes, value.len);
        value.type = SQL_REAL;
        memcpy(&value.real, &bits, sizeof bits);
        break;
    }
    case OID_BYTEA:
        value.type = SQL_BLOB;
        break;
    default:
        value.type = SQL_TEXT;
    }
    return value;
}

int64_t postgres_hand_over(const PGresult *result, const struct sql_reader *reader, struct error *err)
{
    struct sql_value columns[COLUMNS_MAX];
    int count = PQnfields(result);
    int rows = PQntuples(result);
    if (count > COLUMNS_MAX)
        return error_set(err, ERROR_INTERNAL, "a statement gives %d columns, more than %d", count, COLUMNS_MAX);
    for (int row = 0; reader && row < rows; row++) {
        for (int i = 0; i < count; i++)
            columns[i] = read_column(result, row, i);
        if (reader->each(reader->context, &(struct sql_row){columns, (size_t)count}, err) < 0)
            return -1;
    }
    return rows;
}

/* ---- statements ---- */

static int64_t run_once(struct postgres *postgres, struct sql_statement *statement, const struct sql_value *params,
                        size_t count, const struct sql_reader *reader, struct error *err)
{
    if (prepare(postgres, statement, err) < 0)
        return -1;
    __attribute__((cleanup(arguments_release))) struct arguments arguments = {0};
    if (set_arguments(&arguments, statement, params, count, err) < 0)
        return -1;
    if (!PQsendQueryPrepared(postgres->link, statement->name, (int)count, arguments.values, arguments.lengths,
                             arguments.formats, 1))
        return postgres_lost(postgres, err);
    AUTO_RESULT PGresult *result = postgres_result(postgres, err);
    return result ? postgres_hand_over(result, reader, err) : error_wrap(err, "%s", statement->name);
}

static int64_t postgres_run(struct store *store, struct sql_statement *statement, const struct sql_value *params,
                            size_t count, const struct sql_reader *reader, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    if (postgres->in_transaction)
        return postgres->link ? run_once(postgres, statement, params, count, reader, err)
                              : postgres_lost(postgres, err);
    bool reused = postgres->link != NULL;
    if (postgres_connect(postgres, err) < 0)
        return -1;
    struct error first = {0};
    int64_t rows = run_once(postgres, statement, params, count, reader, &first);
    /* Outside a transaction statements only read; a connection that had died unseen costs nobody an error. */
    if (rows < 0 && reused && !postgres->link && postgres_connect(postgres, err) == 0)
        return run_once(postgres, statement, params, count, reader, err);
    if (rows < 0 && err)
        *err = first;
    return rows;
}

/* ---- transactions ---- */

/* READ WRITE: a server that only follows another refuses here. */
static const char begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

static int postgres_begin(struct store *store, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    bool reused = postgres->link != NULL;
    if (postgres_connect(postgres, err) < 0)
        return -1;
    int status = postgres_execute(postgres, begin, err);
    if (status < 0 && reused && !postgres->link && postgres_connect(postgres, err) == 0)
        status = postgres_execute(postgres, begin, err);
    postgres->in_transaction = status == 0;
    return status == 0 ? postgres_compare_clocks(postgres, err) : -1;
}

/* The connection broke while COMMIT ran: asks on a new one what became of the transaction. A server that has crashed
 * meanwhile may have given its number to another one, so that its success proves nothing. */
static int find_out(struct postgres *postgres, int64_t number, const struct error *lost, struct error *err)
{
    enum { COMMITTED = 1, ABORTED, IN_PROGRESS };
    int64_t deadline = clock_monotonic_ms() + FIND_OUT_MS;
    int64_t answer = 0;
    int64_t life = postgres->life;
    AUTO_FREE char *question = text_format("SELECT CASE pg_xact_status('%lld'::xid8) WHEN 'committed' THEN 1 "
                                           "WHEN 'aborted' THEN 2 WHEN 'in progress' THEN 3 END",
                                           (long long)number);
    while (question && clock_monotonic_ms() < deadline) {
        if (postgres_connect(postgres, NULL) == 0 && postgres_ask(postgres, question, &answer, NULL) == 0 &&
            answer != IN_PROGRESS)
            break;
        clock_sleep_ms(50);
    }
    if (answer == COMMITTED && postgres->life == life)
        return 0;
    error_set(err, ERROR_STORE, answer == ABORTED ? "%s; nothing was saved" : "%s; it may have been saved or not: look",
              lost->message);
    return error_retry(err, 0);
}

static int postgres_commit(struct store *store, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    int64_t number = 0; /* the transaction's, when it has written something */
    if (!postgres->link)
        return postgres_lost(postgres, err);
    if (postgres_ask(postgres, "SELECT pg_current_xact_id_if_assigned()", &number, err) < 0)
        return -1;
    struct error lost = {0};
    int status = postgres_execute(postgres, "COMMIT", &lost);
    if (status == 0 || postgres->link || !number) {
        postgres->in_transaction = status < 0 && postgres->link;
        if (status < 0 && err)
            *err = lost;
        return status;
    }
    postgres->in_transaction = false;
    return find_out(postgres, number, &lost, err);
}

static void postgres_rollback(struct store *store)
{
    struct postgres *postgres = postgres_of(store);
    if (postgres->in_transaction && postgres->link && postgres_execute(postgres, "ROLLBACK", NULL) < 0)
        postgres_drop(postgres);
    postgres->in_transaction = false;
}

static int postgres_backup(struct store *store, const char *path, struct error *err)
{
    (void)store, (void)path;
    return error_set(err, ERROR_USAGE,
                     "a PostgreSQL database is backed up by its own tool: pg_dump --format=custom --file=FILE ADDRESS");
}

static int64_t postgres_now_ms(const struct store *store)
{
    return postgres_clock(postgres_of(store));
}

/* ---- opening ---- */

enum { SCHEMA_LOCK = 1 }; /* 2 is the claim's, in jobs.sql */

/* By one statement, so that another process's migration does not come between the answers. */
static const char whose_tables[] =
    "SELECT CASE WHEN bool_or(tablename = 'assay_schema') THEN 1 WHEN count(*) > 0 THEN 2 ELSE 0 END FROM pg_tables "
    "WHERE schemaname = current_schema()";

/* The schema's version, 0 for an empty database; refuses one that another program or a newer Assay has made. */
static int check_version(struct postgres *postgres, int64_t *version, struct error *err)
{
    enum { OURS = 1, ANOTHERS };
    int64_t whose = 0;
    int64_t found = 0;
    int64_t newest = 0;
    if (postgres_ask(postgres, whose_tables, &whose, err) < 0)
        return -1;
    if (whose == ANOTHERS)
        return error_set(err, ERROR_CONFIG,
                         "database %s holds another program's tables; give Assay a database of its own",
                         postgres->place);
    if (whose == OURS && postgres_ask(postgres, "SELECT version FROM assay_schema", &found, err) < 0)
        return -1;
    while (sql_migration("postgresql", newest + 1))
        newest++;
    if (found > newest)
        return error_set(err, ERROR_CONFIG,
                         "database %s has schema %lld, made by a newer Assay than this one, which knows %lld; run the "
                         "newer one",
                         postgres->place, (long long)found, (long long)newest);
    *version = found;
    return 0;
}

static int apply_migrations(struct postgres *postgres, struct error *err)
{
    AUTO_FREE char *lock = text_format("SELECT pg_advisory_xact_lock(1095979865, %d)", SCHEMA_LOCK);
    int64_t version = 0;
    if (!lock)
        return sql_out_of_memory(err);
    if (postgres_execute(postgres, lock, err) < 0 || /* so that two that start at once do not both migrate */
        check_version(postgres, &version, err) < 0 ||
        postgres_execute(postgres,
                         "CREATE TABLE IF NOT EXISTS assay_schema (version bigint NOT NULL);"
                         "INSERT INTO assay_schema SELECT 0 WHERE NOT EXISTS (SELECT FROM assay_schema)",
                         err) < 0)
        return -1;
    for (const struct template_file *file; (file = sql_migration("postgresql", version + 1)); version++) {
        AUTO_FREE char *set = text_format("UPDATE assay_schema SET version = %lld", (long long)version + 1);
        if (!set)
            return sql_out_of_memory(err);
        if (postgres_execute(postgres, file->data, err) < 0 || postgres_execute(postgres, set, err) < 0)
            return error_wrap(err, "apply %s", file->path);
    }
    return 0;
}

static int prepare_schema(struct store *store, struct error *err)
{
    struct postgres *postgres = postgres_of(store);
    int64_t version = 0;
    if (check_version(postgres, &version, err) < 0)
        return -1;
    if (!sql_migration("postgresql", version + 1))
        return 0;
    return sql_end(store, sql_begin(store, err) < 0 ? -1 : apply_migrations(postgres, err), err);
}

static int postgres_open(struct store *store, const char *url, struct error *err)
{
    struct postgres *postgres = store->connection = calloc(1, sizeof *postgres);
    if (!postgres || !(postgres->url = strdup(url)) || !(postgres->place = strdup("PostgreSQL")))
        return sql_out_of_memory(err);
    if (postgres_connect(postgres, err) < 0)
        return -1;
    char *place = postgres_place(postgres->link);
    if (!place)
        return sql_out_of_memory(err);
    free(postgres->place);
    postgres->place = place;
    return prepare_schema(store, err);
}

static void postgres_close(struct store *store)
{
    struct postgres *postgres = postgres_of(store);
    for (size_t i = 0; i < store->statement_count; i++)
        free_prepared(store->statements[i].prepared);
    if (!postgres)
        return;
    postgres_drop(postgres);
    if (postgres->url)
        explicit_bzero(postgres->url, strlen(postgres->url));
    free(postgres->url);
    free(postgres->place);
    buf_release(&postgres->copying);
    free(postgres);
    store->connection = NULL;
}

const struct store_backend store_postgres = {
    .scheme = "postgresql",
    .check = postgres_check,
    .whole_url = postgres_whole_url,
    .needs = postgres_needs,
    .open = postgres_open,
    .close = postgres_close,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .backup = postgres_backup,
    .now_ms = postgres_now_ms,
    .wait = postgres_wait,
    .wake = postgres_wake,
    .run = postgres_run,
    .mover = &store_postgres_mover,
};
