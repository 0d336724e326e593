/* What is known of a request from its head alone, and how the receiver answers. Private to app/receiver*.c. */
#ifndef APP_RECEIVER_HEAD_H
#define APP_RECEIVER_HEAD_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/receiver.h"

/* What a request is answered with when something is wrong with it. */
struct refusal {
    unsigned status;
    const char *error; /* what to do about it; static */
    const char *header, *value;
};

extern const struct refusal receiver_too_large;

struct request_head {
    const struct receiver_forge *forge; /* of POST /webhooks/<forge>, else NULL */
    bool asks_store;                    /* GET /readyz */
    size_t length;                      /* that the body is to have, as far as it is said */
};

/* Reads the head: the refusal has status 0 when nothing is wrong with it. */
struct refusal receiver_read_head(const struct receiver_config *config, struct MHD_Connection *connection,
                                  const char *path, const char *method, struct request_head *out);

/* NULL when there is no such header. Borrowed from the connection. */
const char *receiver_header(struct MHD_Connection *connection, const char *name);

/* Queues an answer: JSON, and one header more unless `header` is NULL. */
enum MHD_Result receiver_answer(struct MHD_Connection *connection, unsigned status, const json_t *body,
                                const char *header, const char *value);
enum MHD_Result receiver_refuse(struct MHD_Connection *connection, const struct refusal *refusal);

#endif
