/* Test reports: real ones of pytest, one of another runner, and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/fs.h"
#include "pipeline/report.h"

#define FIXTURES "tests/fixtures/junit/"

static struct buf fixture(const char *name)
{
    struct buf text = BUF_INIT(MiB(1));
    struct error err = {0};
    AUTO_FREE char *path = text_format(FIXTURES "%s", name);
    if (fs_read(path, &text, &err) < 0)
        fail_msg("%s (run the tests at the project's top)", err.message);
    return text;
}

static int read_fixture(const char *name, struct test_report *report, struct error *err)
{
    AUTO_BUF struct buf text = fixture(name);
    return report_read("junit", buf_text(&text), text.len, report, err);
}

struct wanted {
    const char *suite, *name;
    enum test_status status;
    const char *message, *exception;
    const char *details; /* part of them */
};

static const struct wanted pytest[] = {
    {"", "tests.test_import", TEST_ERRORED,
     "ImportError: cannot import name 'discount' from 'shop.cart' (/workspace/shop/cart.py)", "ImportError",
     "tests/test_import.py:1: in <module>"},
    {"", "tests.test_module", TEST_ERRORED, "ModuleNotFoundError: No module named 'frobnicate'", "ModuleNotFoundError",
     "import frobnicate"},
    {"", "tests.test_syntax", TEST_ERRORED, "SyntaxError: invalid syntax", "SyntaxError", "def test_x(:"},
    {"tests.test_cart", "test_example_1", TEST_PASSED, "", "", ""},
    {"tests.test_cart", "test_total_of_two", TEST_FAILED, "NotImplementedError: total", "NotImplementedError",
     "<xml> & ]]> caf"},
    {"tests.test_cart", "test_wrong_value", TEST_FAILED,
     "AssertionError: assert {'a': 1, 'b': [1, 2, 3]} == {'a': 1, 'b': [1, 2, 4]}", "AssertionError",
     "E         {'b': [1, 2, 3]} != {'b': [1, 2, 4]}"},
    {"tests.test_cart", "test_wrong_value_with_words", TEST_FAILED, "AssertionError: one is not two", "AssertionError",
     "E         second line"},
    {"tests.test_cart", "test_broken_input", TEST_FAILED,
     "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
     "JSONDecodeError", "shop/cart.py:6: in parse"},
    {"tests.test_cart", "test_did_not_raise", TEST_FAILED, "Failed: DID NOT RAISE ValueError", "Failed",
     "with pytest.raises(ValueError):"},
    {"tests.test_cart", "test_slug[words]", TEST_FAILED, "AssertionError: assert 'a b' == 'a-b'", "AssertionError",
     "E         - a-b"},
    {"tests.test_cart", "test_slug[\\xe4-a]", TEST_FAILED, "AssertionError: assert '\u00e4' == 'a'", "AssertionError",
     "E         + \u00e4"},
    {"tests.test_cart", "test_slug[empty [x]]", TEST_PASSED, "", "", ""},
    {"tests.test_cart", "test_skipped", TEST_SKIPPED, "not today", "", ""},
    {"tests.test_cart", "test_known", TEST_SKIPPED, "known", "", ""},
    {"tests.test_cart", "test_passes_unexpectedly", TEST_FAILED, "[XPASS(strict)] should fail", "", ""},
    {"tests.test_cart", "test_with_broken_fixture", TEST_ERRORED, "ValueError: no database", "ValueError",
     "raise ValueError(\"no database\")"},
    {"tests.test_cart", "test_with_missing_fixture", TEST_ERRORED, "fixture 'no_such_fixture' not found", "",
     "available fixtures"},
    {"tests.test_cart", "test_with_untidy_fixture", TEST_ERRORED, "OSError: cannot clean up", "OSError", "def untidy"},
    {"tests.test_cart.TestCart", "test_method", TEST_FAILED,
     "assert <test_cart.TestCart object at 0x7f52c3d5e510> is None", "AssertionError", "assert self is None"},
    {"tests.test_cart.TestCart", "test_recursion", TEST_FAILED, "RecursionError: maximum recursion depth exceeded",
     "RecursionError", "test_recursion"},
    {"tests.test_cart", "test_exit", TEST_FAILED, "SystemExit: 3", "SystemExit", "sys.exit(3)"},
    {"tests.test_cart", "test_long", TEST_FAILED, "AssertionError: assert 'aaaaaaaaaaaa...aaaaaaaaaaaaa' == 'b'",
     "AssertionError", "def test_long"},
};

