/* Dies at a chosen commit. Preloaded into Assay's processes, it counts the transactions of the store (SQLite's or
 * PostgreSQL's) in which one kind of process has changed something, over all starts that share the file which
 * ASSAY_CRASH names. At the number that stands there it kills its own process and, when one is named, the one that
 * started everything: as if the power had gone. Each counted commit is a line of FILE.log, so that one who reads it
 * knows what has died where. */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct sqlite3;
struct sqlite3_stmt;
int sqlite3_exec(struct sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **), void *context,
                 char **problem);
int sqlite3_step(struct sqlite3_stmt *statement);

struct pg_conn;
struct pg_result;
int PQsendQuery(struct pg_conn *link, const char *sql);
int PQsendQueryPrepared(struct pg_conn *link, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int format);
struct pg_result *PQgetResult(struct pg_conn *link);

/* tests/fault/crash.mjs writes it. */
struct plan {
    int32_t left;  /* this many commits are spared, then it happens; negative: never (any more) */
    int32_t after; /* 0: before the commit; 1: after it */
    int32_t whole; /* dies, too; 0: only the process itself */
    char role[12]; /* only its commits count: "job", "dispatch", … */
};

static struct plan *plan;
static char log_path[4096];
static char role[64];         /* ours: `assay ROLE …` */
static char last_write[2048]; /* the statement that the transaction wrote with last; PostgreSQL: ran last, its name */
static int changes_before;

/* PostgreSQL: the transaction has a number by the answer to the question that Assay asks before each COMMIT, so it has
 * written something. */
static bool number_asked, has_written, commit_chosen;

static void read_role(void)
{
    char command[sizeof role] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, command, sizeof command - 1);
    size_t name = strlen(command) + 1;
    if (got > (ssize_t)name)
        snprintf(role, sizeof role, "%s", command + name);
    close(fd);
}

__attribute__((constructor)) static void open_plan(void)
{
    const char *path = getenv("ASSAY_CRASH");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return;
    snprintf(log_path, sizeof log_path, "%s.log", path);
    read_role();
    plan = map;
}

static void note(const char *end)
{
    char line[4096];
    int len = snprintf(line, sizeof line, "%s\t%s\t%s\n", role, end, last_write);
    for (char *at = strchr(line, '\n'); at && at < line + len - 1; at = strchr(at, '\n'))
        *at = ' ';
    int fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, line, (size_t)len) < 0)
        _exit(126);
    close(fd);
}

static void die(const char *end)
{
    note(end);
    if (plan->whole > 0)
        kill(plan->whole, SIGKILL);
    raise(SIGKILL);
}

int sqlite3_step(struct sqlite3_stmt *statement)
{
    static int (*real)(struct sqlite3_stmt *);
    static int (*reads_only)(struct sqlite3_stmt *);
    static const char *(*text)(struct sqlite3_stmt *);
    if (!real) {
        real = dlsym(RTLD_NEXT, "sqlite3_step");
        reads_only = dlsym(RTLD_NEXT, "sqlite3_stmt_readonly");
        text = dlsym(RTLD_NEXT, "sqlite3_sql");
    }
    if (plan && !reads_only(statement))
        snprintf(last_write, sizeof last_write, "%s", text(statement));
    return real(statement);
}

/* Whether this commit is the one that is meant. */
static bool is_chosen(void)
{
    if (strcmp(role, plan->role) == 0 && __atomic_fetch_sub(&plan->left, 1, __ATOMIC_SEQ_CST) == 0)
        return true;
    note("passed");
    return false;
}

/* A transaction that changes nothing is no commit. */
static bool has_changed(struct sqlite3 *db)
{
    static int (*total_changes)(struct sqlite3 *);
    if (!total_changes)
        total_changes = dlsym(RTLD_NEXT, "sqlite3_total_changes");
    int changes = total_changes(db);
    bool changed = changes != changes_before;
    changes_before = changes;
    return changed;
}

int sqlite3_exec(struct sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **), void *context,
                 char **problem)
{
    static int (*real)(struct sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
    if (!real)
        real = dlsym(RTLD_NEXT, "sqlite3_exec");
    bool now = plan && strcmp(sql, "COMMIT") == 0 && has_changed(db) && is_chosen();
    if (now && !plan->after)
        die("died before");
    int code = real(db, sql, each, context, problem);
    if (now)
        die("died after");
    return code;
}

int PQsendQuery(struct pg_conn *link, const char *sql)
{
    static int (*real)(struct pg_conn *, const char *);
    if (!real)
        real = dlsym(RTLD_NEXT, "PQsendQuery");
    number_asked = strstr(sql, "pg_current_xact_id_if_assigned") != NULL;
    commit_chosen = plan && strcmp(sql, "COMMIT") == 0 && has_written && is_chosen();
    if (!number_asked)
        has_written = false;
    if (commit_chosen && !plan->after)
        die("died before");
    return real(link, sql);
}

int PQsendQueryPrepared(struct pg_conn *link, const char *name, int count, const char *const *values,
                        const int *lengths, const int *formats, int format)
{
    static int (*real)(struct pg_conn *, const char *, int, const char *const *, const int *, const int *, int);
    if (!real)
        real = dlsym(RTLD_NEXT, "PQsendQueryPrepared");
    snprintf(last_write, sizeof last_write, "%s", name);
    return real(link, name, count, values, lengths, formats, format);
}

struct pg_result *PQgetResult(struct pg_conn *link)
{
    static struct pg_result *(*real)(struct pg_conn *);
    static int (*is_null)(const struct pg_result *, int, int);
    if (!real) {
        real = dlsym(RTLD_NEXT, "PQgetResult");
        is_null = dlsym(RTLD_NEXT, "PQgetisnull");
    }
    struct pg_result *result = real(link);
    if (result && number_asked)
        has_written = !is_null(result, 0, 0);
    if (result && commit_chosen)
        die("died after");
    number_asked = false;
    return result;
}
