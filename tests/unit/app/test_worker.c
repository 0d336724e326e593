/* The worker with real processes: this program stands in for `assay job`, and does what the job's key says. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/attempt.h"
#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/worker.h"
#include "store_fixture.h"

enum { PATIENCE_MS = 15 * 1000, CANCEL_WITHIN_MS = 2000 };

#define STORE_VARIABLE "ASSAY_TEST_STORE"

/* ---- the other side: a job's process ---- */

struct part {
    struct store *store;
    struct job job;
};

static int play_finish(struct part *part)
{
    return store_job_finish(part->store, part->job.id, JOB_DONE, "proven", "", NULL) == 0 ? JOB_EXIT_ENDED : 1;
}

static int play_crash(struct part *part)
{
    (void)part;
    raise(SIGKILL);
    return 1;
}

static int play_crash_once(struct part *part)
{
    return part->job.attempt == 1 ? play_crash(part) : play_finish(part);
}

static int play_outside(struct part *part)
{
    json_auto_t *value = json_pack("{s:s, s:i}", "message", "the forge is down", "attempt", part->job.attempt);
    return store_job_publish(part->store, part->job.id, "error", value, NULL) == 0 ? JOB_EXIT_OUTSIDE : 1;
}

static int play_hang(struct part *part)
{
    json_auto_t *value = json_integer(getpid());
    store_job_publish(part->store, part->job.id, "pid", value, NULL);
    clock_sleep_ms(60 * 1000);
    return 1;
}

static int play_deaf(struct part *part)
{
    signal(SIGTERM, SIG_IGN);
    return play_hang(part);
}

static int play_hang_once(struct part *part)
{
    return part->job.attempt == 1 ? play_hang(part) : play_finish(part);
}

static const struct {
    const char *key;
    int (*play)(struct part *part);
    bool burial_fails;
} parts[] = {
    {"finish", play_finish, false},   {"crash", play_crash, false},         {"crash once", play_crash_once, false},
    {"outside", play_outside, false}, {"hang", play_hang, false},           {"hang once", play_hang_once, false},
    {"deaf", play_deaf, false},       {"crash, unburied", play_crash, true}};

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 0; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static int bury(struct part *part, const char *reason, const char *as)
{
    enum job_state job_state = strcmp(as, "cancelled") == 0 ? JOB_CANCELLED
                               : strcmp(as, "failed") == 0  ? JOB_FAILED
                                                            : JOB_DONE;
    AUTO_FREE char *words = text_format("buried: %s", reason);
    return store_job_finish(part->store, part->job.id, job_state, job_state == JOB_DONE ? as : "", words, NULL);
}

static int play_part(int argc, char **argv, struct part *part)
{
    const char *reason = option(argc, argv, "--bury");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].key, part->job.request_key) != 0)
            continue;
        if (reason && parts[i].burial_fails)
            return 1;
        return reason ? bury(part, reason, option(argc, argv, "--as")) : parts[i].play(part);
    }
    return 1;
}

static int play(int argc, char **argv)
{
    struct part part = {.store = store_open(getenv(STORE_VARIABLE), NULL)};
    int64_t id = strtoll(argv[2], NULL, 10);
    int64_t claim = strtoll(option(argc, argv, "--claim"), NULL, 10);
    int status = 1;
    if (part.store && store_fence(part.store, id, claim, NULL) == 0 &&
        store_job_get(part.store, id, &part.job, NULL) == 0) {
        status = play_part(argc, argv, &part);
        job_release(&part.job);
    }
    store_close(part.store);
    return status;
}

/* ---- this side ---- */

struct shop {
    struct fixture *fixture;
    char *config;
    pid_t worker;
};

/* It dies with this program, should a test fail before it is stopped. */
static pid_t start_worker(const char *config)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct error err = {0};
    char *argv[] = {"work", "--config", (char *)config, NULL};
    int null = open("/dev/null", O_WRONLY);
    if (!getenv("ASSAY_TEST_LOG"))
        dup2(null, STDERR_FILENO);
    _exit(cli_work(3, argv, &err) == 0 ? 0 : 1);
}

static void shop_open(struct shop *shop, void **state, const char *timeout)
{
    *shop = (struct shop){.fixture = *state};
    struct error err = {0};
    const char *folder = shop->fixture->folder;
    AUTO_FREE char *text = text_format("database: %s\nstate_dir: %s/state\nworkers: 2\nlimits: {job_timeout: %s}\n",
                                       shop->fixture->url, folder, timeout);
    AUTO_FREE char *old = text_format("%s/state/work/99-1/tree", folder);
    shop->config = text_format("%s/assay.yml", folder);
    NEEDS(fs_write_atomic(shop->config, text, strlen(text), 0600, &err), &err);
    NEEDS(fs_make_dirs(old, 0700, &err), &err);
    setenv(STORE_VARIABLE, shop->fixture->url, 1);
    shop->worker = start_worker(shop->config);
}

