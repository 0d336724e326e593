#include "app/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/receiver_head.h"
#include "forge/webhook.h"

enum {
    TICK_MS = 250,          /* how often deadlines are looked at */
    PING_MS = 1000,         /* GET /readyz writes to the store at most this often, as long as that goes well */
    IDLE_S = 15,            /* libmicrohttpd's own limit: no byte for so long */
    STOP_MS = 5000,         /* for open requests when we are to stop */
    FRESH_MS = 2000,        /* for connections that were taken and have not said anything yet */
    HEADERS_MAX = 64 * 1024 /* of one request, and libmicrohttpd's read buffer */
};

/* One of libmicrohttpd's connections; the list is there for the deadlines, which it does not have. */
struct connection {
    int fd;
    bool busy;     /* between a request's headers and its answer's end */
    bool answered; /* once at least: its sender knows that it may be closed */
    int64_t deadline_ms;
    struct connection *next, **at;
};

/* Deliveries whose last byte has come are stored together at the end of a turn, in one transaction. */
enum { BATCH_MAX = 256 };

struct receiver {
    struct receiver_config config;
    struct store *store;
    const struct log *log;
    struct MHD_Daemon *daemon;
    struct connection *connections;
    size_t in_flight; /* bytes of bodies in memory */
    struct request *batch[BATCH_MAX];
    size_t batch_count;
    bool resumed;           /* connections whose answers libmicrohttpd is to send: it does not wake up by itself */
    int64_t ready_until_ms; /* monotonic: the store need not be asked before */
};

struct request {
    struct request_head head;
    struct refusal refusal; /* status 0: none so far */
    struct buf body;
    size_t received;                   /* kept or thrown away */
    struct MHD_Connection *connection; /* suspended while its delivery is in the batch */
    enum { NOT_STORED, NO_ROOM, STORED, WAS_HERE } stored;
};

static const struct refusal too_busy = {503, "too many deliveries at once; deliver it again later", "Retry-After",
                                        "30"};
static const struct refusal not_stored = {503, "the database cannot be written to now; deliver it again later",
                                          "Retry-After", "30"};
static const struct refusal no_room = {503, "the disk of the database is full; deliver it again later", "Retry-After",
                                       "30"};

/* A refused body is read to its end and thrown away, so that the client gets to read the answer; unless it asked
 * first (Expect) or announces more than twice what is allowed. */
static enum MHD_Result begin(const struct receiver *receiver, struct MHD_Connection *connection,
                             struct request *request, const char *path, const char *method)
{
    request->refusal = receiver_read_head(&receiver->config, connection, path, method, &request->head);
    bool at_once = request->head.length > 2 * receiver->config.body_max || receiver_header(connection, "Expect");
    return request->refusal.status && at_once ? receiver_refuse(connection, &request->refusal) : MHD_YES;
}

/* ---- the body ---- */

static void drop_body(struct receiver *receiver, struct request *request)
{
    receiver->in_flight -= request->body.len;
    buf_release(&request->body);
}

/* MHD_NO closes the connection: for a body without end. */
static enum MHD_Result take_piece(struct receiver *receiver, struct request *request, const char *data, size_t len)
{
    size_t max = receiver->config.body_max;
    request->received += len;
    if (request->received > 2 * max)
        return MHD_NO;
    if (!request->refusal.status && request->received > max)
        request->refusal = receiver_too_large;
    else if (!request->refusal.status && len > receiver->config.bodies_max - receiver->in_flight)
        request->refusal = too_busy;
    else if (!request->refusal.status && buf_add(&request->body, data, len) < 0)
        request->refusal = too_busy;
    else if (!request->refusal.status)
        receiver->in_flight += len;
    if (request->refusal.status)
        drop_body(receiver, request);
    return MHD_YES;
}

/* ---- storing ---- */

static struct delivery delivery_of(const struct request *request, int64_t now_ms)
{
    return (struct delivery){
        .forge = request->head.forge->name,
        .id = (char *)receiver_header(request->connection, "X-GitHub-Delivery"),
        .event = (char *)receiver_header(request->connection, "X-GitHub-Event"),
        .payload = request->body.data,
        .payload_len = request->body.len,
        .received_ms = now_ms,
    };
}

static void tell_stored(const struct receiver *receiver, const struct delivery *delivery, bool fresh)
{
    struct log log = *receiver->log;
    log.delivery = delivery->id;
    log_info(&log, "%s: %s, %zu bytes%s", delivery->forge, delivery->event, delivery->payload_len,
             fresh ? "" : ", was here before");
}

