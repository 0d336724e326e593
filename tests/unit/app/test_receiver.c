/* The receiver as a forge and an attacker meet it: a real process, real sockets on loopback, a real database. */
#include "store_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/listener.h"
#include "app/receiver.h"

#define SECRET "It's a Secret to Everybody"
/* GitHub's own example, "Validating webhook deliveries". */
#define HELLO           "Hello, World!"
#define HELLO_SIGNATURE "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

struct server {
    struct fixture *files;
    pid_t pid;
    int port, stop;
};

/* ---- the process under test ---- */

static int serve(const char *url, struct receiver_config config, int stop)
{
    struct error err = {0};
    struct log log = log_open("receiver");
    log.level = LOG_ERROR + 1;
    struct store *store = store_open(url, &err);
    struct receiver *receiver = store ? receiver_new(&config, store, &log, &err) : NULL;
    int result = receiver ? receiver_run(receiver, stop, &err) : -1;
    receiver_free(receiver);
    store_close(store);
    return result < 0 ? 1 : 0;
}

static void start(struct server *server, struct receiver_config config)
{
    struct error err = {0};
    const struct receiver_forge forges[] = {{"github", {SECRET, strlen(SECRET)}}, {"other", {"another", 7}}};
    AUTO_FREE char *url = NULL;
    int stop[2];
    config.forges = forges;
    config.forge_count = 2;
    config.socket = listener_open("127.0.0.1:0", &url, &err);
    NEEDS(config.socket, &err);
    assert_int_equal(pipe(stop), 0);
    server->port = (int)strtol(strrchr(url, ':') + 1, NULL, 10);
    assert_true(server->port > 0);
    server->pid = fork();
    if (server->pid == 0) {
        close(stop[1]);
        _exit(serve(server->files->url, config, stop[0]));
    }
    close(stop[0]);
    close(config.socket);
    server->stop = stop[1];
}

/* Closing the pipe is the request to stop. */
static void stop_server(struct server *server)
{
    int status = 0;
    close(server->stop);
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    server->pid = 0;
}

static int setup(void **state)
{
    struct server *server = calloc(1, sizeof *server);
    void *files = NULL;
    fixture_setup(&files);
    server->files = files;
    store_close(server->files->store); /* a connection does not survive fork() */
    server->files->store = NULL;
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    struct server *server = *state;
    if (server->pid) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        close(server->stop);
    }
    void *files = server->files;
    free(server);
    return fixture_teardown(&files);
}

/* ---- a client ---- */

