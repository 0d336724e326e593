/* Examples of a spec as tests (pipeline/example.h), for Python. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/fs.h"
#include "app/base/proc.h"
#include "pipeline/example.h"
#include "tests/unit/pipeline/python.h"

static const struct {
    const char *what;
    struct example example;
    const char *code;
} cases[] = {
    {"a value",
     {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"4", (char *)"f(2) -> 4"},
     "def test_example_7():\n    # f(2) -> 4\n    assert f(2) == 4\n"},
    {"a float",
     {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"0.5", (char *)"f(2) -> 0.5"},
     "def test_example_7():\n    # f(2) -> 0.5\n    assert f(2) == pytest.approx(0.5)\n"},
    {"floats inside other things are compared as they are",
     {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"[[0.5]]", (char *)"x"},
     "def test_example_7():\n    # x\n    assert f(2) == [[0.5]]\n"},
    {"operators get parentheses",
     {EXAMPLE_EQUAL, (char *)"", (char *)"f(2) == 3", (char *)"not True", (char *)"x"},
     "def test_example_7():\n    # x\n    assert (f(2) == 3) == (not True)\n"},
    {"a tuple gets parentheses",
     {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"1, 2", (char *)"x"},
     "def test_example_7():\n    # x\n    assert f(2) == (1, 2)\n"},
    {"an exception",
     {EXAMPLE_RAISES, (char *)"", (char *)"f(-1)", (char *)"ValueError", (char *)"f(-1) raises ValueError"},
     "def test_example_7():\n    # f(-1) raises ValueError\n    with pytest.raises(ValueError):\n        f(-1)\n"},
    {"output",
     {EXAMPLE_OUTPUT, (char *)"", (char *)"f(2)", (char *)"it's \"4\"\n  \\n", (char *)"x"},
     "def test_example_7(capsys):\n    # x\n    value = f(2)\n    shown = capsys.readouterr().out + (\"\" if value is "
     "None else "
     "repr(value))\n    assert shown.rstrip() == \"it's \\\"4\\\"\\n  \\\\n\"\n"},
    {"steps before the call",
     {EXAMPLE_EQUAL, (char *)"c = Cart()\nc.add(1)\n", (char *)"c.total()", (char *)"1",
      (char *)">>> c = Cart()\n>>> c.add(1)\n>>> c.total()\n1"},
     "def test_example_7():\n    # >>> c = Cart()\n    # >>> c.add(1)\n    # >>> c.total()\n    # 1\n    c = Cart()\n"
     "    c.add(1)\n    assert c.total() == 1\n"},
    {"the text cannot leave its comment",
     {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"4", (char *)"a\rimport os\r\n\"\"\"\nb\x1b<!-- c\nd -->"},
     "def test_example_7():\n    # aimport os\n    # \"\"\"\n    # b\n    assert f(2) == 4\n"},
};

static void test_examples_become_test_functions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        AUTO_BUF struct buf out = BUF_INIT(KiB(16));
        if (example_render(python, &cases[i].example, 7, &out, &err) < 0)
            fail_msg("%s: %s", cases[i].what, err.message);
        if (strcmp(buf_text(&out), cases[i].code) != 0)
            fail_msg("%s: got\n%s", cases[i].what, buf_text(&out));
    }
}

static void test_what_would_leave_its_function_is_refused(void **state)
{
    (void)state;
    static const struct example wrong[] = {
        {EXAMPLE_EQUAL, (char *)"", (char *)"f(2); import os", (char *)"4", (char *)""},
        {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"4\nimport os", (char *)""},
        {EXAMPLE_EQUAL, (char *)"", (char *)"f(2)", (char *)"4) or (True", (char *)""},
        {EXAMPLE_RAISES, (char *)"", (char *)"f(2)", (char *)"ValueError: no", (char *)""},
        {EXAMPLE_EQUAL, (char *)"if x:\n", (char *)"f(2)", (char *)"4", (char *)""},
        {EXAMPLE_EQUAL, (char *)"x = '''\n", (char *)"f(2)", (char *)"4", (char *)""},
        {EXAMPLE_EQUAL, (char *)"", (char *)"", (char *)"4", (char *)""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        AUTO_BUF struct buf out = BUF_INIT(KiB(16));
        if (example_render(python, &wrong[i], 1, &out, &err) == 0)
            fail_msg("case %zu makes\n%s", i, buf_text(&out));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_int_equal(out.len, 0);
    }
}

static void test_the_header_imports_each_top_level_name_once(void **state)
{
    (void)state;
    char *items[] = {(char *)"Cart.total", (char *)"rate", (char *)"Cart"};
    struct yaml_texts symbols = {items, 3};
    AUTO_BUF struct buf out = BUF_INIT(KiB(4));
    assert_int_equal(example_header_render(python, "shop.cart", &symbols, &out, NULL), 0);
    assert_string_equal(buf_text(&out), "import pytest\n\nfrom shop.cart import Cart\nfrom shop.cart import rate\n");
}

/* The functions are run by a Python with a pytest of four lines: each passes on right code and fails on wrong code. */
static void test_the_tests_tell_right_from_wrong(void **state)
{
    (void)state;
    static const char fake[] = "import contextlib, io, sys\n"
                               "class pytest:\n"
                               "    @staticmethod\n"
                               "    def approx(x):\n"
                               "        class A:\n"
                               "            def __eq__(self, other): return abs(other - x) < 1e-6\n"
                               "        return A()\n"
                               "    @staticmethod\n"
                               "    @contextlib.contextmanager\n"
                               "    def raises(kind):\n"
                               "        try:\n"
                               "            yield\n"
                               "        except kind:\n"
                               "            return\n"
                               "        raise AssertionError('did not raise')\n"
                               "class Capsys:\n"
                               "    def __init__(self): self.out = sys.stdout = io.StringIO()\n"
                               "    def readouterr(self):\n"
                               "        sys.stdout = sys.__stdout__\n"
                               "        self.out = self.out.getvalue()\n"
                               "        return self\n"
                               "def outcome(test, *args):\n"
                               "    try:\n"
                               "        test(*args)\n"
                               "        return 'passed'\n"
                               "    except AssertionError:\n"
                               "        return 'failed'\n";
    static const char use[] =
        "\ndef show(x):\n    print('n', x)\n"
        "for wrong in (0, 1):\n"
        "    def f(x):\n"
        "        if x == 'raise' and not wrong: raise ValueError\n"
        "        if x == 'print': return print('a\\nb' if not wrong else 'c')\n"
        "        if x == 'tuple': return (1, 2 + wrong)\n"
        "        return 0.1 * 3 + wrong\n"
        "    print(outcome(test_example_1), outcome(test_example_2), outcome(test_example_3, Capsys()),"
        " outcome(test_example_4))\n";
    static const struct example examples[] = {
        {EXAMPLE_EQUAL, (char *)"", (char *)"f(1)", (char *)"0.3", (char *)"f(1) -> 0.3"},
        {EXAMPLE_RAISES, (char *)"", (char *)"f('raise')", (char *)"ValueError", (char *)""},
        {EXAMPLE_OUTPUT, (char *)"", (char *)"f('print')", (char *)"a\nb", (char *)""},
        {EXAMPLE_EQUAL, (char *)"", (char *)"f('tuple')", (char *)"1, 2", (char *)""},
    };
    AUTO_BUF struct buf script = BUF_INIT(KiB(64));
    buf_puts(&script, fake);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(example_render(python, &examples[i], i + 1, &script, NULL), 0);
    buf_puts(&script, use);
    if (!fs_exists("/usr/bin/python3")) {
        print_message("skipped: there is no /usr/bin/python3\n");
        skip();
    }
    const char *const argv[] = {"/usr/bin/python3", "-I", "-c", buf_text(&script), NULL};
    struct proc_request request = {.argv = argv, .timeout_ms = 60000};
    struct proc_result result = {.out = BUF_INIT(MiB(1)), .err = BUF_INIT(MiB(1))};
    struct error err = {0};
    if (proc_run(&request, &result, &err) < 0 || result.exit_status != 0)
        fail_msg("%s %s", err.message, buf_text(&result.err));
    assert_string_equal(buf_text(&result.out), "passed passed passed passed\nfailed failed failed failed\n");
    proc_result_release(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_become_test_functions),
        cmocka_unit_test(test_what_would_leave_its_function_is_refused),
        cmocka_unit_test(test_the_header_imports_each_top_level_name_once),
        cmocka_unit_test(test_the_tests_tell_right_from_wrong),
    };
    return cmocka_run_group_tests(tests, python_load, python_unload);
}