/* Ends the worker politely; it must be gone within seconds, whatever runs. */
static void shop_close(struct shop *shop)
{
    int64_t deadline = clock_monotonic_ms() + 10 * 1000;
    int status = 0;
    kill(shop->worker, SIGTERM);
    while (waitpid(shop->worker, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > deadline)
            fail_msg("the worker does not stop");
        clock_sleep_ms(20);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(shop->config);
}

static struct job look(const struct shop *shop, int64_t id)
{
    struct error err = {0};
    struct job job;
    NEEDS(store_job_get(shop->fixture->store, id, &job, &err), &err);
    return job;
}

/* Waits until the job is in that state, and not for its first time when `attempt` is later. */
static struct job await(const struct shop *shop, int64_t id, enum job_state job_state, int attempt)
{
    int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        struct job job = look(shop, id);
        if (job.state == job_state && job.attempt >= attempt)
            return job;
        if (clock_monotonic_ms() > deadline)
            fail_msg("the job is %s at attempt %d: %s", job_state_name(job.state), job.attempt, job.reason);
        job_release(&job);
        clock_sleep_ms(20);
    }
}

/* The pid that a hanging job has told. */
static pid_t await_pid(const struct shop *shop, int64_t id)
{
    int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
    for (pid_t pid = 0;;) {
        struct job job = look(shop, id);
        pid = (pid_t)json_int_at(job.published, "pid", 0);
        job_release(&job);
        if (pid)
            return pid;
        if (clock_monotonic_ms() > deadline)
            fail_msg("the job's process does not start");
        clock_sleep_ms(20);
    }
}

static void await_death(pid_t pid)
{
    int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
    while (kill(pid, 0) == 0 || errno != ESRCH) {
        if (clock_monotonic_ms() > deadline)
            fail_msg("process %d lives on", (int)pid);
        clock_sleep_ms(20);
    }
}

static void a_job_is_run_to_its_end(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    struct job job = await(&shop, add_job(shop.fixture->store, "shop", "finish"), JOB_DONE, 1);
    assert_string_equal(job.outcome, "proven");
    assert_int_equal(job.attempt, 1);
    job_release(&job);
    AUTO_FREE char *old = text_format("%s/state/work/99-1", shop.fixture->folder);
    assert_false(fs_exists(old)); /* of a job that died with an earlier worker */
    shop_close(&shop);
}

static void a_crash_is_tried_once_more(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    struct job job = await(&shop, add_job(shop.fixture->store, "shop", "crash once"), JOB_DONE, 1);
    assert_string_equal(job.outcome, "proven");
    assert_int_equal(job.attempt, 2);
    job_release(&job);
    shop_close(&shop);
}

static void a_second_crash_needs_a_person_who_is_told(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    struct job job = await(&shop, add_job(shop.fixture->store, "shop", "crash"), JOB_DONE, 1);
    assert_string_equal(job.outcome, "needs-human");
    assert_non_null(strstr(job.reason, "buried: the job's process was ended by signal 9"));
    assert_int_equal(job.attempt, 2);
    job_release(&job);
    shop_close(&shop);
}

static void a_job_ends_even_when_nobody_can_be_told(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    struct job job = await(&shop, add_job(shop.fixture->store, "shop", "crash, unburied"), JOB_DONE, 1);
    assert_string_equal(job.outcome, "needs-human");
    assert_null(strstr(job.reason, "buried"));
    job_release(&job);
    shop_close(&shop);
}

static void what_is_outside_is_waited_for(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    int64_t id = add_job(shop.fixture->store, "shop", "outside");
    struct job job = await(&shop, id, JOB_QUEUED, 1);
    assert_string_equal(job.reason, "the forge is down");
    int64_t wait = job.not_before_ms - clock_wall_ms();
    assert_in_range(wait, 20 * 1000, 38 * 1000);
    job_release(&job);
    struct error err = {0};
    NEEDS(store_job_again(shop.fixture->store, id, NULL, false, &err), &err); /* a person knows better */
    job = await(&shop, id, JOB_QUEUED, 1);
    assert_true(job.not_before_ms > clock_wall_ms() + 20 * 1000); /* tried, and put back again */
    job_release(&job);
    shop_close(&shop);
}

