/* One authenticated call to GitHub's REST API (or to a server that speaks it), with everything that goes with it:
 * tokens, rate limits, retries, conditional requests, pages, errors in GitHub's own words.
 *
 * Rate limits (docs.github.com, "Best practices for using the REST API"): a 403 or 429 that carries Retry-After, or
 * says that nothing is left until x-ratelimit-reset, is waited out if that fits the call's deadline; otherwise the
 * call fails at once, retryable, and says for how long. The next call does not start before that moment either.
 */
#ifndef FORGE_GITHUB_H
#define FORGE_GITHUB_H

#include "forge/auth.h"
#include "forge/etag.h"
#include "forge/forge_internal.h"

struct http_client;

/* Parts of the API that a server may lack; each is told once in the log. */
enum github_part {
    GITHUB_REACTIONS,
    GITHUB_LABELS,
    GITHUB_CHECK_RUNS,
    GITHUB_STATUSES,
    GITHUB_DRAFTS,
    GITHUB_PERMISSION,
    GITHUB_PARTS
};

struct github {
    struct http_client *http;
    struct auth *auth;
    struct etag_cache pages;
    int64_t blocked_until; /* monotonic ms: the rate limit lets no call through before; 0 when it does */
    bool lacks[GITHUB_PARTS];
    json_t *self; /* cached answer of GET /app or GET /user; NULL until asked for */
    char *login;  /* "assay[bot]" or the token's user; NULL until asked for */
    char *email;  /* our noreply address; NULL until asked for */
};

static inline struct github *github_of(const struct forge *forge)
{
    return forge->server;
}

struct github_request {
    const char *method;
    const char *path;              /* below api_url, made by github_path(); NULL (no memory) fails the call */
    const json_t *body;            /* or NULL; borrowed */
    const struct forge_repo *repo; /* whose installation speaks; NULL: the App itself, or the token's user */
    bool repeatable;               /* a POST that may be sent again after a lost answer */
    bool anyone;                   /* needs no authority (public data): any token that we hold, or none */
    bool graphql;                  /* `path` is below the GraphQL address in place of api_url */
    bool always;                   /* not a write in the sense of dry_run (asks for a token) */
};

struct github_answer {
    long status;  /* 0 in a dry run */
    json_t *json; /* NULL when the answer had no body; owned: github_answer_release() */
    char *next;   /* path of the next page, or NULL; owned */
};

#define AUTO_ANSWER __attribute__((cleanup(github_answer_release)))
void github_answer_release(struct github_answer *answer);

/* 0 for a 2xx. In a dry run a write goes to the callback and succeeds with status 0 and no JSON. Codes: ERROR_DENIED
 * (401, 403), ERROR_NOT_FOUND (404, 410, and what a server answers for a call it does not have), ERROR_CONFLICT (409),
 * ERROR_INPUT (400, 422), ERROR_FORGE (the rest; retryable for 5xx and rate limits). */
int github_call(struct forge *forge, const struct github_request *request, struct github_answer *answer,
                struct error *err);

/* GETs `path` and the pages that follow; `each` sees the JSON of one page and returns 0 to go on, 1 to stop, -1 with
 * the error set. At most 100 pages: ERROR_LIMIT. */
int github_pages(struct forge *forge, const struct github_request *request,
                 int (*each)(void *context, const json_t *page, struct error *err), void *context, struct error *err);

/* "/repos/<owner>/<name>" with both percent-encoded, and the formatted rest behind it; heap. NULL without memory or
 * when a name is no path segment ("..", empty). */
__attribute__((format(printf, 2, 3))) char *github_path(const struct forge_repo *repo, const char *format, ...);

/* True when a failed call means that the server does not have it, rather than that this once it went wrong. */
bool github_is_missing(const struct error *err);

/* Notes that the server lacks a part and says once in the log what happens instead. */
void github_note_lack(struct forge *forge, enum github_part part, const char *instead, const struct error *why);

/* The text cut to `max` bytes at a character, ending in a line that says so when it was. NULL text is "". Heap, or a
 * new JSON string; NULL only without memory. */
char *github_cut(const char *text, size_t max);
json_t *github_text(const char *text, size_t max);

#define GITHUB_BODY_MAX 65535 /* issue and pull request bodies, comments, check run texts */

#endif
