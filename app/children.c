#include "app/children.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"

enum {
    TICK_MS = 1000,
    PASSED_FD = 3,       /* where a child finds its socket */
    BACKOFF_FACTOR = 30, /* the longest pause, in first pauses */
    STATUS_CONFIG = 2,   /* error_exit_status() for usage and configuration */
    HEAD_START_MS = 2000 /* for those that tell when they are ready: they need not share the processor meanwhile */
};

struct child {
    const struct child_spec *spec;
    pid_t pid; /* 0: not running */
    int pidfd;
    int ready_fd; /* the reading end, or -1 */
    bool ready;
    int64_t kill_ms; /* it is being replaced: when it must have ended; 0: it is not */
    int64_t started_ms, pause_ms, start_at_ms;
};

struct family {
    struct child *children;
    size_t count;
    struct children_hooks hooks;
    const struct log *log;
    bool announced;
    bool misconfigured; /* a child has ended with status 2 */
};

static void close_fd(int *fd)
{
    auto_close(fd);
    *fd = -1;
}

/* ---- starting ---- */

struct ends {
    int input, output; /* the child's; output -1: ours */
    int ready;         /* our end of its output */
};

/* All of the input is put into the pipe before there is a child: it fits, or the child is not started. */
static int open_input(const struct child_spec *spec, struct error *err)
{
    int ends[2];
    if (!spec->input)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_system(err, errno, "start %s", spec->name);
    ssize_t put = write(ends[1], spec->input, spec->input_len);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, 0); /* the child reads it as any other */
    if (put == (ssize_t)spec->input_len)
        return ends[0];
    close(ends[0]);
    return error_set(err, ERROR_LIMIT, "start %s: its input of %zu bytes does not fit a pipe", spec->name,
                     spec->input_len);
}

static int open_ends(const struct child_spec *spec, struct ends *ends, struct error *err)
{
    int output[2] = {-1, -1};
    ends->input = open_input(spec, err);
    if (ends->input < 0)
        return -1;
    if (spec->tells_ready && pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_system(err, errno, "start %s", spec->name);
    ends->ready = output[0];
    ends->output = output[1];
    return 0;
}

/* Between fork and exec: nothing here may allocate or take a lock. */
_Noreturn static void become(const struct child_spec *spec, const struct ends *ends, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(127);
    stop_unblock();
    bool set = dup2(ends->input, STDIN_FILENO) >= 0;
    set = set && (ends->output < 0 || dup2(ends->output, STDOUT_FILENO) >= 0);
    set = set && (spec->socket < 0 || spec->socket == PASSED_FD || dup2(spec->socket, PASSED_FD) >= 0);
    unsigned first = spec->socket < 0 ? PASSED_FD : PASSED_FD + 1;
    if (spec->socket == PASSED_FD)
        fcntl(PASSED_FD, F_SETFD, 0);
    set = set && close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
    if (set)
        execve(spec->program, (char *const *)spec->argv,
               spec->environment ? (char *const *)spec->environment : environ);
    _exit(127);
}

static int start(struct child *child, struct error *err)
{
    struct ends ends = {-1, -1, -1};
    pid_t parent = getpid();
    int status = open_ends(child->spec, &ends, err);
    pid_t pid = status == 0 ? fork() : -1;
    if (pid == 0)
        become(child->spec, &ends, parent);
    if (status == 0 && pid < 0)
        status = error_system(err, errno, "start %s", child->spec->name);
    close_fd(&ends.input);
    close_fd(&ends.output);
    if (status < 0) {
        close_fd(&ends.ready);
        return -1;
    }
    setpgid(pid, pid); /* both sides, so that neither runs ahead of it */
    child->pid = pid;
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    child->ready_fd = ends.ready;
    child->started_ms = clock_monotonic_ms();
    return 0;
}

/* ---- ending ---- */

static const char *how_it_ended(int status, char text[static 48])
{
    if (WIFSIGNALED(status))
        snprintf(text, 48, "was ended by signal %d (%s)", WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(text, 48, "ended with status %d", WEXITSTATUS(status));
    return text;
}

/* True when the child has ended and was reaped; *status as of waitpid(2). */
static bool reap(struct child *child, int *status)
{
    if (!child->pid || waitpid(child->pid, status, WNOHANG) != child->pid)
        return false;
    kill(-child->pid, SIGKILL); /* what it left behind */
    child->pid = 0;
    close_fd(&child->pidfd);
    close_fd(&child->ready_fd);
    return true;
}

static void plan_restart(struct family *family, struct child *child, const char *why)
{
    int64_t now = clock_monotonic_ms();
    int64_t first = family->hooks.backoff_ms;
    bool steady = child->started_ms && now - child->started_ms >= family->hooks.steady_ms;
    int64_t pause = steady || !child->pause_ms ? first : child->pause_ms * 2;
    child->pause_ms = pause > first * BACKOFF_FACTOR ? first * BACKOFF_FACTOR : pause;
    child->start_at_ms = now + child->pause_ms;
    char text[CLOCK_TEXT_SIZE];
    log_warn(family->log, "%s %s; it is started again in %s", child->spec->name, why,
             clock_duration(child->pause_ms, text));
}

static void attend(struct family *family, struct child *child)
{
    int status = 0;
    char text[48];
    if (child->pid && child->kill_ms && clock_monotonic_ms() >= child->kill_ms)
        kill(-child->pid, SIGKILL);
    if (!reap(child, &status))
        return;
    if (child->kill_ms) { /* start_at_ms has passed: the new one comes at once */
        child->kill_ms = 0;
        return;
    }
    family->misconfigured = WIFEXITED(status) && WEXITSTATUS(status) == STATUS_CONFIG;
    if (family->misconfigured)
        log_error(family->log, "%s %s: wrong use or configuration", child->spec->name, how_it_ended(status, text));
    else
        plan_restart(family, child, how_it_ended(status, text));
}

static bool any_runs(const struct family *family)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->children[i].pid)
            return true;
    return false;
}

