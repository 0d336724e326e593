/* Findings: what real tools print, and what of it is new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "pipeline/findings.h"

static const struct {
    const char *name, *format, *text;
    const char *wanted; /* path|line|code|message, one for each line */
} outputs[] = {
    {"ruff", "ruff-json",
     "[{\"cell\":null,\"code\":\"F401\",\"end_location\":{\"column\":10,\"row\":1},\"filename\":\"/workspace/src/"
     "a.py\",\"fix\":"
     "null,\"location\":{\"column\":8,\"row\":1},\"message\":\"`os` imported but "
     "unused\",\"noqa_row\":1,\"url\":\"x\"},"
     "{\"code\":null,\"filename\":\"b.py\",\"location\":{\"row\":3,\"column\":1},\"message\":\"SyntaxError: bad\\n\"}]",
     "src/a.py|1|F401|`os` imported but unused\nb.py|3|syntax-error|SyntaxError: bad \n"},
    {"ruff, clean", "ruff-json", "[]\n", ""},
    {"mypy", "mypy",
     "src/a.py:3: error: Name \"x\" is not defined  [name-defined]\n"
     "src/a.py:4:12: error: Incompatible return value type (got \"str\", expected \"list[int]\")  [return-value]\r\n"
     "src/a.py:4:12: note: See https://mypy.readthedocs.io for [more]\n"
     "./b.py:5: error: invalid syntax  [syntax]\n"
     "c.py:6: error: Argument is List[int]\n"
     "d.py: error: Duplicate module named \"d\"\n"
     "Found 4 errors in 3 files (checked 3 source files)\n",
     "src/a.py|3|name-defined|Name \"x\" is not defined\n"
     "src/a.py|4|return-value|Incompatible return value type (got \"str\", expected \"list[int]\")\n"
     "b.py|5|syntax|invalid syntax\n"
     "c.py|6||Argument is List[int]\n"},
    {"mypy, clean", "mypy", "Success: no issues found in 1 source file\n", ""},
    {"nothing", "mypy", "", ""},
    {"gcc", "gcc",
     "a.c: In function 'main':\n"
     "a.c:3:5: warning: unused variable 'x' [-Wunused-variable]\n"
     "    3 | int x;\n"
     "a.c:4:1: error: expected ';' before '}' token\n"
     "a.c:1:10: fatal error: nope.h: No such file or directory\n"
     "a.c:4:1: note: here\n",
     "a.c|3|-Wunused-variable|unused variable 'x'\n"
     "a.c|4||expected ';' before '}' token\n"
     "a.c|1||nope.h: No such file or directory\n"},
    {"no line end, odd numbers", "mypy",
     "a.py:99999999999999999999: error: x\n:1: error: y\na.py:: error: z\na.py:7: error: w", "a.py|0||x\na.py|7||w\n"},
};

static void test_what_tools_print_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        struct findings findings = {0};
        struct error err = {0};
        AUTO_BUF struct buf got = BUF_INIT(KiB(8));
        if (findings_read(outputs[i].format, "tool", outputs[i].text, strlen(outputs[i].text), &findings, &err) < 0)
            fail_msg("%s: %s", outputs[i].name, err.message);
        for (size_t n = 0; n < findings.count; n++)
            buf_printf(&got, "%s|%d|%s|%s\n", findings.items[n].path, findings.items[n].line, findings.items[n].code,
                       findings.items[n].message);
        if (strcmp(buf_text(&got), outputs[i].wanted) != 0)
            fail_msg("%s: %s", outputs[i].name, buf_text(&got));
        findings_release(&findings);
    }
}

static void test_output_of_another_form_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
        enum error_code code;
    } cases[] = {{"ruff-json", "", ERROR_INPUT},
                 {"ruff-json", "ruff failed", ERROR_INPUT},
                 {"ruff-json", "{}", ERROR_INPUT},
                 {"ruff-json", "[{\"code\":", ERROR_INPUT},
                 {"pylint", "", ERROR_CONFIG}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct findings findings = {0};
        struct error err = {0};
        assert_int_equal(findings_read(cases[i].format, "t", cases[i].text, strlen(cases[i].text), &findings, &err),
                         -1);
        assert_int_equal(err.code, cases[i].code);
        findings_release(&findings);
    }
}

