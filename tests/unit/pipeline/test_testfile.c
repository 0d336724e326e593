/* Test files are put together from examples and from what models write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "pipeline/testfile.h"

struct world {
    struct languages *languages;
    const struct language *python;
    struct import_rules *rules;
    char *tree;
    struct spec spec;
    struct testfile file;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct error err = {0};
    json_auto_t *probe = json_pack("{s:[s,s], s:[], s:{}}", "stdlib", "os", "math", "declared", "provides");
    struct yaml_texts allowed = {0};
    world->spec = (struct spec){
        .text = "Makes a slug. Too long a text is a ValueError.", .file = "src/shop/text.py", .symbol = "slugify"};
    world->languages = languages_load(&err);
    world->python = languages_by_name(world->languages, "python");
    world->tree = fs_make_temp_dir("/tmp", "assay-testfile-", &err);
    assert_non_null(world->tree);
    assert_int_equal(fs_write_beneath(world->tree, "src/shop/text.py", "", 0, false, &err), 0);
    assert_int_equal(fs_write_beneath(world->tree, "tests/test_slugify.py", "", 0, false, &err), 0);
    world->rules = import_rules_new(world->python, probe, world->tree, &allowed, &err);
    assert_non_null(world->rules);
    assert_int_equal(testfile_init(&world->file, world->python, world->rules, world->tree, &world->spec, &err), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    testfile_release(&world->file);
    import_rules_free(world->rules);
    languages_free(world->languages);
    fs_remove_tree(world->tree, NULL);
    free(world->tree);
    free(world);
    return 0;
}

static void a_path_that_is_taken_gets_a_number(void **state)
{
    struct world *world = *state;
    assert_string_equal(world->file.path, "tests/test_slugify_2.py");
    assert_non_null(strstr(world->file.text, "from shop.text import slugify"));
}

static void only_what_is_usable_is_taken(void **state)
{
    struct world *world = *state;
    struct error err = {0};
    static const char code[] = "import os\nimport numpy\nfrom your_module import slugify\n\n"
                               "def slugify(text):\n    return 'mine'\n\n"
                               "def helper():\n    return 'a b'\n\n"
                               "def test_usual():\n    assert slugify(helper()) == 'a-b'\n\n"
                               "def test_broken(:\n    assert\n\n"
                               "print(slugify('x'))\n";
    assert_int_equal(testfile_add(&world->file, code, 40, &err), 0);
    assert_int_equal(world->file.test_count, 1);
    assert_non_null(strstr(world->file.text, "import os"));
    assert_non_null(strstr(world->file.text, "def helper"));
    assert_non_null(strstr(world->file.text, "def test_usual"));
    assert_null(strstr(world->file.text, "numpy"));
    assert_null(strstr(world->file.text, "your_module"));
    assert_null(strstr(world->file.text, "mine"));
    assert_null(strstr(world->file.text, "print"));
}

static void an_error_that_the_request_does_not_name_is_left_out(void **state)
{
    struct world *world = *state;
    static const char code[] = "import pytest\n\n"
                               "def test_none():\n    with pytest.raises(TypeError):\n        slugify(None)\n\n"
                               "def test_long():\n    with pytest.raises(ValueError):\n        slugify('a' * 1000)\n";
    assert_int_equal(testfile_add(&world->file, code, 40, NULL), 0);
    assert_int_equal(world->file.test_count, 1);
    assert_non_null(strstr(world->file.text, "test_long"));
    assert_int_equal(json_array_size(world->file.undecided), 1);
    world->spec.text = "Makes a slug.";
    assert_int_equal(testfile_add(&world->file, code, 40, NULL), -1);
    world->spec.text = "Makes a slug; whatever is not a text is refused.";
    assert_int_equal(testfile_add(&world->file, code, 40, NULL), 0);
}

static void names_that_are_taken_get_a_number(void **state)
{
    struct world *world = *state;
    assert_int_equal(testfile_add(&world->file, "def test_a():\n    assert slugify('') == ''\n", 40, NULL), 0);
    assert_int_equal(testfile_add(&world->file, "def test_a():\n    assert slugify('b') == 'b'\n", 40, NULL), 0);
    assert_int_equal(world->file.test_count, 2);
    assert_non_null(strstr(world->file.text, "def test_a_2():"));
}

static void no_more_than_the_cap_is_taken(void **state)
{
    struct world *world = *state;
    static const char code[] =
        "def test_a():\n    assert 1\n\ndef test_b():\n    assert 1\n\ndef test_c():\n    assert 1\n";
    assert_int_equal(testfile_add(&world->file, code, 2, NULL), 0);
    assert_int_equal(world->file.test_count, 2);
}

static void an_answer_without_tests_says_what_is_missing(void **state)
{
    struct world *world = *state;
    struct error err = {0};
    assert_int_equal(testfile_add(&world->file, "def check():\n    pass\n", 40, &err), -1);
    assert_non_null(strstr(err.message, "test_"));
    assert_int_equal(testfile_add(&world->file, "def test_x(:\n", 40, &err), -1);
    assert_non_null(strstr(err.message, "line 1"));
}

static void each_check_becomes_a_test(void **state)
{
    struct world *world = *state;
    static const char code[] = "assert slugify('A b') == 'a-b'  # criterion 2: two words\n"
                               "with pytest.raises(ValueError): slugify('x' * 999)  # too long\n"
                               "assert slugify('') == ''\n"
                               "assert slugify('-') == ''\n"
                               "assert slugify('C') == 'c'  # criterion 2: two words\n"
                               "def test_ends():\n    \"\"\"At the ends.\"\"\"\n"
                               "    assert slugify(' a') == 'a'\n    assert slugify(\n        'a '\n    ) == 'a'\n"
                               "def test_steps():\n    text = slugify('a')\n    assert text\n    assert text == 'a'\n";
    assert_int_equal(testfile_add(&world->file, code, 40, NULL), 0);
    json_auto_t *names = testfile_names(&world->file);
    json_auto_t *expected =
        json_pack("[s,s,s,s,s,s,s,s]", "test_criterion_2_two_words", "test_too_long", "test_case", "test_case_2",
                  "test_criterion_2_two_words_2", "test_ends", "test_ends_2", "test_steps");
    if (!json_equal(names, expected))
        fail_msg("%s", world->file.text);
    assert_non_null(strstr(world->file.text,
                           "def test_criterion_2_two_words():\n    \"\"\"criterion 2: two words\"\"\"\n"
                           "    assert slugify('A b') == 'a-b'\n"));
    assert_non_null(strstr(world->file.text, "def test_ends_2():\n    assert slugify(\n        'a '\n    ) == 'a'\n"));
}

static void tests_are_dropped_by_a_reports_name(void **state)
{
    struct world *world = *state;
    static const char trusted[] = "def test_example_1():\n    assert slugify('A') == 'a'\n";
    static const char code[] =
        "import pytest\n\n@pytest.mark.parametrize('x', [1, 2])\ndef test_x(x):\n    assert slugify(x)\n\n"
        "class TestMore:\n    def test_m(self):\n        assert slugify('q')\n";
    assert_int_equal(testfile_add_trusted(&world->file, trusted, NULL), 0);
    assert_int_equal(testfile_add(&world->file, code, 40, NULL), 0);
    assert_int_equal(world->file.test_count, 2);
    assert_true(testfile_is_trusted(&world->file, "test_example_1"));
    assert_false(testfile_is_trusted(&world->file, "test_x[1]"));
    assert_true(testfile_drop(&world->file, "test_x[1]"));
    assert_false(testfile_drop(&world->file, "test_x[2]"));
    assert_true(testfile_drop(&world->file, "test_m"));
    assert_int_equal(world->file.test_count, 0);
    assert_null(strstr(world->file.text, "parametrize"));
    assert_non_null(strstr(world->file.text, "test_example_1"));
}

static void the_test_that_breaks_the_file_is_found_in_the_message(void **state)
{
    struct world *world = *state;
    static const char code[] = "def test_one(y):\n    assert y\n\ndef test_one_more():\n    assert slugify('')\n";
    assert_int_equal(testfile_add(&world->file, code, 40, NULL), 0);
    AUTO_FREE char *first = testfile_mentioned(&world->file, "In test_one_more: function uses no argument 'z'");
    AUTO_FREE char *none = testfile_mentioned(&world->file, "In test_one_mor: bad");
    assert_string_equal(first, "test_one_more");
    assert_null(none);
}

static void names_that_a_test_uses_are_imported_from_where_they_are_known(void **state)
{
    struct world *world = *state;
    static const char target[] = "import math as m\nfrom os import path, sep as bar\nfrom .money import Money\n\n"
                                 "LIMIT = 3\n\nclass Order:\n    pass\n";
    static const char code[] = "def test_example_1():\n    import json\n    day = Order(LIMIT, Money(m.pi), bar)\n"
                               "    assert slugify(json, Late, unknown, Lost, math) == day\n";
    struct testfile *file = &world->file;
    free(file->target);
    file->target = strdup(target);
    world->spec.text = "Given `from late import Late` or import math.\n\n"
                       ">>> from shop.text import Late\n    from lost import Lost\n";
    assert_int_equal(testfile_add_trusted(file, code, NULL), 0);
    static const char *const there[] = {"import math as m\n",
                                        "from os import sep as bar\n",
                                        "from shop.text import Money\n",
                                        "from shop.text import LIMIT\n",
                                        "from shop.text import Order\n",
                                        "from shop.text import Late\n"};
    static const char *const absent[] = {"import path", "\nimport json", "from lost",
                                         "unknown\n",   "import math\n", "from late"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        if (!strstr(file->trusted_text, there[i]))
            fail_msg("%s is missing in:\n%s", there[i], file->trusted_text);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        if (strstr(file->text, absent[i]))
            fail_msg("%s is in:\n%s", absent[i], file->text);
}

static void names_of_a_models_test_are_imported_too(void **state)
{
    struct world *world = *state;
    world->spec.text = "Takes an order (`from shop.orders import Order`).\n```python\nimport math\n```\n";
    assert_int_equal(testfile_add(&world->file, "def test_a():\n    assert slugify(math.pi) == 'a'\n", 40, NULL), 0);
    assert_non_null(strstr(world->file.text, "import math\n"));
}

static void a_reset_leaves_the_examples(void **state)
{
    struct world *world = *state;
    assert_int_equal(
        testfile_add_trusted(&world->file, "def test_example_1():\n    assert slugify('A') == 'a'\n", NULL), 0);
    assert_int_equal(testfile_add(&world->file, "def test_z():\n    assert 0\n", 40, NULL), 0);
    assert_int_equal(testfile_reset(&world->file, NULL), 0);
    assert_int_equal(world->file.test_count, 0);
    assert_int_equal(world->file.trusted_count, 1);
    assert_null(strstr(world->file.text, "test_z"));
    assert_non_null(strstr(world->file.text, "test_example_1"));
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_path_that_is_taken_gets_a_number),
        IN_A_WORLD(only_what_is_usable_is_taken),
        IN_A_WORLD(an_error_that_the_request_does_not_name_is_left_out),
        IN_A_WORLD(names_that_are_taken_get_a_number),
        IN_A_WORLD(no_more_than_the_cap_is_taken),
        IN_A_WORLD(an_answer_without_tests_says_what_is_missing),
        IN_A_WORLD(each_check_becomes_a_test),
        IN_A_WORLD(tests_are_dropped_by_a_reports_name),
        IN_A_WORLD(the_test_that_breaks_the_file_is_found_in_the_message),
        IN_A_WORLD(names_that_a_test_uses_are_imported_from_where_they_are_known),
        IN_A_WORLD(names_of_a_models_test_are_imported_too),
        IN_A_WORLD(a_reset_leaves_the_examples),
    };
    return cmocka_run_group_tests_name("testfile", tests, NULL, NULL);
}
