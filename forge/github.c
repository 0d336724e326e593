#include "forge/github.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/http.h"
#include "app/base/json.h"
#include "forge/answer.h"
#include "forge/check.h"
#include "forge/identity.h"
#include "forge/issue.h"
#include "forge/missed.h"
#include "forge/pull.h"

enum {
    CALL_TIMEOUT_MS = 120000, /* one github_call() with its retries and waits */
    ATTEMPT_TIMEOUT_MS = 30000,
    TRIES_MAX = 5,
    PAGES_MAX = 100,
    CACHED_MAX = 1 << 20, /* larger answers are not kept for conditional requests */
};

struct call {
    struct forge *forge;
    struct github *github;
    const struct github_request *request;
    const char *who; /* "forge github", for errors */
    char *url, *key;
    int64_t deadline; /* monotonic */
    int tries;
    bool renewed; /* the credentials were renewed once already */
};

enum verdict { DONE, AGAIN, FAILED };

void github_answer_release(struct github_answer *answer)
{
    json_decref(answer->json);
    free(answer->next);
    *answer = (struct github_answer){0};
}

static bool is_get(const struct github_request *request)
{
    return !strcmp(request->method, "GET");
}

/* May the request be sent again although the server may have acted on it? */
static bool is_repeatable(const struct github_request *request)
{
    return request->repeatable || strcmp(request->method, "POST") != 0;
}

/* Sleeps and asks for another try, or fails when that does not fit; `err` says why we wait. */
static enum verdict wait_and_retry(struct call *call, int64_t ms, struct error *err)
{
    int64_t until = clock_monotonic_ms() + ms;
    error_retry(err, ms);
    if (until > call->deadline || ++call->tries >= TRIES_MAX)
        return FAILED;
    for (int64_t left; (left = until - clock_monotonic_ms()) > 0;)
        clock_sleep_ms(left);
    return AGAIN;
}

/* Exponential, full jitter: 0.5 s, 1 s, 2 s, … at most. */
static int64_t backoff_ms(const struct call *call)
{
    return 50 + (int64_t)arc4random_uniform(500u << call->tries);
}

static char *make_url(const struct forge *forge, const struct github_request *request)
{
    const char *base = forge->config->api_url;
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    /* An enterprise server has REST at /api/v3 and GraphQL at /api/graphql. */
    if (request->graphql && len > 3 && !strncmp(base + len - 3, "/v3", 3))
        len -= 3;
    return text_format("%.*s%s", (int)len, base, request->path);
}

static int send_request(struct call *call, const char *authorization, struct http_response *response, struct error *err)
{
    const struct github_request *request = call->request;
    const struct etag_entry *known = is_get(request) ? etag_find(&call->github->pages, call->key) : NULL;
    AUTO_FREE char *condition = known ? text_format("If-None-Match: %s", known->etag) : NULL;
    AUTO_FREE char *body = request->body ? json_write(request->body, err) : NULL;
    if (request->body && !body)
        return -1;
    const char *headers[6] = {"Accept: application/vnd.github+json", "X-GitHub-Api-Version: 2022-11-28"};
    size_t count = 2;
    if (authorization)
        headers[count++] = authorization;
    if (body)
        headers[count++] = "Content-Type: application/json";
    if (condition)
        headers[count++] = condition;
    int64_t left = call->deadline - clock_monotonic_ms();
    struct http_request http = {
        .method = request->method,
        .url = call->url,
        .headers = headers,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = left < 1                    ? 1
                      : left < ATTEMPT_TIMEOUT_MS ? left
                                                  : ATTEMPT_TIMEOUT_MS,
        .attempts = 1, /* the loop below knows GitHub's limits; the HTTP client does not */
    };
    return http_send(call->github->http, &http, response, err);
}

/* A 2xx or a 304: the answer with its JSON. */
static enum verdict accept(struct call *call, const struct http_response *response, struct github_answer *answer,
                           struct error *err)
{
    struct etag_cache *pages = &call->github->pages;
    const struct etag_entry *known = response->status == 304 ? etag_find(pages, call->key) : NULL;
    char etag[256];
    answer->status = response->status;
    if (known) {
        answer->json = json_incref(known->json);
        answer->next = known->next ? strdup(known->next) : NULL;
        return DONE;
    }
    if (!response->body.len)
        return DONE;
    answer->json = json_read(response->body.data, response->body.len, JSON_LIMITS_API, err);
    if (!answer->json) {
        answer_error(response, NULL, call->who, err);
        return FAILED;
    }
    answer->next = answer_next(response, call->forge->config->api_url);
    if (is_get(call->request) && response->body.len <= CACHED_MAX && http_header(response, "etag", etag, sizeof etag))
        etag_keep(pages, call->key, etag, answer->next, answer->json);
    return DONE;
}

