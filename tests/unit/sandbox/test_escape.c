/* What a guest tries in order to get out, and what it gets. Real runs, real probe; the host is checked afterwards. */
#include "tests/unit/sandbox/world.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* The line "what: result" of the probe's output says the result. */
static void assert_told(const struct sandbox_result *result, const char *what, const char *expected)
{
    AUTO_FREE char *line = text_format("\n%s: ", what);
    AUTO_FREE char *out = text_format("\n%s", buf_text(&result->out));
    const char *at = strstr(out, line);
    if (!at)
        fail_msg("the probe did not try \"%s\": %s", what, out);
    at += strlen(line);
    if (strcspn(at, "\n") != strlen(expected) || strncmp(at, expected, strlen(expected)) != 0)
        fail_msg("%s: %.*s, should be %s", what, (int)strcspn(at, "\n"), at, expected);
}

static void test_host_files_are_not_there(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    static const char *const paths[] = {
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/ssl/private",
        "/root",
        "/home",
        "/var",
        "/run",
        "/boot",
        "/sys/kernel",
        "/sys/fs/cgroup/memory",
        "/mnt",
        "/etc/hostname",
        "/opt",
        "/proc/1/root/etc/shadow",
    };
    const char *argv[sizeof paths / sizeof *paths + 3] = {world->probe, "read"};
    memcpy(argv + 2, paths, sizeof paths);
    run_in(world, world->sandbox, PLAIN, argv, &result);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_told(&result, paths[i], "ENOENT");
    sandbox_result_release(&result);
}

static void test_the_kernel_s_own_files_are_closed(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, world->probe, "read", "/proc/kcore", "/proc/keys", "/dev/mem", "/dev/kmsg", "/dev/vda",
        "/proc/kmsg");
    /* A masked file is bound to /dev/null, which reads as empty; what is not there is not there. */
    assert_told(&result, "/dev/mem", "ENOENT");
    assert_told(&result, "/dev/kmsg", "ENOENT");
    assert_told(&result, "/dev/vda", "ENOENT");
    assert_null(strstr(buf_text(&result.out), "/proc/kmsg: ok"));
    sandbox_result_release(&result);
    RUN(world, PLAIN, &result, "cat", "/proc/keys", "/proc/timer_list");
    assert_string_equal(buf_text(&result.out), "");
    sandbox_result_release(&result);
}

static void test_nothing_outside_the_tree_can_be_written(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, world->probe, "write", "/probe", "/usr/probe", "/usr/bin/env", "/bin/probe",
        "/etc/probe", "/etc/passwd", "/etc/ld.so.cache", "/dev/probe", "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger", "/sys/probe", "/workspace/mine", "/tmp/assay-probe-wrote", "/dev/shm/assay-probe-wrote");
    static const char *const refused[] = {
        "/probe",     "/usr/probe",         "/usr/bin/env",     "/bin/probe",
        "/etc/probe", "/etc/passwd",        "/etc/ld.so.cache", "/proc/sys/kernel/hostname",
        "/sys/probe", "/proc/sysrq-trigger"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        AUTO_FREE char *allowed = text_format("%s: ok", refused[i]);
        assert_null(strstr(buf_text(&result.out), allowed));
    }
    assert_told(&result, "/usr/probe", "EROFS");
    assert_told(&result, "/etc/probe", "EROFS");
    assert_told(&result, "/dev/probe", "EACCES");
    assert_told(&result, "/workspace/mine", "ok");
    assert_told(&result, "/tmp/assay-probe-wrote", "ok");
    assert_told(&result, "/dev/shm/assay-probe-wrote", "ok");
    sandbox_result_release(&result);
    assert_false(fs_exists("/usr/probe"));
    assert_false(fs_exists("/tmp/assay-probe-wrote"));
    assert_false(fs_exists("/dev/shm/assay-probe-wrote"));
}

