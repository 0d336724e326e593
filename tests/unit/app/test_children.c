/* Processes that are to run for as long as we do; the children here are real shells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/children.h"

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

struct world {
    char *folder;
    char *variable; /* "F=<folder>" */
    const char *environment[3];
    struct stop stop;
    struct log log;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->folder = fs_make_temp_dir("/tmp", "assay-children-", NULL);
    assert_non_null(world->folder);
    world->variable = text_format("F=%s", world->folder);
    world->environment[0] = "PATH=/usr/bin:/bin";
    world->environment[1] = world->variable;
    world->log = (struct log){.fd = 2, .level = LOG_ERROR + 1};
    assert_int_equal(stop_watch(&world->stop, NULL), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    stop_release(&world->stop);
    fs_remove_tree(world->folder, NULL);
    free(world->folder);
    free(world->variable);
    free(world);
    return 0;
}

static struct child_spec shell(const struct world *world, const char *const *argv)
{
    return (struct child_spec){
        .name = "test", .program = "/bin/sh", .argv = argv, .environment = world->environment, .socket = -1};
}

/* Sends us SIGTERM `times` times, 150 ms apart, after `ms`: as an operator would. */
static pid_t stop_us_after(int64_t ms, int times)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    clock_sleep_ms(ms);
    for (int i = 0; i < times; i++) {
        kill(parent, SIGTERM);
        clock_sleep_ms(150);
    }
    _exit(0);
}

/* The text of a file that a child has written below the world's folder; "" when it has not. Heap. */
static char *written(const struct world *world, const char *name)
{
    AUTO_FREE char *path = text_format("%s/%s", world->folder, name);
    struct buf text = BUF_INIT(KiB(64));
    fs_read(path, &text, NULL);
    return buf_steal(&text, NULL);
}

static size_t lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void run(struct world *world, const struct child_spec *specs, size_t count, struct children_hooks hooks)
{
    struct error err = {0};
    if (children_run(specs, count, &hooks, &world->stop, &world->log, &err) < 0)
        fail_msg("%s", err.message);
}

static void a_child_that_ends_is_started_again_with_growing_pauses(void **state)
{
    struct world *world = *state;
    const struct child_spec spec = shell(world, SHELL("date +%s%N >>$F/starts; kill -9 $$"));
    pid_t pid = stop_us_after(1500, 1);
    run(world, &spec, 1, (struct children_hooks){.backoff_ms = 50});
    waitpid(pid, NULL, 0);
    AUTO_FREE char *starts = written(world, "starts");
    /* At 0, 50, 150, 350 and 750 ms and what starting takes; without growth there would be twenty. */
    assert_in_range(lines(starts), 3, 5);
    char *at = starts;
    int64_t first = strtoll(at, &at, 10) / 1000000;
    int64_t second = strtoll(at, &at, 10) / 1000000;
    int64_t third = strtoll(at, &at, 10) / 1000000;
    assert_true(second - first >= 50);
    assert_true(third - second >= 100);
}

static void a_child_that_ran_long_enough_is_started_again_soon(void **state)
{
    struct world *world = *state;
    const struct child_spec spec = shell(world, SHELL("echo start >>$F/starts; sleep 0.1"));
    pid_t pid = stop_us_after(1500, 1);
    run(world, &spec, 1, (struct children_hooks){.backoff_ms = 20, .steady_ms = 50});
    waitpid(pid, NULL, 0);
    AUTO_FREE char *starts = written(world, "starts");
    assert_true(lines(starts) >= 6); /* with doubled pauses it would be six at the very most: 20, 40, … 640 */
}

static void all_are_asked_to_stop_and_the_rest_is_killed(void **state)
{
    struct world *world = *state;
    const struct child_spec specs[] = {
        shell(world, SHELL("trap 'echo polite >>$F/ended; exit 0' TERM; while :; do sleep 0.05; done")),
        shell(world, SHELL("trap '' TERM; sleep 60 & echo $! $$ >$F/pids; while :; do sleep 1; done")),
    };
    pid_t pid = stop_us_after(400, 1);
    int64_t began = clock_monotonic_ms();
    run(world, specs, 2, (struct children_hooks){.stop_ms = 500});
    waitpid(pid, NULL, 0);
    assert_in_range(clock_monotonic_ms() - began, 850, 4000);
    AUTO_FREE char *ended = written(world, "ended");
    assert_string_equal(ended, "polite\n");
    AUTO_FREE char *pids = written(world, "pids");
    char *at = pids;
    assert_true(strtol(at, &at, 10) > 1);
    clock_sleep_ms(50);
    assert_int_equal(kill((pid_t)strtol(at, NULL, 10), 0), -1);
    /* Its own child was in its group and has gone with it; an unreaped one may be left to init. */
    AUTO_FREE char *stat_path = text_format("/proc/%ld/stat", strtol(pids, NULL, 10));
    AUTO_BUF struct buf stat = BUF_INIT(KiB(4));
    assert_true(fs_read(stat_path, &stat, NULL) < 0 || strstr(buf_text(&stat), ") Z "));
}