static void what_fails_outside_again_and_again_is_given_up_until_somebody_has_it_run_again(void **state)
{
    struct shop shop;
    struct error err = {0};
    struct store *store = ((struct fixture *)*state)->store;
    int64_t id = add_job(store, "shop", "outside");
    json_auto_t *tries = json_pack("{s:i, s:i}", "crashed", 0, "outside", WORKER_OUTSIDE_RETRIED);
    assert_int_equal(claim_at(store, "earlier", store_now_ms(store), 1), id);
    NEEDS(store_job_publish(store, id, "tries", tries, &err), &err);
    NEEDS(store_job_requeue(store, id, store_now_ms(store), "the forge is down", &err), &err);
    shop_open(&shop, state, "1h");
    struct job job = await(&shop, id, JOB_FAILED, 2);
    assert_string_equal(job.reason, "buried: the forge is down");
    job_release(&job);
    NEEDS(store_job_again(store, id, NULL, false, &err), &err);
    job = await(&shop, id, JOB_QUEUED, 1); /* with all of its tries */
    assert_int_equal(json_int_at(job.published, "tries.outside", 0), 1);
    job_release(&job);
    shop_close(&shop);
}

static void cancel_and_await(void **state, const char *key)
{
    struct shop shop;
    struct error err = {0};
    bool was_running = false;
    shop_open(&shop, state, "1h");
    int64_t id = add_job(shop.fixture->store, "shop", key);
    pid_t pid = await_pid(&shop, id);
    int64_t begin_ms = clock_monotonic_ms();
    NEEDS(store_job_cancel(shop.fixture->store, id, &was_running, &err), &err);
    assert_true(was_running);
    struct job job = await(&shop, id, JOB_CANCELLED, 1);
    job_release(&job);
    await_death(pid);
    int64_t took_ms = clock_monotonic_ms() - begin_ms;
    print_message("%s: %lld ms\n", key, (long long)took_ms);
    assert_in_range(took_ms, 0, CANCEL_WITHIN_MS);
    shop_close(&shop);
}

static void a_cancelled_job_is_stopped_within_two_seconds(void **state)
{
    cancel_and_await(state, "hang");
}

static void a_cancelled_job_that_does_not_listen_is_killed_as_soon(void **state)
{
    cancel_and_await(state, "deaf");
}

static void a_job_past_its_deadline_is_stopped(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1s");
    struct job job = await(&shop, add_job(shop.fixture->store, "shop", "hang"), JOB_DONE, 1);
    assert_string_equal(job.outcome, "needs-human");
    assert_non_null(strstr(job.reason, "limits.job_timeout"));
    job_release(&job);
    shop_close(&shop);
}

static void a_stopped_worker_puts_its_jobs_back(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    int64_t id = add_job(shop.fixture->store, "shop", "hang");
    pid_t pid = await_pid(&shop, id);
    shop_close(&shop);
    struct job job = look(&shop, id);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_true(job.not_before_ms <= clock_wall_ms());
    assert_int_equal(json_int_at(job.published, "tries.crashed", -1), 0);
    job_release(&job);
    await_death(pid);
}