static const struct wanted surefire[] = {
    {"shop.CartTest", "adds", TEST_PASSED, "", "", ""},
    {"shop.CartTest", "totals", TEST_FAILED, "expected:<3> but was:<4>", "AssertionError",
     "--- system-out ---\nadding 1"},
    {"shop.CartTest", "parses", TEST_ERRORED, "java.lang.NullPointerException", "NullPointerException", "Cart.java:7"},
    {"shop.CartTest", "later", TEST_SKIPPED, "not yet", "", ""},
};

static void compare(const char *file, const struct test_report *report, const struct wanted *wanted, size_t count)
{
    size_t totals[4] = {0};
    assert_int_equal(report->count, count);
    for (size_t i = 0; i < count; i++) {
        const struct test_case *got = &report->cases[i];
        totals[got->status]++;
        if (strcmp(got->suite, wanted[i].suite) != 0 || strcmp(got->name, wanted[i].name) != 0 ||
            got->status != wanted[i].status || strcmp(got->message, wanted[i].message) != 0 ||
            strcmp(got->exception, wanted[i].exception) != 0 || !strstr(got->details, wanted[i].details))
            fail_msg("%s: %s.%s: status %d, message \"%s\", exception \"%s\", details \"%s\"", file, got->suite,
                     got->name, (int)got->status, got->message, got->exception, got->details);
        if (got->status == TEST_PASSED)
            assert_string_equal(got->details, "");
        assert_true(strlen(got->details) <= 16 * 1024);
    }
    assert_int_equal(report->passed, totals[TEST_PASSED]);
    assert_int_equal(report->failed, totals[TEST_FAILED]);
    assert_int_equal(report->errored, totals[TEST_ERRORED]);
    assert_int_equal(report->skipped, totals[TEST_SKIPPED]);
}

static void test_pytest_reports_of_both_families_say_the_same(void **state)
{
    (void)state;
    static const char *const files[] = {"pytest-xunit1.xml", "pytest-xunit2.xml"};
    for (size_t i = 0; i < 2; i++) {
        struct test_report report = {0};
        struct error err = {0};
        if (read_fixture(files[i], &report, &err) < 0)
            fail_msg("%s", err.message);
        if (i == 1) /* the object's address differs in each run */
            memcpy(strstr(report.cases[18].message, "0x"), "0x7f52c3d5e510", 14);
        compare(files[i], &report, pytest, sizeof pytest / sizeof pytest[0]);
        assert_string_equal(report.cases[3].file, i == 0 ? "tests/test_cart.py" : "");
        report_release(&report);
    }
}

static void test_a_report_of_another_runner_is_read(void **state)
{
    (void)state;
    struct test_report report = {0};
    assert_int_equal(read_fixture("surefire.xml", &report, NULL), 0);
    compare("surefire.xml", &report, surefire, sizeof surefire / sizeof surefire[0]);
    assert_int_equal(report.cases[0].elapsed_ms, 12);
    report_release(&report);
}

static void test_a_report_without_tests_is_none_the_less_a_report(void **state)
{
    (void)state;
    struct test_report report = {0};
    assert_int_equal(read_fixture("pytest-none.xml", &report, NULL), 0);
    assert_int_equal(report.count, 0);
    report_release(&report);
}

static void test_long_output_is_shortened_and_the_traceback_kept(void **state)
{
    (void)state;
    struct test_report report = {0};
    assert_int_equal(read_fixture("pytest-output.xml", &report, NULL), 0);
    const struct test_case *test = &report.cases[report.count - 1];
    assert_string_equal(test->name, "test_long");
    assert_true(strlen(test->details) <= 16 * 1024);
    assert_non_null(strstr(test->details, "def test_long"));
    assert_non_null(strstr(test->details, "AssertionError"));
    assert_non_null(strstr(test->details, "--- system-out ---"));
    assert_non_null(strstr(test->details, "\n[...]\n"));
    const struct test_case *with_control = &report.cases[1];
    assert_non_null(strstr(with_control->details, "captured #x1B[31mred"));
    report_release(&report);
}

static void test_a_cut_report_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = fixture("pytest-few.xml");
    size_t end = text.len;
    while (end > 0 && strchr(" \n", text.data[end - 1]))
        end--;
    for (size_t len = 0; len < end; len++) {
        struct test_report report = {0};
        struct error err = {0};
        if (report_read_junit(buf_text(&text), len, &report, &err) == 0)
            fail_msg("cut at %zu of %zu it was read", len, end);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_null(report.cases);
    }
}

