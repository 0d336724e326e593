#include "forge/repo_http.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/http.h"

#define REQUEST_MAX  MiB(512) /* a pushed pack; held in memory */
#define RESPONSE_MAX ((size_t)16 * 1024 * 1024 * 1024)
#define IDLE_MS      120000 /* a large repository's server thinks before it sends */

static const struct service {
    const char *name, *path; /* below the remote's address */
    bool advertises;         /* a GET that lists the refs */
} services[] = {
    [GIT_SERVICE_UPLOADPACK_LS] = {"git-upload-pack", "/info/refs?service=git-upload-pack", true},
    [GIT_SERVICE_UPLOADPACK] = {"git-upload-pack", "/git-upload-pack", false},
    [GIT_SERVICE_RECEIVEPACK_LS] = {"git-receive-pack", "/info/refs?service=git-receive-pack", true},
    [GIT_SERVICE_RECEIVEPACK] = {"git-receive-pack", "/git-receive-pack", false},
};

struct channel {
    git_smart_subtransport base;
    struct repo_session *session;
    struct http_client *http;
};

/* One request and its response; libgit2 writes, then reads. */
struct exchange {
    git_smart_subtransport_stream base;
    struct channel *channel;
    const struct service *service;
    struct buf request;
    int spool; /* the response, unlinked; -1 before it is asked for */
    off_t read;
};

bool repo_http_speaks(const char *url)
{
    return !strncasecmp(url, "https://", 8) || !strncasecmp(url, "http://", 7);
}

bool repo_session_is_over(struct repo_session *session)
{
    const struct repo_remote *remote = session->remote;
    if (session->failure.code)
        return true;
    if (remote->cancelled && remote->cancelled(remote->cancel_context))
        error_set(&session->failure, ERROR_CANCELLED, "cancelled");
    else if (clock_monotonic_ms() >= session->deadline) {
        error_set(&session->failure, ERROR_TIMEOUT, "it took longer than allowed");
        error_retry(&session->failure, 0);
    }
    return session->failure.code;
}

/* libgit2 hands its own error on; ours is the one that is reported. */
static int fail(struct repo_session *session)
{
    git_error_set_str(GIT_ERROR_HTTP, session->failure.message);
    return session->failure.code == ERROR_DENIED ? GIT_EAUTH : -1;
}

/* "Authorization: Basic …" (RFC 7617), or NULL in *header when there is no token. */
static int write_authorization(const struct repo_remote *remote, struct secret *header, struct error *err)
{
    if (!remote->token || !remote->token->value)
        return 0;
    static const char scheme[] = "Authorization: Basic ";
    AUTO_FREE char *pair = text_format("%s:%s", remote->user ? remote->user : "x-access-token", remote->token->value);
    size_t len = pair ? strlen(pair) : 0, size = sizeof scheme + BASE64_ENCODE_RAW_LENGTH(len);
    char *text = pair ? malloc(size) : NULL;
    if (!text)
        return error_set(err, ERROR_INTERNAL, "out of memory for the authorization header");
    memcpy(text, scheme, sizeof scheme);
    base64_encode_raw(text + sizeof scheme - 1, len, (const unsigned char *)pair);
    text[size - 1] = '\0';
    explicit_bzero(pair, len);
    *header = (struct secret){.value = text, .len = strlen(text)};
    return 0;
}

static int spool_data(void *context, const char *data, size_t len)
{
    const struct exchange *exchange = context;
    while (len > 0) {
        ssize_t written = write(exchange->spool, data, len);
        if (written < 0)
            return -1;
        data += written;
        len -= (size_t)written;
    }
    return 0;
}

static int open_spool(const char *directory, struct error *err)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) { /* a file system without O_TMPFILE */
        FILE *file = tmpfile();
        fd = file ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 0) : -1;
        if (file)
            fclose(file);
    }
    return fd < 0 ? error_system(err, errno, "make a temporary file in %s", directory) : fd;
}

/* The answer to the request for refs must say that it is git's protocol: a login page is a 200 too. */
static int check_response(const struct exchange *exchange, const struct http_response *response, struct error *err)
{
    char type[128], want[128];
    snprintf(want, sizeof want, "application/x-%s-%s", exchange->service->name,
             exchange->service->advertises ? "advertisement" : "result");
    if (response->status == 403 && http_retry_after_ms(response) > 0) {
        error_set(err, ERROR_FORGE, "the server answered 403: too many requests");
        return error_retry(err, http_retry_after_ms(response));
    }
    if (response->status == 401 || response->status == 403)
        return error_set(err, ERROR_DENIED, "the server refuses (%ld): check that the credentials may %s here",
                         response->status, strcmp(exchange->service->name, "git-receive-pack") ? "read" : "push");
    if (response->status == 404)
        return error_set(err, ERROR_NOT_FOUND, "there is no such repository, or the credentials may not see it (404)");
    if (response->status < 200 || response->status > 299) {
        error_set(err, ERROR_FORGE, "the server answered %ld", response->status);
        return response->status == 429 || response->status >= 500 ? error_retry(err, http_retry_after_ms(response))
                                                                  : -1;
    }
    const char *said = http_header(response, "content-type", type, sizeof type);
    if (!said || strncasecmp(said, want, strlen(want)) != 0)
        return error_set(err, ERROR_FORGE, "the server does not speak git's smart HTTP there: is git_url right?");
    return 0;
}