static void run_sql(const struct shop *shop, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(shop->fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* As on a full disk: what became of the job cannot be noted. */
static void a_stopped_worker_does_not_wait_for_a_store_that_cannot_write(void **state)
{
    struct shop shop;
    if (fixture_server) /* it is the worker's doing, and SQL of one kind is enough */
        skip();
    shop_open(&shop, state, "1h");
    int64_t id = add_job(shop.fixture->store, "shop", "hang once");
    pid_t pid = await_pid(&shop, id);
    run_sql(&shop, "CREATE TRIGGER full BEFORE UPDATE ON job BEGIN SELECT RAISE(ABORT, 'no room'); END");
    kill(pid, SIGKILL);
    await_death(pid);
    shop_close(&shop);
    struct job job = look(&shop, id);
    assert_int_equal(job.state, JOB_RUNNING);
    job_release(&job);
    run_sql(&shop, "DROP TRIGGER full");
    shop_open(&shop, state, "1h");
    job = await(&shop, id, JOB_DONE, 2);
    assert_string_equal(job.outcome, "proven");
    job_release(&job);
    shop_close(&shop);
}

static void a_killed_worker_takes_its_jobs_along_and_the_next_one_goes_on(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    int64_t id = add_job(shop.fixture->store, "shop", "hang once");
    pid_t pid = await_pid(&shop, id);
    kill(shop.worker, SIGKILL);
    waitpid(shop.worker, NULL, 0);
    await_death(pid);
    shop.worker = start_worker(shop.config);
    struct job job = await(&shop, id, JOB_DONE, 2); /* long before its lease has passed */
    assert_string_equal(job.outcome, "proven");
    job_release(&job);
    shop_close(&shop);
}

static void a_paused_worker_that_wakes_up_late_leaves_another_ones_job_alone(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    struct store *store = shop.fixture->store;
    struct error err = {0};
    int64_t id = add_job(store, "shop", "hang");
    pid_t pid = await_pid(&shop, id);
    kill(shop.worker, SIGSTOP);
    size_t count = 0;
    struct job job;
    bool found = false;
    int64_t later = store_now_ms(store) + 60 * 1000; /* its lease has passed, and another worker takes the job */
    NEEDS(store_jobs_recover(store, later, &count, &err), &err);
    assert_int_equal(count, 1);
    NEEDS(store_job_claim(store, "another", later, 600 * 1000, 1, &job, &found, &err), &err);
    assert_true(found);
    job_release(&job);
    kill(pid, SIGKILL); /* so that the old one, once awake, has to decide what becomes of the job */
    kill(shop.worker, SIGCONT);
    clock_sleep_ms(1000);
    job = look(&shop, id);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.attempt, 2);
    assert_null(json_object_get(job.published, "tries"));
    job_release(&job);
    bool cancel = false;
    NEEDS(store_job_extend(store, id, "another", later + 600 * 1000, &cancel, &err), &err);
    shop_close(&shop);
}

static void a_name_from_another_host_is_not_taken(void **state)
{
    struct shop shop;
    struct error err = {0};
    struct fixture *fixture = *state;
    AUTO_FREE char *folder = text_format("%s/state", fixture->folder);
    AUTO_FREE char *path = text_format("%s/worker-id", folder);
    int64_t id = add_job(fixture->store, "shop", "finish");
    int64_t now = store_now_ms(fixture->store);
    struct job job;
    bool found = false;
    NEEDS(fs_make_dirs(folder, 0700, &err), &err);
    NEEDS(fs_write_atomic(path, "elsewhere-0123456789ab", 22, 0600, &err), &err);
    NEEDS(store_job_claim(fixture->store, "elsewhere-0123456789ab", now, 60 * 1000, 1, &job, &found, &err), &err);
    assert_true(found);
    job_release(&job);
    shop_open(&shop, state, "1h");
    clock_sleep_ms(800);
    job = look(&shop, id);
    assert_int_equal(job.state, JOB_RUNNING); /* over there */
    assert_int_equal(job.attempt, 1);
    job_release(&job);
    shop_close(&shop);
}

static void a_second_worker_of_one_state_directory_waits(void **state)
{
    struct shop shop;
    shop_open(&shop, state, "1h");
    int64_t id = add_job(shop.fixture->store, "shop", "hang");
    pid_t pid = await_pid(&shop, id);
    pid_t second = start_worker(shop.config);
    clock_sleep_ms(1000);
    struct job job = look(&shop, id); /* a second one would have taken it for a dead worker's */
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.state, JOB_RUNNING);
    job_release(&job);
    assert_int_equal(kill(pid, 0), 0);
    kill(second, SIGTERM);
    int status = 0;
    assert_int_equal(waitpid(second, &status, 0), second);
    shop_close(&shop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_run_to_its_end),
        TEST(a_crash_is_tried_once_more),
        TEST(a_second_crash_needs_a_person_who_is_told),
        TEST(a_job_ends_even_when_nobody_can_be_told),
        TEST(what_is_outside_is_waited_for),
        TEST(what_fails_outside_again_and_again_is_given_up_until_somebody_has_it_run_again),
        TEST(a_cancelled_job_is_stopped_within_two_seconds),
        TEST(a_cancelled_job_that_does_not_listen_is_killed_as_soon),
        TEST(a_job_past_its_deadline_is_stopped),
        TEST(a_stopped_worker_puts_its_jobs_back),
        TEST(a_killed_worker_takes_its_jobs_along_and_the_next_one_goes_on),
        TEST(a_second_worker_of_one_state_directory_waits),
        TEST(a_paused_worker_that_wakes_up_late_leaves_another_ones_job_alone),
        TEST(a_name_from_another_host_is_not_taken),
        TEST(a_stopped_worker_does_not_wait_for_a_store_that_cannot_write),
    };
    if (argc > 2 && strcmp(argv[1], "job") == 0)
        return play(argc, argv);
    if (argc > 1 && strcmp(argv[1], "tidy") == 0) /* what that does is another test's */
        return 0;
    return RUN_ON_BOTH(tests);
}
