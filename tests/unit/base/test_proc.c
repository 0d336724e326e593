/* Child processes, tried on real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/clock.h"
#include "app/base/proc.h"

enum { SECONDS = 1000 };

static int run(const char *const *argv, struct proc_request request, struct proc_result *result, struct error *err)
{
    *result = (struct proc_result){.out = BUF_INIT(KiB(64)), .err = BUF_INIT(KiB(64))};
    request.argv = argv;
    if (!request.timeout_ms)
        request.timeout_ms = 20 * SECONDS;
    return proc_run(&request, result, err);
}

static void run_shell(const char *script, struct proc_request request, struct proc_result *result)
{
    struct error err = {0};
    if (run((const char *[]){"sh", "-c", script, NULL}, request, result, &err) < 0)
        fail_msg("%s", err.message);
}

static void test_gives_output_and_status(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("echo out; echo err >&2; exit 7", (struct proc_request){0}, &result);
    assert_string_equal(buf_text(&result.out), "out\n");
    assert_string_equal(buf_text(&result.err), "err\n");
    assert_int_equal(result.exit_status, 7);
    assert_int_equal(result.signal, 0);
    assert_false(result.timed_out);
    assert_false(result.output_cut);
    assert_in_range(result.elapsed_ms, 0, 10 * SECONDS);
    proc_result_release(&result);
}

static void test_arguments_are_not_seen_by_a_shell(void **state)
{
    (void)state;
    struct proc_result result;
    assert_int_equal(run((const char *[]){"printf", "%s|", "a b", "$(id)", "'; rm", "", NULL}, (struct proc_request){0},
                         &result, NULL),
                     0);
    assert_string_equal(buf_text(&result.out), "a b|$(id)|'; rm||");
    proc_result_release(&result);
}

static void test_a_signal_is_reported(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("kill -SEGV $$", (struct proc_request){0}, &result);
    assert_int_equal(result.exit_status, -1);
    assert_int_equal(result.signal, SIGSEGV);
    proc_result_release(&result);
}

static void test_input_is_given_whole(void **state)
{
    (void)state;
    struct proc_result result;
    AUTO_FREE char *input = calloc(1, MiB(3));
    memset(input, 'x', MiB(3));
    run_shell("wc -c", (struct proc_request){.input = input, .input_len = MiB(3)}, &result);
    assert_string_equal(buf_text(&result.out), "3145728\n");
    proc_result_release(&result);
    run_shell("exec true", (struct proc_request){.input = input, .input_len = MiB(3)}, &result); /* nobody reads */
    assert_int_equal(result.exit_status, 0);
    proc_result_release(&result);
    run_shell("wc -c", (struct proc_request){.input = NULL}, &result);
    assert_string_equal(buf_text(&result.out), "0\n");
    proc_result_release(&result);
}

static void test_both_outputs_are_drained_and_capped(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell(
        "i=0; while [ $i -lt 3000 ]; do printf %01000d $i; printf %01000d $i >&2; i=$((i+1)); done; echo done >&2",
        (struct proc_request){0}, &result);
    assert_int_equal(result.exit_status, 0);
    assert_true(result.output_cut);
    assert_int_equal(result.out.len, KiB(64));
    assert_int_equal(result.err.len, KiB(64));
    assert_false(result.out.failed);
    proc_result_release(&result);
}

static void test_the_environment_is_what_was_given(void **state)
{
    (void)state;
    struct proc_result result;
    setenv("ASSAY_TEST_LEAK", "leaked", 1);
    assert_int_equal(run((const char *[]){"env", NULL}, (struct proc_request){0}, &result, NULL), 0);
    AUTO_FREE char *expected = text_format("PATH=%s\n", getenv("PATH"));
    assert_string_equal(buf_text(&result.out), expected);
    proc_result_release(&result);
    struct proc_request request = {.environment = (const char *[]){"A=1", "B=2", NULL}};
    assert_int_equal(run((const char *[]){"env", NULL}, request, &result, NULL), 0);
    assert_string_equal(buf_text(&result.out), "A=1\nB=2\n");
    proc_result_release(&result);
}