/* True when a 401 may be cured: by a new installation token, or by dating the JWT by the server's clock. */
static bool renew_credentials(struct call *call, const struct http_response *response)
{
    struct auth *auth = call->github->auth;
    if (response->status != 401 || call->renewed || !auth_is_app(auth))
        return false;
    call->renewed = true;
    if (call->request->repo)
        return auth_forget(auth, call->request->repo);
    int64_t skew = answer_clock_skew_ms(response);
    auth_set_skew(auth, skew);
    return skew != 0;
}

static enum verdict refuse(struct call *call, const struct http_response *response, struct github_answer *answer,
                           struct error *err)
{
    json_auto_t *json = json_read(buf_text(&response->body), response->body.len, JSON_LIMITS_API, NULL);
    int64_t wait = answer_limit_ms(response, json, call->tries);
    answer->status = response->status;
    answer_error(response, json, call->who, err);
    if (wait) {
        err->code = ERROR_FORGE;
        call->github->blocked_until = clock_monotonic_ms() + wait;
        return wait_and_retry(call, wait, err);
    }
    if (renew_credentials(call, response))
        return AGAIN;
    if (response->status >= 500 && err->retryable && is_repeatable(call->request))
        return wait_and_retry(call, err->retry_after_ms ? err->retry_after_ms : backoff_ms(call), err);
    return FAILED;
}

/* The limit that an earlier answer told of holds for this call too. */
static enum verdict wait_for_limit(struct call *call, struct error *err)
{
    int64_t wait = call->github->blocked_until - clock_monotonic_ms();
    if (call->github->blocked_until && wait > 0) {
        char text[CLOCK_TEXT_SIZE];
        error_set(err, ERROR_FORGE, "%s: the rate limit is used up for another %s", call->who,
                  clock_duration(wait, text));
        if (wait_and_retry(call, wait, err) == FAILED)
            return FAILED;
    }
    call->github->blocked_until = 0;
    return DONE;
}

static int authorize(const struct call *call, struct secret *header, struct error *err)
{
    if (call->request->anyone)
        return auth_header_of_anyone(call->forge, header, err);
    return auth_header(call->forge, call->request->repo, header, err);
}

/* The last moment in which a write can be kept back. */
static int ask_before_write(const struct call *call, struct error *err)
{
    const struct forge *forge = call->forge;
    bool writes = !is_get(call->request) && !call->request->always;
    return writes && forge->on_write ? forge->on_write(forge->write_context, err) : 0;
}

static enum verdict attempt(struct call *call, struct github_answer *answer, struct error *err)
{
    struct secret authorization = {0};
    struct http_response response = {0};
    if (wait_for_limit(call, err) == FAILED || authorize(call, &authorization, err) < 0)
        return FAILED;
    enum verdict verdict = FAILED;
    if (ask_before_write(call, err) < 0) {
        verdict = FAILED;
    } else if (send_request(call, authorization.value, &response, err) < 0) {
        if (err->retryable && is_repeatable(call->request))
            verdict = wait_and_retry(call, backoff_ms(call), err);
    } else if (response.status == 304 || (response.status >= 200 && response.status < 300)) {
        int64_t exhausted = answer_exhausted_ms(&response);
        call->github->blocked_until = exhausted ? clock_monotonic_ms() + exhausted : 0;
        verdict = accept(call, &response, answer, err);
    } else {
        verdict = refuse(call, &response, answer, err);
    }
    secret_release(&authorization);
    http_response_release(&response);
    return verdict;
}

static int dry_run(struct forge *forge, const struct github_request *request, struct error *err)
{
    json_auto_t *told = json_pack("{s:s, s:s, s:O*}", "method", request->method, "path", request->path, "body",
                                  (json_t *)request->body);
    if (!told)
        return error_set(err, ERROR_INTERNAL, "out of memory for a dry run's record");
    if (forge->on_dry_run)
        forge->on_dry_run(forge->dry_run_context, told);
    return 0;
}

int github_call(struct forge *forge, const struct github_request *request, struct github_answer *answer,
                struct error *err)
{
    *answer = (struct github_answer){0};
    if (!request->path)
        return error_set(err, ERROR_INPUT, "the names in the address are not usable, or memory is out");
    if (forge->config->dry_run && !is_get(request) && !request->always)
        return dry_run(forge, request, err);
    const struct forge_repo *repo = request->repo;
    AUTO_FREE char *who = text_format("forge %s", forge->config->name);
    AUTO_FREE char *url = make_url(forge, request);
    AUTO_FREE char *key = text_format("%s/%s %s", repo ? repo->owner : "", repo ? repo->name : "", request->path);
    if (!who || !url || !key)
        return error_set(err, ERROR_INTERNAL, "out of memory for a call");
    struct call call = {
        .forge = forge,
        .github = github_of(forge),
        .request = request,
        .who = who,
        .url = url,
        .key = key,
        .deadline = clock_monotonic_ms() + CALL_TIMEOUT_MS,
    };
    struct error last = {0};
    enum verdict verdict;
    while ((verdict = attempt(&call, answer, &last)) == AGAIN)
        github_answer_release(answer);
    if (verdict == DONE)
        return 0;
    if (err)
        *err = last;
    return error_wrap(err, "%s %s", request->method, request->path);
}