static void signal_all(const struct family *family, int number)
{
    for (size_t i = 0; i < family->count; i++) {
        const struct child *child = &family->children[i];
        if (child->pid && kill(number == SIGKILL ? -child->pid : child->pid, number) < 0)
            kill(child->pid, number);
    }
}

/* ---- the loop ---- */

static void hear_ready(struct child *child)
{
    char word[16];
    ssize_t got = read(child->ready_fd, word, sizeof word);
    if (got > 0 && memchr(word, '\n', (size_t)got))
        child->ready = true;
    if (got == 0)
        close_fd(&child->ready_fd); /* it closed its output; its end is told by the pidfd */
}

static bool all_have_told(const struct family *family)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->children[i].spec->tells_ready && !family->children[i].ready)
            return false;
    return true;
}

static void end_head_start(struct family *family)
{
    for (size_t i = 0; i < family->count; i++)
        if (!family->children[i].started_ms)
            family->children[i].start_at_ms = 0;
}

/* Waits for anything to happen, at most until the next restart is due. */
static void wait_for_news(struct family *family, struct stop *stop, struct pollfd *fds, int64_t wait_ms)
{
    fds[0] = (struct pollfd){.fd = stop->fd, .events = POLLIN};
    for (size_t i = 0; i < family->count; i++) {
        fds[1 + 2 * i] = (struct pollfd){.fd = family->children[i].pidfd, .events = POLLIN};
        fds[2 + 2 * i] = (struct pollfd){.fd = family->children[i].ready_fd, .events = POLLIN};
    }
    if (poll(fds, 1 + 2 * family->count, (int)(wait_ms < 0 ? 0 : wait_ms)) <= 0)
        return;
    for (size_t i = 0; i < family->count; i++)
        if (fds[2 + 2 * i].revents)
            hear_ready(&family->children[i]);
}