static int dial(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static bool say(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

/* Reads until `mark` has come (and its Content-Length after it), or the end. */
static void hear(int fd, struct buf *answer)
{
    for (;;) {
        char chunk[4096];
        const char *end = answer->data ? strstr(answer->data, "\r\n\r\n") : NULL;
        const char *length = end ? strcasestr(answer->data, "Content-Length:") : NULL;
        bool interim = answer->data && strncmp(answer->data, "HTTP/1.1 100", 12) == 0;
        if (length && !interim && strlen(end + 4) >= strtoul(length + 15, NULL, 10))
            return;
        ssize_t got = recv(fd, chunk, sizeof chunk, 0);
        if (got <= 0)
            return;
        buf_add(answer, chunk, (size_t)got);
    }
}

/* Sends bytes on a connection of its own and gives the status, 0 when the connection was closed without one. */
static int exchange(const struct server *server, const void *data, size_t len, struct buf *answer)
{
    AUTO_CLOSE int fd = dial(server);
    AUTO_BUF struct buf own = BUF_INIT(MiB(1));
    struct buf *to = answer ? answer : &own;
    say(fd, data, len);
    hear(fd, to);
    return to->len > 12 ? (int)strtol(to->data + 9, NULL, 10) : 0;
}

static char *sign(const char *secret, const void *body, size_t len)
{
    char hex[DIGEST_HEX_SIZE];
    return text_format("sha256=%s", digest_hmac_sha256(secret, strlen(secret), body, len, hex));
}

/* A whole delivery as GitHub sends it. */
static int deliver(const struct server *server, const char *id, const void *body, size_t len, struct buf *answer)
{
    AUTO_FREE char *signature = sign(SECRET, body, len);
    AUTO_BUF struct buf request = BUF_INIT(MiB(64));
    buf_printf(&request,
               "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               "X-GitHub-Event: issues\r\nX-GitHub-Delivery: %s\r\nX-Hub-Signature-256: %s\r\n"
               "Content-Length: %zu\r\n\r\n",
               id, signature, len);
    buf_add(&request, body, len);
    return exchange(server, request.data, request.len, answer);
}

static int get(const struct server *server, const char *path)
{
    AUTO_FREE char *request = text_format("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    return exchange(server, request, strlen(request), NULL);
}

static size_t waiting(const struct server *server)
{
    struct error err = {0};
    struct store *store = open_or_fail(server->files->url);
    json_auto_t *status = store_status(store, &err);
    store_close(store);
    return (size_t)json_integer_value(json_object_get(json_object_get(status, "deliveries"), "waiting"));
}

/* ---- deliveries ---- */

static void a_signed_delivery_is_stored_and_then_acknowledged(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
    const char body[] = "{\"zero\": \"\0\", \"not JSON at all\xff";
    assert_int_equal(deliver(server, "72d3162e-cc78-11e3-81ab-4c9367dc0958", body, sizeof body, &answer), 202);
    assert_non_null(strstr(answer.data, "Content-Type: application/json"));
    assert_non_null(
        strstr(answer.data, "{\"status\":\"accepted\",\"delivery\":\"72d3162e-cc78-11e3-81ab-4c9367dc0958\"}"));
    kill(server->pid, SIGKILL); /* what was acknowledged does not need a polite end */
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
    close(server->stop);
    struct error err = {0};
    struct delivery out = {0};
    bool found = false;
    struct store *store = open_or_fail(server->files->url);
    NEEDS(store_delivery_take(store, "dispatcher", clock_wall_ms(), 1000, &out, &found, &err), &err);
    assert_true(found);
    assert_string_equal(out.forge, "github");
    assert_string_equal(out.event, "issues");
    assert_int_equal(out.payload_len, sizeof body);
    assert_memory_equal(out.payload, body, sizeof body);
    assert_in_range(out.received_ms, clock_wall_ms() - 60000, clock_wall_ms());
    delivery_release(&out);
    store_close(store);
}

static void a_delivery_that_comes_twice_is_acknowledged_twice_and_stored_once(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
    assert_int_equal(deliver(server, "same", "{}", 2, NULL), 202);
    assert_int_equal(deliver(server, "same", "{}", 2, &answer), 202);
    assert_non_null(strstr(answer.data, "\"duplicate\":true"));
    assert_int_equal(waiting(server), 1);
}

#define POST    "POST /webhooks/github HTTP/1.1\r\n"
#define HOST    "Host: x\r\n"
#define JSON    "Content-Type: application/json\r\n"
#define EVENT   "X-GitHub-Event: issues\r\n"
#define ID      "X-GitHub-Delivery: abc\r\n"
#define SIGNED  "X-Hub-Signature-256: " HELLO_SIGNATURE "\r\n"
#define BODY    "Content-Length: 13\r\n\r\n" HELLO
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n8\r\n, World!\r\n0\r\n\r\n"

static void each_request_gets_the_status_that_fits(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *says;
    } cases[] = {
        {POST HOST JSON EVENT ID SIGNED BODY, 202, "\"status\":\"accepted\""},
        {POST HOST "content-type: Application/JSON; charset=utf-8\r\n" EVENT ID SIGNED BODY, 202, "accepted"},
        {POST HOST JSON EVENT ID SIGNED CHUNKED, 202, "accepted"},
        {POST HOST JSON EVENT ID BODY, 401, "X-Hub-Signature-256 is missing"},
        {POST HOST JSON EVENT ID "X-Hub-Signature: sha1=00\r\n" BODY, 401, "X-Hub-Signature-256 is missing"},
        {POST HOST JSON EVENT ID "X-Hub-Signature-256: sha256=00\r\n" BODY, 401, "wrong"},
        {POST HOST JSON EVENT ID "X-Hub-Signature-256: \r\n" BODY, 401, "wrong"},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: 13\r\n\r\nHello, World?", 401, "wrong"},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: 0\r\n\r\n", 401, "wrong"},
        {"POST /webhooks/other HTTP/1.1\r\n" HOST JSON EVENT ID SIGNED BODY, 401, "wrong"},
        {POST HOST "Content-Type: application/x-www-form-urlencoded\r\n" EVENT ID SIGNED BODY, 415,
         "choose application/json"},
        {POST HOST "Content-Type: application/jsonp\r\n" EVENT ID SIGNED BODY, 415, "not application/json"},
        {POST HOST EVENT ID SIGNED BODY, 415, "not application/json"},
        {POST HOST JSON ID SIGNED BODY, 400, "X-GitHub-Event is missing"},
        {POST HOST JSON "X-GitHub-Event: ../issues\r\n" ID SIGNED BODY, 400, "X-GitHub-Event"},
        {POST HOST JSON EVENT SIGNED BODY, 400, "X-GitHub-Delivery is missing"},
        {POST HOST JSON EVENT "X-GitHub-Delivery: a b\r\n" SIGNED BODY, 400, "X-GitHub-Delivery"},
        {"POST /webhooks/gitlab HTTP/1.1\r\n" HOST JSON EVENT ID SIGNED BODY, 404, "no forge of this name"},
        {"POST /webhooks/ HTTP/1.1\r\n" HOST JSON EVENT ID SIGNED BODY, 404, "no forge"},
        {"POST /webhooks/github/ HTTP/1.1\r\n" HOST JSON EVENT ID SIGNED BODY, 404, "no forge"},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 404, "nothing at this address"},
        {"GET /webhooks HTTP/1.1\r\n" HOST "\r\n", 404, "nothing"},
        {"GET /webhooks/github HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: POST"},
        {"PUT /webhooks/github HTTP/1.1\r\n" HOST JSON EVENT ID SIGNED BODY, 405, "Allow: POST"},
        {"POST /healthz HTTP/1.1\r\n" HOST BODY, 405, "Allow: GET, HEAD"},
        {"DELETE /readyz HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: GET, HEAD"},
        {"GET /healthz HTTP/1.1\r\n" HOST "\r\n", 200, "{\"status\":\"ok\"}"},
        {"GET /readyz?verbose=1 HTTP/1.1\r\n" HOST "\r\n", 200, "{\"status\":\"ready\"}"},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: 26214401\r\nExpect: 100-continue\r\n\r\n", 413, "25 MiB"},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: 99999999999\r\n\r\n", 413, "25 MiB"},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: 13\r\nContent-Length: 5\r\n\r\n" HELLO, 400, ""},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: 13\r\n" CHUNKED, 400, ""},
        {POST HOST JSON EVENT ID SIGNED "Content-Length: -1\r\n\r\n", 400, ""},
        {"POST /webhooks/github HTTP/1.1\r\n" JSON EVENT ID SIGNED BODY, 400, ""}, /* HTTP/1.1 without Host */
        {"what is this\r\n\r\n", 400, ""},
    };
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
        int status = exchange(server, cases[i].request, strlen(cases[i].request), &answer);
        if (status != cases[i].status || !strstr(buf_text(&answer), cases[i].says))
            fail_msg("case %zu:\n%s\ngot %d: %s", i, cases[i].request, status, buf_text(&answer));
    }
    assert_int_equal(waiting(server), 1); /* the first; the other accepted ones have its id */
    stop_server(server);
}

