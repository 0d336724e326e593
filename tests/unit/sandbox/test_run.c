/* Runs that are cancelled, killed, made twice at once, or cannot be had; other users, images and runtimes. */
#include "tests/unit/sandbox/world.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Takes the place of libc's. The first process that makes a user namespace is killed there, when KILLED_ONCE names a
 * file that is to tell of it. */
int unshare(int flags)
{
    const char *told = getenv("KILLED_ONCE");
    if (told && flags == CLONE_NEWUSER && open(told, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) >= 0)
        raise(SIGKILL);
    return (int)syscall(SYS_unshare, flags);
}

static bool cancel_when_running(void *context)
{
    struct world *world = context;
    note_id(world);
    return count_probes(world) > 0;
}

static void test_cancelling_ends_a_run_within_a_second(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {
        .argv = (const char *const[]){world->probe, "loop", NULL},
        .tree = world->tree,
        .cancelled = cancel_when_running,
        .cancel_context = world,
    };
    int64_t began = clock_monotonic_ms();
    assert_int_equal(sandbox_run(world->sandbox, &request, &result, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_in_range(clock_monotonic_ms() - began, 1, 1 * SECONDS);
}

/* Two processes share a sandbox; each guest waits two seconds and writes what only it knows. */
static void test_two_runs_at_once_do_not_see_each_other(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    int64_t began = clock_monotonic_ms();
    pid_t child = fork();
    const char *mine = child == 0 ? "second" : "first";
    AUTO_FREE char *script =
        text_format("echo %s >out; sleep 2; cat out; ls /proc | grep -c '^[0-9]'; ls -d out* | wc -l", mine);
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {.argv = (const char *const[]){"sh", "-c", script, NULL}, .tree = world->tree};
    int done = sandbox_run(world->sandbox, &request, &result, &err);
    AUTO_FREE char *expected = text_format("%s\n", mine);
    bool good = done == 0 && strncmp(buf_text(&result.out), expected, strlen(expected)) == 0;
    if (child == 0)
        _exit(good ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(good);
    assert_int_equal(status, 0);
    assert_in_range(clock_monotonic_ms() - began, 2 * SECONDS, 3900); /* at once, not one after the other */
    sandbox_result_release(&result);
}

static bool wait_for_probes(const struct world *world, bool some)
{
    for (int i = 0; i < 500; i++) {
        if ((count_probes(world) > 0) == some)
            return true;
        clock_sleep_ms(10);
    }
    return false;
}

/* kill -9 of our process ends the guest; the next sandbox_new() removes what the run has left. */
static void test_killing_us_kills_the_guest_and_the_rest_is_swept(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_config config = world_config();
    AUTO_FREE char *runs = text_format("%s/sandbox/*", world->state);
    pid_t child = fork();
    if (child == 0) {
        struct sandbox_result result;
        struct sandbox_request request = {.argv = (const char *const[]){world->probe, "loop", NULL},
                                          .tree = world->tree};
        sandbox_run(world->sandbox, &request, &result, NULL);
        _exit(0);
    }
    assert_true(wait_for_probes(world, true));
    note_id(world);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(wait_for_probes(world, false));
    assert_int_equal(count_matches(runs), 1);
    assert_true(count_groups(world) > 0);
    for (int i = 0; i < 500 && count_matches(runs) > 0; i++) { /* the runner may take a moment to die */
        sandbox_free(world_sandbox(world, &config));
        clock_sleep_ms(10);
    }
    assert_int_equal(count_matches(runs), 0);
    assert_int_equal(count_groups(world), 0);
}

static void test_a_sweep_leaves_living_runs_alone(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_config config = world_config();
    pid_t child = fork();
    if (child == 0) {
        struct sandbox_result result;
        struct sandbox_request request = {
            .argv = (const char *const[]){"sh", "-c", "./probe* loop & sleep 2; echo done", NULL}, .tree = world->tree};
        int done = sandbox_run(world->sandbox, &request, &result, NULL);
        _exit(done == 0 && strcmp(buf_text(&result.out), "done\n") == 0 ? 0 : 1);
    }
    assert_true(wait_for_probes(world, true));
    sandbox_free(world_sandbox(world, &config));
    assert_true(count_probes(world) > 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_a_missing_command_is_not_found(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    static const char *const commands[] = {"no-such-program", "./README", "/etc", "src/none"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct error err = {0};
        struct sandbox_result result;
        struct sandbox_request request = {.argv = (const char *const[]){commands[i], NULL}, .tree = world->tree};
        assert_int_equal(sandbox_run(world->sandbox, &request, &result, &err), -1);
        assert_int_equal(err.code, ERROR_NOT_FOUND);
        assert_non_null(strstr(err.message, commands[i]));
    }
}

static void test_wrong_requests_are_refused(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    const struct sandbox_request requests[] = {
        {.argv = (const char *const[]){NULL}},
        {.argv = (const char *const[]){"true", "\xff", NULL}},
        {.argv = (const char *const[]){"true", NULL}, .environment = (const char *const[]){"NOVALUE", NULL}},
        {.argv = (const char *const[]){"true", NULL}, .environment = (const char *const[]){"=x", NULL}},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct error err = {0};
        struct sandbox_result result;
        assert_int_equal(sandbox_run(world->sandbox, &requests[i], &result, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
    }
}

/* An image of one static program: no folder of the host is in it, not even a place for /workspace. */
static void test_an_image_is_the_guest_s_whole_root(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *image = text_format("%s/image", world->folder);
    AUTO_FREE char *bin = text_format("%s/image/bin", world->folder);
    AUTO_FREE char *from = text_format("%s/%s", world->tree, world->probe + 2);
    AUTO_FREE char *to = text_format("%s/image/bin/probe", world->folder);
    assert_int_equal(fs_make_dirs(bin, 0755, NULL), 0);
    assert_int_equal(link(from, to), 0);
    struct sandbox_config config = world_config();
    config.image = image;
    struct sandbox *sandbox = world_sandbox(world, &config);
    struct sandbox_result result;
    run_in(world, sandbox, (struct sandbox_request){.collect = (const char *const[]){"x", NULL}},
           (const char *const[]){"probe", "write", "/usr/x", "/bin/x", "/x", "/tmp/x", "x", NULL}, &result);
    assert_string_equal(buf_text(&result.out), "/usr/x: ENOENT\n/bin/x: EROFS\n/x: EROFS\n/tmp/x: ok\nx: ok\n");
    assert_int_equal(result.file_count, 1);
    sandbox_result_release(&result);
    sandbox_free(sandbox);
    assert_int_equal(fs_remove_tree(image, NULL), 0); /* holds nothing but the program */
}

/* Links in an image that lead to the host's root must end in the image's own. */
static void test_links_in_an_image_do_not_lead_out(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *image = text_format("%s/image", world->folder);
    AUTO_FREE char *host_place = text_format("%s/place", world->folder);
    static const char *const links[] = {"workspace", "tmp"};
    AUTO_FREE char *from = text_format("%s/%s", world->tree, world->probe + 2);
    AUTO_FREE char *to = text_format("%s/image/probe", world->folder);
    assert_int_equal(mkdir(image, 0755), 0);
    assert_int_equal(mkdir(host_place, 0777), 0);
    assert_int_equal(link(from, to), 0);
    for (size_t i = 0; i < 2; i++) {
        AUTO_FREE char *at = text_format("%s/%s", image, links[i]);
        AUTO_FREE char *target = text_format("%s/%s", host_place, links[i]);
        assert_int_equal(symlink(target, at), 0);
    }
    struct sandbox_config config = world_config();
    config.image = image;
    struct sandbox *sandbox = world_sandbox(world, &config);
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {.argv = (const char *const[]){"/probe", "write", "/workspace/x", "/tmp/x", NULL},
                                      .tree = world->tree};
    if (sandbox_run(sandbox, &request, &result, &err) == 0)
        sandbox_result_release(&result);
    assert_int_equal(rmdir(host_place), 0); /* nothing was made in it */
    sandbox_free(sandbox);
    fs_remove_tree(image, NULL);
}

static void test_tools_are_shown_and_found(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *tools = text_format("%s/tools", world->folder);
    struct sandbox_config config = world_config();
    struct error err = {0};
    assert_int_equal(mkdir(tools, 0755), 0);
    assert_int_equal(fs_write_beneath(tools, "bin/our-tool", "#!/bin/sh\necho tool $0\n", 23, true, NULL), 0);
    struct sandbox *sandbox = sandbox_new(&config, world->state, tools, &err);
    if (!sandbox)
        fail_msg("%s", err.message);
    struct sandbox_result result;
    run_in(world, sandbox, PLAIN, (const char *const[]){"sh", "-c", "our-tool; echo x >>$(which our-tool)", NULL},
           &result);
    AUTO_FREE char *expected = text_format("tool %s/bin/our-tool\n", tools);
    assert_string_equal(buf_text(&result.out), expected);
    assert_true(result.exit_status != 0);
    sandbox_result_release(&result);
    sandbox_free(sandbox);
    assert_int_equal(fs_remove_tree(tools, NULL), 0);
}

static void test_isolation_that_cannot_be_had_is_an_error(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    static char *const toolchains[] = {"/etc", "/", "/home", "/proc/self", "relative", "/no/such/folder"};
    struct sandbox_config configs[2 + sizeof toolchains / sizeof *toolchains];
    const char *words[sizeof configs / sizeof *configs] = {"no-such-runtime", "/no/such/image"};
    configs[0] = configs[1] = world_config();
    configs[0].runtime = (char *)"no-such-runtime";
    configs[1].image = (char *)"/no/such/image";
    for (size_t i = 0; i < sizeof toolchains / sizeof *toolchains; i++) {
        configs[i + 2] = world_config();
        configs[i + 2].toolchains = (struct yaml_texts){(char **)&toolchains[i], 1};
        words[i + 2] = toolchains[i];
    }
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        struct error err = {0};
        assert_null(sandbox_new(&configs[i], world->state, NULL, &err));
        assert_int_equal(err.code, ERROR_SANDBOX);
        assert_non_null(strstr(err.message, words[i]));
    }
}

/* A runtime that starts the command but sets no limit: a script that obeys the interface and nothing else. */
static void test_a_runtime_that_sets_no_limits_is_caught(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    static const char script[] = "#!/bin/sh\n"
                                 "sleep 30 >/dev/null 2>&1 &\n"
                                 "echo $! >pid\n";
    AUTO_FREE char *folder = text_format("%s/bad", world->folder);
    AUTO_FREE char *path = text_format("%s/bad/runc", world->folder); /* the name makes it one that detaches */
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(fs_write_beneath(folder, "runc", script, sizeof script - 1, true, NULL), 0);
    struct sandbox_config config = world_config();
    config.runtime = path;
    struct sandbox *sandbox = world_sandbox(world, &config);
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {.argv = (const char *const[]){"true", NULL}, .tree = world->tree};
    int64_t began = clock_monotonic_ms();
    assert_int_equal(sandbox_run(sandbox, &request, &result, &err), -1);
    assert_int_equal(err.code, ERROR_SANDBOX);
    assert_non_null(strstr(err.message, "without the limit on memory"));
    assert_in_range(clock_monotonic_ms() - began, 0, 5 * SECONDS); /* and was stopped */
    sandbox_free(sandbox);
    fs_remove_tree(folder, NULL);
}

/* Somebody, the kernel short of memory above all, has killed the runtime: the next try may do better. */
static void test_a_runtime_that_was_killed_is_worth_another_try(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    static const char script[] = "#!/bin/sh\nkill -9 $$\n";
    AUTO_FREE char *folder = text_format("%s/killed", world->folder);
    AUTO_FREE char *path = text_format("%s/killed/runc", world->folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(fs_write_beneath(folder, "runc", script, sizeof script - 1, true, NULL), 0);
    struct sandbox_config config = world_config();
    config.runtime = path;
    struct sandbox *sandbox = world_sandbox(world, &config);
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {.argv = (const char *const[]){"true", NULL}, .tree = world->tree};
    assert_int_equal(sandbox_run(sandbox, &request, &result, &err), -1);
    assert_int_equal(err.code, ERROR_SANDBOX);
    assert_non_null(strstr(err.message, "runc was ended by signal 9"));
    assert_true(err.retryable);
    sandbox_free(sandbox);
    fs_remove_tree(folder, NULL);
}

/* A killed child of the runtime shows only in the runtime's own words, and nothing of the command has run. */
static void test_a_runtime_that_fails_once_is_started_again(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *folder = text_format("%s/stumbles", world->folder);
    AUTO_FREE char *path = text_format("%s/runc", folder);
    AUTO_FREE char *script =
        text_format("#!/bin/sh\n"
                    "if mkdir %s/once; then\n"
                    "    echo 'runc run failed: can'\\''t get final child'\\''s PID from pipe: EOF' >&2\n"
                    "    exit 1\n"
                    "fi\n"
                    "exec runc \"$@\"\n",
                    folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(fs_write_beneath(folder, "runc", script, strlen(script), true, NULL), 0);
    struct sandbox_config config = world_config();
    config.runtime = path;
    struct sandbox *sandbox = world_sandbox(world, &config);
    struct error err = {0};
    struct sandbox_result result = {0};
    struct sandbox_request request = {.argv = (const char *const[]){"echo", "once", NULL}, .tree = world->tree};
    if (sandbox_run(sandbox, &request, &result, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(buf_text(&result.out), "once\n");
    sandbox_result_release(&result);
    sandbox_free(sandbox);
    fs_remove_tree(folder, NULL);
}

static void test_a_run_whose_namespace_holder_is_killed_is_started_again(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *told = text_format("%s/holder-killed", world->folder);
    struct error err = {0};
    struct sandbox_result result = {0};
    struct sandbox_request request = {.argv = (const char *const[]){"echo", "once", NULL}, .tree = world->tree};
    setenv("KILLED_ONCE", told, 1);
    int done = sandbox_run(world->sandbox, &request, &result, &err);
    unsetenv("KILLED_ONCE");
    if (done < 0)
        fail_msg("%s", err.message);
    assert_int_equal(unlink(told), 0); /* it was killed */
    assert_string_equal(buf_text(&result.out), "once\n");
    sandbox_result_release(&result);
}

struct killer {
    struct world *world;
    int wanted, killed;
};

/* A `cancelled` that never cancels: it kills guests from outside, as the kernel does when the machine is short of
 * memory. */
static bool kill_guest(void *context)
{
    struct killer *killer = context;
    if (killer->killed < killer->wanted)
        killer->killed += signal_probes(killer->world, SIGKILL) > 0; /* a shell that has just forked is there twice */
    return false;
}

/* The first process of a namespace cannot be killed from within. */
static void test_a_guest_that_is_killed_from_outside_runs_once_more(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *script = text_format("sleep 1; echo done # %s", world->probe);
    static const struct {
        int kills;
        enum sandbox_end end;
        const char *out;
    } rows[] = {{1, SANDBOX_EXITED, "done\n"}, {2, SANDBOX_SIGNALLED, ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct killer killer = {world, rows[i].kills, 0};
        struct sandbox_result result;
        RUN(world, ((struct sandbox_request){.cancelled = kill_guest, .cancel_context = &killer}), &result, "sh", "-c",
            script);
        assert_int_equal(killer.killed, rows[i].kills);
        assert_int_equal(result.end, rows[i].end);
        assert_int_equal(result.signal, rows[i].end == SANDBOX_SIGNALLED ? SIGKILL : 0);
        assert_string_equal(buf_text(&result.out), rows[i].out);
        sandbox_result_release(&result);
        assert_host_untouched(state);
    }
}

/* runc under another name is a runtime that we know nothing about: run in the foreground, inside limits of ours. */
static void test_an_unknown_runtime_is_held_to_the_same_limits(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *path = text_format("%s/other-runtime", world->folder);
    const char *runc = access("/usr/sbin/runc", X_OK) == 0 ? "/usr/sbin/runc" : "/usr/bin/runc";
    assert_int_equal(symlink(runc, path), 0);
    struct sandbox_config config = world_config();
    config.runtime = path;
    struct sandbox *sandbox = world_sandbox(world, &config);
    static const struct {
        const char *mode;
        enum sandbox_end end;
    } ends[] = {
        {"exit", SANDBOX_EXITED},
        {"crash", SANDBOX_SIGNALLED},
        {"loop", SANDBOX_TIMED_OUT},
        {"fork-bomb", SANDBOX_TOO_MANY_PROCESSES},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sandbox_result result;
        run_in(world, sandbox, (struct sandbox_request){.timeout_ms = 2 * SECONDS},
               (const char *const[]){world->probe, ends[i].mode, NULL}, &result);
        if (result.end != ends[i].end)
            fail_msg("%s: %s", ends[i].mode, sandbox_end_name(result.end));
        assert_true(result.memory_peak <= 128 << 20);
        sandbox_result_release(&result);
        assert_host_untouched(state);
    }
    sandbox_free(sandbox);
    unlink(path);
}

enum { OTHER_USER = 65533 };

/* Gives the user a place for groups, as an administrator or systemd's Delegate= would; false where that is not to be
 * had. Version 1: the folders "assay"; version 2: a group of its own, which the calling process enters. */
static bool delegate_groups(struct world *world, uid_t to)
{
    glob_t found;
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
        static const char *const files[] = {"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"};
        AUTO_FREE char *group = text_format("/sys/fs/cgroup/%s", world->probe + 2);
        bool done = mkdir(group, 0755) == 0 || errno == EEXIST;
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            AUTO_FREE char *path = text_format("%s%s", group, files[i]);
            done = done && chown(path, to, to) == 0;
        }
        AUTO_FREE char *procs = text_format("%s/cgroup.procs", group);
        AUTO_CLOSE int fd = open(procs, O_WRONLY | O_CLOEXEC);
        return done && write(fd, "0", 1) == 1;
    }
    assert_int_equal(glob("/sys/fs/cgroup/*/assay", 0, NULL, &found), 0);
    bool done = found.gl_pathc > 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        done = chown(found.gl_pathv[i], to, to) == 0 && done;
    globfree(&found);
    return done;
}

static void take_groups_back(struct world *world)
{
    AUTO_FREE char *group = text_format("/sys/fs/cgroup/%s", world->probe + 2);
    AUTO_FREE char *leaf = text_format("%s/main", group);
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0) {
        assert_true(delegate_groups(world, 0));
        return;
    }
    rmdir(leaf);
    assert_int_equal(rmdir(group), 0);
}

/* In a child that has become another user. Exits 0 when all went as it should, else says why not. */
static _Noreturn void run_as_other_user(const char *folder)
{
    AUTO_FREE char *state = text_format("%s/state", folder);
    struct error err = {0};
    struct sandbox_config config = world_config();
    struct sandbox *sandbox = sandbox_new(&config, state, NULL, &err);
    struct sandbox_result result;
    struct sandbox_request request = {
        .argv = (const char *const[]){"sh", "-ec",
                                      "cat mine; echo changed >mine; echo out >out; grep CapEff /proc/self/status\n"
                                      "touch /usr/x /etc/x 2>/dev/null || echo refused; unshare -m true || echo none",
                                      NULL},
        .tree = folder,
        .collect = (const char *const[]){"out", "mine", NULL},
    };
    if (!sandbox || sandbox_run(sandbox, &request, &result, &err) < 0) {
        fprintf(stderr, "as another user: %s\n", err.message);
        _exit(1);
    }
    bool good = strcmp(buf_text(&result.out), "his\nCapEff:\t0000000000000000\nrefused\nnone\n") == 0 &&
                result.file_count == 2 && strcmp(result.files[1].data, "changed\n") == 0;
    if (!good)
        fprintf(stderr, "as another user: %s%s\n", buf_text(&result.out), buf_text(&result.err));
    request.argv = (const char *const[]){"sh", "-c", "head -c 200000000 /dev/zero | tail", NULL};
    good = good && sandbox_run(sandbox, &request, &result, &err) == 0 && result.end == SANDBOX_OUT_OF_MEMORY;
    _exit(good ? 0 : 1);
}

static void test_a_service_without_root_runs_guests_too(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    AUTO_FREE char *folder = text_format("%s/his", world->folder);
    if (geteuid() != 0) {
        print_message("skipped: all other tests have shown it, as they were not run by root\n");
        skip();
    }
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(fs_write_beneath(folder, "mine", "his\n", 4, false, NULL), 0);
    AUTO_FREE char *file = text_format("%s/mine", folder);
    assert_int_equal(chown(folder, OTHER_USER, OTHER_USER), 0);
    assert_int_equal(chown(file, OTHER_USER, OTHER_USER), 0);
    pid_t child = fork();
    if (child == 0) {
        if (!delegate_groups(world, OTHER_USER) || setgroups(0, NULL) < 0 || setgid(OTHER_USER) < 0 ||
            setuid(OTHER_USER) < 0)
            _exit(2);
        run_as_other_user(folder);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    take_groups_back(world);
    assert_int_equal(status, 0);
    assert_int_equal(fs_remove_tree(folder, NULL), 0);
}

static void test_check_says_what_there_is(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct error err = {0};
    AUTO_BUF struct buf line = BUF_INIT(KiB(1));
    if (sandbox_check(world->sandbox, &line, &err) < 0)
        fail_msg("%s", err.message);
    assert_ptr_equal(strstr(buf_text(&line), "runc "), line.data);
    assert_non_null(strstr(buf_text(&line), ", cgroup v"));
    assert_non_null(strstr(buf_text(&line), ", 128 MiB, 1 cpus"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SANDBOX_TEST(test_cancelling_ends_a_run_within_a_second),
        SANDBOX_TEST(test_two_runs_at_once_do_not_see_each_other),
        SANDBOX_TEST(test_killing_us_kills_the_guest_and_the_rest_is_swept),
        SANDBOX_TEST(test_a_sweep_leaves_living_runs_alone),
        SANDBOX_TEST(test_a_missing_command_is_not_found),
        SANDBOX_TEST(test_wrong_requests_are_refused),
        SANDBOX_TEST(test_an_image_is_the_guest_s_whole_root),
        SANDBOX_TEST(test_links_in_an_image_do_not_lead_out),
        SANDBOX_TEST(test_tools_are_shown_and_found),
        SANDBOX_TEST(test_isolation_that_cannot_be_had_is_an_error),
        SANDBOX_TEST(test_a_runtime_that_sets_no_limits_is_caught),
        SANDBOX_TEST(test_a_runtime_that_was_killed_is_worth_another_try),
        SANDBOX_TEST(test_a_runtime_that_fails_once_is_started_again),
        SANDBOX_TEST(test_a_run_whose_namespace_holder_is_killed_is_started_again),
        SANDBOX_TEST(test_a_guest_that_is_killed_from_outside_runs_once_more),
        SANDBOX_TEST(test_an_unknown_runtime_is_held_to_the_same_limits),
        SANDBOX_TEST(test_a_service_without_root_runs_guests_too),
        SANDBOX_TEST(test_check_says_what_there_is),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