int github_pages(struct forge *forge, const struct github_request *request,
                 int (*each)(void *context, const json_t *page, struct error *err), void *context, struct error *err)
{
    AUTO_FREE char *path = request->path ? strdup(request->path) : NULL;
    for (int i = 0; i < PAGES_MAX; i++) {
        struct github_request page = *request;
        page.path = path;
        AUTO_ANSWER struct github_answer answer = {0};
        if (github_call(forge, &page, &answer, err) < 0)
            return -1;
        int stop = each(context, answer.json, err);
        if (stop || !answer.next)
            return stop < 0 ? -1 : 0;
        free(path);
        path = STEAL(answer.next);
    }
    return error_set(err, ERROR_LIMIT, "GET %s: more than the %d pages that are read", request->path, PAGES_MAX);
}

static bool is_segment(const char *name)
{
    return name && *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

char *github_path(const struct forge_repo *repo, const char *format, ...)
{
    if (!is_segment(repo->owner) || !is_segment(repo->name))
        return NULL;
    AUTO_FREE char *owner = http_escape(repo->owner);
    AUTO_FREE char *name = http_escape(repo->name);
    AUTO_BUF struct buf path = BUF_INIT(KiB(16));
    if (!owner || !name)
        return NULL;
    buf_printf(&path, "/repos/%s/%s", owner, name);
    va_list args;
    va_start(args, format);
    buf_vprintf(&path, format, args);
    va_end(args);
    return path.failed ? NULL : buf_steal(&path, NULL);
}

bool github_is_missing(const struct error *err)
{
    return err->code == ERROR_NOT_FOUND;
}

void github_note_lack(struct forge *forge, enum github_part part, const char *instead, const struct error *why)
{
    bool *lacks = &github_of(forge)->lacks[part];
    if (!*lacks)
        log_info(forge->log, "forge %s: %s: %s", forge->config->name, instead, why->message);
    *lacks = true;
}

char *github_cut(const char *text, size_t max)
{
    static const char note[] = "\n\n… (cut: the text is longer than the forge takes)";
    size_t len = text ? strlen(text) : 0;
    if (len <= max)
        return strdup(text ? text : "");
    size_t keep = max > sizeof note ? max - sizeof note : 0;
    while (keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80)
        keep--;
    return text_format("%.*s%s", (int)keep, text, note);
}

json_t *github_text(const char *text, size_t max)
{
    AUTO_FREE char *cut = github_cut(text, max);
    return cut ? json_from_text(cut, strlen(cut)) : NULL;
}

/* ---- what GitHub can do ---- */

static void github_stop(struct forge *forge)
{
    struct github *github = github_of(forge);
    if (!github)
        return;
    http_client_free(github->http);
    auth_free(github->auth);
    etag_cache_release(&github->pages);
    json_decref(github->self);
    free(github->login);
    free(github->email);
    free(github);
    forge->server = NULL;
}

static int github_start(struct forge *forge, struct secrets *secrets, struct error *err)
{
    struct github *github = calloc(1, sizeof *github);
    if (!github)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    forge->server = github;
    github->http = http_client_new("assay/" ASSAY_VERSION, err);
    github->auth = github->http ? auth_new(forge->config, secrets, err) : NULL;
    return github->auth ? 0 : -1;
}

const struct forge_ops github_ops = {
    .start = github_start,
    .stop = github_stop,
    .login = github_login,
    .identity = github_identity,
    .git_user = github_git_user,
    .permission = github_permission,
    .token = github_token,
    .token_forget = github_token_forget,
    .issue_get = github_issue_get,
    .default_branch = github_default_branch,
    .pull_get = github_pull_get,
    .pull_find = github_pull_find,
    .comment_find = github_comment_find,
    .pull_made = github_pull_made,
    .check_find = github_check_find,
    .keeps_deliveries = github_keeps_deliveries,
    .deliveries = github_deliveries,
    .redeliver = github_redeliver,
    .delivery_payload = github_delivery_payload,
    .repositories = github_repositories,
    .installed = github_installed,
    .closed_payload = github_closed_payload,
    .find_labelled = github_find_labelled,
    .find_comments = github_find_comments,
    .found_payload = github_found_payload,
    .react = github_react,
    .comment_put = github_comment_put,
    .label_add = github_label_add,
    .label_remove = github_label_remove,
    .pull_put = github_pull_put,
    .check_put = github_check_put,
    .doctor = github_doctor,
};