static void bodies_are_bounded_however_their_length_is_told(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){.body_max = 1000});
    char body[3000];
    memset(body, 'x', sizeof body);
    const struct {
        size_t length;
        int status;
    } cases[] = {{0, 202}, {999, 202}, {1000, 202}, {1001, 413}, {2000, 413}, {3000, 413}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[16];
        snprintf(id, sizeof id, "whole-%zu", i);
        assert_int_equal(deliver(server, id, body, cases[i].length, NULL), cases[i].status);
        AUTO_FREE char *signature = sign(SECRET, body, cases[i].length);
        AUTO_BUF struct buf request = BUF_INIT(MiB(1));
        buf_printf(&request,
                   POST HOST JSON EVENT "X-GitHub-Delivery: part-%zu\r\nX-Hub-Signature-256: %s\r\n"
                                        "Transfer-Encoding: chunked\r\n\r\n",
                   i, signature);
        if (cases[i].length)
            buf_printf(&request, "%zx\r\n%.*s\r\n", cases[i].length, (int)cases[i].length, body);
        buf_puts(&request, "0\r\n\r\n");
        int status = exchange(server, request.data, request.len, NULL);
        /* A body without end is cut off, at twice what is allowed. */
        assert_int_equal(status, cases[i].length > 2000 ? 0 : cases[i].status);
    }
    assert_int_equal(waiting(server), 6);
}

