/* A confined process cannot do what a broken receiver would want to do. Each case is a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/confine.h"
#include "app/store.h"

static bool run_program(const char *folder)
{
    (void)folder;
    char *const argv[] = {"true", NULL};
    execv("/bin/true", argv);
    return errno != EPERM && errno != EACCES;
}

static bool open_socket(const char *folder)
{
    (void)folder;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM;
}

static bool trace_parent(const char *folder)
{
    (void)folder;
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 || errno != EPERM;
}

static bool kill_parent(const char *folder)
{
    (void)folder;
    return kill(getppid(), 0) == 0 || errno != EPERM;
}

static bool regain_root(const char *folder)
{
    (void)folder;
    return setgid(12345) == 0; /* needs CAP_SETGID, or that it is our group already */
}

static bool read_elsewhere(const char *folder)
{
    (void)folder;
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool write_below(const char *folder)
{
    AUTO_FREE char *path = text_format("%s/file", folder);
    return open(path, O_RDWR | O_CREAT, 0600) >= 0;
}

static bool use_database(const char *folder)
{
    struct error err = {0};
    AUTO_FREE char *url = text_format("sqlite://%s/some.db", folder);
    struct store *store = store_open(url, &err);
    bool works = store && store_ping(store, &err) == 0;
    store_close(store);
    return works;
}

/* The exit status: 0 it could, 1 it could not, 2 it was not confined. */
static int try_confined(bool (*attempt)(const char *), const char *folder)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = {0};
        const struct log quiet = {.fd = 2, .level = LOG_ERROR};
        if (confine_self(&(struct confinement){.folder = folder}, &quiet, &err) < 0) {
            print_message("%s\n", err.message);
            _exit(2);
        }
        _exit(attempt(folder) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void a_confined_process_can_use_its_database_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        bool (*attempt)(const char *);
        bool allowed, by_landlock;
    } cases[] = {
        {"run a program", run_program, false, false},         {"open a socket", open_socket, false, false},
        {"trace its parent", trace_parent, false, false},     {"kill its parent", kill_parent, false, false},
        {"change its group", regain_root, false, false},      {"read /etc/passwd", read_elsewhere, false, true},
        {"write below its folder", write_below, true, false}, {"use a database there", use_database, true, false},
    };
    AUTO_FREE char *folder = fs_make_temp_dir("/tmp", "assay-confine-", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].by_landlock && !has_landlock()) {
            print_message("not tried: %s (this kernel has no Landlock)\n", cases[i].what);
            continue;
        }
        int status = try_confined(cases[i].attempt, folder);
        if (status != (cases[i].allowed ? 0 : 1))
            fail_msg("%s: %d", cases[i].what, status);
    }
    fs_remove_tree(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_confined_process_can_use_its_database_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
