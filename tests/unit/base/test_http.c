/* The HTTP client: requests, answers, and servers that misbehave. */
#include "tests/unit/base/http_server.h"

static void echo(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, OK_HEAD "Content-Type: text/plain\r\nX-Note:  hi there \r\nContent-Length: 5\r\n\r\nhello");
}

static void test_sends_and_receives(void **state)
{
    (void)state;
    struct server server = start(echo);
    struct http_response response = {0};
    struct error err = {0};
    char value[64];
    struct http_request request = {
        .method = "PATCH",
        .headers = (const char *[]){"Content-Type: application/json", "X-Mine: 1", NULL},
        .body = "{\"a\":1}",
        .body_len = 7,
    };
    if (call(&server, "/x?y=z", request, &response, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(response.status, 200);
    assert_string_equal(buf_text(&response.body), "hello");
    assert_int_equal(response.attempts, 1);
    assert_string_equal(http_header(&response, "x-note", value, sizeof value), "hi there ");
    assert_null(http_header(&response, "x-not", value, sizeof value));
    const char *seen = server.seen->request;
    assert_ptr_equal(strstr(seen, "PATCH /x?y=z HTTP/1.1\r\n"), seen);
    assert_non_null(strstr(seen, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(seen, "\r\nX-Mine: 1\r\n"));
    assert_non_null(strstr(seen, "\r\nUser-Agent: assay-test\r\n"));
    assert_null(strstr(seen, "Expect:"));
    assert_non_null(strstr(seen, "\r\n\r\n{\"a\":1}"));
    http_response_release(&response);
    stop(&server);
}

static void test_methods_without_a_body(void **state)
{
    (void)state;
    static const struct {
        const char *method, *line, *length;
    } cases[] = {
        {"GET", "GET / HTTP/1.1\r\n", NULL},
        {"HEAD", "HEAD / HTTP/1.1\r\n", NULL},
        {"DELETE", "DELETE / HTTP/1.1\r\n", NULL},
        {"POST", "POST / HTTP/1.1\r\n", "\r\nContent-Length: 0\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server = start(echo);
        struct http_response response = {0};
        assert_int_equal(call(&server, "/", (struct http_request){.method = cases[i].method}, &response, NULL), 0);
        assert_ptr_equal(strstr(server.seen->request, cases[i].line), server.seen->request);
        if (cases[i].length)
            assert_non_null(strstr(server.seen->request, cases[i].length));
        else
            assert_null(strstr(server.seen->request, "Content-Length"));
        assert_int_equal(response.body.len, strcmp(cases[i].method, "HEAD") == 0 ? 0 : 5);
        http_response_release(&response);
        stop(&server);
    }
}

static void test_any_status_is_an_answer(void **state)
{
    (void)state;
    struct server server = start(fail_with);
    struct http_response response = {0};
    assert_int_equal(call(&server, "/", (struct http_request){.attempts = 3}, &response, NULL), 0);
    assert_int_equal(response.status, 422);
    assert_string_equal(buf_text(&response.body), "reason");
    assert_int_equal(response.attempts, 1);
    http_response_release(&response);
    stop(&server);
}

static void interim(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" OK_HEAD "X-Late: 1\r\nContent-Length: 0\r\n\r\n");
}

static void test_only_the_final_headers_count(void **state)
{
    (void)state;
    struct server server = start(interim);
    struct http_response response = {0};
    assert_int_equal(call(&server, "/", (struct http_request){0}, &response, NULL), 0);
    assert_string_equal(buf_text(&response.headers), "Connection: close\nX-Late: 1\nContent-Length: 0\n");
    http_response_release(&response);
    stop(&server);
}

/* ---- failures ---- */

static void test_a_silent_server_is_given_up(void **state)
{
    (void)state;
    struct server server = start(silent);
    int64_t before = clock_monotonic_ms();
    struct error err =
        assert_fails(&server, "/path?token=1", (struct http_request){.idle_timeout_ms = 300}, ERROR_TIMEOUT);
    assert_in_range(clock_monotonic_ms() - before, 300, 10 * SECONDS);
    assert_true(err.retryable);
    assert_string_equal(err.message, "GET 127.0.0.1/path: the server sent nothing for 0.3 s");
    before = clock_monotonic_ms();
    err = assert_fails(&server, "/", (struct http_request){.timeout_ms = 300}, ERROR_TIMEOUT);
    assert_in_range(clock_monotonic_ms() - before, 300, 10 * SECONDS);
    assert_string_equal(err.message, "GET 127.0.0.1/: not done within the 0.3 s allowed");
    stop(&server);
}

static void test_a_slow_server_has_until_the_deadline(void **state)
{
    (void)state;
    struct server server = start(trickle);
    struct http_request request = {.idle_timeout_ms = 500, .timeout_ms = 1500};
    int64_t before = clock_monotonic_ms();
    struct error err = assert_fails(&server, "/", request, ERROR_TIMEOUT);
    assert_in_range(clock_monotonic_ms() - before, 1500, 10 * SECONDS);
    assert_non_null(strstr(err.message, "not done within"));
    stop(&server);
}

static void endless_headers(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; i++)
        say(fd, "X-Filler: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
    say(fd, "\r\n");
}

static void test_endless_answers_are_cut_off(void **state)
{
    (void)state;
    struct server server = start(endless);
    struct error err = assert_fails(&server, "/", (struct http_request){.response_max = 100000}, ERROR_LIMIT);
    assert_string_equal(err.message, "GET 127.0.0.1/: the answer is larger than the 100000 bytes allowed");
    stop(&server);
    server = start(endless_headers);
    assert_fails(&server, "/", (struct http_request){0}, ERROR_LIMIT);
    stop(&server);
}

static void exact(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, OK_HEAD "Content-Length: 10\r\n\r\n0123456789");
}

static void test_the_cap_itself_is_allowed(void **state)
{
    (void)state;
    struct server server = start(exact);
    struct http_response response = {0};
    assert_int_equal(call(&server, "/", (struct http_request){.response_max = 10}, &response, NULL), 0);
    assert_string_equal(buf_text(&response.body), "0123456789");
    http_response_release(&response);
    assert_fails(&server, "/", (struct http_request){.response_max = 9}, ERROR_LIMIT);
    stop(&server);
}

static void hang_up(int fd, int n, struct seen *seen, int port)
{
    (void)fd, (void)n, (void)port;
    hear(fd, seen);
}

static void garbage(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, "SSH-2.0-OpenSSH_9.2\r\n");
}

static void test_broken_answers_are_errors(void **state)
{
    (void)state;
    struct server server = start(half);
    assert_true(assert_fails(&server, "/", (struct http_request){0}, ERROR_IO).retryable);
    stop(&server);
    server = start(hang_up);
    assert_true(assert_fails(&server, "/", (struct http_request){0}, ERROR_IO).retryable);
    stop(&server);
    server = start(garbage);
    assert_fails(&server, "/", (struct http_request){0}, ERROR_IO);
    stop(&server);
}

static void test_only_harmless_requests_are_sent_again_when_the_answer_broke_off(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        int connections;
    } cases[] = {{"GET", 2}, {"PUT", 2}, {"POST", 1}, {"PATCH", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server = start(hang_up);
        struct http_request request = {.method = cases[i].method, .body = "x", .body_len = 1, .attempts = 2};
        assert_fails(&server, "/", request, ERROR_IO);
        assert_int_equal(server.seen->connections, cases[i].connections);
        stop(&server);
    }
}

static void test_a_refused_connection_is_tried_again(void **state)
{
    (void)state;
    struct server server = start(NULL); /* the port is closed by now */
    struct http_request request = {.method = "POST", .body = "x", .body_len = 1, .attempts = 3};
    int64_t before = clock_monotonic_ms();
    struct error err = assert_fails(&server, "/", request, ERROR_IO);
    assert_true(err.retryable);
    assert_in_range(clock_monotonic_ms() - before, 0, 4 * SECONDS); /* at most 0.5 s and 1 s of pauses */
    stop(&server);
}

static void test_wrong_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://", ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct server server = {0};
        snprintf(server.url, sizeof server.url, "%s", urls[i]);
        struct error err = assert_fails(&server, "", (struct http_request){.attempts = 3}, ERROR_IO);
        assert_false(err.retryable);
    }
}