/* Text without a NUL after it: a reader that runs past the end is seen by the sanitizer. */
static void test_text_need_not_end_in_a_nul(void **state)
{
    (void)state;
    static const char text[] = "a.py:12: error: x  [y]";
    for (size_t len = 0; len < sizeof text; len++) {
        struct findings findings = {0};
        char *exact = malloc(len ? len : 1);
        memcpy(exact, text, len);
        assert_int_equal(findings_read("mypy", "t", exact, len, &findings, NULL), 0);
        findings_release(&findings);
        free(exact);
    }
}

static struct findings read_mypy(const char *text)
{
    struct findings findings = {0};
    assert_int_equal(findings_read("mypy", "mypy", text, strlen(text), &findings, NULL), 0);
    return findings;
}

static void test_only_new_findings_are_left(void **state)
{
    (void)state;
    struct findings before = read_mypy("a.py:1: error: x  [c]\na.py:2: error: x  [c]\nb.py:1: error: y  [c]\n"
                                       "a.py:9: error: \"f\" already defined on line 3  [no-redef]\n");
    struct findings after = read_mypy("a.py:11: error: x  [c]\na.py:12: error: x  [c]\na.py:13: error: x  [c]\n"
                                      "b.py:1: error: y  [d]\nb.py:1: error: y2  [c]\nc.py:1: error: y  [c]\n"
                                      "a.py:19: error: \"f\" already defined on line 13  [no-redef]\n"
                                      "a.py:19: error: \"g\" already defined on line 13  [no-redef]\n");
    findings_subtract(&after, &before);
    json_auto_t *value = findings_to_json(&after);
    AUTO_FREE char *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(text, "[{\"tool\":\"mypy\",\"path\":\"a.py\",\"line\":13,\"code\":\"c\",\"message\":\"x\"},"
                              "{\"tool\":\"mypy\",\"path\":\"b.py\",\"line\":1,\"code\":\"d\",\"message\":\"y\"},"
                              "{\"tool\":\"mypy\",\"path\":\"b.py\",\"line\":1,\"code\":\"c\",\"message\":\"y2\"},"
                              "{\"tool\":\"mypy\",\"path\":\"c.py\",\"line\":1,\"code\":\"c\",\"message\":\"y\"},"
                              "{\"tool\":\"mypy\",\"path\":\"a.py\",\"line\":19,\"code\":\"no-redef\",\"message\":"
                              "\"\\\"g\\\" already defined on line 13\"}]");
    findings_release(&before);
    findings_release(&after);
}

static void test_bytes_that_are_not_text_do_not_lose_a_finding(void **state)
{
    (void)state;
    struct findings findings = read_mypy("a\xff.py:1: error: \xfe\x01  [c]\n");
    json_auto_t *value = findings_to_json(&findings);
    assert_int_equal(json_array_size(value), 1);
    findings_release(&findings);
}

static void test_too_many_findings_are_refused_rather_than_left_out(void **state)
{
    (void)state;
    struct findings findings = {0};
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    for (int i = 0; i < 20001; i++)
        buf_printf(&text, "a.py:%d: error: x\n", i + 1);
    assert_int_equal(findings_read("mypy", "mypy", buf_text(&text), text.len, &findings, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    findings_release(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_tools_print_is_read),
        cmocka_unit_test(test_output_of_another_form_is_refused),
        cmocka_unit_test(test_text_need_not_end_in_a_nul),
        cmocka_unit_test(test_only_new_findings_are_left),
        cmocka_unit_test(test_bytes_that_are_not_text_do_not_lose_a_finding),
        cmocka_unit_test(test_too_many_findings_are_refused_rather_than_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