static char *address_of(const struct exchange *exchange)
{
    const char *url = exchange->channel->session->remote->url;
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return text_format("%.*s%s", (int)len, url, exchange->service->path);
}

static int send_request(struct exchange *exchange, const char *authorization, struct error *err)
{
    const struct repo_session *session = exchange->channel->session;
    const struct service *service = exchange->service;
    AUTO_FREE char *address = address_of(exchange);
    AUTO_FREE char *type = text_format("Content-Type: application/x-%s-request", service->name);
    AUTO_FREE char *accept = text_format("Accept: application/x-%s-result", service->name);
    if (!address || !type || !accept)
        return error_set(err, ERROR_INTERNAL, "out of memory for a request");
    const char *headers[5] = {"Expect:"}; /* no waiting for "100 Continue" */
    size_t count = 1;
    if (authorization)
        headers[count++] = authorization;
    if (!service->advertises) {
        headers[count++] = type;
        headers[count++] = accept;
    }
    int64_t left = session->deadline - clock_monotonic_ms();
    struct http_request request = {
        .method = service->advertises ? "GET" : "POST",
        .url = address,
        .headers = headers,
        .body = service->advertises ? NULL : buf_text(&exchange->request),
        .body_len = exchange->request.len,
        .timeout_ms = left > 0 ? left : 1,
        .idle_timeout_ms = IDLE_MS,
        .response_max = RESPONSE_MAX,
        .attempts = service->advertises ? 3 : 1,
        .on_data = spool_data,
        .data_context = exchange,
        .cancelled = session->remote->cancelled,
        .cancel_context = session->remote->cancel_context,
    };
    struct http_response response = {0};
    int result = http_send(exchange->channel->http, &request, &response, err);
    if (result == 0)
        result = check_response(exchange, &response, err);
    http_response_release(&response);
    return result;
}

static int perform(struct exchange *exchange)
{
    struct repo_session *session = exchange->channel->session;
    struct secret authorization = {0};
    if (repo_session_is_over(session))
        return fail(session);
    if (buf_check(&exchange->request, "the request to the git server", &session->failure) < 0)
        return fail(session);
    exchange->spool = open_spool(session->spool, &session->failure);
    if (exchange->spool < 0 || write_authorization(session->remote, &authorization, &session->failure) < 0)
        return fail(session);
    int result = send_request(exchange, authorization.value, &session->failure);
    secret_release(&authorization);
    return result < 0 ? fail(session) : 0;
}

static int exchange_read(git_smart_subtransport_stream *stream, char *buffer, size_t size, size_t *got)
{
    struct exchange *exchange = (struct exchange *)stream;
    if (exchange->spool < 0 && perform(exchange) < 0)
        return exchange->channel->session->failure.code == ERROR_DENIED ? GIT_EAUTH : -1;
    ssize_t len = pread(exchange->spool, buffer, size, exchange->read);
    if (len < 0) {
        error_system(&exchange->channel->session->failure, errno, "read back what the git server sent");
        return fail(exchange->channel->session);
    }
    exchange->read += len;
    *got = (size_t)len;
    return 0;
}

static int exchange_write(git_smart_subtransport_stream *stream, const char *buffer, size_t len)
{
    struct exchange *exchange = (struct exchange *)stream;
    if (buf_add(&exchange->request, buffer, len) == 0)
        return 0;
    buf_check(&exchange->request, "the request to the git server", &exchange->channel->session->failure);
    return fail(exchange->channel->session);
}

static void exchange_free(git_smart_subtransport_stream *stream)
{
    struct exchange *exchange = (struct exchange *)stream;
    if (exchange->spool >= 0)
        close(exchange->spool);
    buf_release(&exchange->request);
    free(exchange);
}

static int channel_action(git_smart_subtransport_stream **out, git_smart_subtransport *base, const char *url,
                          git_smart_service_t action)
{
    (void)url; /* the session's own address counts */
    struct exchange *exchange = malloc(sizeof *exchange);
    if (!exchange)
        return -1;
    *exchange = (struct exchange){
        .base = {.subtransport = base, .read = exchange_read, .write = exchange_write, .free = exchange_free},
        .channel = (struct channel *)base,
        .service = &services[action],
        .request = BUF_INIT(REQUEST_MAX),
        .spool = -1,
    };
    *out = &exchange->base;
    return 0;
}

static int channel_close(git_smart_subtransport *base)
{
    (void)base; /* the client keeps its connections until the end */
    return 0;
}

static void channel_free(git_smart_subtransport *base)
{
    struct channel *channel = (struct channel *)base;
    http_client_free(channel->http);
    free(channel);
}

static int open_channel(git_smart_subtransport **out, git_transport *owner, void *context)
{
    (void)owner;
    struct repo_session *session = context;
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return -1;
    channel->base = (git_smart_subtransport){.action = channel_action, .close = channel_close, .free = channel_free};
    channel->session = session;
    /* Some servers serve git at the page's address only to a client that calls itself git. */
    channel->http = http_client_new("git/2.0 (assay " ASSAY_VERSION ")", &session->failure);
    if (!channel->http) {
        free(channel);
        return fail(session);
    }
    *out = &channel->base;
    return 0;
}

int repo_http_transport(git_transport **out, git_remote *owner, void *context)
{
    struct repo_session *session = context;
    session->definition = (git_smart_subtransport_definition){.callback = open_channel, .rpc = 1, .param = session};
    return git_transport_smart(out, owner, &session->definition);
}