static void test_only_three_descriptors_are_inherited(void **state)
{
    (void)state;
    struct proc_result result;
    int extra[2];
    assert_int_equal(pipe(extra), 0); /* not close-on-exec */
    run_shell("for fd in 3 4 5 6 7 8 9 10 11 12; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done; echo end",
              (struct proc_request){.directory = "/"}, &result);
    assert_string_equal(buf_text(&result.out), "end\n");
    close(extra[0]);
    close(extra[1]);
    proc_result_release(&result);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void test_nothing_is_left_open(void **state)
{
    (void)state;
    struct proc_result result;
    struct error err = {0};
    size_t before = open_descriptors();
    run_shell("true", (struct proc_request){.input = "x", .input_len = 1}, &result);
    proc_result_release(&result);
    assert_int_equal(run((const char *[]){"/nonexistent/program", NULL}, (struct proc_request){0}, &result, &err), -1);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_it_works_without_standard_descriptors(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct proc_result result;
        close(0);
        close(1);
        close(2);
        bool ok = run((const char *[]){"sh", "-c", "cat; echo err >&2", NULL},
                      (struct proc_request){.input = "in", .input_len = 2}, &result, NULL) == 0;
        _exit(ok && strcmp(buf_text(&result.out), "in") == 0 && strcmp(buf_text(&result.err), "err\n") == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_what_cannot_start_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *program, *directory;
        enum error_code code;
        const char *part;
    } cases[] = {
        {"assay-no-such-program", NULL, ERROR_NOT_FOUND, "run assay-no-such-program: there is no such program"},
        {"/etc/passwd", NULL, ERROR_IO, "run /etc/passwd: Permission denied"},
        {"true", "/nonexistent", ERROR_IO, "run true in /nonexistent: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proc_result result;
        struct error err = {0};
        struct proc_request request = {.directory = cases[i].directory};
        assert_int_equal(run((const char *[]){cases[i].program, NULL}, request, &result, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, cases[i].part));
    }
}

static void test_time_is_bounded(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("echo before; sleep 60", (struct proc_request){.timeout_ms = 300}, &result);
    assert_true(result.timed_out);
    assert_int_equal(result.signal, SIGTERM);
    assert_string_equal(buf_text(&result.out), "before\n");
    assert_in_range(result.elapsed_ms, 250, 10 * SECONDS);
    proc_result_release(&result);
}

static void test_who_ignores_a_request_is_killed(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("trap '' TERM; sleep 60 & while :; do sleep 1; done", (struct proc_request){.timeout_ms = 200}, &result);
    assert_true(result.timed_out);
    assert_int_equal(result.signal, SIGKILL);
    assert_in_range(result.elapsed_ms, 2000, 15 * SECONDS);
    proc_result_release(&result);
}

static void test_a_clean_end_after_a_request_is_a_timeout_all_the_same(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done", (struct proc_request){.timeout_ms = 300},
              &result);
    assert_true(result.timed_out);
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(buf_text(&result.out), "bye\n");
    proc_result_release(&result);
}

/* Waits until the process is gone, at most two seconds. */
static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 200; i++) {
        char path[64];
        char line[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "r");
        if (!file)
            return true;
        bool zombie = fgets(line, sizeof line, file) && strstr(line, ") Z ");
        fclose(file);
        if (zombie)
            return true;
        clock_sleep_ms(10);
    }
    return false;
}

static void test_children_left_behind_are_killed(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("sleep 60 & echo $!", (struct proc_request){0}, &result);
    assert_int_equal(result.exit_status, 0);
    assert_in_range(result.elapsed_ms, 0, 5 * SECONDS);
    assert_true(is_gone((pid_t)strtol(buf_text(&result.out), NULL, 10)));
    proc_result_release(&result);
}

static void test_a_stray_that_holds_the_pipes_does_not_hold_us(void **state)
{
    (void)state;
    struct proc_result result;
    run_shell("setsid sh -c 'echo $$; exec sleep 20' & sleep 0.5; echo end", (struct proc_request){0}, &result);
    assert_in_range(result.elapsed_ms, 500, 15 * SECONDS);
    assert_non_null(strstr(buf_text(&result.out), "end\n"));
    kill((pid_t)strtol(buf_text(&result.out), NULL, 10), SIGKILL);
    proc_result_release(&result);
}

static bool after_three(void *context)
{
    return ++*(int *)context >= 3;
}

static void test_a_request_to_stop_is_honoured(void **state)
{
    (void)state;
    int asked = 0;
    struct proc_result result;
    struct error err = {0};
    struct proc_request request = {.cancelled = after_three, .cancel_context = &asked};
    int64_t before = clock_monotonic_ms();
    assert_int_equal(run((const char *[]){"sleep", "60", NULL}, request, &result, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_in_range(clock_monotonic_ms() - before, 300, 10 * SECONDS);
    assert_int_equal(asked, 3);
    proc_result_release(&result);
}

static void test_blocked_and_ignored_signals_are_not_inherited(void **state)
{
    (void)state;
    struct proc_result result;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t '", (struct proc_request){0}, &result);
    signal(SIGPIPE, old);
    sigprocmask(SIG_SETMASK, &before, NULL);
    /* Signals 32 and 33 are the C library's own: it refuses to touch them, and some starters leave them ignored. */
    const char *ignored = strstr(buf_text(&result.out), "SigIgn:");
    assert_memory_equal(buf_text(&result.out), "SigBlk:0000000000000000", 23);
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + strlen("SigIgn:"), NULL, 16) & ~0x180000000ull, 0);
    proc_result_release(&result);
}

static void test_the_child_dies_with_us(void **state)
{
    (void)state;
    int ends[2];
    char text[32] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct proc_result result;
        AUTO_FREE char *script = text_format("echo $$ >/proc/%d/fd/%d; exec sleep 60", (int)getpid(), ends[1]);
        run((const char *[]){"sh", "-c", script, NULL}, (struct proc_request){0}, &result, NULL);
        _exit(0);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    kill(middle, SIGKILL);
    waitpid(middle, NULL, 0);
    assert_true(is_gone((pid_t)strtol(text, NULL, 10)));
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_output_and_status),
        cmocka_unit_test(test_arguments_are_not_seen_by_a_shell),
        cmocka_unit_test(test_a_signal_is_reported),
        cmocka_unit_test(test_input_is_given_whole),
        cmocka_unit_test(test_both_outputs_are_drained_and_capped),
        cmocka_unit_test(test_the_environment_is_what_was_given),
        cmocka_unit_test(test_only_three_descriptors_are_inherited),
        cmocka_unit_test(test_nothing_is_left_open),
        cmocka_unit_test(test_it_works_without_standard_descriptors),
        cmocka_unit_test(test_what_cannot_start_is_named),
        cmocka_unit_test(test_time_is_bounded),
        cmocka_unit_test(test_who_ignores_a_request_is_killed),
        cmocka_unit_test(test_a_clean_end_after_a_request_is_a_timeout_all_the_same),
        cmocka_unit_test(test_children_left_behind_are_killed),
        cmocka_unit_test(test_a_stray_that_holds_the_pipes_does_not_hold_us),
        cmocka_unit_test(test_a_request_to_stop_is_honoured),
        cmocka_unit_test(test_blocked_and_ignored_signals_are_not_inherited),
        cmocka_unit_test(test_the_child_dies_with_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
