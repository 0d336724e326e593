/* The embedded back end: one SQLite file in WAL mode, each commit synced before it returns. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/store_move.h"
#include "app/store_sqlite.h"

enum {
    BUSY_MS = 5000, /* how long a write waits for another process's transaction */
    NAP_US = 250,   /* the first pause between two tries, and what each one adds */
    NAP_MAX = 40,   /* the longest, in first ones */
    COLUMNS_MAX = 64,
    APPLICATION_ID = 0x41535359, /* as in migrations/001_initial.sql */
};

static bool is_full(sqlite3 *db, int code)
{
    int system = sqlite3_system_errno(db);
    return (code & 0xff) == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT));
}

int sqlite_failed(const struct store *store, int code, struct error *err)
{
    sqlite3 *db = db_of(store);
    const char *path = path_of(store);
    if (is_full(db, code)) {
        error_set(err, ERROR_FULL, "database %s: no room left on the disk; make room there", path);
        return error_retry(err, 0);
    }
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        error_set(err, ERROR_STORE, "database %s: another process kept it locked for %d s; try again", path,
                  BUSY_MS / 1000);
        return error_retry(err, BUSY_MS);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err, ERROR_STORE,
                         "database %s is damaged (%s); restore a backup, or save what is left with `sqlite3 FILE "
                         ".recover`",
                         path, sqlite3_errmsg(db));
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return error_set(err, ERROR_STORE, "database %s: %s; give this user write access to the file and its folder",
                         path, sqlite3_errmsg(db));
    case SQLITE_TOOBIG:
        return error_set(err, ERROR_LIMIT, "database %s: a value is too large to store", path);
    default:
        return error_set(err, code == SQLITE_CONSTRAINT_FOREIGNKEY ? ERROR_NOT_FOUND : ERROR_STORE,
                         "database %s: %s (%s)", path, sqlite3_errmsg(db), sqlite3_errstr(code));
    }
}

int sqlite_execute(struct store *store, const char *sql, struct error *err)
{
    int code = sqlite3_exec(db_of(store), sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_failed(store, code, err);
}

/* ---- statements ---- */

int sqlite_bind(sqlite3_stmt *prepared, int at, const struct sql_value *value)
{
    switch (value->type) {
    case SQL_INT:
        return sqlite3_bind_int64(prepared, at, value->integer);
    case SQL_REAL:
        return sqlite3_bind_double(prepared, at, value->real);
    case SQL_TEXT:
        return sqlite3_bind_text64(prepared, at, value->bytes, value->len, SQLITE_STATIC, SQLITE_UTF8);
    case SQL_BLOB:
        return sqlite3_bind_blob64(prepared, at, value->bytes, value->len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(prepared, at);
    }
}

static int bind_params(struct store *store, const struct sql_statement *statement, const struct sql_value *params,
                       size_t count, struct error *err)
{
    sqlite3_stmt *prepared = statement->prepared;
    if (sqlite3_bind_parameter_count(prepared) != (int)count)
        return error_set(err, ERROR_INTERNAL, "statement %s has %d parameters, not %zu", statement->name,
                         sqlite3_bind_parameter_count(prepared), count);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, ":%s", params[i].name);
        int at = sqlite3_bind_parameter_index(prepared, name);
        if (!at)
            return error_set(err, ERROR_INTERNAL, "statement %s has no parameter %s", statement->name, name);
        int code = sqlite_bind(prepared, at, &params[i]);
        if (code != SQLITE_OK)
            return sqlite_failed(store, code, err);
    }
    return 0;
}

static struct sql_value read_column(sqlite3_stmt *prepared, int at)
{
    static const enum sql_type types[] = {
        [SQLITE_INTEGER] = SQL_INT, [SQLITE_FLOAT] = SQL_REAL, [SQLITE_TEXT] = SQL_TEXT,
        [SQLITE_BLOB] = SQL_BLOB,   [SQLITE_NULL] = SQL_NULL,
    };
    struct sql_value value = {.name = sqlite3_column_name(prepared, at),
                              .type = types[sqlite3_column_type(prepared, at)]};
    if (value.type == SQL_INT)
        value.integer = sqlite3_column_int64(prepared, at);
    else if (value.type == SQL_REAL)
        value.real = sqlite3_column_double(prepared, at);
    else if (value.type != SQL_NULL)
        value.bytes = value.type == SQL_TEXT ? (const char *)sqlite3_column_text(prepared, at)
                                             : sqlite3_column_blob(prepared, at);
    if (value.bytes)
        value.len = (size_t)sqlite3_column_bytes(prepared, at);
    return value;
}

