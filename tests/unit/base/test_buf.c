/* Growing bytes with a cap, and the error type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "app/base/buf.h"

static void test_a_full_buffer_stays_as_it_was(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(5);
    assert_int_equal(buf_puts(&text, "abc"), 0);
    assert_int_equal(buf_puts(&text, "def"), -1);
    assert_string_equal(buf_text(&text), "abc");
    assert_int_equal(buf_putc(&text, 'd'), -1); /* it would fit, but something before it is missing */
    assert_int_equal(buf_check(&text, "the text", &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_string_equal(err.message, "the text is larger than the 5 bytes allowed");
    buf_clear(&text);
    assert_int_equal(buf_printf(&text, "%05d", 42), 0);
    assert_string_equal(buf_text(&text), "00042");
    assert_int_equal(buf_printf(&text, "%d", 1), -1);
}

static void test_a_huge_length_does_not_wrap(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = BUF_INIT(SIZE_MAX);
    buf_puts(&text, "x");
    assert_int_equal(buf_add(&text, "y", SIZE_MAX - 1), -1);
    assert_string_equal(buf_text(&text), "x");
}

static void test_stealing_leaves_an_empty_buffer(void **state)
{
    (void)state;
    size_t len = 9;
    AUTO_BUF struct buf text = BUF_INIT(10);
    AUTO_FREE char *nothing = buf_steal(&text, &len);
    assert_string_equal(nothing, "");
    assert_int_equal(len, 0);
    buf_add(&text, "a\0b", 3);
    AUTO_FREE char *bytes = buf_steal(&text, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    assert_int_equal(text.len, 0);
    assert_string_equal(buf_text(&text), "");
    assert_int_equal(buf_puts(&text, "0123456789"), 0);
}

static void test_errors_read_from_the_outside_in(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, ERROR_FORGE, "answered %d", 422), -1);
    error_retry(&err, 1500);
    error_wrap(&err, "create branch %s", "x");
    assert_int_equal(error_wrap(&err, "open pull request"), -1);
    assert_string_equal(err.message, "open pull request: create branch x: answered 422");
    assert_int_equal(err.code, ERROR_FORGE);
    assert_true(err.retryable);
    assert_int_equal(err.retry_after_ms, 1500);
    error_system(&err, ENOENT, "open %s", "f");
    assert_string_equal(err.message, "open f: No such file or directory");
    assert_int_equal(err.code, ERROR_IO);
    assert_false(err.retryable);
    error_system(&err, ENOSPC, "write %s", "f"); /* there may be room later */
    assert_int_equal(err.code, ERROR_FULL);
    assert_true(err.retryable);
    assert_int_equal(error_set(NULL, ERROR_IO, "nobody listens"), -1);
}

static void test_errors_are_one_line(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, ERROR_INPUT, "a\nb\x1b[31mc");
    assert_string_equal(err.message, "a b [31mc");
    char longer[2 * ERROR_MESSAGE_MAX];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    error_set(&err, ERROR_INPUT, "%s", longer);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    error_wrap(&err, "%s", err.message); /* the arguments may point into it */
    assert_int_equal(err.code, ERROR_INPUT);
}

static void test_exit_statuses_follow_the_code(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        int status;
        const char *name;
    } cases[] = {
        {ERROR_NONE, 0, "none"},           {ERROR_USAGE, 2, "usage"},
        {ERROR_CONFIG, 2, "config"},       {ERROR_FORGE, 3, "forge"},
        {ERROR_TIMEOUT, 3, "timeout"},     {ERROR_SANDBOX, 3, "sandbox"},
        {ERROR_INPUT, 1, "input"},         {ERROR_INTERNAL, 1, "internal"},
        {ERROR_NOT_FOUND, 1, "not-found"}, {ERROR_BUDGET, 1, "budget"},
        {ERROR_STORE, 3, "store"},         {ERROR_CANCELLED, 1, "cancelled"},
        {ERROR_FULL, 3, "full"},           {ERROR_IO, 3, "io"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.code = cases[i].code};
        assert_int_equal(error_exit_status(&err), cases[i].status);
        assert_string_equal(error_code_name(cases[i].code), cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_buffer_stays_as_it_was),
        cmocka_unit_test(test_a_huge_length_does_not_wrap),
        cmocka_unit_test(test_stealing_leaves_an_empty_buffer),
        cmocka_unit_test(test_errors_read_from_the_outside_in),
        cmocka_unit_test(test_errors_are_one_line),
        cmocka_unit_test(test_exit_statuses_follow_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
