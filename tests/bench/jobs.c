/* What a claim, an acknowledgement (the job's end) and a new job cost with 10², 10⁴ and 10⁶ jobs waiting, on each back
 * end that is here: medians, and their ratios to the smallest store.
 *
 *     jobs [ROUNDS [MOST]]
 *
 * The stores stand side by side and are asked in turns, each claim, end and new job in one round, so that as many wait
 * afterwards. Every commit waits for the disk, as in use. Exits 1 when a ratio is above the target. See
 * tests/bench/README.md.
 */
#include <fcntl.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/store.h"

#define TARGET 1.5

enum { ROUNDS_DEFAULT = 200, ROUNDS_MAX = 2000, WARM_UP = 10, SIZES = 3, RUNNING = 32, ACCOUNTS = 100 };

enum step { CLAIM, END, ADD, STEPS };
static const char *const step_names[STEPS] = {"claim", "acknowledge", "add"};

/* How many jobs wait, in how many repositories. */
static const struct shape {
    const char *name;
    long repositories;
} shapes[] = {{"one repository", 1}, {"10,000 repositories", 10000}};

struct rival {
    long waiting;
    struct store *store;
    long added;
    double ms[STEPS][ROUNDS_MAX];
};

struct server {
    int commands;
    pid_t pid;
    char url[256];
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

/* ---- filling a store ---- */

/* As store_job_add() would have left them; `numbers` gives a table n of i. One account has one repository of a hundred
 * that wait, or the only one. */
static char *filling(const char *numbers, long repositories)
{
    long accounts = repositories < ACCOUNTS ? 1 : ACCOUNTS;
    return text_format(
        "%s INSERT INTO job (forge, owner, repo, number, kind, request_key, title, request, created_ms, triggered_ms) "
        "SELECT 'github', 'account-' || (i %% %ld), 'repository-' || (i %% %ld), i, 'generate', 'bench-' || i, "
        "'Slugs for product pages', '{\"body\": \"Letters become lower case\", \"text\": \"\"}', i, i FROM n;"
        "INSERT INTO turn_account (forge, owner, urgent, served, since, waiting) "
        "SELECT forge, owner, 0, 0, min(id), 1 FROM job GROUP BY forge, owner;"
        "INSERT INTO turn_repository (forge, owner, repo, urgent, served, since, waiting) "
        "SELECT forge, owner, repo, 0, 0, min(id), 1 FROM job GROUP BY forge, owner, repo;"
        "ANALYZE",
        numbers, accounts, repositories);
}

static int fill_sqlite(const char *path, long jobs, long repositories, struct error *err)
{
    AUTO_FREE char *numbers =
        text_format("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %ld)", jobs);
    AUTO_FREE char *sql = filling(numbers, repositories);
    sqlite3 *db = NULL;
    int code = sqlite3_open(path, &db);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        error_set(err, ERROR_STORE, "fill %s: %s", path, sqlite3_errmsg(db));
    sqlite3_close(db);
    return code == SQLITE_OK ? 0 : -1;
}

static int postgres_execute(const char *url, const char *sql, struct error *err)
{
    PGconn *link = PQconnectdb(url);
    PGresult *result = PQexec(link, sql);
    ExecStatusType status = PQresultStatus(result);
    bool done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!done)
        error_set(err, ERROR_STORE, "%.60s: %s", sql, PQerrorMessage(link));
    PQclear(result);
    PQfinish(link);
    return done ? 0 : -1;
}

static int fill_postgres(const char *url, long jobs, long repositories, struct error *err)
{
    AUTO_FREE char *numbers = text_format("WITH n AS (SELECT i FROM generate_series(1, %ld) AS i)", jobs);
    AUTO_FREE char *sql = filling(numbers, repositories);
    return postgres_execute(url, sql, err) < 0 ? -1 : postgres_execute(url, "CHECKPOINT", err);
}

static int open_sqlite(struct rival *rival, const char *folder, const struct shape *shape, struct error *err)
{
    AUTO_FREE char *path = text_format("%s/%ld-%ld.db", folder, shape->repositories, rival->waiting);
    AUTO_FREE char *url = text_format("sqlite://%s", path);
    rival->store = store_open(url, err);
    return rival->store ? fill_sqlite(path, rival->waiting, shape->repositories, err) : -1;
}

static int open_postgres(struct rival *rival, const char *server, const struct shape *shape, struct error *err)
{
    AUTO_FREE char *schema = text_format("bench_%ld_%ld", shape->repositories, rival->waiting);
    AUTO_FREE char *create = text_format("CREATE SCHEMA %s", schema);
    AUTO_FREE char *url = text_format("%s&options=-csearch_path%%3D%s", server, schema);
    if (postgres_execute(server, create, err) < 0)
        return -1;
    rival->store = store_open(url, err);
    return rival->store ? fill_postgres(url, rival->waiting, shape->repositories, err) : -1;
}

/* ---- a round ---- */

static int claim(struct rival *rival, int64_t *id, struct error *err)
{
    struct job job = {0};
    bool found = false;
    if (store_job_claim(rival->store, "bench", store_now_ms(rival->store), 60 * 1000, RUNNING, &job, &found, err) < 0)
        return -1;
    *id = job.id;
    job_release(&job);
    return found ? 0 : error_set(err, ERROR_INTERNAL, "no job was found");
}