static void a_delivery_of_25_mib_is_taken_and_one_more_byte_is_not(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    AUTO_FREE char *body = malloc(MiB(25) + 1);
    memset(body, ' ', MiB(25) + 1);
    assert_int_equal(deliver(server, "fits", body, MiB(25), NULL), 202);
    assert_int_equal(deliver(server, "over", body, MiB(25) + 1, NULL), 413);
    assert_int_equal(waiting(server), 1);
}

/* ---- bounds ---- */

static void begin_delivery(int fd, size_t length, size_t sent)
{
    AUTO_BUF struct buf request = BUF_INIT(MiB(1));
    buf_printf(&request, POST HOST JSON EVENT ID SIGNED "Content-Length: %zu\r\n\r\n", length);
    for (size_t i = 0; i < sent; i++)
        buf_putc(&request, 'x');
    assert_true(say(fd, request.data, request.len));
}

static void bodies_in_flight_are_bounded_together(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){.body_max = 100000, .bodies_max = 150000});
    AUTO_CLOSE int slow = dial(server);
    begin_delivery(slow, 100000, 99999); /* stays in memory */
    assert_int_equal(get(server, "/healthz"), 200);
    clock_sleep_ms(200);
    AUTO_FREE char *body = calloc(1, 60000);
    AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
    assert_int_equal(deliver(server, "one-too-many", body, 60000, &answer), 503);
    assert_non_null(strcasestr(answer.data, "Retry-After: 30"));
    assert_int_equal(deliver(server, "small", "{}", 2, NULL), 202);
    shutdown(slow, SHUT_RDWR); /* gives its room back */
    clock_sleep_ms(200);
    assert_int_equal(deliver(server, "one-too-many", body, 60000, NULL), 202);
}

/* Sends one byte every 50 ms; how long until the server ended it. */
static int64_t drip(const struct server *server, bool with_headers)
{
    AUTO_CLOSE int fd = dial(server);
    int64_t began = clock_monotonic_ms();
    if (with_headers)
        begin_delivery(fd, 1000, 1);
    else
        assert_true(say(fd, "POST /webhooks/github HTTP/1.1\r\nX-Slow: ", 40));
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    while (poll(&ended, 1, 50) == 0 && clock_monotonic_ms() - began < 10000)
        say(fd, "x", 1);
    return clock_monotonic_ms() - began;
}

static void a_client_that_drips_is_cut_off_at_the_deadline(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){.request_ms = 600});
    assert_in_range(drip(server, false), 500, 2500);
    assert_in_range(drip(server, true), 500, 2500);
    assert_int_equal(get(server, "/healthz"), 200);
}

static void more_connections_than_allowed_wait_for_their_turn(void **state)
{
    struct server *server = *state;
    enum { CLIENTS = 24 };
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    start(server, (struct receiver_config){.connections_max = 8});
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial(server);
        assert_true(say(fds[i], request, strlen(request)));
    }
    for (int i = 0; i < CLIENTS; i++) {
        AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
        hear(fds[i], &answer);
        assert_non_null(strstr(buf_text(&answer), "HTTP/1.1 200"));
        close(fds[i]);
    }
}

static void one_connection_carries_several_deliveries(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    AUTO_CLOSE int fd = dial(server);
    for (int i = 0; i < 3; i++) {
        AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
        AUTO_FREE char *request = text_format(POST HOST JSON EVENT "X-GitHub-Delivery: keep-%d\r\n" SIGNED BODY, i);
        assert_true(say(fd, request, strlen(request)));
        hear(fd, &answer);
        assert_non_null(strstr(buf_text(&answer), "HTTP/1.1 202"));
    }
    assert_int_equal(waiting(server), 3);
}

