#include "app/base/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app/base/clock.h"

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    TIMEOUT_MS = 60 * 1000,
    IDLE_TIMEOUT_MS = 30 * 1000,
    TICK_MS = 200,          /* how often `cancelled` and the idle time are looked at */
    BACKOFF_FIRST_MS = 500, /* upper bound of the first pause, doubled for each further one */
    BACKOFF_MAX_MS = 30 * 1000,
    REDIRECTS_MAX = 5,
    HEADERS_MAX = 64 * 1024,
    RESPONSE_MAX = 32 * 1024 * 1024,
    LABEL_SIZE = 256,
};

struct http_client {
    CURLM *multi; /* keeps the connections */
    char *user_agent;
};

/* One http_send(): what was asked, with defaults filled in, and what holds over all attempts. */
struct call {
    struct http_client *client;
    struct http_request request;
    struct curl_slist *headers;
    int64_t deadline;
    int64_t asked_at;       /* when `cancelled` was last asked */
    char label[LABEL_SIZE]; /* "GET host/path" for errors */
    struct error *err;
};

/* One exchange with the server. */
struct exchange {
    struct call *call;
    CURL *easy;
    struct http_response *response;
    size_t received; /* bytes of the body */
    bool started;    /* the consumer has had data */
    bool failed;     /* call->err is set; the transfer is being ended */
    bool unsent;     /* no connection came about, so the server has done nothing */
    char reason[CURL_ERROR_SIZE];
};

struct http_client *http_client_new(const char *user_agent, struct error *err)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        client->multi = curl_multi_init();
        client->user_agent = strdup(user_agent);
        if (client->multi && client->user_agent)
            return client;
        http_client_free(client);
    } else {
        free(client);
    }
    error_set(err, ERROR_INTERNAL, "cannot start the HTTP client: out of memory");
    return NULL;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    curl_multi_cleanup(client->multi);
    free(client->user_agent);
    free(client);
    curl_global_cleanup();
}

/* Part of an address, owned by the caller (curl_free), or NULL. */
static char *url_part(const char *url, CURLUPart part)
{
    char *value = NULL;
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        curl_url_get(parsed, part, &value, CURLU_DEFAULT_PORT);
    curl_url_cleanup(parsed);
    return value;
}

/* Neither user nor query: both can hold secrets. */
static void make_label(const char *method, const char *url, char label[static LABEL_SIZE])
{
    char *host = url_part(url, CURLUPART_HOST);
    char *path = url_part(url, CURLUPART_PATH);
    snprintf(label, LABEL_SIZE, "%.16s %.80s%.140s", method, host ? host : "(no valid address)", path ? path : "");
    curl_free(host);
    curl_free(path);
}

static bool same_part(const char *a, const char *b, CURLUPart part)
{
    char *first = url_part(a, part);
    char *second = url_part(b, part);
    bool same = first && second && strcasecmp(first, second) == 0;
    curl_free(first);
    curl_free(second);
    return same;
}

static bool same_origin(const char *a, const char *b)
{
    return same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) && same_part(a, b, CURLUPART_PORT);
}

/* Asked at most once a tick: the answer may cost the caller a look into the store. */
static bool is_cancelled(struct call *call)
{
    int64_t now = clock_monotonic_ms();
    if (!call->request.cancelled || (call->asked_at && now - call->asked_at < TICK_MS))
        return false;
    call->asked_at = now;
    return call->request.cancelled(call->request.cancel_context);
}

static int set_cancelled(struct call *call)
{
    return error_set(call->err, ERROR_CANCELLED, "%s: stopped on request", call->label);
}

