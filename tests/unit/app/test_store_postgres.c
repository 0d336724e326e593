/* What is PostgreSQL's own: connections that break, servers that die, what is refused, and a process without rights. */
#include "store_fixture.h"

#include <signal.h>

#include "app/base/clock.h"
#include "app/confine.h"
#include "app/store_internal.h"

/* One server for all; it comes back by itself when a test has killed it. */
static struct postgres_server server;

static int setup(void **state)
{
    fixture_server = server.url;
    return fixture_setup(state);
}

static void cut_connections(void)
{
    postgres_sql(server.url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                             "WHERE application_name = 'assay' AND pid <> pg_backend_pid()");
}

static void a_connection_that_was_cut_between_calls_is_made_again_unseen(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    struct job job = {0};
    cut_connections();
    NEEDS(store_job_get(store, id, &job, &err), &err);
    job_release(&job);
    cut_connections();
    assert_int_equal(claim_at(store, "w", 1000, 1), id);
}

static int cut_within(void *context, const struct sql_row *row, struct error *err)
{
    (void)context, (void)row, (void)err;
    cut_connections();
    return 0;
}

static void a_transaction_that_was_cut_is_a_retryable_error_and_leaves_nothing(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    int status = sql_begin(store, &err);
    if (status == 0)
        status = sql_run(store, "job_cancel_running", SQL_PARAMS(sql_int("id", id)), NULL, &err) < 0 ? -1 : 0;
    if (status == 0)
        status = sql_run(store, "artifact_put",
                         SQL_PARAMS(sql_int("id", id), sql_text("name", "log"), sql_int("now", 1),
                                    sql_blob("bytes", "x", 1)),
                         NULL, &err) < 0
                     ? -1
                     : 0;
    assert_int_equal(status, 0);
    assert_int_equal(
        sql_run(store, "job_get", SQL_PARAMS(sql_int("id", id)), &(struct sql_reader){cut_within, NULL}, &err), 1);
    assert_int_equal(sql_end(store, 0, &err), -1);
    assert_int_equal(err.code, ERROR_STORE);
    assert_true(err.retryable);
    AUTO_BUF struct buf out = BUF_INIT(10);
    assert_int_equal(store_artifact_get(store, id, "log", &out, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void a_server_that_was_killed_is_found_again_and_has_what_was_acknowledged(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    bool fresh = false;
    struct delivery in = a_delivery("before", "{}");
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
    postgres_say(&server, "kill");
    struct delivery late = a_delivery("meanwhile", "{}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_delivery_add(store, &late, &fresh, &err), -1);
        assert_int_equal(err.code, ERROR_STORE);
        assert_true(err.retryable);
    }
    postgres_say(&server, "start");
    int64_t deadline = clock_monotonic_ms() + 5000;
    while (store_delivery_add(store, &late, &fresh, &err) < 0 && clock_monotonic_ms() < deadline)
        clock_sleep_ms(20);
    assert_true(fresh);
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
    assert_false(fresh);
}

/* Deliveries are added for ever while the server is killed and started again; the ids of those acknowledged. */
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
        int status;
        while ((status = store_delivery_add(store, &in, &fresh, &err)) < 0 && err.retryable)
            clock_sleep_ms(5);
        if (status < 0 || write(out, id, sizeof id) != sizeof id) {
            fprintf(stderr, "%s\n", err.message);
            _exit(1);
        }
    }
}

static void what_was_acknowledged_survives_a_killed_server(void **state)
{
    struct fixture *fixture = *state;
    int ids[2];
    assert_int_equal(pipe(ids), 0);
    pid_t pids[2];
    for (int i = 0; i < 2; i++)
        if ((pids[i] = fork()) == 0)
            write_for_ever(fixture->url, ids[1]);
    close(ids[1]);
    for (int round = 0; round < 4; round++) {
        clock_sleep_ms(150 + round * 37);
        postgres_say(&server, "kill");
        postgres_say(&server, "start");
    }
    clock_sleep_ms(300);
    for (int i = 0; i < 2; i++) {
        int status = 0;
        kill(pids[i], SIGKILL);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFSIGNALED(status)); /* else it had given up */
    }
    int total = 0;
    char id[32];
    for (; read(ids[0], id, sizeof id) == sizeof id; total++) {
        struct error err = {0};
        struct delivery again = a_delivery(id, "{}");
        bool fresh = true;
        NEEDS(store_delivery_add(fixture->store, &again, &fresh, &err), &err);
        assert_false(fresh);
    }
    close(ids[0]);
    assert_true(total > 50);
}

