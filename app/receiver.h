/* The webhook receiver: POST /webhooks/<forge>, GET /healthz, GET /readyz over libmicrohttpd.
 *
 * It does as little as can be: a bounded read, the HMAC over the raw bytes, one durable write, 202. It parses nothing
 * of a delivery's body. One thread: what came in one turn of its loop is stored in one transaction with one sync (while
 * the disk syncs, the next batch gathers in the sockets), and only then acknowledged. Bounded: connections at once,
 * bytes of one body, bytes of all bodies in memory, time for one request.
 */
#ifndef APP_RECEIVER_H
#define APP_RECEIVER_H

#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/base/secret.h"
#include "app/store.h"

/* A forge that may deliver: webhooks arrive at /webhooks/<name>. */
struct receiver_forge {
    char *name;
    struct secret secret;
};

struct receiver_config {
    int socket; /* a listening socket; closed by receiver_free() */
    const struct receiver_forge *forges;
    size_t forge_count;
    size_t body_max;          /* 0: 25 MiB, GitHub's own cap */
    size_t bodies_max;        /* of all requests together; 0: 64 MiB */
    int64_t request_ms;       /* from a connection's begin or the last answer to the end of a request; 0: 30 s */
    unsigned connections_max; /* 0: 256 */
};

struct receiver;

/* All is borrowed and must outlive the receiver, but the socket, which it takes (also on failure). */
struct receiver *receiver_new(const struct receiver_config *config, struct store *store, const struct log *log,
                              struct error *err);

/* Answers until `stop_fd` is readable; then takes no new connection and ends open requests within five seconds. */
int receiver_run(struct receiver *receiver, int stop_fd, struct error *err);

void receiver_free(struct receiver *receiver);

#endif