/* One that cannot be stored must not take the others with it: then each is tried by itself. */
static void store_batch(struct receiver *receiver, const struct delivery *deliveries, struct request *const *requests,
                        size_t count)
{
    bool fresh[BATCH_MAX] = {false};
    struct error err = {0};
    if (store_deliveries_add(receiver->store, deliveries, count, fresh, &err) == 0) {
        for (size_t i = 0; i < count; i++) {
            requests[i]->stored = fresh[i] ? STORED : WAS_HERE;
            tell_stored(receiver, &deliveries[i], fresh[i]);
        }
        return;
    }
    log_error(receiver->log, "%zu deliveries: %s", count, err.message);
    receiver->ready_until_ms = 0;
    for (size_t i = 0; i < count; i++)
        requests[i]->stored = err.code == ERROR_FULL ? NO_ROOM : NOT_STORED;
    for (size_t i = 0; count > 1 && !err.retryable && i < count; i++)
        store_batch(receiver, &deliveries[i], &requests[i], 1);
}

/* Stores what has come in this turn, and lets the answers go. */
static void commit_batch(struct receiver *receiver)
{
    struct delivery deliveries[BATCH_MAX];
    size_t count = receiver->batch_count;
    receiver->resumed = count > 0;
    if (!count)
        return;
    int64_t now_ms = store_now_ms(receiver->store);
    for (size_t i = 0; i < count; i++)
        deliveries[i] = delivery_of(receiver->batch[i], now_ms);
    store_batch(receiver, deliveries, receiver->batch, count);
    receiver->batch_count = 0;
    for (size_t i = 0; i < count; i++)
        MHD_resume_connection(receiver->batch[i]->connection);
}

static enum MHD_Result join_batch(struct receiver *receiver, struct MHD_Connection *connection, struct request *request)
{
    if (receiver->batch_count == BATCH_MAX)
        return receiver_refuse(connection, &too_busy);
    request->connection = connection;
    MHD_suspend_connection(connection);
    receiver->batch[receiver->batch_count++] = request;
    return MHD_YES;
}

static enum MHD_Result acknowledge(struct MHD_Connection *connection, const struct request *request)
{
    if (request->stored == NOT_STORED || request->stored == NO_ROOM)
        return receiver_refuse(connection, request->stored == NO_ROOM ? &no_room : &not_stored);
    json_auto_t *body =
        json_pack("{s:s, s:s}", "status", "accepted", "delivery", receiver_header(connection, "X-GitHub-Delivery"));
    if (body && request->stored == WAS_HERE)
        json_object_set_new(body, "duplicate", json_true());
    return receiver_answer(connection, 202, body, NULL, NULL);
}

/* NULL when deliveries can be stored now. It costs a sync, so whoever asks often gets the last good answer. */
static const struct refusal *check_store(struct receiver *receiver)
{
    struct error err = {0};
    if (clock_monotonic_ms() < receiver->ready_until_ms)
        return NULL;
    if (store_ping(receiver->store, &err) < 0) {
        log_error(receiver->log, "not ready: %s", err.message);
        return err.code == ERROR_FULL ? &no_room : &not_stored;
    }
    receiver->ready_until_ms = clock_monotonic_ms() + PING_MS;
    return NULL;
}

/* ---- the whole request ---- */

static enum MHD_Result finish(struct receiver *receiver, struct MHD_Connection *connection, struct request *request)
{
    if (request->refusal.status)
        return receiver_refuse(connection, &request->refusal);
    if (request->connection)
        return acknowledge(connection, request);
    if (request->head.forge) {
        const struct secret *secret = &request->head.forge->secret;
        if (webhook_signature_is_right(secret->value, secret->len, buf_text(&request->body), request->body.len,
                                       receiver_header(connection, "X-Hub-Signature-256")))
            return join_batch(receiver, connection, request);
        log_warn(receiver->log, "%s: a delivery has a wrong signature; does the webhook's secret match the forge's?",
                 request->head.forge->name);
        const struct refusal wrong = {401, "the signature is wrong; is the webhook's secret the same on both sides?",
                                      NULL, NULL};
        return receiver_refuse(connection, &wrong);
    }
    const struct refusal *unready = request->head.asks_store ? check_store(receiver) : NULL;
    json_auto_t *body = json_pack("{s:s}", "status", request->head.asks_store ? "ready" : "ok");
    return unready ? receiver_refuse(connection, unready) : receiver_answer(connection, 200, body, NULL, NULL);
}

/* ---- libmicrohttpd's callbacks ---- */

static struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void set_deadline(const struct receiver *receiver, struct connection *connection, bool busy)
{
    if (!connection)
        return;
    connection->busy = busy;
    connection->deadline_ms = clock_monotonic_ms() + receiver->config.request_ms;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *len,
                                  void **request_at)
{
    struct receiver *receiver = context;
    struct request *request = *request_at;
    (void)version;
    if (!request) {
        request = *request_at = calloc(1, sizeof *request);
        if (!request)
            return MHD_NO;
        request->body = BUF_INIT(receiver->config.body_max);
        set_deadline(receiver, connection_of(connection), true);
        return begin(receiver, connection, request, path, method);
    }
    if (*len == 0)
        return finish(receiver, connection, request);
    size_t piece = *len;
    *len = 0;
    return take_piece(receiver, request, data, piece);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_at,
                         enum MHD_RequestTerminationCode code)
{
    struct receiver *receiver = context;
    struct request *request = *request_at;
    (void)code;
    if (!request)
        return;
    drop_body(receiver, request);
    free(request);
    *request_at = NULL;
    struct connection *ours = connection_of(connection);
    set_deadline(receiver, ours, false);
    if (ours)
        ours->answered = true;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct receiver *receiver = context;
    struct connection *ours = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        ours = *socket_context = calloc(1, sizeof *ours);
        if (!ours)
            return; /* no deadline, but libmicrohttpd's idle limit */
        ours->fd = info->connect_fd;
        ours->next = receiver->connections;
        ours->at = &receiver->connections;
        if (ours->next)
            ours->next->at = &ours->next;
        receiver->connections = ours;
        set_deadline(receiver, ours, false);
    } else if (ours) {
        *ours->at = ours->next;
        if (ours->next)
            ours->next->at = ours->at;
        free(ours);
        *socket_context = NULL;
    }
}

__attribute__((format(printf, 2, 0))) static void on_complaint(void *context, const char *format, va_list args)
{
    const struct receiver *receiver = context;
    AUTO_BUF struct buf text = BUF_INIT(KiB(4));
    buf_vprintf(&text, format, args);
    log_debug(receiver->log, "http: %s", buf_text(&text));
}

/* ---- running ---- */

static void fill_defaults(struct receiver_config *config)
{
    if (!config->body_max)
        config->body_max = MiB(25);
    if (!config->bodies_max)
        config->bodies_max = MiB(64);
    if (!config->request_ms)
        config->request_ms = 30 * 1000;
    if (!config->connections_max)
        config->connections_max = BATCH_MAX;
}

static struct MHD_Daemon *start_daemon(struct receiver *receiver)
{
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, receiver->config.socket, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, receiver->config.connections_max, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADERS_MAX, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, receiver},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, receiver},
        {MHD_OPTION_END, 0, NULL},
    };
    /* The logger comes first: it hears of complaints about the options behind it. */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                            receiver, MHD_OPTION_EXTERNAL_LOGGER, on_complaint, receiver, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

struct receiver *receiver_new(const struct receiver_config *config, struct store *store, const struct log *log,
                              struct error *err)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (!receiver) {
        close(config->socket);
        error_set(err, ERROR_INTERNAL, "start the receiver: out of memory");
        return NULL;
    }
    receiver->config = *config;
    fill_defaults(&receiver->config);
    receiver->store = store;
    receiver->log = log;
    fcntl(config->socket, F_SETFL, fcntl(config->socket, F_GETFL) | O_NONBLOCK);
    receiver->daemon = start_daemon(receiver);
    if (receiver->daemon)
        return receiver;
    close(config->socket);
    free(receiver);
    error_set(err, ERROR_IO, "start the receiver: the HTTP server does not start; is it out of files or memory?");
    return NULL;
}

/* Ends what has taken too long: libmicrohttpd sees the end of the stream and cleans up. */
static void enforce_deadlines(struct receiver *receiver, int64_t now_ms)
{
    for (struct connection *at = receiver->connections; at; at = at->next)
        if (now_ms >= at->deadline_ms)
            shutdown(at->fd, SHUT_RDWR);
}

static int turn(struct receiver *receiver, int stop_fd, bool *stop, struct error *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(receiver->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    MHD_UNSIGNED_LONG_LONG wait_ms = TICK_MS;
    if (receiver->resumed)
        wait_ms = 0;
    else if (MHD_get_timeout(receiver->daemon, &wait_ms) != MHD_YES || wait_ms > TICK_MS)
        wait_ms = TICK_MS;
    struct pollfd fds[] = {{.fd = info->epoll_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    if (poll(fds, 2, (int)wait_ms) < 0 && errno != EINTR)
        return error_system(err, errno, "wait for requests");
    if (MHD_run(receiver->daemon) != MHD_YES)
        return error_set(err, ERROR_IO, "the HTTP server failed");
    commit_batch(receiver);
    enforce_deadlines(receiver, clock_monotonic_ms());
    *stop = fds[1].revents != 0;
    return 0;
}

int receiver_run(struct receiver *receiver, int stop_fd, struct error *err)
{
    bool stop = false;
    while (!stop)
        if (turn(receiver, stop_fd, &stop, err) < 0)
            return -1;
    int64_t now = clock_monotonic_ms();
    int64_t deadline = now + STOP_MS;
    MHD_socket socket = MHD_quiesce_daemon(receiver->daemon);
    for (struct connection *at = receiver->connections; at; at = at->next)
        at->deadline_ms = at->busy ? deadline : now + (at->answered ? 0 : FRESH_MS);
    while (receiver->connections && clock_monotonic_ms() < deadline)
        if (turn(receiver, -1, &stop, err) < 0)
            break;
    if (socket >= 0)
        close(socket);
    return 0;
}

void receiver_free(struct receiver *receiver)
{
    if (!receiver)
        return;
    MHD_stop_daemon(receiver->daemon);
    free(receiver);
}
