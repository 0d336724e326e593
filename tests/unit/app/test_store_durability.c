/* What the store promises when things go wrong: other processes, a full disk, damage, kill -9. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"

enum { JOBS = 40, WORKERS = 2, SKIPPED = 77 };

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Claims until nothing is left and writes each id to `out`; the exit status of a child. */
static int claim_all(const char *url, const char *worker, int start, int out)
{
    struct error err = {0};
    char go;
    struct store *store = store_open(url, &err);
    if (!store || read(start, &go, 1) != 1)
        return 1;
    for (;;) {
        struct job job = {0};
        bool found = false;
        if (store_job_claim(store, worker, 1000, 60000, JOBS, &job, &found, &err) < 0)
            return 2;
        if (!found)
            break;
        if (write(out, &job.id, sizeof job.id) != sizeof job.id)
            return 3;
        job_release(&job);
    }
    store_close(store);
    return 0;
}

static void two_processes_claim_each_job_once(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < JOBS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        add_job(fixture->store, "a", key);
    }
    store_close(fixture->store);
    fixture->store = NULL;
    int start[2];
    int ids[2];
    pid_t pids[WORKERS];
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(ids), 0);
    for (int i = 0; i < WORKERS; i++)
        if ((pids[i] = fork()) == 0)
            _exit(claim_all(fixture->url, i ? "w1" : "w0", start[0], ids[1]));
    assert_int_equal(write(start[1], "gg", WORKERS), WORKERS);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(wait_for(pids[i]), 0);
    close(ids[1]);
    bool seen[JOBS + 1] = {false};
    int count = 0;
    for (int64_t id; read(ids[0], &id, sizeof id) == sizeof id; count++) {
        assert_in_range(id, 1, JOBS);
        assert_false(seen[id]);
        seen[id] = true;
    }
    assert_int_equal(count, JOBS);
    close(ids[0]);
    close(start[0]);
    close(start[1]);
}

static void processes_that_open_a_new_database_at_once_all_succeed(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *url =
        fixture_server ? postgres_new_schema(fixture_server) : text_format("sqlite://%s/fresh/new.db", fixture->folder);
    pid_t pids[4];
    for (int i = 0; i < 4; i++)
        if ((pids[i] = fork()) == 0) {
            struct error err = {0};
            struct store *store = store_open(url, &err);
            if (!store)
                fprintf(stderr, "%s\n", err.message);
            store_close(store);
            _exit(store ? 0 : 1);
        }
    for (int i = 0; i < 4; i++)
        assert_int_equal(wait_for(pids[i]), 0);
}

/* In a mount namespace of its own, so that the small disk is gone with the process. */
static int fill_disk(const char *folder)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=2m") < 0)
        return SKIPPED;
    struct error err = {0};
    AUTO_FREE char *url = text_format("sqlite://%s/full.db", folder);
    struct store *store = open_or_fail(url);
    char *bytes = calloc(1, KiB(256));
    assert_int_equal(getrandom(bytes, KiB(256), 0), KiB(256)); /* what compression cannot make smaller */
    int stored = 0;
    bool fresh = false;
    for (;; stored++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", stored);
        struct delivery in = a_delivery(id, "");
        in.payload = bytes;
        in.payload_len = KiB(256);
        if (store_delivery_add(store, &in, &fresh, &err) < 0)
            break;
    }
    free(bytes);
    assert_int_equal(err.code, ERROR_FULL);
    assert_true(err.retryable);
    assert_non_null(strstr(err.message, "no room left"));
    int pings = 0; /* what is too little for a large delivery may be enough for some small ones */
    while (store_ping(store, &err) == 0)
        assert_in_range(++pings, 1, 200);
    assert_int_equal(err.code, ERROR_FULL);
    assert_in_range(stored, 1, 8);
    json_auto_t *status = store_status(store, &err); /* what was acknowledged is there, no more */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "deliveries"), "waiting")), stored);
    /* With room again the same connection goes on. */
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT, "size=8m"), 0);
    struct delivery in = a_delivery("after", "{}");
    NEEDS(store_ping(store, &err), &err);
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
    assert_true(fresh);
    store_close(store);
    return 0;
}