static size_t on_header(char *data, size_t unit, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct buf *headers = &exchange->response->headers;
    size_t len = unit * count;
    size_t text_len = len;
    while (text_len > 0 && (data[text_len - 1] == '\r' || data[text_len - 1] == '\n'))
        text_len--;
    if (text_len >= 5 && memcmp(data, "HTTP/", 5) == 0)
        buf_clear(headers); /* the status line of a further response, after "100 Continue" or a proxy's answer */
    else if (text_len > 0 && (buf_add(headers, data, text_len) < 0 || buf_putc(headers, '\n') < 0))
        exchange->failed = true;
    if (!exchange->failed)
        return len;
    error_set(exchange->call->err, ERROR_LIMIT, "%s: the answer's headers are larger than the %d bytes allowed",
              exchange->call->label, HEADERS_MAX);
    return 0;
}

static int take_body(struct exchange *exchange, const char *data, size_t len)
{
    struct call *call = exchange->call;
    const struct http_request *request = &call->request;
    long status = 0;
    if (len > request->response_max - exchange->received)
        return error_set(call->err, ERROR_LIMIT, "%s: the answer is larger than the %zu bytes allowed", call->label,
                         request->response_max);
    exchange->received += len;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    if (!request->on_data || status < 200 || status > 299) {
        if (buf_add(&exchange->response->body, data, len) == 0)
            return 0;
        return error_set(call->err, ERROR_LIMIT, "%s: no memory for the answer", call->label);
    }
    exchange->started = true;
    if (request->on_data(request->data_context, data, len) == 0)
        return 0;
    if (request->cancelled && request->cancelled(request->cancel_context))
        return set_cancelled(call);
    return error_set(call->err, ERROR_INPUT, "%s: the stream's content is not usable", call->label);
}

static size_t on_body(char *data, size_t unit, size_t count, void *context)
{
    struct exchange *exchange = context;
    if (take_body(exchange, data, unit * count) == 0)
        return unit * count;
    exchange->failed = true;
    return CURL_WRITEFUNC_ERROR;
}

static void set_method(CURL *easy, const char *method, const struct http_request *request)
{
    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request->body || strcmp(method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->body_len : 0));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    /* libcurl sends a request again by itself when a connection that it had kept is closed before an answer. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, strcmp(method, "POST") == 0 ? 1L : 0L);
}

static void set_options(struct exchange *exchange, const char *url)
{
    CURL *easy = exchange->easy;
    struct call *call = exchange->call;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* we do: see the header */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, call->client->user_agent);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->request.connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->reason);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
}

/* Bytes that have moved in either direction: what the idle time is measured by. */
static curl_off_t progress(const struct exchange *exchange)
{
    curl_off_t down = 0;
    curl_off_t up = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    return down + up + (curl_off_t)exchange->response->headers.len;
}

static int check_time(struct call *call, int64_t moved_at)
{
    int64_t now = clock_monotonic_ms();
    char limit[CLOCK_TEXT_SIZE];
    if (is_cancelled(call))
        return set_cancelled(call);
    if (now >= call->deadline) {
        error_set(call->err, ERROR_TIMEOUT, "%s: not done within the %s allowed", call->label,
                  clock_duration(call->request.timeout_ms, limit));
        return error_retry(call->err, 0);
    }
    if (now - moved_at >= call->request.idle_timeout_ms) {
        error_set(call->err, ERROR_TIMEOUT, "%s: the server sent nothing for %s", call->label,
                  clock_duration(call->request.idle_timeout_ms, limit));
        return error_retry(call->err, 0);
    }
    return 0;
}

/* Runs the transfer to its end; -1 with the error set when it was ended from here. */
static int drive(struct exchange *exchange)
{
    struct call *call = exchange->call;
    CURLM *multi = call->client->multi;
    int64_t moved_at = clock_monotonic_ms();
    curl_off_t moved = 0;
    for (int running = 1; running;) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return error_set(call->err, ERROR_INTERNAL, "%s: the HTTP client failed", call->label);
        if (!running)
            break;
        if (progress(exchange) != moved) {
            moved = progress(exchange);
            moved_at = clock_monotonic_ms();
        }
        if (check_time(call, moved_at) < 0)
            return -1;
        int64_t left = call->deadline - clock_monotonic_ms();
        curl_multi_poll(multi, NULL, 0, left < TICK_MS ? (int)(left > 0 ? left : 1) : TICK_MS, NULL);
    }
    return 0;
}

