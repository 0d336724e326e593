/* The HTTP client: streaming, and stopping on request. */
#include "tests/unit/base/http_server.h"

/* ---- streaming ---- */

struct stream {
    struct buf text;
    int pieces;
    int64_t first_at;
    int fail_at; /* piece that is refused, or 0 */
};

static int take(void *context, const char *data, size_t len)
{
    struct stream *stream = context;
    if (stream->pieces++ == 0)
        stream->first_at = clock_monotonic_ms();
    buf_add(&stream->text, data, len);
    return stream->pieces == stream->fail_at;
}

static void chunks(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        say(fd, "6\r\ndata: \r\n2\r\n\n\n\r\n");
        clock_sleep_ms(150);
    }
    say(fd, "0\r\n\r\n");
}

static void test_pieces_are_given_as_they_arrive(void **state)
{
    (void)state;
    struct server server = start(chunks);
    struct http_response response = {0};
    struct stream stream = {.text = BUF_INIT(1000)};
    struct http_request request = {.on_data = take, .data_context = &stream};
    struct error err = {0};
    if (call(&server, "/", request, &response, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(buf_text(&stream.text), "data: \n\ndata: \n\ndata: \n\ndata: \n\n");
    assert_true(stream.pieces >= 4);
    assert_true(clock_monotonic_ms() - stream.first_at >= 400);
    assert_int_equal(response.body.len, 0);
    buf_release(&stream.text);
    http_response_release(&response);
    stop(&server);
}

static void test_a_consumer_may_refuse(void **state)
{
    (void)state;
    struct server server = start(chunks);
    struct stream stream = {.text = BUF_INIT(1000), .fail_at = 2};
    struct http_request request = {.on_data = take, .data_context = &stream, .attempts = 3};
    struct error err = assert_fails(&server, "/", request, ERROR_INPUT);
    assert_false(err.retryable);
    assert_int_equal(server.seen->connections, 1);
    buf_release(&stream.text);
    stop(&server);
}

static void test_a_begun_stream_is_not_begun_again(void **state)
{
    (void)state;
    struct server server = start(half);
    struct stream stream = {.text = BUF_INIT(1000)};
    struct http_request request = {.on_data = take, .data_context = &stream, .attempts = 3};
    assert_fails(&server, "/", request, ERROR_IO);
    assert_int_equal(server.seen->connections, 1);
    assert_string_equal(buf_text(&stream.text), "only this");
    buf_release(&stream.text);
    stop(&server);
}

static void test_an_error_body_is_kept_when_streaming(void **state)
{
    (void)state;
    struct server server = start(fail_with);
    struct http_response response = {0};
    struct stream stream = {.text = BUF_INIT(1000)};
    struct http_request request = {.on_data = take, .data_context = &stream};
    assert_int_equal(call(&server, "/", request, &response, NULL), 0);
    assert_int_equal(response.status, 422);
    assert_string_equal(buf_text(&response.body), "reason");
    assert_int_equal(stream.pieces, 0);
    http_response_release(&response);
    stop(&server);
}

static void test_streams_are_capped(void **state)
{
    (void)state;
    struct server server = start(endless);
    struct stream stream = {.text = BUF_INIT(MiB(1))};
    struct http_request request = {.on_data = take, .data_context = &stream, .response_max = 50000};
    assert_fails(&server, "/", request, ERROR_LIMIT);
    assert_true(stream.text.len <= 50000);
    buf_release(&stream.text);
    stop(&server);
}

/* ---- stopping ---- */

struct stopper {
    int asked;
    int after; /* the answer is yes from this question on */
};

static bool should_stop(void *context)
{
    struct stopper *stopper = context;
    return ++stopper->asked >= stopper->after;
}

static void test_a_request_to_stop_is_honoured(void **state)
{
    (void)state;
    answer *const servers[] = {silent, endless, trickle};
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        struct server server = start(servers[i]);
        struct stopper stopper = {.after = 3};
        struct http_request request = {
            .cancelled = should_stop, .cancel_context = &stopper, .response_max = SIZE_MAX / 8, .attempts = 3};
        struct stream stream = {.text = BUF_INIT(10)};
        request.on_data = take;
        request.data_context = &stream;
        int64_t before = clock_monotonic_ms();
        assert_fails(&server, "/", request, ERROR_CANCELLED);
        assert_in_range(clock_monotonic_ms() - before, 350, 10 * SECONDS);
        assert_int_equal(stopper.asked, 3); /* a fast stream does not make it ask more often */
        buf_release(&stream.text);
        stop(&server);
    }
}

static void busy(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
}

static void test_a_pause_can_be_interrupted(void **state)
{
    (void)state;
    struct server server = start(busy);
    struct stopper stopper = {.after = 4};
    struct http_request request = {.cancelled = should_stop, .cancel_context = &stopper, .attempts = 3};
    int64_t before = clock_monotonic_ms();
    assert_fails(&server, "/", request, ERROR_CANCELLED);
    assert_in_range(clock_monotonic_ms() - before, 0, 10 * SECONDS);
    stop(&server);
}

static void test_nothing_is_sent_after_a_stop(void **state)
{
    (void)state;
    struct server server = start(silent);
    struct stopper stopper = {.after = 1};
    struct http_request request = {.cancelled = should_stop, .cancel_context = &stopper};
    assert_fails(&server, "/", request, ERROR_CANCELLED);
    stop(&server);
}

static void test_a_consumer_that_stops_on_request_is_no_error_of_the_stream(void **state)
{
    (void)state;
    struct server server = start(chunks);
    struct stopper stopper = {.after = 2};
    struct stream stream = {.text = BUF_INIT(1000), .fail_at = 1};
    struct http_request request = {
        .on_data = take, .data_context = &stream, .cancelled = should_stop, .cancel_context = &stopper};
    assert_fails(&server, "/", request, ERROR_CANCELLED);
    buf_release(&stream.text);
    stop(&server);
}

int main(void)
{
    /* A proxy of the machine is not for servers on loopback. */
    setenv("no_proxy", "*", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_given_as_they_arrive),
        cmocka_unit_test(test_a_consumer_may_refuse),
        cmocka_unit_test(test_a_begun_stream_is_not_begun_again),
        cmocka_unit_test(test_an_error_body_is_kept_when_streaming),
        cmocka_unit_test(test_streams_are_capped),
        cmocka_unit_test(test_a_request_to_stop_is_honoured),
        cmocka_unit_test(test_a_pause_can_be_interrupted),
        cmocka_unit_test(test_nothing_is_sent_after_a_stop),
        cmocka_unit_test(test_a_consumer_that_stops_on_request_is_no_error_of_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
