/* The HTTP client: retries and redirects. */
#include "tests/unit/base/http_server.h"

/* ---- retries ---- */

static void busy_once(int fd, int n, struct seen *seen, int port)
{
    (void)port;
    hear(fd, seen);
    say(fd, n == 1 ? "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"
                   : OK_HEAD "Content-Length: 2\r\n\r\nok");
}

static void test_retry_after_is_honoured(void **state)
{
    (void)state;
    struct server server = start(busy_once);
    struct http_response response = {0};
    struct http_request request = {.method = "POST", .body = "x", .body_len = 1, .attempts = 3};
    struct error err = {0};
    if (call(&server, "/", request, &response, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(response.status, 200);
    assert_string_equal(buf_text(&response.body), "ok");
    assert_int_equal(response.attempts, 2);
    assert_in_range(response.elapsed_ms, 1000, 10 * SECONDS);
    http_response_release(&response);
    stop(&server);
}

static void test_the_deadline_is_not_waited_past(void **state)
{
    (void)state;
    struct server server = start(busy_once);
    struct http_response response = {0};
    struct http_request request = {.attempts = 3, .timeout_ms = 900};
    assert_int_equal(call(&server, "/", request, &response, NULL), 0);
    assert_int_equal(response.status, 503); /* the pause of 1 s does not fit, so this is the answer */
    assert_string_equal(buf_text(&response.body), "busy");
    assert_in_range(response.elapsed_ms, 0, 800);
    assert_int_equal(http_retry_after_ms(&response), 1000);
    http_response_release(&response);
    stop(&server);
}

static void by_path(int fd, int n, struct seen *seen, int port)
{
    char text[128];
    (void)n, (void)port;
    hear(fd, seen);
    snprintf(text, sizeof text, "HTTP/1.1 %.3s X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
             strchr(seen->request, '/') + 1);
    say(fd, text);
}

static void test_which_statuses_are_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int connections;
    } cases[] = {{"/200", 1}, {"/400", 1}, {"/401", 1}, {"/403", 1}, {"/404", 1},
                 {"/500", 1}, {"/429", 2}, {"/502", 2}, {"/503", 2}, {"/504", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server = start(by_path);
        struct http_response response = {0};
        assert_int_equal(call(&server, cases[i].path, (struct http_request){.attempts = 2}, &response, NULL), 0);
        assert_int_equal(server.seen->connections, cases[i].connections);
        assert_int_equal(response.attempts, cases[i].connections);
        assert_int_equal(response.status, strtol(cases[i].path + 1, NULL, 10));
        http_response_release(&response);
        stop(&server);
    }
}

/* ---- redirects ---- */

/* /<status>/<where> redirects; anything else is echoed. */
static void redirect(int fd, int n, struct seen *seen, int port)
{
    char text[512];
    char status[4] = "";
    char target[128] = "";
    (void)n;
    hear(fd, seen);
    const char *path = strchr(seen->request, '/');
    if (sscanf(path, "/%3[0-9]/%127[^ ]", status, target) != 2) {
        say(fd, OK_HEAD "Content-Length: 2\r\n\r\nok");
        return;
    }
    const char *where = target;
    char other[160];
    if (strcmp(target, "same") == 0)
        snprintf(other, sizeof other, "http://127.0.0.1:%d/there?token=1", port), where = other;
    else if (strcmp(target, "host") == 0)
        snprintf(other, sizeof other, "http://localhost:%d/there?token=1", port), where = other;
    else if (strcmp(target, "port") == 0)
        snprintf(other, sizeof other, "http://127.0.0.1:%d/there", port == 1 ? 2 : 1), where = other;
    else if (strcmp(target, "scheme") == 0)
        snprintf(other, sizeof other, "https://127.0.0.1:%d/there", port), where = other;
    else if (strcmp(target, "file") == 0)
        where = "file:///etc/passwd";
    else if (strcmp(target, "path") == 0)
        where = "/there";
    else if (strcmp(target, "loop") == 0)
        where = "/302/loop";
    snprintf(text, sizeof text, "HTTP/1.1 %s X\r\nLocation: %s\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmove",
             status, where);
    say(fd, text);
}

static void test_redirects_within_the_server_are_followed(void **state)
{
    (void)state;
    static const struct {
        const char *path, *method, *line;
        bool body;
    } cases[] = {
        {"/302/path", "GET", "GET /there HTTP/1.1\r\n", false},
        {"/301/same", "GET", "GET /there?token=1 HTTP/1.1\r\n", false},
        {"/307/path", "POST", "POST /there HTTP/1.1\r\n", true},
        {"/308/path", "POST", "POST /there HTTP/1.1\r\n", true},
        {"/301/path", "PATCH", "PATCH /there HTTP/1.1\r\n", true},
        {"/303/path", "POST", "GET /there HTTP/1.1\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server = start(redirect);
        struct http_response response = {0};
        struct error err = {0};
        struct http_request request = {.method = cases[i].method};
        if (strcmp(cases[i].method, "GET") != 0) {
            request.body = "data";
            request.body_len = 4;
        }
        if (call(&server, cases[i].path, request, &response, &err) < 0)
            fail_msg("%s: %s", cases[i].path, err.message);
        assert_int_equal(response.status, 200);
        assert_string_equal(buf_text(&response.body), "ok");
        assert_ptr_equal(strstr(server.seen->request, cases[i].line), server.seen->request);
        assert_int_equal(strstr(server.seen->request, "\r\n\r\ndata") != NULL, cases[i].body);
        assert_int_equal(response.attempts, 1);
        http_response_release(&response);
        stop(&server);
    }
}

static void test_redirects_elsewhere_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"/302/host", "/302/port", "/301/scheme", "/307/file"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct server server = start(redirect);
        struct http_request request = {.headers = (const char *[]){"Authorization: Bearer token", NULL}, .attempts = 2};
        struct error err = assert_fails(&server, paths[i], request, ERROR_DENIED);
        assert_non_null(strstr(err.message, "the server redirects to "));
        assert_int_equal(server.seen->connections, 1);
        stop(&server);
    }
}

static void test_redirects_end(void **state)
{
    (void)state;
    struct server server = start(redirect);
    struct error err = assert_fails(&server, "/302/loop", (struct http_request){0}, ERROR_IO);
    assert_non_null(strstr(err.message, "more than 5 redirects"));
    assert_int_equal(server.seen->connections, 6);
    stop(&server);
}

static void not_modified(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nConnection: close\r\n\r\n");
}

static void test_not_modified_is_no_redirect(void **state)
{
    (void)state;
    struct server server = start(not_modified);
    struct http_response response = {0};
    assert_int_equal(call(&server, "/", (struct http_request){0}, &response, NULL), 0);
    assert_int_equal(response.status, 304);
    http_response_release(&response);
    stop(&server);
}

int main(void)
{
    /* A proxy of the machine is not for servers on loopback. */
    setenv("no_proxy", "*", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_is_honoured),
        cmocka_unit_test(test_the_deadline_is_not_waited_past),
        cmocka_unit_test(test_which_statuses_are_tried_again),
        cmocka_unit_test(test_redirects_within_the_server_are_followed),
        cmocka_unit_test(test_redirects_elsewhere_are_refused),
        cmocka_unit_test(test_redirects_end),
        cmocka_unit_test(test_not_modified_is_no_redirect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
