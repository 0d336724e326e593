#include "app/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"

enum { FIRST_SOCKET = 3 }; /* SD_LISTEN_FDS_START */

/* A number of the environment; 0 when it is not there or not one. */
static int64_t number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    long long value = text ? strtoll(text, &end, 10) : 0;
    return text && *text && !*end && value > 0 ? value : 0;
}

static int take_socket(struct service *service, struct error *err)
{
    int64_t count = number("LISTEN_PID") == getpid() ? number("LISTEN_FDS") : 0;
    if (count > 1)
        return error_set(err, ERROR_CONFIG, "socket activation: one socket is expected, not %lld; a unit per address",
                         (long long)count);
    if (count == 1) {
        service->socket = FIRST_SOCKET;
        fcntl(FIRST_SOCKET, F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

static int open_notify(struct service *service, struct error *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (!len)
        return 0;
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof address.sun_path)
        return error_set(err, ERROR_CONFIG, "NOTIFY_SOCKET: \"%s\" is not the address of a local socket", path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') /* of the abstract name space */
        address.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    service->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (service->notify >= 0 && connect(service->notify, (struct sockaddr *)&address, size) == 0)
        return 0;
    error_system(err, errno, "NOTIFY_SOCKET: %s", path);
    if (err)
        err->code = ERROR_CONFIG;
    return -1;
}

static void forget_environment(void)
{
    static const char *const names[] = {"LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

int service_open(struct service *service, struct error *err)
{
    struct service opened = {.socket = -1, .notify = -1};
    if (!getenv("WATCHDOG_PID") || number("WATCHDOG_PID") == getpid())
        opened.watchdog_ms = number("WATCHDOG_USEC") / 1000 / 2;
    int status = take_socket(&opened, err) < 0 ? -1 : open_notify(&opened, err);
    forget_environment();
    if (status < 0) {
        service_release(&opened);
        return -1;
    }
    *service = opened;
    return 0;
}

void service_release(struct service *service)
{
    if (service->notify >= 0)
        close(service->notify);
    service->notify = -1;
}

/* A manager that does not listen is its own problem, not a reason to stop taking deliveries. */
void service_tell(const struct service *service, const char *state)
{
    if (service->notify >= 0)
        send(service->notify, state, strlen(state), MSG_NOSIGNAL);
}

void service_tell_reloading(const struct service *service)
{
    AUTO_FREE char *state = text_format("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_ms() * 1000);
    if (state)
        service_tell(service, state);
}

void service_tick(struct service *service)
{
    int64_t now = clock_monotonic_ms();
    if (!service->watchdog_ms || now - service->told_ms < service->watchdog_ms)
        return;
    service->told_ms = now;
    service_tell(service, "WATCHDOG=1");
}
