#include "app/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t watched(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static int watch(struct stop *stop, sigset_t set, struct error *err)
{
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_system(err, errno, "block SIGTERM");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return error_system(err, errno, "wait for SIGTERM");
    *stop = (struct stop){.fd = fd};
    return 0;
}

int stop_watch(struct stop *stop, struct error *err)
{
    return watch(stop, watched(), err);
}

int stop_watch_and_reload(struct stop *stop, struct error *err)
{
    sigset_t set = watched();
    sigaddset(&set, SIGHUP);
    return watch(stop, set, err);
}

void stop_unblock(void)
{
    sigset_t set = watched();
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void stop_release(struct stop *stop)
{
    if (stop->fd >= 0)
        close(stop->fd);
    stop->fd = -1;
}

bool stop_wait(struct stop *stop, int64_t ms)
{
    struct pollfd poll_fd = {.fd = stop->fd, .events = POLLIN};
    if (poll(&poll_fd, 1, (int)ms) <= 0)
        return stop->asked > 0;
    struct signalfd_siginfo info;
    while (read(stop->fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGHUP)
            stop->reload = true;
        else
            stop->asked++;
    return stop->asked > 0;
}
