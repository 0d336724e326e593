#include "sandbox/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/fs.h"

/* What init says to the runner. */
struct init_report {
    enum init_event {
        INIT_STARTED,
        INIT_FAILED,  /* value: errno */
        INIT_REFUSED, /* by the runtime; value: its wait status */
        INIT_ENDED,   /* value: the guest's wait status */
    } what;
    int value;
};

static void send_frame(const struct runner *runner, enum frame_kind kind, size_t index, const void *data, size_t len)
{
    struct frame frame = {.kind = kind, .index = (uint32_t)index, .len = len};
    if (fs_write_all(runner->frames, &frame, sizeof frame) < 0 || fs_write_all(runner->frames, data, len) < 0)
        _exit(1); /* nobody listens any more */
}

int frame_next(const struct buf *bytes, size_t *at, struct frame *frame)
{
    struct frame next;
    size_t left = bytes->len - *at;
    if (left < sizeof next)
        return 0;
    memcpy(&next, bytes->data + *at, sizeof next);
    if (next.len > left - sizeof next)
        return 0;
    next.data = bytes->data + *at + sizeof next;
    *at += sizeof next + (size_t)next.len;
    *frame = next;
    return 1;
}

static _Noreturn void fail(const struct runner *runner, const struct error *err)
{
    send_frame(runner, FRAME_FAILED, 0, err, sizeof *err);
    _exit(1);
}

/* Signals back to their defaults: what our program does with them is none of the guest's. */
static void reset_signals(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool is_closed(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) != 0;
}

/* Ends this process when the parent does; `lifeline` shows whether that has happened before the call. */
static void die_with_parent(int lifeline)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || is_closed(lifeline))
        _exit(1);
}

static pid_t start_runtime(const struct runner *runner)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    /* First out of the way: a program that was started without 0, 1 or 2 has our pipes there. */
    int out = fcntl(runner->out, F_DUPFD_CLOEXEC, 3), err = fcntl(runner->err, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(127);
    signal(SIGPIPE, SIG_DFL); /* what is ignored would stay so in the guest */
    runtime_exec(runner->runtime, runner->id);
    _exit(127);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

static void report(int fd, enum init_event what, int value)
{
    struct init_report report = {.what = what, .value = value};
    if (fs_write_all(fd, &report, sizeof report) < 0)
        _exit(1);
}

/* The first process of the process namespace. A runtime that detaches leaves the guest to its parent's init: us. */
static _Noreturn void init_main(const struct runner *runner, int reports, int lifeline)
{
    die_with_parent(lifeline);
    close(runner->frames);
    bool ready = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 &&
                 (runner->runtime->detaches || cgroup_enter(runner->cgroups, runner->id) == 0);
    pid_t runtime = ready ? start_runtime(runner) : -1;
    if (runtime < 0) {
        report(reports, INIT_FAILED, errno);
        _exit(1);
    }
    close(runner->out);
    close(runner->err);
    int status = wait_for(runtime);
    pid_t guest = runtime_guest_pid();
    if (guest < 0 || (runner->runtime->detaches && status != 0)) {
        report(reports, INIT_REFUSED, status);
        _exit(0);
    }
    report(reports, INIT_STARTED, 0);
    if (runner->runtime->detaches)
        status = wait_for(guest);
    report(reports, INIT_ENDED, status);
    _exit(0);
}

/* Starts init. It dies with us; the write end of the lifeline is never written to. */
static pid_t start_init(const struct runner *runner, int *reports, struct error *err)
{
    int pipe_reports[2], lifeline[2];
    if (pipe2(pipe_reports, O_CLOEXEC) < 0 || pipe2(lifeline, O_CLOEXEC) < 0 || unshare(CLONE_NEWPID) < 0)
        return error_system(err, errno, "start the guest in a process namespace of its own");
    pid_t pid = fork();
    if (pid < 0)
        return error_system(err, errno, "start the guest");
    if (pid == 0) {
        close(lifeline[1]);
        init_main(runner, pipe_reports[1], lifeline[0]);
    }
    close(lifeline[0]);
    close(pipe_reports[1]);
    close(runner->out); /* so that the outputs end with the guest */
    close(runner->err);
    *reports = pipe_reports[0];
    return pid;
}

/* Takes in one report. True while there is more to come. */
static bool take_report(const struct runner *runner, const struct init_report *one, struct frame_end *end)
{
    struct error err;
    switch (one->what) {
    case INIT_STARTED:
        send_frame(runner, FRAME_STARTED, 0, NULL, 0);
        return true;
    case INIT_REFUSED:
        send_frame(runner, FRAME_REFUSED, 0, &one->value, sizeof one->value);
        return false;
    case INIT_FAILED:
        error_set(&err, ERROR_SANDBOX,
                  "start the guest in a process namespace: %s; in a container, /proc must not be masked",
                  strerrordesc_np(one->value));
        send_frame(runner, FRAME_FAILED, 0, &err, sizeof err);
        return false;
    case INIT_ENDED:
        *end = (struct frame_end){.wait_status = one->value};
        return false;
    }
    return false;
}

/* Follows init until it has no more to say or we are told to stop; kills it in any case. */
static struct frame_end follow(const struct runner *runner, pid_t init, int reports)
{
    struct pollfd fds[] = {{.fd = reports, .events = POLLIN}, {.fd = runner->stop, .events = POLLIN}};
    struct frame_end end = {.stopped = true};
    struct init_report one;
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno == EINTR)
            continue;
        if (fds[1].revents || read(reports, &one, sizeof one) != sizeof one || !take_report(runner, &one, &end))
            break;
    }
    kill(init, SIGKILL);
    wait_for(init); /* returns when the kernel has killed and reaped the whole namespace */
    return end;
}

static void send_files(const struct runner *runner)
{
    for (size_t i = 0; runner->request->collect && runner->request->collect[i]; i++) {
        AUTO_BUF struct buf file = BUF_INIT(runner->collect_max);
        if (workspace_read(runner->request->collect[i], &file, NULL) == 0)
            send_frame(runner, FRAME_FILE, i, buf_text(&file), file.len);
    }
}

static int prepare(const struct runner *runner, struct error *err)
{
    if (workspace_enter(runner->workspace, runner->folder, err) < 0)
        return -1;
    die_with_parent(runner->stop); /* again: a new user namespace forgets it */
    if (workspace_mount(runner->workspace, runner->tree, runner->request, err) < 0)
        return -1;
    return fs_write_atomic("config.json", runner->config, strlen(runner->config), 0600, err);
}

_Noreturn void runner_main(const struct runner *runner)
{
    struct error err = {0};
    int reports = -1;
    reset_signals();
    signal(SIGPIPE, SIG_IGN);
    setsid(); /* Ctrl-C at a terminal is for our program, which then stops us */
    umask(022);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    die_with_parent(runner->stop);
    if (prepare(runner, &err) < 0)
        fail(runner, &err);
    pid_t init = start_init(runner, &reports, &err);
    if (init < 0)
        fail(runner, &err);
    struct frame_end end = follow(runner, init, reports);
    end.full = workspace_is_full();
    send_files(runner);
    send_frame(runner, FRAME_ENDED, 0, &end, sizeof end);
    _exit(0);
}
