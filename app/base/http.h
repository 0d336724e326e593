/* HTTP client over libcurl: deadlines, retries with jitter, streaming, a response cap.
 *
 * Redirects are followed to the same host only (scheme, host and port), so credentials never travel
 * elsewhere; anything else is an error that names the address. Only 303 changes the method (to GET). TLS is verified.
 * Proxy variables (https_proxy, no_proxy) are honoured by libcurl. Nothing is logged here; errors carry method, host
 * and path, never headers or query.
 */
#ifndef APP_BASE_HTTP_H
#define APP_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"

struct http_client; /* keeps connections; one thread at a time */

struct http_client *http_client_new(const char *user_agent, struct error *err);
void http_client_free(struct http_client *client);

struct http_request {
    const char *method; /* "GET", "POST", … */
    const char *url;
    const char *const *headers; /* NULL-terminated "Name: value", or NULL */
    const char *body;           /* or NULL */
    size_t body_len;
    int64_t connect_timeout_ms; /* 0: 10 s */
    int64_t timeout_ms;         /* the whole call with its retries; 0: 60 s */
    int64_t idle_timeout_ms;    /* no byte for so long ends one attempt; 0: 30 s */
    size_t response_max;        /* cap on the body; 0: 32 MiB */
    int attempts;               /* 0 or 1: no retry. More: connection failures, 429, 502, 503 and 504 are tried again
                                   with exponential backoff and full jitter, after Retry-After where the server names it
                                   (if that fits the deadline). A connection that breaks after it stood, or falls
                                   silent, is only tried again for GET, HEAD, PUT, DELETE and OPTIONS: the server may
                                   have done the rest; the error is retryable, so the caller can decide */
    /* Streaming: called with each piece of a 2xx body as it arrives; non-zero ends the call with ERROR_INPUT
     * unless `cancelled` holds. When set, such a body is not kept in the response (that of another status is), and an
     * attempt whose body has begun is not retried. */
    int (*on_data)(void *context, const char *data, size_t len);
    void *data_context;
    bool (*cancelled)(void *context); /* asked several times a second; true ends the call with ERROR_CANCELLED */
    void *cancel_context;
};

struct http_response {
    long status;
    struct buf body;    /* NUL-terminated text or bytes */
    struct buf headers; /* the final response's header lines, "Name: value\n", names as received */
    int attempts;       /* how many were made */
    int64_t elapsed_ms;
};

/* 0 when a response arrived, whatever its status; -1 with ERROR_TIMEOUT, ERROR_LIMIT, ERROR_CANCELLED,
 * ERROR_DENIED (a redirect elsewhere) or ERROR_IO (retryable when another try may help). */
int http_send(struct http_client *client, const struct http_request *request, struct http_response *response,
              struct error *err);

void http_response_release(struct http_response *response);

/* The value of a header (first match, any case) copied into `value`, cut to its size; NULL when absent. */
const char *http_header(const struct http_response *response, const char *name, char *value, size_t size);

/* Milliseconds to wait by Retry-After (seconds or an HTTP date, RFC 9110 10.2.3); 0 when absent. */
int64_t http_retry_after_ms(const struct http_response *response);

/* Percent-encodes one path segment or query value (RFC 3986 unreserved stay). Heap, owned by the caller. */
char *http_escape(const char *text);

#endif
