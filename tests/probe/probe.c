/* A guest that misbehaves on purpose, one way for each mode; static, so that it runs in any root file system.
 *
 * What it tries is printed as "what: result" lines, where result is "ok" or an errno name, and the tests say which
 * result must come out. A mode that is meant to be stopped never ends by itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Says how a system call went: `result` as it returned, errno as it left it. */
static void tell(const char *what, long result)
{
    printf("%s: %s\n", what, result >= 0 ? "ok" : strerrorname_np(errno));
    fflush(stdout);
}

static int do_exit(char **args)
{
    return args[0] ? (int)strtol(args[0], NULL, 10) : 0;
}

static int do_print(char **args)
{
    for (; *args; args++)
        printf("%s\n", *args);
    return 0;
}

static int do_environment(char **args)
{
    (void)args;
    return do_print(environ);
}

static int do_loop(char **args)
{
    (void)args;
    for (volatile bool on = true; on;)
        ;
    return 0;
}

/* Every process makes more, and none of them ends. */
static int do_fork_bomb(char **args)
{
    (void)args;
    for (volatile bool on = true; on;)
        if (fork() < 0)
            usleep(1000);
    return 0;
}

/* Eats memory as fast as it can; with "child" in a child, whose death this process survives. */
static int do_memory(char **args)
{
    size_t step = 16 << 20;
    if (args[0] && fork() > 0) {
        wait(NULL);
        return 0;
    }
    for (;;) {
        void *at = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at != MAP_FAILED)
            memset(at, 1, step);
    }
}

static int do_output(char **args)
{
    static char line[65536];
    int fd = args[0] && strcmp(args[0], "err") == 0 ? 2 : 1;
    memset(line, 'x', sizeof line);
    for (long long left = 10LL << 30; left > 0; left -= (long long)sizeof line)
        if (write(fd, line, sizeof line) < 0)
            return 1;
    return 0;
}

