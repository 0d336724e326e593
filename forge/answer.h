/* What an HTTP response of GitHub's API means: its rate limits, its next page, its errors. No state, no calls. */
#ifndef FORGE_ANSWER_H
#define FORGE_ANSWER_H

#include <jansson.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/http.h"

/* How long to wait when this is a refusal by a primary or secondary rate limit, else 0. `json` is the body or NULL;
 * `attempt` counts from 0: without any hint GitHub asks for a minute, doubled each time. */
int64_t answer_limit_ms(const struct http_response *response, const json_t *json, int attempt);

/* How long until the next call may be sent when this (successful) response used up the limit, else 0. */
int64_t answer_exhausted_ms(const struct http_response *response);

/* Theirs minus ours in ms by the Date header, 0 when absent or within half a minute. */
int64_t answer_clock_skew_ms(const struct http_response *response);

/* The path below `api_url` of Link rel="next" (RFC 8288), heap; NULL when there is none or it leads elsewhere. */
char *answer_next(const struct http_response *response, const char *api_url);

/* Sets the error for a response that is not 2xx, in the server's words. Always -1. */
int answer_error(const struct http_response *response, const json_t *json, const char *server, struct error *err);

#endif