static void test_privileges_are_refused(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    static const char *const refused[] = {
        "setuid",
        "setgid",
        "mount",
        "umount",
        "chroot",
        "pivot_root",
        "open_tree",
        "fsopen",
        "unshare",
        "setns",
        "clone newuser",
        "clone newns",
        "ptrace",
        "process_vm_readv",
        "keyctl",
        "add_key",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "init_module",
        "kexec_load",
        "reboot",
        "swapon",
        "sethostname",
        "settimeofday",
        "open_by_handle_at",
        "quotactl",
        "acct",
        "mknod",
    };
    RUN(world, PLAIN, &result, world->probe, "privilege");
    assert_int_equal(result.end, SANDBOX_EXITED);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_told(&result, refused[i], "EPERM");
    assert_told(&result, "clone3", "ENOSYS");
    sandbox_result_release(&result);
}

static void test_credentials_are_empty(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, "cat", "/proc/self/status");
    const char *status = buf_text(&result.out);
    assert_non_null(strstr(status, "Uid:\t65532\t65532\t65532\t65532\n"));
    assert_non_null(strstr(status, "Gid:\t65532\t65532\t65532\t65532\n"));
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        AUTO_FREE char *none = text_format("%s:\t0000000000000000\n", sets[i]);
        assert_non_null(strstr(status, none));
    }
    assert_non_null(strstr(status, "NoNewPrivs:\t1\n"));
    assert_non_null(strstr(status, "Seccomp:\t2\n"));
    sandbox_result_release(&result);
}

static void test_only_its_own_processes_are_seen(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, "sh", "-c", "echo /proc/[0-9]*; cat /proc/1/cmdline | tr '\\0' ' '; hostname");
    assert_non_null(strstr(buf_text(&result.out), "/proc/1\nsh -c "));
    assert_non_null(strstr(buf_text(&result.out), "sandbox\n"));
    sandbox_result_release(&result);
}

/* A socket of ours listens on the host's loopback; a guest that shared it would get through. */
static void test_no_network(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char port[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(port, sizeof port, "%d", ntohs(at.sin_port));
    RUN(world, PLAIN, &result, world->probe, "connect", port);
    close(fd);
    assert_told(&result, "127.0.0.1", "ECONNREFUSED");
    assert_told(&result, "192.0.2.1", "ENETUNREACH");
    assert_told(&result, "vsock", "EPERM");
    assert_told(&result, "packet", "EPERM");
    assert_told(&result, "alg", "EPERM");
    assert_told(&result, "raw", "EPERM");
    sandbox_result_release(&result);
}

static void test_the_environment_is_not_ours(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    assert_non_null(getenv("ASSAY_TEST_CANARY"));
    RUN(world, ((struct sandbox_request){.environment = (const char *const[]){"MINE=1", "HOME=/workspace", NULL}}),
        &result, world->probe, "environment");
    assert_string_equal(buf_text(&result.out), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                                               "LANG=C.UTF-8\n"
                                               "MINE=1\n"
                                               "HOME=/workspace\n");
    sandbox_result_release(&result);
}

/* Every open file of ours, here one without close-on-exec, would be a way out. */
static void test_no_open_file_is_inherited(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    int fd = dup(0);
    RUN(world, PLAIN, &result, "sh", "-c", "ls /proc/1/fd; true");
    close(fd);
    assert_string_equal(buf_text(&result.out), "0\n1\n2\n");
    sandbox_result_release(&result);
}

static void test_signals_are_back_to_their_defaults(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    RUN(world, PLAIN, &result, "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status");
    signal(SIGPIPE, before);
    /* Signals 32 and 33 are the C library's own: it refuses to touch them, and some starters leave them ignored. */
    const char *ignored = strstr(buf_text(&result.out), "SigIgn:\t");
    assert_memory_equal(buf_text(&result.out), "SigBlk:\t0000000000000000\n", 25);
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & ~0x180000000ull, 0);
    sandbox_result_release(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SANDBOX_TEST(test_host_files_are_not_there),
        SANDBOX_TEST(test_the_kernel_s_own_files_are_closed),
        SANDBOX_TEST(test_nothing_outside_the_tree_can_be_written),
        SANDBOX_TEST(test_privileges_are_refused),
        SANDBOX_TEST(test_credentials_are_empty),
        SANDBOX_TEST(test_only_its_own_processes_are_seen),
        SANDBOX_TEST(test_no_network),
        SANDBOX_TEST(test_the_environment_is_not_ours),
        SANDBOX_TEST(test_no_open_file_is_inherited),
        SANDBOX_TEST(test_signals_are_back_to_their_defaults),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