/* Each is answered when it is stored, though nothing else happens that would wake the receiver up: the bound is half of
 * what waiting for its next look at the deadlines (250 ms) would take. */
static void a_delivery_that_comes_alone_is_answered_at_once(void **state)
{
    enum { COUNT = 20 };
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    AUTO_CLOSE int fd = dial(server);
    int64_t began = clock_monotonic_ms();
    for (int i = 0; i < COUNT; i++) {
        AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
        AUTO_FREE char *request = text_format(POST HOST JSON EVENT "X-GitHub-Delivery: alone-%d\r\n" SIGNED BODY, i);
        assert_true(say(fd, request, strlen(request)));
        hear(fd, &answer);
        assert_non_null(strstr(buf_text(&answer), "HTTP/1.1 202"));
    }
    assert_in_range(clock_monotonic_ms() - began, 0, COUNT * 250 / 2);
}

static void a_store_that_cannot_write_is_503_with_a_time_to_come_back(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    assert_int_equal(get(server, "/readyz"), 200);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(server->files->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
    assert_int_equal(deliver(server, "later", "{}", 2, &answer), 503); /* after the store's five seconds */
    assert_non_null(strcasestr(answer.data, "Retry-After: 30"));
    assert_null(strstr(answer.data, server->files->folder)); /* no paths of ours for the world */
    assert_int_equal(get(server, "/readyz"), 503);
    assert_int_equal(get(server, "/healthz"), 200);
    sqlite3_close(other);
    assert_int_equal(deliver(server, "later", "{}", 2, NULL), 202);
    assert_int_equal(get(server, "/readyz"), 200);
}

static void a_stop_waits_for_open_requests_but_not_for_idle_connections(void **state)
{
    struct server *server = *state;
    start(server, (struct receiver_config){0});
    AUTO_CLOSE int idle = dial(server);
    AUTO_CLOSE int fresh = dial(server);
    AUTO_CLOSE int open = dial(server);
    static const char whole[] =
        POST HOST JSON EVENT "X-GitHub-Delivery: fresh\r\n" SIGNED "Content-Length: 13\r\n\r\nHello, World!";
    static const char first_half[] = POST HOST JSON EVENT ID SIGNED "Content-Length: 13\r\n\r\nHello";
    assert_true(say(open, first_half, strlen(first_half)));
    assert_true(idle >= 0);
    assert_int_equal(get(server, "/healthz"), 200); /* all are known to it */
    clock_sleep_ms(100);
    close(server->stop);
    server->stop = -1;
    clock_sleep_ms(600); /* longer than one of its turns */
    AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
    assert_true(say(fresh, whole, strlen(whole))); /* its sender may have begun before the stop */
    hear(fresh, &answer);
    assert_non_null(strstr(buf_text(&answer), "HTTP/1.1 202"));
    shutdown(fresh, SHUT_WR);
    buf_clear(&answer);
    assert_true(say(open, ", World!", 8));
    hear(open, &answer);
    assert_non_null(strstr(buf_text(&answer), "HTTP/1.1 202"));
    int64_t began = clock_monotonic_ms();
    int status = 1;
    shutdown(open, SHUT_WR);
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    server->pid = 0;
    assert_int_equal(status, 0);
    assert_true(clock_monotonic_ms() - began < 3000);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_signed_delivery_is_stored_and_then_acknowledged),
        SERVER_TEST(a_delivery_that_comes_twice_is_acknowledged_twice_and_stored_once),
        SERVER_TEST(each_request_gets_the_status_that_fits),
        SERVER_TEST(bodies_are_bounded_however_their_length_is_told),
        SERVER_TEST(a_delivery_of_25_mib_is_taken_and_one_more_byte_is_not),
        SERVER_TEST(bodies_in_flight_are_bounded_together),
        SERVER_TEST(a_client_that_drips_is_cut_off_at_the_deadline),
        SERVER_TEST(more_connections_than_allowed_wait_for_their_turn),
        SERVER_TEST(one_connection_carries_several_deliveries),
        SERVER_TEST(a_delivery_that_comes_alone_is_answered_at_once),
        SERVER_TEST(a_store_that_cannot_write_is_503_with_a_time_to_come_back),
        SERVER_TEST(a_stop_waits_for_open_requests_but_not_for_idle_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