/* Starts what is due; the time until the next one is. */
static int64_t start_due(struct family *family)
{
    int64_t next = TICK_MS;
    for (size_t i = 0; i < family->count; i++) {
        struct child *child = &family->children[i];
        struct error err = {0};
        int64_t left = child->start_at_ms - clock_monotonic_ms();
        if (child->pid)
            continue;
        if (left <= 0 && start(child, &err) < 0)
            plan_restart(family, child, err.message);
        else if (left > 0 && left < next)
            next = left;
    }
    return next;
}

/* Each child ends as it does at a stop, and its successor starts. */
static void replace_all(struct family *family)
{
    for (size_t i = 0; i < family->count; i++) {
        struct child *child = &family->children[i];
        child->start_at_ms = 0;
        if (child->pid && kill(child->pid, SIGTERM) == 0)
            child->kill_ms = clock_monotonic_ms() + family->hooks.stop_ms;
    }
}

static void tick(const struct family *family)
{
    if (family->hooks.tick)
        family->hooks.tick(family->hooks.context);
}

/* Starts what is due, and says once that all are there; the time until the next one is due. */
static int64_t start_and_announce(struct family *family)
{
    bool first = !family->announced && all_have_told(family);
    if (first)
        end_head_start(family);
    int64_t next = start_due(family);
    if (first && family->hooks.ready)
        family->hooks.ready(family->hooks.context);
    family->announced = family->announced || first;
    return next;
}

static void run(struct family *family, struct stop *stop, struct pollfd *fds)
{
    while (!stop_wait(stop, 0) && !family->misconfigured) {
        tick(family);
        if (stop->reload && family->hooks.reload && family->hooks.reload(family->hooks.context))
            replace_all(family);
        stop->reload = false;
        wait_for_news(family, stop, fds, start_and_announce(family));
        for (size_t i = 0; i < family->count && !family->misconfigured; i++)
            attend(family, &family->children[i]);
    }
}

static void end(struct family *family, struct stop *stop, struct pollfd *fds)
{
    int asked = stop->asked;
    int64_t deadline = clock_monotonic_ms() + family->hooks.stop_ms;
    bool killed = false;
    signal_all(family, SIGTERM);
    while (any_runs(family)) {
        int64_t left = deadline - clock_monotonic_ms();
        stop_wait(stop, 0);
        tick(family);
        if (!killed && (left <= 0 || stop->asked > asked)) {
            log_warn(family->log, "not all processes have ended in time: they are killed");
            signal_all(family, SIGKILL);
            killed = true;
        }
        wait_for_news(family, stop, fds, left > 0 && left < TICK_MS ? left : TICK_MS);
        for (size_t i = 0; i < family->count; i++)
            reap(&family->children[i], &(int){0});
    }
}

static void fill_defaults(struct children_hooks *hooks)
{
    if (!hooks->stop_ms)
        hooks->stop_ms = 20 * 1000;
    if (!hooks->backoff_ms)
        hooks->backoff_ms = 1000;
    if (!hooks->steady_ms)
        hooks->steady_ms = 60 * 1000;
}

int children_run(const struct child_spec *specs, size_t count, const struct children_hooks *hooks, struct stop *stop,
                 const struct log *log, struct error *err)
{
    AUTO_FREE struct child *children = calloc(count, sizeof *children);
    AUTO_FREE struct pollfd *fds = calloc(1 + 2 * count, sizeof *fds);
    if (!children || !fds)
        return error_set(err, ERROR_INTERNAL, "start the processes: out of memory");
    int64_t later = clock_monotonic_ms() + HEAD_START_MS;
    for (size_t i = 0; i < count; i++)
        children[i] = (struct child){
            .spec = &specs[i], .pidfd = -1, .ready_fd = -1, .start_at_ms = specs[i].tells_ready ? 0 : later};
    struct family family = {.children = children, .count = count, .hooks = *hooks, .log = log};
    fill_defaults(&family.hooks);
    run(&family, stop, fds);
    end(&family, stop, fds);
    if (family.misconfigured)
        return error_set(err, ERROR_CONFIG, "a process refused its configuration; the line above says why");
    return 0;
}