static CURLcode transfer_result(CURLM *multi, const CURL *easy)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
        if (message->msg == CURLMSG_DONE && message->easy_handle == easy)
            return message->data.result;
    return CURLE_FAILED_INIT;
}

static int set_failure(struct exchange *exchange, CURLcode code)
{
    struct call *call = exchange->call;
    const char *reason = exchange->reason[0] ? exchange->reason : curl_easy_strerror(code);
    error_set(call->err, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_IO, "%s: %s", call->label, reason);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_OPERATION_TIMEDOUT: /* only the connect timeout is libcurl's; the others are ours */
        exchange->unsent = true;
        return error_retry(call->err, 0);
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return error_retry(call->err, 0);
    default: /* a bad certificate or address stays bad */
        return -1;
    }
}

static int perform(struct exchange *exchange)
{
    CURLM *multi = exchange->call->client->multi;
    if (curl_multi_add_handle(multi, exchange->easy) != CURLM_OK)
        return error_set(exchange->call->err, ERROR_INTERNAL, "%s: the HTTP client failed", exchange->call->label);
    int result = drive(exchange);
    CURLcode code = result == 0 ? transfer_result(multi, exchange->easy) : CURLE_OK;
    curl_multi_remove_handle(multi, exchange->easy);
    if (result < 0 || exchange->failed)
        return -1;
    return code == CURLE_OK ? 0 : set_failure(exchange, code);
}

/* 1 with the new address and method when the response sends us on, 0 when it is final, -1 when it leads elsewhere. */
static int follow(struct exchange *exchange, char **url, const char **method)
{
    struct call *call = exchange->call;
    long status = exchange->response->status;
    char *target = NULL;
    curl_easy_getinfo(exchange->easy, CURLINFO_REDIRECT_URL, &target);
    if (!target || (status != 301 && status != 302 && status != 303 && status != 307 && status != 308))
        return 0;
    if (!same_origin(call->request.url, target)) {
        char label[LABEL_SIZE];
        make_label("to", target, label);
        return error_set(call->err, ERROR_DENIED,
                         "%s: the server redirects %s, another host, port or scheme; correct the configured address",
                         call->label, label);
    }
    char *copy = strdup(target);
    if (!copy)
        return error_system(call->err, ENOMEM, "%s", call->label);
    free(*url);
    *url = copy;
    if (status == 303 && strcmp(*method, "HEAD") != 0)
        *method = "GET"; /* the other statuses ask for the same method and body again */
    return 1;
}

static int one_exchange(struct exchange *exchange, char **url, const char **method)
{
    struct http_request request = exchange->call->request;
    if (strcmp(*method, request.method) != 0)
        request.body = NULL;
    exchange->easy = curl_easy_init();
    if (!exchange->easy)
        return error_system(exchange->call->err, ENOMEM, "%s", exchange->call->label);
    set_options(exchange, *url);
    set_method(exchange->easy, *method, &request);
    int result = perform(exchange);
    if (result == 0) {
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &exchange->response->status);
        result = follow(exchange, url, method);
    }
    curl_easy_cleanup(exchange->easy);
    return result;
}

/* One attempt, with the redirects it meets. `state` tells afterwards how far it came. */
static int one_attempt(struct call *call, struct http_response *response, struct exchange *state)
{
    AUTO_FREE char *url = strdup(call->request.url);
    const char *method = call->request.method;
    int result = url ? 1 : error_system(call->err, ENOMEM, "%s", call->label);
    for (int i = 0; result == 1; i++) {
        if (i > REDIRECTS_MAX)
            return error_set(call->err, ERROR_IO, "%s: more than %d redirects", call->label, REDIRECTS_MAX);
        http_response_release(response);
        response->body = BUF_INIT(call->request.response_max);
        response->headers = BUF_INIT(HEADERS_MAX);
        *state = (struct exchange){.call = call, .response = response};
        result = one_exchange(state, &url, &method);
    }
    return result;
}

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}

