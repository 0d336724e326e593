#include "app/receiver_process.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/base/json.h"
#include "app/confine.h"
#include "app/receiver.h"
#include "app/stop.h"

#define ORDERS_LIMITS ((struct json_limits){.bytes = KiB(64), .depth = 4})

struct orders {
    int socket;
    char *database;
    struct receiver_forge *forges;
    size_t forge_count;
};

static void orders_release(struct orders *orders)
{
    for (size_t i = 0; i < orders->forge_count; i++) {
        free(orders->forges[i].name);
        secret_release(&orders->forges[i].secret);
    }
    free(orders->forges);
    if (orders->database) /* its password, too, may stand in it */
        explicit_bzero(orders->database, strlen(orders->database));
    free(orders->database);
    if (orders->socket >= 0)
        close(orders->socket);
    *orders = (struct orders){.socket = -1};
}

static int read_input(struct buf *out, struct error *err)
{
    char chunk[4096];
    ssize_t got;
    while ((got = read(STDIN_FILENO, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno != EINTR)
            return error_system(err, errno, "read what to do from standard input");
        if (got > 0)
            buf_add(out, chunk, (size_t)got);
    }
    explicit_bzero(chunk, sizeof chunk);
    return buf_check(out, "what to do", err);
}

static int read_forge(const json_t *value, struct receiver_forge *out, struct error *err)
{
    const char *name = NULL;
    const char *secret = NULL;
    json_error_t problem;
    if (json_unpack_ex((json_t *)value, &problem, 0, "{s:s, s:s}", "name", &name, "secret", &secret) < 0)
        return error_set(err, ERROR_INPUT, "forges: %s", problem.text);
    *out = (struct receiver_forge){.name = strdup(name), .secret = {.value = strdup(secret), .len = strlen(secret)}};
    return out->name && out->secret.value ? 0 : error_set(err, ERROR_INTERNAL, "out of memory");
}

static int read_orders(const json_t *value, struct orders *out, struct error *err)
{
    const char *database = NULL;
    json_t *forges = NULL;
    json_error_t problem;
    if (json_unpack_ex((json_t *)value, &problem, 0, "{s:i, s:s, s:o}", "socket", &out->socket, "database", &database,
                       "forges", &forges) < 0)
        return error_set(err, ERROR_INPUT, "%s", problem.text);
    out->database = strdup(database);
    out->forges = calloc(json_array_size(forges) + 1, sizeof *out->forges);
    if (!out->database || !out->forges)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < json_array_size(forges); i++) {
        out->forge_count++;
        if (read_forge(json_array_get(forges, i), &out->forges[i], err) < 0)
            return -1;
    }
    return 0;
}

static int take_orders(struct orders *orders, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(ORDERS_LIMITS.bytes);
    if (read_input(&text, err) < 0)
        return -1;
    json_auto_t *value = json_read(buf_text(&text), text.len, ORDERS_LIMITS, err);
    int status = value ? read_orders(value, orders, err) : -1;
    explicit_bzero(text.data, text.len);
    if (status < 0)
        return error_wrap(err, "receiver: it is started by `assay serve`, which says on standard input what to do");
    return 0;
}

/* Files that whoever started us may have left open would outlast everything that is given up below. */
static int close_others(const struct orders *orders, struct error *err)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    if (orders->socket <= STDERR_FILENO ||
        getsockopt(orders->socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening)
        return error_set(err, ERROR_INPUT, "receiver: descriptor %d is not a listening socket", orders->socket);
    if (orders->socket > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)orders->socket - 1, 0);
    close_range((unsigned)orders->socket + 1, ~0U, 0);
    return 0;
}

static int confine_to_database(const struct store *store, const struct log *log, struct error *err)
{
    struct store_needs needs = {0};
    if (store_needs(store, &needs, err) < 0)
        return -1;
    const struct confinement rights = {
        .folder = needs.folder, .connects = needs.connects, .files = (const char *const *)needs.files};
    int status = confine_self(&rights, log, err);
    store_needs_release(&needs);
    return status;
}

static int receive(struct orders *orders, struct store *store, const struct log *log, struct error *err)
{
    struct stop stop;
    const struct receiver_config config = {
        .socket = orders->socket, .forges = orders->forges, .forge_count = orders->forge_count};
    if (stop_watch(&stop, err) < 0)
        return -1;
    orders->socket = -1; /* the receiver's now */
    struct receiver *receiver = receiver_new(&config, store, log, err);
    int status = receiver ? confine_to_database(store, log, err) : -1;
    if (status == 0 && write(STDOUT_FILENO, "ready\n", 6) != 6)
        status = error_system(err, errno, "receiver: say that it is ready");
    if (status == 0)
        status = receiver_run(receiver, stop.fd, err);
    receiver_free(receiver);
    stop_release(&stop);
    return status;
}

int receiver_process(struct error *err)
{
    struct orders orders = {.socket = -1};
    struct log log = log_open("receiver");
    int status = take_orders(&orders, err);
    if (status == 0)
        status = close_others(&orders, err);
    struct store *store = status == 0 ? store_open(orders.database, err) : NULL;
    status = store && store_spare(store, err) == 0 ? receive(&orders, store, &log, err) : -1;
    store_close(store);
    orders_release(&orders);
    return status;
}

int receiver_main(void)
{
    struct error err = {0};
    /* A list of processes would show the number of the descriptor that it was started by. */
    prctl(PR_SET_NAME, "assay receiver");
    if (receiver_process(&err) == 0)
        return 0;
    fprintf(stderr, "assay: %s\n", err.message);
    return error_exit_status(&err);
}