static void a_full_disk_is_a_retryable_error_and_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(fill_disk(fixture->folder));
    int status = wait_for(pid);
    if (status == SKIPPED) {
        print_message("skipped: mounting a small tmpfs needs CAP_SYS_ADMIN\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_database_that_is_not_ours_is_refused_and_left_alone(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    fixture->store = NULL;
    AUTO_FREE char *foreign = text_format("%s/foreign.db", fixture->folder);
    AUTO_FREE char *foreign_url = text_format("sqlite://%s", foreign);
    run_sql(fixture->path, "PRAGMA user_version = 999");
    run_sql(foreign, "CREATE TABLE bookmarks (url)");
    const struct {
        const char *url, *says;
        enum error_code code;
    } cases[] = {
        {fixture->url, "newer Assay", ERROR_CONFIG},
        {foreign_url, "another program", ERROR_CONFIG},
        {"sqlite://relative.db", "absolute path", ERROR_CONFIG},
        {"sqlite:///tmp", "not a regular file", ERROR_CONFIG},
        {"sqlite:///dev/null", "not a regular file", ERROR_CONFIG},
        {"sqlite:///proc/version/x/y.db", "database", ERROR_IO},
        {"mysql://root:hunter2@host/db", "\"mysql\" is not a kind", ERROR_CONFIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_null(store_open(cases[i].url, &err));
        if (!strstr(err.message, cases[i].says) || strstr(err.message, "hunter2"))
            fail_msg("%s: %s", cases[i].url, err.message);
        if (err.code != cases[i].code)
            fail_msg("%s: %s", cases[i].url, error_code_name(err.code));
    }
    run_sql(foreign, "INSERT INTO bookmarks VALUES (1)");
}

static void overwrite(const char *path, off_t from, size_t len)
{
    AUTO_FREE char *bytes = malloc(len);
    memset(bytes, 0x5a, len);
    AUTO_CLOSE int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, bytes, len, from), (ssize_t)len);
}

static void a_damaged_file_is_said_to_be_damaged(void **state)
{
    struct fixture *fixture = *state;
    add_job(fixture->store, "a", "k");
    store_close(fixture->store); /* the last one to close moves the WAL into the file */
    fixture->store = NULL;
    struct stat st;
    assert_int_equal(stat(fixture->path, &st), 0);
    struct error err = {0};
    /* All pages but the first: it opens (the schema is on page 1 and others), or reading fails; never a crash. */
    overwrite(fixture->path, 4096, (size_t)st.st_size - 4096);
    struct store *store = store_open(fixture->url, &err);
    struct job job = {0};
    assert_true(!store || store_job_get(store, 1, &job, &err) < 0);
    store_close(store);
    assert_int_equal(err.code, ERROR_STORE);
    assert_false(err.retryable);
    assert_non_null(strstr(err.message, "damaged"));
    overwrite(fixture->path, 0, 100);
    assert_null(store_open(fixture->url, &err));
    assert_int_equal(err.code, ERROR_STORE);
    assert_non_null(strstr(err.message, "damaged"));
}

/* Adds deliveries for ever, telling the number of each one that was acknowledged. */
_Noreturn static void write_for_ever(const char *url, int out)
{
    struct error err = {0};
    struct store *store = store_open(url, &err);
    if (!store)
        _exit(1);
    for (int i = 0;; i++) {
        char id[32];
        bool fresh = false;
        snprintf(id, sizeof id, "%d-%d", (int)getpid(), i);
        struct delivery in = a_delivery(id, "{\"some\": \"payload\"}");
        if (store_delivery_add(store, &in, &fresh, &err) < 0 || write(out, id, sizeof id) != sizeof id)
            _exit(1);
    }
}

static void check_integrity(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT count(*) FROM delivery LEFT JOIN payload ON delivery = seq "
                                        "WHERE bytes IS NULL",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    struct fixture *fixture = *state;
    int total = 0;
    for (int round = 0; round < 8; round++) {
        int ids[2];
        assert_int_equal(pipe(ids), 0);
        pid_t pid = fork();
        if (pid == 0)
            write_for_ever(fixture->url, ids[1]);
        close(ids[1]);
        struct pollfd first = {.fd = ids[0], .events = POLLIN};
        assert_int_equal(poll(&first, 1, 30 * 1000), 1); /* it has begun */
        clock_sleep_ms(round * 17);
        kill(pid, SIGKILL);
        assert_int_equal(wait_for(pid), 128 + SIGKILL);
        char id[32];
        while (read(ids[0], id, sizeof id) == sizeof id) {
            struct error err = {0};
            struct delivery again = a_delivery(id, "{}");
            bool fresh = true;
            NEEDS(store_delivery_add(fixture->store, &again, &fresh, &err), &err);
            assert_false(fresh); /* it is there */
            total++;
        }
        close(ids[0]);
    }
    assert_true(total >= 8); /* one a round at least */
    if (!fixture_server)
        check_integrity(fixture->path);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(two_processes_claim_each_job_once),
        STORE_TEST(processes_that_open_a_new_database_at_once_all_succeed),
        STORE_TEST(what_was_acknowledged_survives_kill_9),
    };
    const struct CMUnitTest sqlite_only[] = {
        STORE_TEST(a_full_disk_is_a_retryable_error_and_loses_nothing),
        STORE_TEST(a_database_that_is_not_ours_is_refused_and_left_alone),
        STORE_TEST(a_damaged_file_is_said_to_be_damaged),
    };
    return RUN_ON_BOTH(tests) + cmocka_run_group_tests(sqlite_only, NULL, NULL);
}
