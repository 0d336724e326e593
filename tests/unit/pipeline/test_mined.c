/* What is taken out of a repository's files for a mined task (pipeline/mined.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "pipeline/mined.h"
#include "tests/unit/pipeline/python.h"

static const char code[] = "import os\n\n\n"
                           "@cached\n"
                           "def initials(name: str) -> str:\n"
                           "    \"\"\"The first letters.\n\n    >>> initials('a b')\n    'ab'\n    \"\"\"\n"
                           "    # a hint\n"
                           "    return ''.join(each[0] for each in name.split())\n"
                           "\n\n"
                           "def plain(x):\n"
                           "    if x:\n        return 1\n    return 2\n";

static void a_blank_body_leaves_signature_decorators_and_documentation(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT(KiB(16));
    assert_int_equal(mined_blank(python, code, strlen(code), "initials", &out, NULL), 0);
    assert_string_equal(buf_text(&out),
                        "import os\n\n\n"
                        "@cached\n"
                        "def initials(name: str) -> str:\n"
                        "    \"\"\"The first letters.\n\n    >>> initials('a b')\n    'ab'\n    \"\"\"\n"
                        "    raise NotImplementedError\n"
                        "\n\n"
                        "def plain(x):\n"
                        "    if x:\n        return 1\n    return 2\n");
}

static void a_body_without_documentation_is_blank_as_a_whole(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT(KiB(16));
    struct error err = {0};
    assert_int_equal(mined_blank(python, code, strlen(code), "plain", &out, NULL), 0);
    assert_non_null(strstr(buf_text(&out), "def plain(x):\n    raise NotImplementedError\n"));
    assert_null(strstr(buf_text(&out), "return 2"));
    static const char beside[] = "def f(x): return x\n\ny = 1\n";
    buf_clear(&out);
    assert_int_equal(mined_blank(python, beside, strlen(beside), "f", &out, NULL), 0);
    assert_string_equal(buf_text(&out), "def f(x): raise NotImplementedError\n\ny = 1\n");
    assert_int_equal(mined_blank(python, code, strlen(code), "missing", &out, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
}

static const char tests[] = "from names import initials\n\n\n"
                            "def test_two():\n    assert initials('a b') == 'ab'\n\n\n"
                            "def test_other():\n    assert True\n\n\n"
                            "class TestInitials:\n"
                            "    def test_one(self):\n        assert initials('a') == 'a'\n";

static void hidden_tests_leave_no_trace_of_themselves(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT(KiB(16));
    json_auto_t *ids = json_pack("[s,s,s]", "tests/test_names.py::test_two",
                                 "tests/test_names.py::TestInitials::test_one", "tests/test_more.py::test_other");
    assert_int_equal(mined_hide(python, "tests/test_names.py", tests, strlen(tests), ids, &out, NULL), 0);
    assert_null(strstr(buf_text(&out), "initials('a"));
    assert_non_null(strstr(buf_text(&out), "def test_other"));
}

static void a_test_that_is_not_in_its_file_cannot_be_hidden(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT(KiB(16));
    struct error err = {0};
    json_auto_t *ids = json_pack("[s]", "tests/test_names.py::TestInitials::test_inherited");
    assert_int_equal(mined_hide(python, "tests/test_names.py", tests, strlen(tests), ids, &out, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.message, "test_inherited"));
    assert_int_equal(out.len, 0);
}

static void ids_are_taken_apart(void **state)
{
    (void)state;
    AUTO_FREE char *file = mined_file_of("tests/test_a.py::TestA::test_x[1::2]");
    AUTO_FREE char *bare = mined_without_parameters("tests/test_a.py::TestA::test_x[1::2]");
    assert_string_equal(file, "tests/test_a.py");
    assert_string_equal(bare, "tests/test_a.py::TestA::test_x");
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_blank_body_leaves_signature_decorators_and_documentation),
        cmocka_unit_test(a_body_without_documentation_is_blank_as_a_whole),
        cmocka_unit_test(hidden_tests_leave_no_trace_of_themselves),
        cmocka_unit_test(a_test_that_is_not_in_its_file_cannot_be_hidden),
        cmocka_unit_test(ids_are_taken_apart),
    };
    return cmocka_run_group_tests_name("mined", all, python_load, python_unload);
}