static int hand_over(sqlite3_stmt *prepared, const struct sql_reader *reader, struct error *err)
{
    struct sql_value columns[COLUMNS_MAX];
    int count = sqlite3_column_count(prepared);
    if (!reader)
        return 0;
    if (count > COLUMNS_MAX)
        return error_set(err, ERROR_INTERNAL, "a statement gives %d columns, more than %d", count, COLUMNS_MAX);
    for (int i = 0; i < count; i++)
        columns[i] = read_column(prepared, i);
    return reader->each(reader->context, &(struct sql_row){columns, (size_t)count}, err);
}

int64_t sqlite_step_all(struct store *store, sqlite3_stmt *prepared, const struct sql_reader *reader, struct error *err)
{
    int code;
    int64_t rows = 0;
    for (; (code = sqlite3_step(prepared)) == SQLITE_ROW; rows++)
        if (hand_over(prepared, reader, err) < 0)
            return -1;
    return code == SQLITE_DONE ? rows : sqlite_failed(store, code, err);
}

static int64_t sqlite_run(struct store *store, struct sql_statement *statement, const struct sql_value *params,
                          size_t count, const struct sql_reader *reader, struct error *err)
{
    if (!statement->prepared) {
        sqlite3_stmt *prepared = NULL;
        int code = sqlite3_prepare_v3(db_of(store), statement->text, (int)statement->len, SQLITE_PREPARE_PERSISTENT,
                                      &prepared, NULL);
        if (code != SQLITE_OK) {
            sqlite_failed(store, code, err);
            return error_wrap(err, "statement %s", statement->name);
        }
        statement->prepared = prepared;
    }
    int64_t rows = -1;
    if (bind_params(store, statement, params, count, err) == 0)
        rows = sqlite_step_all(store, statement->prepared, reader, err);
    sqlite3_reset(statement->prepared); /* its result is that of the step */
    sqlite3_clear_bindings(statement->prepared);
    return rows;
}

static int sqlite_begin(struct store *store, struct error *err)
{
    return sqlite_execute(store, "BEGIN IMMEDIATE", err);
}

static int sqlite_commit(struct store *store, struct error *err)
{
    return sqlite_execute(store, "COMMIT", err);
}

static void sqlite_rollback(struct store *store)
{
    if (!sqlite3_get_autocommit(db_of(store))) /* a full disk has rolled back already */
        sqlite_execute(store, "ROLLBACK", NULL);
}

/* ---- backup and examination ---- */

static int pragma_int(struct store *store, const char *sql, int64_t *value, struct error *err)
{
    sqlite3_stmt *prepared = NULL;
    int code = sqlite3_prepare_v2(db_of(store), sql, -1, &prepared, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(prepared)) == SQLITE_ROW)
        *value = sqlite3_column_int64(prepared, 0);
    sqlite3_finalize(prepared);
    return code == SQLITE_ROW ? 0 : sqlite_failed(store, code, err);
}

/* What is wrong with what a connection has open, in a few words; "ok" when nothing is. */
static void find_damage(sqlite3 *db, char said[static 256])
{
    sqlite3_stmt *check = NULL;
    snprintf(said, 256, "it cannot be read");
    if (sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &check, NULL) == SQLITE_OK &&
        sqlite3_step(check) == SQLITE_ROW)
        snprintf(said, 256, "%s", (const char *)sqlite3_column_text(check, 0));
    sqlite3_finalize(check);
    said[strcspn(said, "\n")] = '\0';
}

static int sqlite_examine(struct store *store, struct error *err)
{
    char said[256];
    find_damage(db_of(store), said);
    if (strcmp(said, "ok") == 0)
        return 0;
    return error_set(err, ERROR_STORE,
                     "database %s is damaged (%s); restore a backup, or save what is left with `sqlite3 FILE .recover`",
                     path_of(store), said);
}

/* Read on a connection of its own, as whoever restores it would. */
static int check_copy(const char *path, struct error *err)
{
    sqlite3 *db = NULL;
    char said[256] = "it cannot be opened";
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
        find_damage(db, said);
    sqlite3_close(db);
    return strcmp(said, "ok") == 0 ? 0 : error_set(err, ERROR_STORE, "%s is damaged: %s", path, said);
}

/* Said before hours of copying, where the disk says how much room it has. */
static int check_room(struct store *store, int fd, const char *path, struct error *err)
{
    int64_t bytes = 0;
    struct statvfs disk;
    if (pragma_int(store,
                   "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, "
                   "pragma_page_size",
                   &bytes, err) < 0)
        return -1;
    int64_t left = fstatvfs(fd, &disk) == 0 ? (int64_t)(disk.f_bavail * disk.f_frsize) : bytes;
    if (left >= bytes)
        return 0;
    return error_set(err, ERROR_STORE,
                     "the copy takes %.1f MiB, and there are %.1f left at %s; make room, or name another disk",
                     (double)bytes / (1 << 20), (double)left / (1 << 20), path);
}

