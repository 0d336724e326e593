/* The log: one line for each event, nothing secret in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/base/log.h"
#include "app/base/secret.h"

/* What log_write() wrote, read from a pipe. */
struct capture {
    struct log log;
    int read_end;
    char text[128 * 1024];
};

static int set_up(void **state)
{
    int ends[2];
    struct capture *capture = calloc(1, sizeof *capture);
    assert_int_equal(pipe(ends), 0);
    capture->log = (struct log){.fd = ends[1], .level = LOG_INFO, .component = "job"};
    capture->read_end = ends[0];
    *state = capture;
    return 0;
}

static int tear_down(void **state)
{
    struct capture *capture = *state;
    close(capture->log.fd);
    close(capture->read_end);
    free(capture);
    return 0;
}

/* One read is one write: lines of several processes do not mix. */
static const char *line(struct capture *capture)
{
    ssize_t got = read(capture->read_end, capture->text, sizeof capture->text - 1);
    assert_true(got > 0);
    capture->text[got] = '\0';
    assert_int_equal(capture->text[got - 1], '\n');
    assert_ptr_equal(strchr(capture->text, '\n'), capture->text + got - 1);
    capture->text[got - 1] = '\0';
    return capture->text;
}

static void test_a_line_for_people(void **state)
{
    struct capture *capture = *state;
    int64_t now = 0;
    log_warn(&capture->log, "%d of %s", 1, "two");
    const char *text = line(capture);
    AUTO_FREE char *time = strndup(text, 20);
    assert_int_equal(clock_parse_rfc3339(time, &now, NULL), 0);
    assert_in_range(clock_wall_ms() - now, 0, 60000);
    assert_string_equal(text + 20, " warn  job: 1 of two");
    capture->log.job = 12;
    capture->log.delivery = "abc-def";
    log_error(&capture->log, "x");
    assert_string_equal(line(capture) + 20, " error job: x job=12 delivery=abc-def");
}

static void test_a_line_for_machines(void **state)
{
    struct capture *capture = *state;
    capture->log.json = true;
    capture->log.job = 12;
    capture->log.delivery = "abc\xff";
    log_info(&capture->log, "say \"hi\"\nnow \xfe");
    const char *text = line(capture);
    json_auto_t *event = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(event);
    assert_string_equal(json_text_at(event, "level", ""), "info");
    assert_string_equal(json_text_at(event, "component", ""), "job");
    assert_string_equal(json_text_at(event, "message", ""), "say \"hi\" now \xef\xbf\xbd");
    assert_string_equal(json_text_at(event, "delivery", ""), "abc\xef\xbf\xbd");
    assert_int_equal(json_int_at(event, "job", 0), 12);
    assert_int_equal(strlen(json_text_at(event, "time", "")), 20);
}

static void test_outside_text_cannot_forge_lines(void **state)
{
    struct capture *capture = *state;
    capture->log.delivery = "d\nforged";
    log_info(&capture->log, "title: %s", "x\n2026-01-01T00:00:00Z error job: forged\x1b[2J\r\x7f");
    assert_null(strpbrk(line(capture), "\n\r\x1b\x7f"));
}

static void test_lower_levels_are_dropped(void **state)
{
    struct capture *capture = *state;
    log_debug(&capture->log, "not this");
    log_info(&capture->log, "but this");
    assert_non_null(strstr(line(capture), "but this"));
    capture->log.level = LOG_ERROR;
    log_warn(&capture->log, "not this");
    log_error(&capture->log, "but that");
    assert_non_null(strstr(line(capture), "but that"));
}

static void test_secrets_are_hidden_in_both_forms(void **state)
{
    struct capture *capture = *state;
    struct secrets *secrets = secrets_new();
    secrets_add(secrets, "hunt\"er22");
    capture->log.secrets = secrets;
    for (int json = 0; json <= 1; json++) {
        capture->log.json = json;
        log_info(&capture->log, "token hunt\"er22 used");
        const char *text = line(capture);
        assert_null(strstr(text, "er22"));
        assert_non_null(strstr(text, "token [redacted] used"));
    }
    secrets_free(secrets);
}

static void test_long_messages_are_cut_after_secrets_are_hidden(void **state)
{
    struct capture *capture = *state;
    struct secrets *secrets = secrets_new();
    AUTO_BUF struct buf message = BUF_INIT(KiB(64));
    secrets_add(secrets, "hunter2222222222222222");
    capture->log.secrets = secrets;
    while (message.len < 8 * 1024 - 10)
        buf_putc(&message, 'x');
    buf_puts(&message, "hunter2222222222222222"); /* lies across the cut */
    buf_puts(&message, "and more");
    log_info(&capture->log, "%s", buf_text(&message));
    const char *text = line(capture);
    assert_null(strstr(text, "hunter"));
    assert_non_null(strstr(text, "[redacted] [cut]"));
    assert_in_range(strlen(text), 8 * 1024, 9 * 1024);
    secrets_free(secrets);
}

static void test_the_environment_chooses_level_and_form(void **state)
{
    (void)state;
    static const struct {
        const char *level, *format;
        enum log_level expected;
        bool json;
    } cases[] = {
        {NULL, NULL, LOG_INFO, false},   {"debug", "json", LOG_DEBUG, true}, {"warn", "text", LOG_WARN, false},
        {"error", "", LOG_ERROR, false}, {"loud", "JSON", LOG_INFO, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsetenv("ASSAY_LOG_LEVEL");
        unsetenv("ASSAY_LOG_FORMAT");
        if (cases[i].level)
            setenv("ASSAY_LOG_LEVEL", cases[i].level, 1);
        if (cases[i].format)
            setenv("ASSAY_LOG_FORMAT", cases[i].format, 1);
        struct log log = log_open("x");
        assert_int_equal(log.level, cases[i].expected);
        assert_int_equal(log.json, cases[i].json);
        assert_int_equal(log.fd, STDERR_FILENO);
    }
}

static void test_a_closed_log_is_no_reason_to_stop(void **state)
{
    (void)state;
    struct log log = {.fd = -1, .level = LOG_INFO};
    log_info(&log, "nobody reads this");
}

int main(void)
{
#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PIPE(test_a_line_for_people),
        WITH_PIPE(test_a_line_for_machines),
        WITH_PIPE(test_outside_text_cannot_forge_lines),
        WITH_PIPE(test_lower_levels_are_dropped),
        WITH_PIPE(test_secrets_are_hidden_in_both_forms),
        WITH_PIPE(test_long_messages_are_cut_after_secrets_are_hidden),
        cmocka_unit_test(test_the_environment_chooses_level_and_form),
        cmocka_unit_test(test_a_closed_log_is_no_reason_to_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