static void a_second_signal_kills_at_once(void **state)
{
    struct world *world = *state;
    const struct child_spec spec = shell(world, SHELL("trap '' TERM; while :; do sleep 1; done"));
    pid_t pid = stop_us_after(300, 2);
    int64_t began = clock_monotonic_ms();
    run(world, &spec, 1, (struct children_hooks){.stop_ms = 60000});
    waitpid(pid, NULL, 0);
    assert_true(clock_monotonic_ms() - began < 5000);
}

static void a_wrong_configuration_ends_all_instead_of_restarting(void **state)
{
    struct world *world = *state;
    struct error err = {0};
    const struct child_spec specs[] = {
        shell(world, SHELL("trap 'echo polite >>$F/ended; exit 0' TERM; while :; do sleep 0.05; done")),
        shell(world, SHELL("echo start >>$F/starts; sleep 0.3; exit 2")),
    };
    const struct children_hooks hooks = {.backoff_ms = 10};
    assert_int_equal(children_run(specs, 2, &hooks, &world->stop, &world->log, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    AUTO_FREE char *ended = written(world, "ended");
    AUTO_FREE char *starts = written(world, "starts");
    assert_string_equal(ended, "polite\n");
    assert_string_equal(starts, "start\n");
}

static void count_call(void *context)
{
    (*(int *)context)++;
}

static void readiness_is_told_once_when_all_have_told_it(void **state)
{
    struct world *world = *state;
    int calls = 0;
    struct child_spec specs[] = {
        shell(world, SHELL("echo ready; sleep 0.2; exit 1")),                                    /* again and again */
        shell(world, SHELL("sleep 0.4; echo ready; sleep 60")), shell(world, SHELL("sleep 60")), /* does not tell */
    };
    specs[0].tells_ready = specs[1].tells_ready = true;
    pid_t pid = stop_us_after(250, 1); /* before the second is ready */
    run(world, specs, 3, (struct children_hooks){.ready = count_call, .context = &calls, .backoff_ms = 10});
    waitpid(pid, NULL, 0);
    assert_int_equal(calls, 0);
    world->stop.asked = 0;
    pid = stop_us_after(1500, 1);
    run(world, specs, 3, (struct children_hooks){.ready = count_call, .context = &calls, .backoff_ms = 10});
    waitpid(pid, NULL, 0);
    assert_int_equal(calls, 1);
}

static void who_tells_has_a_head_start_which_ends(void **state)
{
    struct world *world = *state;
    struct child_spec specs[] = {
        shell(world, SHELL("echo other >>$F/starts; sleep 60")),
        shell(world, SHELL("sleep 0.3; echo teller >>$F/starts; echo ready; sleep 60")),
    };
    specs[1].tells_ready = true;
    pid_t pid = stop_us_after(1200, 1);
    run(world, specs, 2, (struct children_hooks){0});
    waitpid(pid, NULL, 0);
    AUTO_FREE char *order = written(world, "starts");
    assert_string_equal(order, "teller\nother\n");
    specs[1] = shell(world, SHELL("echo silent >>$F/starts; sleep 60"));
    specs[1].tells_ready = true;
    world->stop.asked = 0;
    pid = stop_us_after(3200, 1);
    run(world, specs, 2, (struct children_hooks){0});
    waitpid(pid, NULL, 0);
    AUTO_FREE char *all = written(world, "starts");
    assert_string_equal(all, "teller\nother\nsilent\nother\n");
}

static void a_child_has_what_it_was_given_and_nothing_else(void **state)
{
    struct world *world = *state;
    setenv("ASSAY_TEST_SECRET", "hunter2", 1);
    int leak = open("/dev/null", O_RDONLY); /* without close-on-exec */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct child_spec spec = shell(world, SHELL("cat >$F/input; env >$F/env; ls -v /proc/$$/fd >$F/fds; "
                                                "echo through >&3; ps -o pgid= $$ >$F/group; echo $$ >>$F/group; "
                                                "echo ready; sleep 60"));
    spec.input = "{\"secret\": \"x\"}";
    spec.input_len = strlen(spec.input);
    spec.socket = ends[1];
    spec.tells_ready = true;
    pid_t pid = stop_us_after(700, 1);
    run(world, &spec, 1, (struct children_hooks){0});
    waitpid(pid, NULL, 0);
    AUTO_FREE char *input = written(world, "input");
    AUTO_FREE char *env = written(world, "env");
    AUTO_FREE char *fds = written(world, "fds");
    AUTO_FREE char *group = written(world, "group");
    assert_string_equal(input, spec.input);
    assert_null(strstr(env, "hunter2"));
    assert_non_null(strstr(env, world->variable));
    assert_int_equal(strncmp(fds, "0\n1\n2\n3\n", 8), 0);
    assert_null(strchr(fds + 8, '4')); /* the shell keeps its own copies from 10 up */
    assert_int_equal(strtol(group, NULL, 10), strtol(strchr(group, '\n'), NULL, 10));
    char text[16] = "";
    assert_int_equal(read(ends[0], text, sizeof text - 1), 8);
    assert_string_equal(text, "through\n");
    close(leak);
    close(ends[0]);
    close(ends[1]);
    unsetenv("ASSAY_TEST_SECRET");
}

static void a_child_dies_with_us(void **state)
{
    struct world *world = *state;
    pid_t pid = fork();
    if (pid == 0) {
        const struct child_spec spec = shell(world, SHELL("echo $$ >$F/pid; while :; do sleep 0.05; done"));
        const struct children_hooks hooks = {0};
        children_run(&spec, 1, &hooks, &world->stop, &world->log, NULL);
        _exit(0);
    }
    AUTO_FREE char *text = written(world, "pid");
    for (int i = 0; i < 100 && !*text; i++) {
        clock_sleep_ms(20);
        free(text);
        text = written(world, "pid");
    }
    pid_t child = (pid_t)strtol(text, NULL, 10);
    assert_true(child > 1);
    assert_int_equal(kill(child, 0), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    bool gone = false;
    for (int i = 0; i < 100 && !gone; i++) {
        AUTO_FREE char *path = text_format("/proc/%d/stat", (int)child);
        AUTO_BUF struct buf stat = BUF_INIT(KiB(4));
        gone = fs_read(path, &stat, NULL) < 0 || strstr(buf_text(&stat), ") Z "); /* init may be slow to reap */
        clock_sleep_ms(20);
    }
    assert_true(gone);
}

static void an_input_that_fits_no_pipe_is_refused_not_waited_for(void **state)
{
    struct world *world = *state;
    AUTO_FREE char *big = calloc(1, MiB(1));
    memset(big, 'x', MiB(1) - 1);
    struct child_spec spec = shell(world, SHELL("echo start >>$F/starts"));
    spec.input = big;
    spec.input_len = MiB(1) - 1;
    pid_t pid = stop_us_after(200, 1);
    run(world, &spec, 1, (struct children_hooks){.backoff_ms = 10});
    waitpid(pid, NULL, 0);
    AUTO_FREE char *starts = written(world, "starts");
    assert_string_equal(starts, "");
}

#define CHILD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHILD_TEST(a_child_that_ends_is_started_again_with_growing_pauses),
        CHILD_TEST(a_child_that_ran_long_enough_is_started_again_soon),
        CHILD_TEST(all_are_asked_to_stop_and_the_rest_is_killed),
        CHILD_TEST(a_second_signal_kills_at_once),
        CHILD_TEST(a_wrong_configuration_ends_all_instead_of_restarting),
        CHILD_TEST(readiness_is_told_once_when_all_have_told_it),
        CHILD_TEST(who_tells_has_a_head_start_which_ends),
        CHILD_TEST(a_child_has_what_it_was_given_and_nothing_else),
        CHILD_TEST(a_child_dies_with_us),
        CHILD_TEST(an_input_that_fits_no_pipe_is_refused_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
