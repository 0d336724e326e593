/* The reader of server-sent events: every way of splitting a stream gives the same events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/sse.h"

static int note(void *context, const struct sse_event *event)
{
    return buf_printf(context, "%s=%s|", event->name, event->data);
}

static const struct {
    const char *name, *stream, *events;
} streams[] = {
    {"one event", "data: a\n\n", "=a|"},
    {"no blank after the colon", "data:a\n\n", "=a|"},
    {"only one blank is taken off", "data:  a\n\n", "= a|"},
    {"CRLF", "event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", "x=a|=b|"},
    {"CR alone", "data: a\r\rdata: b\r\r", "=a|=b|"},
    {"several data lines", "data: a\ndata: b\ndata:\ndata: c\n\n", "=a\nb\n\nc|"},
    {"comments", ": ping\n\n:\ndata: a\n: more\n\n", "=a|"},
    {"an event without data is none", "event: x\n\ndata: a\n\n", "=a|"},
    {"empty data is an event", "data\n\n", "=|"},
    {"the name lasts for one event", "event: x\ndata: a\n\ndata: b\n\n", "x=a|=b|"},
    {"other fields", "id: 7\nretry: 10\nfoo: bar\ndata: a\n\n", "=a|"},
    {"byte order mark",
     "\xef\xbb\xbf"
     "data: a\n\n",
     "=a|"},
    {"no blank line at the end", "data: a\n\ndata: b\n", "=a|=b|"},
    {"no line end at the end", "data: a\n\ndata: b", "=a|=b|"},
    {"an error field", "error: {\"code\":500}\n\n", "error={\"code\":500}|"},
    {"blank lines only", "\n\n\r\n\r\r", ""},
    {"nothing", "", ""},
};

static void feed_split(const char *stream, size_t first, size_t step, struct buf *seen)
{
    struct sse sse = SSE_INIT(KiB(1));
    size_t len = strlen(stream);
    for (size_t at = 0; at < len;) {
        size_t piece = at == 0 ? first : step;
        piece = piece < len - at ? piece : len - at;
        assert_int_equal(sse_feed(&sse, stream + at, piece, note, seen, NULL), 0);
        at += piece;
    }
    assert_int_equal(sse_end(&sse, note, seen, NULL), 0);
    sse_release(&sse);
}

static void test_a_stream_gives_the_same_events_however_it_is_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        size_t len = strlen(streams[i].stream);
        for (size_t first = 1; first <= len + 1; first++) {
            AUTO_BUF struct buf seen = BUF_INIT(KiB(4));
            bool bytewise = first > len;
            feed_split(streams[i].stream, bytewise ? 1 : first, bytewise ? 1 : len, &seen);
            if (strcmp(buf_text(&seen), streams[i].events) != 0)
                fail_msg("%s: split at %zu gave %s", streams[i].name, first, buf_text(&seen));
        }
    }
}

static void test_an_endless_line_is_refused_at_the_cap(void **state)
{
    (void)state;
    struct error err = {0};
    struct sse sse = SSE_INIT(64);
    AUTO_BUF struct buf seen = BUF_INIT(KiB(4));
    int result = 0;
    for (int i = 0; i < 100 && result == 0; i++)
        result = sse_feed(&sse, "data: x", 7, note, &seen, &err);
    assert_int_equal(result, -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    sse_release(&sse);
}

static void test_an_endless_event_is_refused_at_the_cap(void **state)
{
    (void)state;
    struct error err = {0};
    struct sse sse = SSE_INIT(64);
    AUTO_BUF struct buf seen = BUF_INIT(KiB(4));
    int result = 0;
    for (int i = 0; i < 100 && result == 0; i++)
        result = sse_feed(&sse, "data: 0123456789\n", 17, note, &seen, &err);
    assert_int_equal(result, -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_int_equal(seen.len, 0);
    sse_release(&sse);
}

static int stop(void *context, const struct sse_event *event)
{
    (void)event;
    ++*(int *)context;
    return 7;
}

static void test_a_callback_can_stop_the_feeding(void **state)
{
    (void)state;
    int calls = 0;
    struct sse sse = SSE_INIT(64);
    assert_int_equal(sse_feed(&sse, "data: a\n\ndata: b\n\n", 18, stop, &calls, NULL), 7);
    assert_int_equal(calls, 1);
    sse_release(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_gives_the_same_events_however_it_is_split),
        cmocka_unit_test(test_an_endless_line_is_refused_at_the_cap),
        cmocka_unit_test(test_an_endless_event_is_refused_at_the_cap),
        cmocka_unit_test(test_a_callback_can_stop_the_feeding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
