#include "app/housekeeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/stop.h"

enum { EVERY_MS = 60 * 60 * 1000 };

static _Noreturn void become(const char *config_path, pid_t parent)
{
    const char *option = config_path ? "--config" : NULL;
    char *const argv[] = {"assay", "tidy", (char *)option, (char *)config_path, NULL};
    stop_unblock();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) /* else it died before the line above */
        execv("/proc/self/exe", argv);
    _exit(127);
}

void housekeeper_tick(struct housekeeper *keeper, const char *config_path, const struct log *log)
{
    int status = 0;
    if (keeper->pid && waitpid(keeper->pid, &status, WNOHANG) != 0) {
        keeper->pid = 0;
        if (status) /* it has said why */
            log_warn(log, "tidying failed; again in an hour");
    }
    if (keeper->pid || clock_monotonic_ms() < keeper->due_ms)
        return;
    keeper->due_ms = clock_monotonic_ms() + EVERY_MS;
    pid_t parent = getpid();
    keeper->pid = fork();
    if (keeper->pid == 0)
        become(config_path, parent);
    if (keeper->pid < 0) {
        log_warn(log, "tidying cannot be started: %s", strerror(errno));
        keeper->pid = 0;
    }
}

void housekeeper_end(struct housekeeper *keeper)
{
    if (!keeper->pid)
        return;
    kill(keeper->pid, SIGKILL);
    waitpid(keeper->pid, NULL, 0);
    keeper->pid = 0;
}
