/* What a service manager (systemd, or one that speaks its protocol) and `assay serve` tell each other: a socket that
 * listens already, that we are ready, reload, stop, and still turn. Each is a few bytes in the environment and in
 * datagrams (sd_listen_fds(3), sd_notify(3)), so no library is needed. Without a manager all of it does nothing. */
#ifndef APP_SERVICE_H
#define APP_SERVICE_H

#include <stdint.h>

#include "app/base/error.h"

struct service {
    int socket;          /* the listening socket that was handed to us, or -1; the caller's */
    int notify;          /* where we tell, or -1 */
    int64_t watchdog_ms; /* how often it wants to hear of us, halved; 0: it does not */
    int64_t told_ms;     /* when it last did */
};

/* Reads the environment and takes what it found out of it, so that no child takes it for its own. ERROR_CONFIG when we
 * are given several sockets, or a notify socket that cannot be reached. */
int service_open(struct service *service, struct error *err);
void service_release(struct service *service); /* not the socket */

/* "READY=1", "STOPPING=1", "STATUS=…", several lines at once. */
void service_tell(const struct service *service, const char *state);

/* We are beginning to read the configuration again; tell READY=1 when it is done. */
void service_tell_reloading(const struct service *service);

/* To be called often: tells the watchdog that we turn when it is due. */
void service_tick(struct service *service);

#endif