/* VACUUM INTO reads one snapshot and blocks nobody; it fills an empty file, which is made here for this user only. */
static int write_copy(struct store *store, const char *path, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_system(err, errno, "create %s", path);
    if (check_room(store, fd, path, err) < 0)
        return -1;
    sqlite3_stmt *copy = NULL;
    int code = sqlite3_prepare_v2(db_of(store), "VACUUM INTO ?", -1, &copy, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(copy, 1, path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(copy);
    sqlite3_finalize(copy);
    if (code != SQLITE_DONE && (code & 0xff) == SQLITE_IOERR && !is_full(db_of(store), code))
        return error_set(err, ERROR_STORE, "the copy to %s broke off: %s", path, sqlite3_errmsg(db_of(store)));
    if (code != SQLITE_DONE && is_full(db_of(store), code)) /* of the copy's disk: here only that is written to */
        return error_set(err, ERROR_STORE, "no room left on the disk of %s; make room, or name another disk", path);
    if (code != SQLITE_DONE)
        return sqlite_failed(store, code, err);
    if (fsync(fd) < 0)
        return error_system(err, errno, "sync %s", path);
    return check_copy(path, err);
}

/* The name appears when all is there and checked; a backup that exists is never written over. */
static int sqlite_backup(struct store *store, const char *path, struct error *err)
{
    AUTO_FREE char *part = text_format("%s.part-%d", path, (int)getpid());
    AUTO_FREE char *journal = part ? text_format("%s-journal", part) : NULL; /* SQLite's, of a copy that broke off */
    if (!journal)
        return sql_out_of_memory(err);
    int status = write_copy(store, part, err);
    if (status == 0 && link(part, path) < 0)
        status = error_system(err, errno, "name the backup %s", path);
    unlink(part);
    unlink(journal);
    return status < 0 ? error_wrap(err, "backup") : 0;
}

static int64_t sqlite_now_ms(const struct store *store)
{
    (void)store;
    return clock_wall_ms();
}

/* No process is told of another's commit: looking again is cheap where the file is. */
static bool sqlite_wait(struct store *store, enum store_news news, int fd, int64_t ms)
{
    (void)store, (void)news;
    struct pollfd until = {.fd = fd, .events = POLLIN};
    poll(&until, 1, (int)ms);
    return true;
}

/* ---- opening ---- */

/* Inside a transaction, else another process's migration comes between the answers. The schema's version; refuses a
 * file that another program or a newer Assay has made. */
static int check_version(struct store *store, int64_t *version, struct error *err)
{
    int64_t found = 0;
    int64_t application = 0;
    int64_t tables = 0;
    int64_t newest = 0;
    if (pragma_int(store, "PRAGMA user_version", &found, err) < 0 ||
        pragma_int(store, "PRAGMA application_id", &application, err) < 0 ||
        pragma_int(store, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    while (sql_migration("sqlite", newest + 1))
        newest++;
    if (tables > 0 && application != APPLICATION_ID)
        return error_set(err, ERROR_CONFIG, "database %s belongs to another program; name a file of Assay's own",
                         path_of(store));
    if (found > newest)
        return error_set(err, ERROR_CONFIG,
                         "database %s has schema %lld, made by a newer Assay than this one, which knows %lld; run the "
                         "newer one",
                         path_of(store), (long long)found, (long long)newest);
    *version = found;
    return 0;
}

static int apply_migrations(struct store *store, struct error *err)
{
    int64_t version = 0;
    if (check_version(store, &version, err) < 0) /* again, under the lock */
        return -1;
    for (const struct template_file *file; (file = sql_migration("sqlite", version + 1)); version++) {
        AUTO_FREE char *set = text_format("PRAGMA user_version = %lld", (long long)version + 1);
        if (!set)
            return sql_out_of_memory(err);
        if (sqlite_execute(store, file->data, err) < 0 || sqlite_execute(store, set, err) < 0)
            return error_wrap(err, "apply %s", file->path);
    }
    return 0;
}

/* A switch to WAL needs the file for itself and does not wait by SQLite's busy handler. */
static int enter_wal(struct store *store, struct error *err)
{
    int64_t deadline = clock_monotonic_ms() + BUSY_MS;
    int code;
    while ((code = sqlite3_exec(db_of(store), "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) != SQLITE_OK &&
           (code & 0xff) == SQLITE_BUSY && clock_monotonic_ms() < deadline)
        clock_sleep_ms(20);
    if (code != SQLITE_OK)
        return sqlite_failed(store, code, err);
    int64_t wal = 0;
    if (pragma_int(store, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal, err) < 0)
        return -1;
    if (!wal)
        return error_set(err, ERROR_CONFIG, "database %s: its file system cannot do WAL; put it on a local disk",
                         path_of(store));
    return 0;
}

static int read_version(struct store *store, int64_t *version, struct error *err)
{
    int status = sqlite_execute(store, "BEGIN", err) < 0 ? -1 : check_version(store, version, err);
    sqlite_rollback(store);
    return status;
}

/* SQLite's own handler soon sleeps for 50 and 100 ms: then whoever writes one short transaction after the other, such
 * as the dispatcher, leaves the receiver nothing but luck. A transaction here takes about as long as a sync. */
static int wait_for_lock(void *context, int tries)
{
    struct sqlite *sqlite = context;
    int64_t now = clock_monotonic_ms();
    if (tries == 0)
        sqlite->give_up_ms = now + BUSY_MS;
    if (now >= sqlite->give_up_ms)
        return 0;
    usleep((useconds_t)NAP_US * (useconds_t)(tries < NAP_MAX ? tries + 1 : NAP_MAX));
    return 1;
}

static int prepare(struct store *store, struct error *err)
{
    int64_t version = 0;
    sqlite3 *db = db_of(store);
    sqlite3_busy_handler(db, wait_for_lock, store->connection);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (read_version(store, &version, err) < 0 || enter_wal(store, err) < 0 ||
        sqlite_execute(store,
                       "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;"
                       "PRAGMA temp_store = MEMORY",
                       err) < 0)
        return -1;
    if (!sql_migration("sqlite", version + 1))
        return 0;
    return sql_end(store, sql_begin(store, err) < 0 ? -1 : apply_migrations(store, err), err);
}

/* Made by us, so that deliveries and specs are for this user only, whatever the umask; SQLite gives the WAL the same
 * mode. */
static int create_private(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!folder)
        return sql_out_of_memory(err);
    if (fs_make_dirs(folder, 0700, err) < 0)
        return error_wrap(err, "database %s", path);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    struct stat st = {0};
    if (fd < 0 ? errno != EISDIR : fstat(fd, &st) < 0) {
        error_system(err, errno, "open database %s", path);
        if (err)
            err->code = ERROR_STORE;
        return -1;
    }
    return S_ISREG(st.st_mode) ? 0 : error_set(err, ERROR_CONFIG, "database %s is not a regular file", path);
}

static int sqlite_check(const char *url, struct error *err)
{
    const char *path = url + strlen("sqlite://");
    if (path[0] == '/' && path[1])
        return 0;
    return error_set(err, ERROR_CONFIG, "\"%s\" has no absolute path; write sqlite:///PATH", url);
}

static char *sqlite_whole_url(const struct store *store, struct error *err)
{
    char *url = text_format("sqlite://%s", path_of(store));
    if (!url)
        sql_out_of_memory(err);
    return url;
}

static int sqlite_needs(const struct store *store, struct store_needs *out, struct error *err)
{
    const char *path = path_of(store);
    const char *slash = strrchr(path, '/');
    out->folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return out->folder ? 0 : sql_out_of_memory(err);
}

static int sqlite_open(struct store *store, const char *url, struct error *err)
{
    const char *path = url + strlen("sqlite://");
    if (sqlite_check(url, err) < 0)
        return -1;
    struct sqlite *sqlite = store->connection = calloc(1, sizeof *sqlite);
    if (!sqlite || !(sqlite->path = strdup(path)))
        return sql_out_of_memory(err);
    if (create_private(path, err) < 0)
        return -1;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &sqlite->db, flags, NULL);
    return code == SQLITE_OK ? prepare(store, err) : sqlite_failed(store, code, err);
}

static void sqlite_close(struct store *store)
{
    struct sqlite *sqlite = store->connection;
    for (size_t i = 0; i < store->statement_count; i++)
        sqlite3_finalize(store->statements[i].prepared);
    if (!sqlite)
        return;
    sqlite3_close(sqlite->db);
    free(sqlite->path);
    free(sqlite);
    store->connection = NULL;
}

static int sqlite_spare(struct store *store, struct error *err)
{
    return sqlite_execute(store, "PRAGMA cache_size = -200", err); /* KiB; 2,000 unless said */
}

const struct store_backend store_sqlite = {
    .scheme = "sqlite",
    .check = sqlite_check,
    .whole_url = sqlite_whole_url,
    .needs = sqlite_needs,
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .backup = sqlite_backup,
    .examine = sqlite_examine,
    .spare = sqlite_spare,
    .now_ms = sqlite_now_ms,
    .wait = sqlite_wait,
    .run = sqlite_run,
    .mover = &store_sqlite_mover,
};
