/* The program as an operator runs it: build/assay as a process, its children, its exit status. No forge and no model is
 * reached: their addresses are closed ports on loopback. */
#include "serve_fixture.h"

#include "app/base/proc.h"

/* ---- commands that end ---- */

static struct proc_result run(const struct world *world, const char *const *arguments)
{
    const char *argv[12] = {world->assay};
    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    struct error err = {0};
    AUTO_FREE char *home = text_format("HOME=%s", world->folder);
    const char *const environment[] = {"PATH=/usr/bin:/bin", home, NULL};
    struct proc_result result = {.out = BUF_INIT(MiB(1)), .err = BUF_INIT(MiB(1))};
    const struct proc_request request = {
        .argv = argv, .environment = environment, .directory = world->folder, .timeout_ms = 120000};
    if (proc_run(&request, &result, &err) < 0)
        fail_msg("%s", err.message);
    return result;
}

/* Runs a command and checks its status and what it says (out and err together). */
static void expect(const struct world *world, const char *const *arguments, int status, const char *says)
{
    struct proc_result result = run(world, arguments);
    if (result.exit_status != status || (!strstr(buf_text(&result.out), says) && !strstr(buf_text(&result.err), says)))
        fail_msg("assay %s: status %d, not %d, or no \"%s\" in:\n%s%s", arguments[0] ? arguments[0] : "",
                 result.exit_status, status, says, buf_text(&result.out), buf_text(&result.err));
    proc_result_release(&result);
}

static void wrong_use_is_one_line_and_status_2(void **state)
{
    const struct world *world = *state;
    need_program(world);
    expect(world, ARGS(), 2, "assay: name a command; `assay help` lists them\n");
    expect(world, ARGS("nope"), 2, "assay: there is no command nope");
    expect(world, ARGS("serve", "--nope"), 2, "assay: serve: unknown option --nope; see `assay serve --help`\n");
    expect(world, ARGS("show"), 2, "an argument is missing");
    expect(world, ARGS("show", "twelve"), 2, "twelve is not a job's id");
    expect(world, ARGS("jobs", "--state", "asleep"), 2, "there is no state asleep");
    expect(world, ARGS("jobs", "--repo", "octo"), 2, "octo is not OWNER/NAME");
    expect(world, ARGS("--version"), 0, "assay " ASSAY_VERSION "\n");
    expect(world, ARGS("--help"), 0, "usage: assay COMMAND");
    expect(world, ARGS("help", "jobs"), 0, "usage: assay jobs");
    expect(world, ARGS("receiver"), 1, "it is started by `assay serve`");
}

static void a_wrong_configuration_starts_nothing(void **state)
{
    const struct world *world = *state;
    need_program(world);
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"nonsense: 1\n", "nonsense"},
        {"models:\n  - {name: m, kind: openai, base_url: \"http://127.0.0.1:9/v1\", model: x}\n", "forge"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(world, "wrong.yml", cases[i].text);
        expect(world, ARGS("serve", "--config", "wrong.yml"), 2, cases[i].says);
    }
    expect(world, ARGS("serve", "--config", "missing.yml"), 2, "missing.yml");
    write_file(world, "secret", "");
    expect(world, ARGS("serve"), 2, "secret");
}

static struct store *store_of(const struct world *world)
{
    struct error err = {0};
    AUTO_FREE char *url = text_format("sqlite://%s/state/assay.db", world->folder);
    struct store *store = store_open(url, &err);
    if (!store)
        fail_msg("%s", err.message);
    return store;
}

static int64_t add_job(const struct world *world, const char *repo)
{
    struct store *store = store_of(world);
    json_auto_t *request = json_pack("{s:s}", "requester", "alice");
    const struct job job = {.forge = "github",
                            .owner = "octo",
                            .repo = (char *)repo,
                            .number = 7,
                            .kind = "generate",
                            .request_key = (char *)repo,
                            .title = "Slugify",
                            .request = request};
    int64_t id = 0;
    bool fresh = false;
    assert_int_equal(store_job_add(store, &job, &id, &fresh, NULL), 0);
    store_close(store);
    return id;
}