#define CASE(inner) "<testsuite><testcase name='a' time='x'>" inner "</testcase></testsuite>"

static const struct {
    const char *name, *xml, *says;
} refused[] = {
    {"nothing", "", "not valid XML"},
    {"no XML", "FAILED (failures=1)", "not valid XML: line 1"},
    {"another document", "<html><body/></html>", "begins with <html>"},
    {"a document type", "<!DOCTYPE testsuite><testsuite/>", "document type"},
    {"a document type from outside", "<!DOCTYPE testsuite SYSTEM \"http://127.0.0.1:9/x.dtd\"><testsuite/>",
     "document type"},
    {"an unknown entity", CASE("<failure>&nbsp;</failure>"), "not valid XML"},
    {"two documents", "<testsuite/><testsuite/>", "not valid XML"},
    {"bytes that are not UTF-8", CASE("<failure>\xff\xfe</failure>"), "not valid XML"},
    {"a control character", CASE("<failure>\x1b</failure>"), "not valid XML"},
};

static void test_what_is_no_report_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct test_report report = {0};
        struct error err = {0};
        int result = report_read_junit(refused[i].xml, strlen(refused[i].xml), &report, &err);
        if (result == 0 || err.code != ERROR_INPUT || !strstr(err.message, refused[i].says))
            fail_msg("%s: %d %s", refused[i].name, result, err.message);
    }
}

static void test_entities_are_neither_expanded_nor_fetched(void **state)
{
    (void)state;
    static const char *const files[] = {"billion-laughs.xml", "external-entity.xml"};
    for (size_t i = 0; i < 2; i++) {
        struct test_report report = {0};
        struct error err = {0};
        int64_t began = clock_monotonic_ms();
        assert_int_equal(read_fixture(files[i], &report, &err), -1);
        assert_string_equal(err.message, "the test report has a document type, which is not allowed");
        assert_true(clock_monotonic_ms() - began < 1000);
        assert_null(report.cases);
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    struct test_report report = {0};
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    for (int i = 0; i < 100000; i++)
        buf_puts(&text, "<testsuite>");
    for (int i = 0; i < 100000; i++)
        buf_puts(&text, "</testsuite>");
    assert_int_equal(report_read_junit(buf_text(&text), text.len, &report, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
}

static void test_a_report_larger_than_the_cap_is_refused(void **state)
{
    (void)state;
    struct test_report report = {0};
    struct error err = {0};
    assert_int_equal(report_read_junit("<testsuite/>", (size_t)1 << 40, &report, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    buf_puts(&text, "<testsuite>");
    for (int i = 0; i < 50001; i++)
        buf_puts(&text, "<testcase name='a'/>");
    buf_puts(&text, "</testsuite>");
    assert_int_equal(report_read_junit(buf_text(&text), text.len, &report, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_times_that_make_no_sense_are_zero(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {{"0.0015", 2}, {"1.5", 1500}, {"", 0}, {"-1", 0}, {"nan", 0}, {"inf", 0}, {"1e30", 0}, {"soon", 0}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct test_report report = {0};
        AUTO_FREE char *xml = text_format("<testsuite><testcase time='%s'/></testsuite>", times[i].text);
        assert_int_equal(report_read_junit(xml, strlen(xml), &report, NULL), 0);
        assert_int_equal(report.cases[0].elapsed_ms, times[i].ms);
        assert_string_equal(report.cases[0].name, "");
        report_release(&report);
    }
}

static void test_an_unknown_format_is_a_configuration_error(void **state)
{
    (void)state;
    struct test_report report = {0};
    struct error err = {0};
    assert_int_equal(report_read("tap", "", 0, &report, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_non_null(strstr(err.message, "\"tap\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytest_reports_of_both_families_say_the_same),
        cmocka_unit_test(test_a_report_of_another_runner_is_read),
        cmocka_unit_test(test_a_report_without_tests_is_none_the_less_a_report),
        cmocka_unit_test(test_long_output_is_shortened_and_the_traceback_kept),
        cmocka_unit_test(test_a_cut_report_is_refused_wherever_it_is_cut),
        cmocka_unit_test(test_what_is_no_report_is_refused),
        cmocka_unit_test(test_entities_are_neither_expanded_nor_fetched),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_a_report_larger_than_the_cap_is_refused),
        cmocka_unit_test(test_times_that_make_no_sense_are_zero),
        cmocka_unit_test(test_an_unknown_format_is_a_configuration_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