static int add(struct rival *rival, const struct shape *shape, struct error *err)
{
    long accounts = shape->repositories < ACCOUNTS ? 1 : ACCOUNTS;
    long number = rival->waiting + ++rival->added;
    AUTO_FREE char *owner = text_format("account-%ld", number % accounts);
    AUTO_FREE char *repo = text_format("repository-%ld", number % shape->repositories);
    AUTO_FREE char *key = text_format("bench-%ld", number);
    json_auto_t *request = json_pack("{s:s, s:s}", "body", "Letters become lower case", "text", "");
    struct job job = {.forge = "github",
                      .owner = owner,
                      .repo = repo,
                      .number = number,
                      .kind = "generate",
                      .request_key = key,
                      .title = "Slugs for product pages",
                      .request = request};
    int64_t id = 0;
    bool fresh = false;
    return store_job_add(rival->store, &job, &id, &fresh, err);
}

static int round_of(struct rival *rival, const struct shape *shape, double ms[STEPS], struct error *err)
{
    int64_t id = 0;
    double begin = now_ms();
    if (claim(rival, &id, err) < 0)
        return -1;
    double claimed = now_ms();
    if (store_job_finish(rival->store, id, JOB_DONE, "proven", "", err) < 0)
        return -1;
    double ended = now_ms();
    if (add(rival, shape, err) < 0)
        return -1;
    ms[CLAIM] = claimed - begin;
    ms[END] = ended - claimed;
    ms[ADD] = now_ms() - ended;
    return 0;
}

/* Medians and ratios of one shape on one back end; the worst ratio of a claim or an acknowledgement in *worst. */
static void report(const char *backend, const struct shape *shape, struct rival *rivals, int count, int rounds,
                   double *worst)
{
    for (int step = 0; step < STEPS; step++) {
        double first = 0;
        printf("%s, %s: %-11s", backend, shape->name, step_names[step]);
        for (int i = 0; i < count; i++) {
            double ms = median(rivals[i].ms[step], rounds);
            first = i ? first : ms;
            printf("  %ld: %.2f ms (%.2f)", rivals[i].waiting, ms, ms / first);
            if (step != ADD && ms / first > *worst)
                *worst = ms / first;
        }
        printf("\n");
    }
}

static int measure(const struct shape *shape, struct rival *rivals, int count, int rounds, struct error *err)
{
    double ignored[STEPS];
    double ms[STEPS];
    for (int round = -WARM_UP; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            if (round_of(&rivals[i], shape, round < 0 ? ignored : ms, err) < 0)
                return -1;
            for (int step = 0; round >= 0 && step < STEPS; step++)
                rivals[i].ms[step][round] = ms[step];
        }
    return 0;
}

static int compare(const struct shape *shape, const char *server, const char *folder, long most, int rounds,
                   double *worst, struct error *err)
{
    static struct rival rivals[SIZES];
    int count = 0;
    int status = 0;
    for (long waiting = 100; status == 0 && waiting <= most && count < SIZES; waiting *= 100) {
        struct rival *rival = &rivals[count++];
        rival->waiting = waiting;
        rival->added = 0;
        rival->store = NULL;
        status = server ? open_postgres(rival, server, shape, err) : open_sqlite(rival, folder, shape, err);
    }
    if (status == 0)
        status = measure(shape, rivals, count, rounds, err);
    if (status == 0)
        report(server ? "PostgreSQL" : "SQLite", shape, rivals, count, rounds, worst);
    for (int i = 0; i < count; i++)
        store_close(rivals[i].store);
    return status;
}

/* ---- a PostgreSQL of our own ---- */

/* False when there is none here. */
static bool server_start(struct server *server)
{
    int commands[2];
    int answers[2];
    if (pipe2(commands, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
        return false;
    server->pid = fork();
    if (server->pid == 0) {
        dup2(commands[0], STDIN_FILENO);
        dup2(answers[1], STDOUT_FILENO);
        execl("tests/postgres", "tests/postgres", "fsync", (char *)NULL);
        _exit(127);
    }
    close(commands[0]);
    close(answers[1]);
    server->commands = commands[1];
    ssize_t got = read(answers[0], server->url, sizeof server->url - 1);
    close(answers[0]);
    if (got <= 0)
        return false;
    server->url[got] = '\0';
    server->url[strcspn(server->url, "\n")] = '\0';
    return true;
}

static void server_end(const struct server *server)
{
    close(server->commands);
    waitpid(server->pid, NULL, 0);
}

static int bench(const char *folder, int rounds, long most, double *worst, struct error *err)
{
    struct server server = {0};
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof shapes / sizeof shapes[0]; i++)
        status = compare(&shapes[i], NULL, folder, most, rounds, worst, err);
    if (!server_start(&server)) {
        printf("PostgreSQL: not installed here, so it was not measured\n");
        return status;
    }
    for (size_t i = 0; status == 0 && i < sizeof shapes / sizeof shapes[0]; i++)
        status = compare(&shapes[i], server.url, folder, most, rounds, worst, err);
    server_end(&server);
    return status;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    long most = argc > 2 ? strtol(argv[2], NULL, 10) : 1000 * 1000;
    double worst = 0;
    struct error err = {0};
    if (rounds < 1 || rounds > ROUNDS_MAX || most < 100) {
        fprintf(stderr, "usage: jobs [ROUNDS (1 to %d) [MOST (at least 100)]]\n", ROUNDS_MAX);
        return 2;
    }
    AUTO_FREE char *folder = fs_make_temp_dir("/tmp", "assay-bench-jobs-", &err);
    int status = folder ? bench(folder, rounds, most, &worst, &err) : -1;
    if (folder)
        fs_remove_tree(folder, NULL);
    if (status < 0) {
        fprintf(stderr, "jobs: %s\n", err.message);
        return 3;
    }
    printf("jobs: the worst ratio of a claim or an acknowledgement is %.2f, target at most %.2f\n", worst, TARGET);
    return worst <= TARGET ? 0 : 1;
}