static void jobs_are_listed_shown_cancelled_and_retried(void **state)
{
    const struct world *world = *state;
    need_program(world);
    assert_int_equal(add_job(world, "slug"), 1);
    assert_int_equal(add_job(world, "other"), 2);
    expect(world, ARGS("jobs"), 0, "1\tqueued\t\tocto/slug\t#7\tgenerate\t");
    expect(world, ARGS("jobs", "--repo", "octo/other", "--limit", "1"), 0, "2\tqueued\t\tocto/other");
    expect(world, ARGS("jobs", "--json"), 0, "\"repository\": \"octo/slug\"");
    expect(world, ARGS("show", "1"), 0, "http://127.0.0.1:9/octo/slug/issues/7");
    expect(world, ARGS("show", "--json", "1"), 0, "\"requester\": \"alice\"");
    expect(world, ARGS("show", "9"), 1, "there is no job 9");
    expect(world, ARGS("retry", "1"), 1, "it is queued");
    expect(world, ARGS("cancel", "1"), 0, "job 1 is cancelled\n");
    expect(world, ARGS("cancel", "1"), 1, "it is cancelled");
    expect(world, ARGS("jobs", "--state", "cancelled"), 0, "1\tcancelled\t");
    expect(world, ARGS("retry", "1"), 0, "job 1 is queued again and starts afresh\n"); /* it never ran */
    expect(world, ARGS("jobs", "--state", "queued"), 0, "1\tqueued\t");
    expect(world, ARGS("deliveries", "--dead", "--json"), 0, "[]\n");
    expect(world, ARGS("deliveries", "--retry", "unheard-of"), 1, "there is no delivery unheard-of");
    expect(world, ARGS("deliveries", "--state", "lost"), 2, "there is no state lost");
    expect(world, ARGS("storage", "--json"), 0, "\"state_dir\"");
    expect(world, ARGS("migrate", "--to", "sqlite:///nowhere", "--from", "sqlite:///none.db"), 1,
           "there is no /none.db");
}

static void doctor_says_line_by_line_what_is_wrong(void **state)
{
    const struct world *world = *state;
    need_program(world);
    struct proc_result result = run(world, ARGS("doctor", "--config", world->config));
    const char *out = buf_text(&result.out);
    assert_int_equal(result.exit_status, 1);
    static const char *const expected[] = {"ok    configuration",
                                           "ok    database       schema ",
                                           "  tools ",
                                           "fail  model          model local",
                                           "fail  forge          github",
                                           "warn  webhooks"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!strstr(out, expected[i]))
            fail_msg("not found: %s\nin:\n%s%s", expected[i], out, buf_text(&result.err));
    assert_null(strstr(out, "token-of-the-test"));
    assert_null(strstr(out, "\033"));
    proc_result_release(&result);
    expect(world, ARGS("doctor", "--json"), 1, "\"check\": \"forge\"");
    write_file(world, "wrong.yml", "nonsense: 1\n");
    expect(world, ARGS("doctor", "--config", "wrong.yml"), 2, "fail  configuration");
}

/* ---- serve ---- */

static bool is_gone(pid_t pid)
{
    AUTO_FREE char *path = text_format("/proc/%d/stat", (int)pid);
    AUTO_BUF struct buf stat = BUF_INIT(KiB(4));
    return fs_read(path, &stat, NULL) < 0 || strstr(buf_text(&stat), ") Z ");
}

static bool are_gone_within(const pid_t *pids, size_t count, int64_t ms)
{
    int64_t deadline = clock_monotonic_ms() + ms;
    for (size_t i = 0; i < count; i++)
        while (!is_gone(pids[i])) {
            if (clock_monotonic_ms() > deadline)
                return false;
            clock_sleep_ms(20);
        }
    return true;
}

static void serve_takes_deliveries_and_stops_when_asked(void **state)
{
    struct world *world = *state;
    need_program(world);
    start_serve(world);
    assert_int_equal(request(world, "GET", "/healthz", NULL, NULL), 200);
    assert_int_equal(request(world, "GET", "/readyz", NULL, NULL), 200);
    assert_int_equal(deliver(world, "first"), 202);
    /* The delivery reaches the dispatcher, which starts with the others when the receiver is ready. */
    struct store *store = store_of(world);
    json_int_t done = 0;
    for (int i = 0; i < 500 && !done; i++) {
        json_auto_t *status = store_status(store, NULL);
        done = json_integer_value(json_object_get(json_object_get(status, "deliveries"), "done"));
        clock_sleep_ms(20);
    }
    store_close(store);
    assert_int_equal(done, 1);
    pid_t pids[8];
    size_t count = children_of(world->pid, NULL, pids, 8);
    assert_int_equal(count, 4);
    int status = -1;
    int64_t began = clock_monotonic_ms();
    kill(world->pid, SIGTERM);
    assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
    world->pid = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(clock_monotonic_ms() - began < 20000);
    assert_true(are_gone_within(pids, count, 0));
}