static void test_a_header_cannot_carry_another(void **state)
{
    (void)state;
    struct server server = start(echo);
    struct http_request request = {.headers = (const char *[]){"A: b\r\nX-Injected: 1", NULL}};
    assert_fails(&server, "/", request, ERROR_INTERNAL);
    assert_int_equal(server.seen->connections, 0);
    stop(&server);
}

/* ---- small things ---- */

static void gzip(int fd, int n, struct seen *seen, int port)
{
    static const unsigned char body[] = {0x1f, 0x8b, 8, 0, 0,    0,    0,    0,    0, 3, 0xcb, 0x48, 0xcd,
                                         0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0}; /* "hello" */
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n");
    send(fd, body, sizeof body, MSG_NOSIGNAL);
}

static void test_compressed_answers_are_unpacked(void **state)
{
    (void)state;
    struct server server = start(gzip);
    struct http_response response = {0};
    assert_int_equal(call(&server, "/", (struct http_request){0}, &response, NULL), 0);
    assert_string_equal(buf_text(&response.body), "hello");
    http_response_release(&response);
    assert_fails(&server, "/", (struct http_request){.response_max = 4}, ERROR_LIMIT); /* of what comes out */
    stop(&server);
}

static void keep_alive(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    for (int i = 0; i < 2; i++) {
        hear(fd, seen);
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    }
}