/* Writes one file until there is no room. */
static int do_fill(char **args)
{
    static char block[65536];
    memset(block, 'x', sizeof block);
    int fd = open(args[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ssize_t put = fd < 0 ? -1 : 0;
    while (put >= 0)
        put = write(fd, block, sizeof block);
    tell("fill", put);
    return 1;
}

static int do_inodes(char **args)
{
    for (long i = 0;; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%ld", args[0], i);
        int fd = open(path, O_WRONLY | O_CREAT, 0644);
        if (fd < 0) {
            tell("inodes", fd);
            return 1;
        }
        close(fd);
    }
}

static int do_write(char **args)
{
    for (; *args; args++) {
        int fd = open(*args, O_WRONLY | O_CREAT, 0644);
        tell(*args, fd < 0 ? -1 : write(fd, "probe\n", 6));
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

static int do_read(char **args)
{
    for (; *args; args++) {
        char text[256];
        int fd = open(*args, O_RDONLY);
        tell(*args, fd < 0 ? -1 : read(fd, text, sizeof text));
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

static void try_connect(const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, address, &to.sin_addr);
    tell(address, fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof to));
}

/* args: the port on which the host listens on loopback. The other address is one that documentation uses. */
static int do_connect(char **args)
{
    static const struct {
        const char *name;
        int family, type, protocol;
    } sockets[] = {
        {"vsock", AF_VSOCK, SOCK_STREAM, 0},
        {"packet", AF_PACKET, SOCK_RAW, 0},
        {"alg", AF_ALG, SOCK_SEQPACKET, 0},
        {"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP},
    };
    try_connect("127.0.0.1", (int)strtol(args[0], NULL, 10));
    try_connect("192.0.2.1", 80);
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
        tell(sockets[i].name, socket(sockets[i].family, sockets[i].type, sockets[i].protocol));
    return 0;
}

static long clone_with(unsigned long flags)
{
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long clone3_plain(void)
{
    struct clone_args how = {.exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &how, sizeof how);
    if (pid == 0)
        _exit(0);
    return pid;
}

/* Each is refused with EPERM by the filter or for want of a capability; clone3 with ENOSYS. */
static int do_privilege(char **args)
{
    (void)args;
    static char space[4096];
    tell("setuid", setuid(0));
    tell("setgid", setgid(0));
    tell("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    tell("umount", umount2("/tmp", MNT_DETACH));
    tell("chroot", chroot("/tmp"));
    tell("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
    tell("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    tell("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    tell("unshare", unshare(CLONE_NEWUSER));
    tell("setns", setns(open("/proc/self/ns/user", O_RDONLY), 0));
    tell("clone newuser", clone_with(CLONE_NEWUSER));
    tell("clone newns", clone_with(CLONE_NEWNS));
    tell("clone3", clone3_plain());
    tell("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    tell("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
    tell("add_key", syscall(SYS_add_key, "user", "probe", "x", 1, -2));
    tell("bpf", syscall(SYS_bpf, 0, space, 64));
    tell("perf_event_open", syscall(SYS_perf_event_open, space, 0, -1, -1, 0));
    tell("userfaultfd", syscall(SYS_userfaultfd, 0));
    tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, space));
    tell("init_module", syscall(SYS_init_module, space, 0, ""));
    tell("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    tell("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
    tell("swapon", syscall(SYS_swapon, "/tmp/x", 0));
    tell("sethostname", sethostname("probe", 5));
    tell("settimeofday", syscall(SYS_settimeofday, NULL, NULL));
    tell("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, space, 0));
    tell("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
    tell("acct", syscall(SYS_acct, NULL));
    tell("mknod", mknod("/tmp/memory", S_IFCHR | 0666, 1 << 8 | 1));
    return 0;
}

/* Leaves a process behind that ignores what can be ignored and holds the outputs open. */
static int do_background(char **args)
{
    (void)args;
    if (fork() == 0) {
        setsid();
        for (int i = 1; i < NSIG; i++)
            signal(i, SIG_IGN);
        for (;;)
            sleep(1000);
    }
    printf("left\n");
    return 0;
}

/* args: target, name */
static int do_link(char **args)
{
    tell("link", symlink(args[0], args[1]));
    return 0;
}

static int do_fifo(char **args)
{
    tell("fifo", mkfifo(args[0], 0666));
    return 0;
}

/* Reads back its own output, so that whoever waits for that output by a blocking read would hang. */
static int do_swallow(char **args)
{
    (void)args;
    char text[65536];
    int fd = open("/proc/self/fd/1", O_RDWR);
    while (write(fd, "x", 1) > 0 && read(fd, text, sizeof text) > 0)
        ;
    return 1;
}

static int do_crash(char **args)
{
    (void)args;
    volatile int *nowhere = NULL;
    *nowhere = 1;
    return 0;
}

static const struct {
    const char *name;
    int (*run)(char **args);
    int arguments; /* at least */
} modes[] = {
    {"exit", do_exit, 0},
    {"print", do_print, 0},
    {"environment", do_environment, 0},
    {"loop", do_loop, 0},
    {"fork-bomb", do_fork_bomb, 0},
    {"memory", do_memory, 0},
    {"output", do_output, 0},
    {"fill", do_fill, 1},
    {"inodes", do_inodes, 1},
    {"write", do_write, 1},
    {"read", do_read, 1},
    {"connect", do_connect, 1},
    {"privilege", do_privilege, 0},
    {"background", do_background, 0},
    {"link", do_link, 2},
    {"fifo", do_fifo, 1},
    {"swallow", do_swallow, 0},
    {"crash", do_crash, 0},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0 && argc - 2 >= modes[i].arguments)
            return modes[i].run(argv + 2);
    fprintf(stderr, "usage: probe MODE [ARGUMENT…], modes:");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        fprintf(stderr, " %s", modes[i].name);
    fprintf(stderr, "\n");
    return 64;
}