static void a_receiver_that_dies_is_replaced_and_no_delivery_is_refused(void **state)
{
    struct world *world = *state;
    need_program(world);
    start_serve(world);
    pid_t before = 0;
    pid_t after = 0;
    assert_int_equal(children_of(world->pid, "receiver", &before, 1), 1);
    kill(before, SIGKILL);
    assert_int_equal(deliver(world, "while-away"), 202); /* waits in the socket's queue */
    assert_int_equal(children_of(world->pid, "receiver", &after, 1), 1);
    assert_true(after != before);
}

static void kill_9_of_serve_takes_all_processes_with_it(void **state)
{
    struct world *world = *state;
    need_program(world);
    start_serve(world);
    pid_t pids[8];
    size_t count = children_of(world->pid, NULL, pids, 8);
    assert_int_equal(count, 4);
    kill(world->pid, SIGKILL);
    waitpid(world->pid, NULL, 0);
    world->pid = 0;
    assert_true(are_gone_within(pids, count, 3000));
}

static void the_receiver_has_no_key_but_the_webhook_secrets(void **state)
{
    struct world *world = *state;
    need_program(world);
    start_serve(world);
    pid_t pid = 0;
    assert_int_equal(children_of(world->pid, "receiver", &pid, 1), 1);
    AUTO_FREE char *path = text_format("/proc/%d/environ", (int)pid);
    AUTO_BUF struct buf environment = BUF_INIT(KiB(64));
    if (fs_read(path, &environment, NULL) < 0) {
        print_message("skipped: another user's environment cannot be read here\n");
        skip();
    }
    assert_string_equal(environment.data, "PATH=/usr/bin:/bin");
    assert_int_equal(environment.len, strlen("PATH=/usr/bin:/bin") + 1);
    AUTO_FREE char *command = text_format("/proc/%d/cmdline", (int)pid);
    AUTO_BUF struct buf line = BUF_INIT(KiB(64));
    assert_int_equal(fs_read(command, &line, NULL), 0);
    assert_int_equal(line.len, sizeof "assay\0receiver");
    AUTO_FREE char *status_path = text_format("/proc/%d/status", (int)pid);
    AUTO_BUF struct buf status = BUF_INIT(KiB(64));
    assert_int_equal(fs_read(status_path, &status, NULL), 0);
    static const char *const expected[] = {"CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n",
                                           "NoNewPrivs:\t1\n", "Seccomp:\t2\n"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_non_null(strstr(status.data, expected[i]));
}

/* The name of the file that the receiver runs; skips where it cannot be seen. Heap. */
static char *receiver_file(struct world *world)
{
    char target[PATH_MAX] = "";
    pid_t pid = 0;
    start_serve(world);
    assert_int_equal(deliver(world, "first"), 202);
    assert_int_equal(children_of(world->pid, "receiver", &pid, 1), 1);
    AUTO_FREE char *path = text_format("/proc/%d/exe", (int)pid);
    if (readlink(path, target, sizeof target - 1) < 0) {
        print_message("skipped: another user's program cannot be seen here\n");
        skip();
    }
    return strdup(strrchr(target, '/') + 1);
}

static void the_receiver_is_a_program_of_its_own(void **state)
{
    struct world *world = *state;
    need_program(world);
    AUTO_FREE char *file = receiver_file(world);
    assert_string_equal(file, "assay-receiver-sqlite");
}

static void assay_without_it_is_its_own_receiver(void **state)
{
    struct world *world = *state;
    need_program(world);
    AUTO_BUF struct buf program = BUF_INIT(MiB(256));
    AUTO_FREE char *alone = text_format("%s/assay", world->folder);
    assert_int_equal(fs_read(world->assay, &program, NULL), 0);
    assert_int_equal(fs_write_atomic(alone, program.data, program.len, 0700, NULL), 0);
    free(world->assay);
    world->assay = STEAL(alone);
    AUTO_FREE char *file = receiver_file(world);
    assert_string_equal(file, "assay");
}

#define SERVE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVE_TEST(wrong_use_is_one_line_and_status_2),
        SERVE_TEST(a_wrong_configuration_starts_nothing),
        SERVE_TEST(jobs_are_listed_shown_cancelled_and_retried),
        SERVE_TEST(doctor_says_line_by_line_what_is_wrong),
        SERVE_TEST(serve_takes_deliveries_and_stops_when_asked),
        SERVE_TEST(a_receiver_that_dies_is_replaced_and_no_delivery_is_refused),
        SERVE_TEST(kill_9_of_serve_takes_all_processes_with_it),
        SERVE_TEST(the_receiver_has_no_key_but_the_webhook_secrets),
        SERVE_TEST(the_receiver_is_a_program_of_its_own),
        SERVE_TEST(assay_without_it_is_its_own_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