/* The server dies at the moment of COMMIT: a trigger that is deferred to it waits to be shot. */
static void a_commit_whose_end_was_not_heard_is_looked_up(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    int64_t id = add_job(fixture->store, "a", "k");
    postgres_sql(fixture->url, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                               "'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END';"
                               "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON artifact DEFERRABLE INITIALLY DEFERRED "
                               "FOR EACH ROW EXECUTE FUNCTION slow()");
    pid_t shooter = fork();
    if (shooter == 0) {
        clock_sleep_ms(200);
        cut_connections();
        _exit(0);
    }
    assert_int_equal(store_artifact_put(fixture->store, id, "log", "x", 1, &err), -1);
    waitpid(shooter, NULL, 0);
    assert_true(err.retryable);
    assert_non_null(strstr(err.message, "nothing was saved"));
    AUTO_BUF struct buf out = BUF_INIT(10);
    assert_int_equal(store_artifact_get(fixture->store, id, "log", &out, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void have_numbers_used(const char *url)
{
    for (int i = 0; i < 50; i++)
        postgres_sql(url, "SELECT pg_current_xact_id()");
}

/* A server that crashes forgets the numbers of transactions of which nothing was on its disk, and gives them out again;
 * another one's success under our number is not ours. */
static void a_number_that_a_crashed_server_has_given_out_again_proves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    int64_t id = add_job(fixture->store, "a", "k");
    postgres_sql(fixture->url, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                               "'BEGIN PERFORM pg_sleep(5); RETURN NULL; END';"
                               "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON artifact DEFERRABLE INITIALLY DEFERRED "
                               "FOR EACH ROW EXECUTE FUNCTION slow()");
    pid_t shooter = fork();
    if (shooter == 0) {
        clock_sleep_ms(30); /* before what was written reaches the disk by itself */
        postgres_say(&server, "kill");
        postgres_say(&server, "start");
        have_numbers_used(fixture->url);
        _exit(0);
    }
    int status = store_artifact_put(fixture->store, id, "log", "x", 1, &err);
    waitpid(shooter, NULL, 0);
    assert_int_equal(status, -1);
    assert_true(err.retryable);
    AUTO_BUF struct buf out = BUF_INIT(10);
    assert_int_equal(store_artifact_get(fixture->store, id, "log", &out, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

/* The other way round: it is saved, and waits for a follower that never comes when the connection is cut. */
static void a_commit_that_was_saved_and_not_heard_of_succeeds(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    int64_t id = add_job(fixture->store, "a", "k");
    postgres_sql(server.url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres_sql(server.url, "SELECT pg_reload_conf()");
    clock_sleep_ms(200);
    pid_t shooter = fork();
    if (shooter == 0) {
        clock_sleep_ms(300);
        postgres_sql(server.url, "ALTER SYSTEM RESET synchronous_standby_names");
        cut_connections();
        postgres_sql(server.url, "SELECT pg_reload_conf()");
        _exit(0);
    }
    int64_t began = clock_monotonic_ms();
    int status = store_artifact_put(fixture->store, id, "log", "x", 1, &err);
    assert_true(clock_monotonic_ms() - began >= 250); /* else it did not wait, and nothing was shown */
    waitpid(shooter, NULL, 0);
    NEEDS(status, &err);
    AUTO_BUF struct buf out = BUF_INIT(10);
    NEEDS(store_artifact_get(fixture->store, id, "log", &out, &err), &err);
}

static void whoever_waits_is_woken(void **state)
{
    struct fixture *fixture = *state;
    int quiet[2];
    assert_int_equal(pipe(quiet), 0);
    store_wait(fixture->store, STORE_NEWS_JOB, quiet[0], 0); /* begins to listen */
    assert_false(store_wait(fixture->store, STORE_NEWS_JOB, quiet[0], 50));
    pid_t other = fork();
    if (other == 0) {
        struct store *store = open_or_fail(fixture->url);
        clock_sleep_ms(100);
        add_job(store, "a", "k");
        _exit(0);
    }
    int64_t began = clock_monotonic_ms();
    bool woken = false;
    while (!woken && clock_monotonic_ms() - began < 5000)
        woken = store_wait(fixture->store, STORE_NEWS_JOB, quiet[0], 5000);
    waitpid(other, NULL, 0);
    assert_true(woken);
    assert_true(clock_monotonic_ms() - began < 4000);
    assert_int_equal(claim_at(fixture->store, "w", INT64_C(1) << 42, 1), 1);
    cut_connections();
    woken = false; /* the server's goodbye may be read first, then the end */
    for (int i = 0; i < 3 && !woken; i++)
        woken = store_wait(fixture->store, STORE_NEWS_JOB, quiet[0], 1000);
    assert_true(woken); /* not heard of any more: look, by yourself */
    close(quiet[0]);
    close(quiet[1]);
}

static void the_servers_clock_counts(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    int64_t theirs = postgres_sql(server.url, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    assert_in_range(store_now_ms(store) - theirs + 500, 0, 1000);
}

static void a_database_that_is_not_ours_is_refused_and_left_alone(void **state)
{
    (void)state;
    AUTO_FREE char *foreign = postgres_new_schema(server.url);
    AUTO_FREE char *newer = postgres_new_schema(server.url);
    store_close(open_or_fail(newer));
    postgres_sql(foreign, "CREATE TABLE bookmarks (url text)");
    postgres_sql(newer, "UPDATE assay_schema SET version = 999");
    AUTO_FREE char *missing = text_format("postgresql://assay:hunter2@/nowhere%s", strchr(server.url, '?'));
    const struct {
        const char *url, *says;
        enum error_code code;
    } cases[] = {
        {foreign, "another program", ERROR_CONFIG},
        {newer, "newer Assay", ERROR_CONFIG},
        {missing, "does not exist", ERROR_CONFIG},
        {"postgresql://assay@127.0.0.1:1/assay", "refused", ERROR_STORE},
        {"postgresql://assay@/assay?host=/nonexistent", "No such file", ERROR_STORE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_null(store_open(cases[i].url, &err));
        if (!strstr(err.message, cases[i].says) || strstr(err.message, "hunter2") || strchr(err.message, '\n'))
            fail_msg("%s: %s", cases[i].url, err.message);
        if (err.code != cases[i].code)
            fail_msg("%s: %s", cases[i].url, error_code_name(err.code));
    }
    assert_int_equal(postgres_sql(foreign, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"), 1);
}

static void texts_that_are_not_utf8_are_kept_with_the_bad_bytes_replaced(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    assert_int_equal(claim_at(store, "w", 1000, 1), id);
    NEEDS(store_job_requeue(store, id, 0, "cut off in the middle: \xe2\x82", &err), &err);
    struct job job = {0};
    NEEDS(store_job_get(store, id, &job, &err), &err);
    assert_string_equal(job.reason, "cut off in the middle: \xef\xbf\xbd\xef\xbf\xbd");
    job_release(&job);
}

/* As the receiver: everything about the connection is in the address, and a cut connection is made again. */
static int live_confined(const char *url)
{
    struct error err = {0};
    const struct log quiet = {.fd = 2, .level = LOG_ERROR};
    clearenv();
    struct store *store = store_open(url, &err);
    struct store_needs needs = {0};
    if (!store || store_needs(store, &needs, &err) < 0)
        return 2;
    const struct confinement rights = {
        .folder = needs.folder, .connects = needs.connects, .files = (const char *const *)needs.files};
    if (confine_self(&rights, &quiet, &err) < 0)
        return 3;
    cut_connections(); /* from within: libpq connects once more for it */
    return store_ping(store, &err) == 0 ? 0 : 4;
}

static void a_confined_process_connects_again(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    AUTO_FREE char *whole = store_whole_url(fixture->store, &err);
    assert_non_null(whole);
    pid_t pid = fork();
    if (pid == 0)
        _exit(live_confined(whole));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_connection_that_was_cut_between_calls_is_made_again_unseen),
        STORE_TEST(a_transaction_that_was_cut_is_a_retryable_error_and_leaves_nothing),
        STORE_TEST(a_server_that_was_killed_is_found_again_and_has_what_was_acknowledged),
        STORE_TEST(what_was_acknowledged_survives_a_killed_server),
        STORE_TEST(a_commit_whose_end_was_not_heard_is_looked_up),
        STORE_TEST(a_number_that_a_crashed_server_has_given_out_again_proves_nothing),
        STORE_TEST(a_commit_that_was_saved_and_not_heard_of_succeeds),
        STORE_TEST(whoever_waits_is_woken),
        STORE_TEST(the_servers_clock_counts),
        STORE_TEST(a_database_that_is_not_ours_is_refused_and_left_alone),
        STORE_TEST(texts_that_are_not_utf8_are_kept_with_the_bad_bytes_replaced),
        STORE_TEST(a_confined_process_connects_again),
    };
    if (!postgres_start(&server, NULL)) {
        print_message("[  SKIPPED ] PostgreSQL is not installed\n");
        return 0;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_end(&server);
    return failed;
}
