/* JSON from outside: limits, mistakes, look-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/json.h"

static const struct json_limits small = {.bytes = 64, .depth = 4};

static void test_reads_any_single_value(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "1",
        "\"x\"",
        "null",
        " {\"a\": [1, 2.5, true]} \n",
        "[[[[]]]]",
        "{\"a\":\"[[[[[[{{\"}",
        "\"\\\"[[[[[[\"",
        "\"\\\\\"",
        "\"\\ud83d\\ude00\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error err = {0};
        json_auto_t *value = json_read(texts[i], strlen(texts[i]), small, &err);
        if (!value)
            fail_msg("%s: %s", texts[i], err.message);
    }
}

static void test_refuses_what_is_not_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'x'",
        "01",
        "+1",
        "NaN",
        "1 2",
        "{} x",
        "// c\n1",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xed\xa0\x80\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "{\"a\":1,\"a\":2}",
        "[1]]",
        "}{",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error err = {0};
        json_auto_t *value = json_read(texts[i], strlen(texts[i]), small, &err);
        if (value)
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.message, "line "));
    }
}

static void test_names_line_and_column(void **state)
{
    (void)state;
    struct error err = {0};
    const char *text = "{\n \"a\": ?\n}";
    assert_null(json_read(text, strlen(text), small, &err));
    assert_non_null(strstr(err.message, "line 2, column 7"));
}

static void test_limits_come_before_parsing(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf deep = BUF_INIT(MiB(2));
    for (int i = 0; i < 1000000; i++)
        buf_putc(&deep, '[');
    assert_null(json_read(deep.data, deep.len, (struct json_limits){.bytes = MiB(2), .depth = 64}, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_null(json_read("[[[[[]]]]]", 10, small, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_null(json_read("[{\"a\":[{\"b\":[]}]}]", 19, small, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_null(json_read(deep.data, 65, small, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_a_nul_byte_does_not_end_the_text(void **state)
{
    (void)state;
    assert_null(json_read("{}\0{}", 5, small, NULL));
}

static void test_writes_sorted_and_compact(void **state)
{
    (void)state;
    json_auto_t *value = json_pack("{s:[i,f,n], s:{s:s}}", "b", 1, 0.5, "a", "y", "\xc3\xa9/\n");
    AUTO_FREE char *text = json_write(value, NULL);
    assert_string_equal(text, "{\"a\":{\"y\":\"\xc3\xa9/\\n\"},\"b\":[1,0.5,null]}");
    struct error err = {0};
    assert_null(json_write(NULL, &err));
    assert_int_equal(err.code, ERROR_INTERNAL);
}

static void test_follows_paths(void **state)
{
    (void)state;
    json_auto_t *root =
        json_pack("{s:{s:{s:s, s:i, s:b, s:n}}}", "issue", "user", "login", "octocat", "id", 7, "admin", 1, "x");
    assert_string_equal(json_text_at(root, "issue.user.login", "nobody"), "octocat");
    assert_string_equal(json_text_at(root, "issue.user.id", "nobody"), "nobody");
    assert_string_equal(json_text_at(root, "issue.usr.login", "nobody"), "nobody");
    assert_string_equal(json_text_at(root, "issue.user.login.deeper", "nobody"), "nobody");
    assert_string_equal(json_text_at(NULL, "a", "nobody"), "nobody");
    assert_null(json_text_at(root, "issue.user.x", NULL));
    assert_int_equal(json_int_at(root, "issue.user.id", -1), 7);
    assert_int_equal(json_int_at(root, "issue.user.login", -1), -1);
    assert_true(json_true_at(root, "issue.user.admin"));
    assert_false(json_true_at(root, "issue.user.id"));
    assert_ptr_equal(json_at(root, ""), root);
    assert_null(json_at(root, "issue..login"));
}

static void test_bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"plain", 5, "plain"},
        {"", 0, ""},
        {"a\xff"
         "b",
         3,
         "a\xef\xbf\xbd"
         "b"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"a\0b", 3,
         "a\xef\xbf\xbd"
         "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *value = json_from_text(cases[i].bytes, cases[i].len);
        assert_non_null(value);
        assert_string_equal(json_string_value(value), cases[i].text);
        AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY); /* jansson itself agrees that it is UTF-8 */
        assert_non_null(text);
    }
}

static void test_texts_are_appended(void **state)
{
    (void)state;
    json_auto_t *array = json_array();
    json_append_text(array, "%d of %s", 1, "two");
    json_append_text(array, "\xfe");
    assert_int_equal(json_array_size(array), 2);
    assert_string_equal(json_string_value(json_array_get(array, 0)), "1 of two");
    assert_string_equal(json_string_value(json_array_get(array, 1)), "\xef\xbf\xbd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_any_single_value),
        cmocka_unit_test(test_refuses_what_is_not_json),
        cmocka_unit_test(test_names_line_and_column),
        cmocka_unit_test(test_limits_come_before_parsing),
        cmocka_unit_test(test_a_nul_byte_does_not_end_the_text),
        cmocka_unit_test(test_writes_sorted_and_compact),
        cmocka_unit_test(test_follows_paths),
        cmocka_unit_test(test_bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(test_texts_are_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