static void test_connections_are_kept(void **state)
{
    (void)state;
    struct server server = start(keep_alive);
    struct http_client *client = http_client_new("assay-test", NULL);
    for (int i = 0; i < 2; i++) {
        struct http_response response = {0};
        struct http_request request = {.method = "GET", .url = server.url};
        assert_int_equal(http_send(client, &request, &response, NULL), 0);
        http_response_release(&response);
    }
    assert_int_equal(server.seen->connections, 1);
    http_client_free(client);
    http_client_free(NULL);
    stop(&server);
}

static void test_retry_after_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t least, most;
    } cases[] = {
        {"", 0, 0},
        {"Retry-After: 7\n", 7000, 7000},
        {"X: y\nretry-after:  120\nZ: z\n", 120000, 120000},
        {"Retry-After: -5\n", 0, 0},
        {"Retry-After: soon\n", 0, 0},
        {"Retry-After: 99999999999999999999\n", 86400000, 86400000},
        {"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\n", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_response response = {.headers = BUF_INIT(1000)};
        buf_puts(&response.headers, cases[i].line);
        assert_in_range(http_retry_after_ms(&response), cases[i].least, cases[i].most);
        http_response_release(&response);
    }
    char date[64];
    time_t soon = (time_t)(clock_wall_ms() / 1000) + 90;
    struct tm tm;
    struct http_response response = {.headers = BUF_INIT(1000)};
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&soon, &tm));
    buf_printf(&response.headers, "Retry-After: %s\n", date);
    assert_in_range(http_retry_after_ms(&response), 85000, 90000);
    http_response_release(&response);
}

static void test_text_is_escaped_for_addresses(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"aZ09-._~", "aZ09-._~"},
        {"a/b c?d#e", "a%2Fb%20c%3Fd%23e"},
        {"100%&+=", "100%25%26%2B%3D"},
        {"\xc3\xa9\n", "%C3%A9%0A"},
        {"..", ".."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *escaped = http_escape(cases[i][0]);
        assert_string_equal(escaped, cases[i][1]);
    }
}

/* A server with a certificate that nobody vouches for, by the openssl program. */
static void test_certificates_are_verified(void **state)
{
    (void)state;
    char folder[] = "/tmp/assay-tls-XXXXXX";
    assert_non_null(mkdtemp(folder));
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (chdir(folder) != 0 || !freopen("log", "w", stdout) || !freopen("log", "w", stderr))
            _exit(1);
        execlp("sh", "sh", "-c",
               "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 1 -subj /CN=127.0.0.1 && "
               "exec openssl s_server -accept 127.0.0.1:0 -key key -cert cert -www >port",
               (char *)NULL);
        _exit(1);
    }
    struct server server = {.pid = pid};
    AUTO_FREE char *port_file = text_format("%s/port", folder);
    for (int i = 0; i < 400 && !server.port; i++) {
        clock_sleep_ms(25);
        FILE *file = fopen(port_file, "r");
        char line[128];
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "ACCEPT 127.0.0.1:%d", &server.port) == 1)
                break;
        if (file)
            fclose(file);
    }
    if (!server.port)
        print_message("skipped: the openssl program is not there, or does not serve\n");
    else {
        snprintf(server.url, sizeof server.url, "https://127.0.0.1:%d", server.port);
        struct error err = assert_fails(&server, "/", (struct http_request){.attempts = 2}, ERROR_IO);
        assert_non_null(strcasestr(err.message, "certificate"));
        assert_false(err.retryable);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    static const char *const names[] = {"key", "cert", "log", "port"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        AUTO_FREE char *path = text_format("%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    if (!server.port)
        skip();
}

int main(void)
{
    /* A proxy of the machine is not for servers on loopback. */
    setenv("no_proxy", "*", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends_and_receives),
        cmocka_unit_test(test_methods_without_a_body),
        cmocka_unit_test(test_any_status_is_an_answer),
        cmocka_unit_test(test_only_the_final_headers_count),
        cmocka_unit_test(test_a_silent_server_is_given_up),
        cmocka_unit_test(test_a_slow_server_has_until_the_deadline),
        cmocka_unit_test(test_endless_answers_are_cut_off),
        cmocka_unit_test(test_the_cap_itself_is_allowed),
        cmocka_unit_test(test_broken_answers_are_errors),
        cmocka_unit_test(test_only_harmless_requests_are_sent_again_when_the_answer_broke_off),
        cmocka_unit_test(test_a_refused_connection_is_tried_again),
        cmocka_unit_test(test_wrong_addresses_are_refused),
        cmocka_unit_test(test_a_header_cannot_carry_another),
        cmocka_unit_test(test_compressed_answers_are_unpacked),
        cmocka_unit_test(test_connections_are_kept),
        cmocka_unit_test(test_retry_after_is_read),
        cmocka_unit_test(test_text_is_escaped_for_addresses),
        cmocka_unit_test(test_certificates_are_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
