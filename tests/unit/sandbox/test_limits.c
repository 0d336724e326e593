/* Each limit ends a guest in a result of its own, and the host is untouched afterwards. Real runs, real probe. */
#include "tests/unit/sandbox/world.h"

static const struct {
    const char *what;
    const char *args[4];
    int64_t timeout_ms; /* 0: the sandbox's, long enough */
    enum sandbox_end end;
    int exit_status, signal;
} ends[] = {
    {"exits by itself", {"exit", "7"}, 0, SANDBOX_EXITED, 7, 0},
    {"exits like a shell after a signal", {"exit", "139"}, 0, SANDBOX_EXITED, 139, 0},
    {"crashes", {"crash"}, 0, SANDBOX_SIGNALLED, -1, SIGSEGV},
    {"never ends", {"loop"}, 1 * SECONDS, SANDBOX_TIMED_OUT, -1, 0},
    {"eats its own output", {"swallow"}, 1 * SECONDS, SANDBOX_TIMED_OUT, -1, 0},
    {"makes processes without end", {"fork-bomb"}, 0, SANDBOX_TOO_MANY_PROCESSES, -1, 0},
    {"eats memory", {"memory"}, 0, SANDBOX_OUT_OF_MEMORY, -1, SIGKILL},
    {"has a child that eats memory", {"memory", "child"}, 0, SANDBOX_OUT_OF_MEMORY, 0, 0},
    {"fills the tree", {"fill", "big"}, 0, SANDBOX_DISK_FULL, 1, 0},
    {"fills /tmp", {"fill", "/tmp/big"}, 0, SANDBOX_DISK_FULL, 1, 0},
    {"takes all inodes of the tree", {"inodes", "src"}, 0, SANDBOX_DISK_FULL, 1, 0},
    {"takes all inodes of /tmp", {"inodes", "/tmp"}, 0, SANDBOX_DISK_FULL, 1, 0},
    {"prints 10 GB", {"output"}, 0, SANDBOX_TOO_MUCH_OUTPUT, -1, 0},
    {"prints 10 GB of complaints", {"output", "err"}, 0, SANDBOX_TOO_MUCH_OUTPUT, -1, 0},
    {"leaves a process behind", {"background"}, 0, SANDBOX_EXITED, 0, 0},
};

static void test_a_guest_that(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sandbox_result result;
        struct sandbox_request request = {.timeout_ms = ends[i].timeout_ms, .output_max = MiB(1)};
        RUN(world, request, &result, world->probe, ends[i].args[0], ends[i].args[1], ends[i].args[2]);
        if (result.end != ends[i].end || result.exit_status != ends[i].exit_status || result.signal != ends[i].signal)
            fail_msg("a guest that %s: %s, exit status %d, signal %d; standard error: %.200s", ends[i].what,
                     sandbox_end_name(result.end), result.exit_status, result.signal, buf_text(&result.err));
        assert_true(result.out.len <= MiB(1) && result.err.len <= MiB(1));
        assert_in_range(result.elapsed_ms, 1, 15 * SECONDS);
        assert_true(result.memory_peak <= 128 << 20);
        sandbox_result_release(&result);
        assert_host_untouched(state);
    }
}

static void test_output_is_kept_up_to_the_cap(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, ((struct sandbox_request){.output_max = 100000}), &result, world->probe, "output");
    assert_int_equal(result.end, SANDBOX_TOO_MUCH_OUTPUT);
    assert_int_equal(result.out.len, 100000);
    assert_int_equal(strspn(buf_text(&result.out), "x"), 100000);
    sandbox_result_release(&result);
}

static void test_output_before_a_timeout_is_kept(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, ((struct sandbox_request){.timeout_ms = 1 * SECONDS, .collect = (const char *const[]){"x", NULL}}),
        &result, "sh", "-c", "echo before; echo kept >x; sleep 100");
    assert_int_equal(result.end, SANDBOX_TIMED_OUT);
    assert_string_equal(buf_text(&result.out), "before\n");
    assert_int_equal(result.file_count, 1);
    assert_string_equal(result.files[0].data, "kept\n");
    assert_in_range(result.elapsed_ms, 1 * SECONDS, 5 * SECONDS);
    sandbox_result_release(&result);
}

static void test_memory_peak_is_told(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, "sh", "-c", "head -c 8000000 /dev/zero >/tmp/x");
    assert_int_equal(result.end, SANDBOX_EXITED);
    assert_in_range(result.memory_peak, 8000000, 128 << 20);
    sandbox_result_release(&result);
}

/* Two busy processes on one processor's worth of quota get one second of processor time in each second. */
static void test_processor_time_is_limited(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_config config = world_config();
    config.cpus = 0.2;
    struct sandbox *sandbox = world_sandbox(world, &config);
    struct sandbox_result result;
    run_in(world, sandbox, (struct sandbox_request){.timeout_ms = 10 * SECONDS},
           (const char *const[]){"sh", "-c",
                                 "timeout 2 sh -c 'while :; do :; done'; read a b c d rest </proc/1/stat; cat "
                                 "/proc/1/stat | cut -d' ' -f16,17",
                                 NULL},
           &result);
    long user = 0, kernel = 0; /* of the children that were waited for, in hundredths of a second */
    assert_int_equal(sscanf(buf_text(&result.out), "%ld %ld", &user, &kernel), 2);
    assert_in_range(user + kernel, 1, 100); /* 40 by the quota; 200 without one */
    sandbox_result_release(&result);
    sandbox_free(sandbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SANDBOX_TEST(test_a_guest_that),
        SANDBOX_TEST(test_output_is_kept_up_to_the_cap),
        SANDBOX_TEST(test_output_before_a_timeout_is_kept),
        SANDBOX_TEST(test_memory_peak_is_told),
        SANDBOX_TEST(test_processor_time_is_limited),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