static bool worth_another_try(int result, const struct http_response *response, const struct exchange *state)
{
    if (state->started)
        return false;
    if (result == 0)
        return response->status == 429 || (response->status >= 502 && response->status <= 504);
    return state->call->err->retryable && (state->unsent || is_idempotent(state->call->request.method));
}

/* Full jitter: anything up to the bound, so that many clients do not come back together. */
static int64_t backoff_ms(int attempt)
{
    uint64_t random = 0;
    int64_t bound = attempt < 8 ? (int64_t)BACKOFF_FIRST_MS << (attempt - 1) : BACKOFF_MAX_MS;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return bound;
    return (int64_t)(random % (uint64_t)((bound < BACKOFF_MAX_MS ? bound : BACKOFF_MAX_MS) + 1));
}

/* 1 after the pause before the next attempt, 0 when it would pass the deadline, -1 when cancelled meanwhile. */
static int pause_before_retry(struct call *call, const struct http_response *response, int attempt)
{
    int64_t until = clock_monotonic_ms() + http_retry_after_ms(response) + backoff_ms(attempt);
    if (until >= call->deadline)
        return 0;
    for (int64_t left; (left = until - clock_monotonic_ms()) > 0;) {
        if (is_cancelled(call))
            return set_cancelled(call);
        clock_sleep_ms(left < TICK_MS ? left : TICK_MS);
    }
    return 1;
}

static int attempt_all(struct call *call, struct http_response *response)
{
    for (int attempt = 1;; attempt++) {
        struct exchange state = {.call = call, .response = response};
        int result = one_attempt(call, response, &state);
        response->attempts = attempt;
        if (attempt >= call->request.attempts || !worth_another_try(result, response, &state))
            return result;
        int paused = pause_before_retry(call, response, attempt);
        if (paused < 0)
            return -1;
        if (paused == 0)
            return result;
    }
}

static int add_headers(struct call *call)
{
    static const char *const none[] = {NULL};
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* it would cost a second where it is ignored */
    for (const char *const *at = call->request.headers ? call->request.headers : none; list && *at; at++) {
        struct curl_slist *longer = strpbrk(*at, "\r\n") ? NULL : curl_slist_append(list, *at);
        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    call->headers = list;
    if (list)
        return 0;
    return error_set(call->err, ERROR_INTERNAL, "%s: a header of the request has a line break", call->label);
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

int http_send(struct http_client *client, const struct http_request *request, struct http_response *response,
              struct error *err)
{
    struct error own = {0}; /* retries look at the error, so there has to be one */
    struct call call = {.client = client, .request = *request, .err = err ? err : &own};
    int64_t began = clock_monotonic_ms();
    call.request.timeout_ms = or_default(request->timeout_ms, TIMEOUT_MS);
    call.request.connect_timeout_ms = or_default(request->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    call.request.idle_timeout_ms = or_default(request->idle_timeout_ms, IDLE_TIMEOUT_MS);
    if (!request->response_max)
        call.request.response_max = RESPONSE_MAX;
    call.deadline = began + call.request.timeout_ms;
    make_label(request->method, request->url, call.label);
    if (add_headers(&call) < 0)
        return -1;
    struct http_response got = {0};
    int result = attempt_all(&call, &got);
    curl_slist_free_all(call.headers);
    if (result < 0) {
        http_response_release(&got);
        return -1;
    }
    got.elapsed_ms = clock_monotonic_ms() - began;
    error_clear(err); /* an earlier attempt may have set it */
    *response = got;
    return 0;
}
