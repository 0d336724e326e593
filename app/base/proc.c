#include "app/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"

enum {
    TICK_MS = 200,   /* how often `cancelled` is asked */
    GRACE_MS = 2000, /* from SIGTERM to SIGKILL */
    DRAIN_MS = 500,  /* for output after the end, should a stray process hold the pipes open */
};

/* What the child is started with. Every descriptor is above 2 and close-on-exec; -1 when closed. */
struct start {
    int ends[3];      /* its standard input, output and error */
    int failure;      /* where it reports that it could not start */
    const char *path; /* "PATH=…" for an otherwise empty environment */
};

struct failure {
    int errnum;
    bool at_exec; /* else before it: directory, descriptors */
};

/* The parent's ends, and the running child. */
struct child {
    int out, err, failure;
    int pidfd;
    pid_t pid;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Out of the way of 0, 1 and 2, which the child overwrites; we may have been started with those closed. */
static int raise_fd(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return raised;
}

static int open_pipe(int *read_end, int *write_end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    *read_end = raise_fd(ends[0]);
    *write_end = raise_fd(ends[1]);
    return *read_end < 0 || *write_end < 0 ? -1 : 0;
}

/* Input is a file in memory, not a pipe: a child that does not read cannot block us or raise SIGPIPE. */
static int open_input(const struct proc_request *request)
{
    if (!request->input)
        return raise_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    int fd = raise_fd(memfd_create("input", MFD_CLOEXEC));
    for (size_t done = 0; fd >= 0 && done < request->input_len;) {
        ssize_t put = pwrite(fd, request->input + done, request->input_len - done, (off_t)done);
        if (put > 0)
            done += (size_t)put;
        else if (errno != EINTR)
            close_fd(&fd);
    }
    return fd;
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* fails for a few, which have their default anyway */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Runs in the child between fork and exec: nothing here may allocate or take a lock. */
_Noreturn static void child_start(const struct proc_request *request, const struct start *start, pid_t parent)
{
    const char *const only_path[] = {start->path, NULL};
    const char *const *environment = request->environment ? request->environment : only_path;
    reset_signals();
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(127);
    bool ready = true;
    for (int i = 0; i < 3; i++)
        ready = ready && dup2(start->ends[i], i) == i;
    ready = ready && close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
    ready = ready && (!request->directory || chdir(request->directory) == 0);
    if (ready)
        execvpe(request->argv[0], (char *const *)request->argv, (char *const *)environment);
    struct failure failure = {.errnum = errno, .at_exec = ready};
    (void)!write(start->failure, &failure, sizeof failure);
    _exit(127);
}

static int start_failed(const struct proc_request *request, const struct failure *failure, struct error *err)
{
    const char *program = request->argv[0];
    if (failure->at_exec && failure->errnum == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "run %s: there is no such program; install it or correct PATH", program);
    if (!failure->at_exec && request->directory)
        return error_system(err, failure->errnum, "run %s in %s", program, request->directory);
    return error_system(err, failure->errnum, "run %s", program);
}

/* Forks and waits until the child has become the program, or has told why not. */
static int launch(const struct proc_request *request, struct start *start, struct child *child, struct error *err)
{
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid < 0)
        return error_system(err, errno, "run %s", request->argv[0]);
    if (child->pid == 0)
        child_start(request, start, parent);
    setpgid(child->pid, child->pid); /* both sides, so that neither runs ahead of it */
    for (int i = 0; i < 3; i++)
        close_fd(&start->ends[i]);
    close_fd(&start->failure);
    struct failure failure;
    ssize_t got;
    do
        got = read(child->failure, &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    if (got == sizeof failure) {
        start_failed(request, &failure, err);
    } else {
        child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
        if (child->pidfd >= 0)
            return 0;
        error_system(err, errno, "watch %s", request->argv[0]);
        kill(child->pid, SIGKILL);
    }
    waitpid(child->pid, NULL, 0);
    return -1;
}

/* Reads once from a pipe; what is over the buffer's cap is thrown away. Closes the pipe at its end. */
static void drain(int *fd, struct buf *out, bool *cut)
{
    char chunk[16384];
    ssize_t got = read(*fd, chunk, sizeof chunk);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) {
        close_fd(fd);
        return;
    }
    size_t room = out->max - out->len;
    size_t fits = (size_t)got < room ? (size_t)got : room;
    if (buf_add(out, chunk, fits) < 0 || fits < (size_t)got)
        *cut = true;
}

/* Waits up to `wait_ms` for output or the end, and takes what output there is. True when the child has ended. */
static bool wait_child(struct child *child, struct proc_result *result, int64_t wait_ms, bool ended)
{
    struct pollfd fds[] = {
        {.fd = child->out, .events = POLLIN},
        {.fd = child->err, .events = POLLIN},
        {.fd = ended ? -1 : child->pidfd, .events = POLLIN},
    };
    if (poll(fds, 3, (int)(wait_ms < 0 ? 0 : wait_ms)) <= 0)
        return ended;
    if (fds[0].revents)
        drain(&child->out, &result->out, &result->output_cut);
    if (fds[1].revents)
        drain(&child->err, &result->err, &result->output_cut);
    return ended || fds[2].revents;
}

static void signal_group(const struct child *child, int number)
{
    kill(-child->pid, number);
    kill(child->pid, number); /* should it have left its group */
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Until the end. True when it was ended because the caller asked for it. */
static bool attend(const struct proc_request *request, struct child *child, struct proc_result *result)
{
    int64_t deadline = clock_monotonic_ms() + request->timeout_ms;
    bool stopping = false;
    bool cancelled = false;
    bool ended = false;
    while (!ended) {
        ended = wait_child(child, result, least(TICK_MS, deadline - clock_monotonic_ms()), false);
        int64_t now = clock_monotonic_ms();
        bool stop = !stopping && !ended && request->cancelled && request->cancelled(request->cancel_context);
        cancelled = cancelled || stop;
        if (ended || (now < deadline && !stop))
            continue;
        result->timed_out = !cancelled;
        signal_group(child, stopping ? SIGKILL : SIGTERM);
        deadline = stopping ? INT64_MAX : now + GRACE_MS;
        stopping = true;
    }
    return cancelled;
}

static void reap(struct child *child, struct proc_result *result)
{
    siginfo_t info = {0};
    kill(-child->pid, SIGKILL); /* what it left behind; its unreaped pid keeps the group's number ours */
    result->exit_status = -1;
    while (waitid(P_PID, (id_t)child->pid, &info, WEXITED) < 0)
        if (errno != EINTR)
            return;
    if (info.si_code == CLD_EXITED)
        result->exit_status = info.si_status;
    else
        result->signal = info.si_status;
}

static void close_all(struct start *start, struct child *child)
{
    for (int i = 0; i < 3; i++)
        close_fd(&start->ends[i]);
    close_fd(&start->failure);
    close_fd(&child->out);
    close_fd(&child->err);
    close_fd(&child->failure);
    close_fd(&child->pidfd);
}

static int open_all(const struct proc_request *request, struct start *start, struct child *child)
{
    if ((start->ends[0] = open_input(request)) < 0 || open_pipe(&child->out, &start->ends[1]) < 0 ||
        open_pipe(&child->err, &start->ends[2]) < 0 || open_pipe(&child->failure, &start->failure) < 0)
        return -1;
    return 0;
}

static int run(const struct proc_request *request, struct start *start, struct child *child, struct proc_result *result,
               struct error *err)
{
    int64_t began = clock_monotonic_ms();
    if (open_all(request, start, child) < 0)
        return error_system(err, errno, "run %s", request->argv[0]);
    if (launch(request, start, child, err) < 0)
        return -1;
    result->exit_status = -1;
    result->signal = 0;
    result->timed_out = result->output_cut = false;
    bool cancelled = attend(request, child, result);
    reap(child, result);
    int64_t until = clock_monotonic_ms() + DRAIN_MS;
    for (int64_t left; (child->out >= 0 || child->err >= 0) && (left = until - clock_monotonic_ms()) > 0;)
        wait_child(child, result, left, true);
    result->elapsed_ms = clock_monotonic_ms() - began;
    return cancelled ? error_set(err, ERROR_CANCELLED, "%s was stopped on request", request->argv[0]) : 0;
}

int proc_run(const struct proc_request *request, struct proc_result *result, struct error *err)
{
    const char *path = getenv("PATH");
    AUTO_FREE char *path_line = text_format("PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
    if (!path_line || !request->argv || !request->argv[0])
        return error_set(err, ERROR_INTERNAL, "run a program: %s", path_line ? "no program is named" : "out of memory");
    struct start start = {.ends = {-1, -1, -1}, .failure = -1, .path = path_line};
    struct child child = {.out = -1, .err = -1, .failure = -1, .pidfd = -1};
    int status = run(request, &start, &child, result, err);
    close_all(&start, &child);
    return status;
}

void proc_result_release(struct proc_result *result)
{
    buf_release(&result->out);
    buf_release(&result->err);
}
