/* What a repair is shown of a long file: the definitions that the change wrote, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "pipeline/excerpt.h"
#include "tests/unit/pipeline/python.h"

static char *tree;

static const char base[] = "\"\"\"A shop.\"\"\"\n"
                           "import os\n"
                           "import sys\n"
                           "\n"
                           "RATE = 0.2\n"
                           "\n"
                           "\n"
                           "def vat(net):\n"
                           "    return net * RATE\n"
                           "\n"
                           "\n"
                           "class Cart:\n"
                           "    \"\"\"Holds items.\"\"\"\n"
                           "\n"
                           "    limit = 10\n"
                           "\n"
                           "    def add(self, item):\n"
                           "        pass\n"
                           "\n"
                           "    def total(self):\n"
                           "        return 0\n";

static const char cart_head[] = "class Cart:\n    \"\"\"Holds items.\"\"\"\n";

static int make_tree(void **state)
{
    tree = fs_make_temp_dir("/tmp", "excerpt-", NULL);
    if (python_load(state) != 0 || !tree)
        return -1;
    AUTO_FREE char *path = text_format("%s/shop.py", tree);
    return path ? fs_write_atomic(path, base, strlen(base), 0600, NULL) : -1;
}

static int remove_tree(void **state)
{
    fs_remove_tree(tree, NULL);
    free(tree);
    return python_unload(state);
}

/* The base with one piece of it replaced; heap. */
static char *with(const char *from, const char *to)
{
    const char *at = strstr(base, from);
    assert_non_null(at);
    return text_format("%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
}

static void shows_what_was_written_and_its_place(void **state)
{
    static const struct {
        const char *name, *from, *to, *symbol, *shown;
        bool in_class;
    } cases[] = {
        {"a function", "net * RATE", "round(net * RATE, 2)", "vat", "def vat(net):\n    return round(net * RATE, 2)\n",
         false},
        {"a function that was not altered but asked for", "import os\n", "import os\nimport re\n", "vat",
         "import re\n\ndef vat(net):\n    return net * RATE\n", false},
        {"a function and the import and the helper that came with it", "import sys\n",
         "import sys\nimport math\n\n\ndef half(n):\n    return math.floor(n / 2)\n", "vat",
         "import math\n\ndef half(n):\n    return math.floor(n / 2)\n\ndef vat(net):\n    return net * RATE\n", false},
        {"a method below its class", "return 0", "return 1", "Cart.total", "\n    def total(self):\n        return 1\n",
         true},
        {"a method that was not altered but asked for", "pass", "self.items = item", "Cart.total",
         "\n    def add(self, item):\n        self.items = item\n\n    def total(self):\n        return 0\n", true},
        {"a value", "RATE = 0.2", "RATE = 0.19", NULL, "RATE = 0.19\n", false},
        {"a value of a class", "limit = 10", "limit = 20", NULL, "\n    limit = 20\n", true},
        {"a class's head", "Holds items.", "Holds all items.", NULL, "class Cart:\n    \"\"\"Holds all items.\"\"\"\n",
         false},
        {"the last line without its end", "        return 0\n", "        return 2", "Cart",
         "\n    def total(self):\n        return 2\n", true},
        {"nothing, where something was removed", "import sys\n", "", NULL, "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *after = with(cases[i].from, cases[i].to);
        struct change_file file = {.path = "shop.py", .content = after, .len = strlen(after)};
        struct error err = {0};
        AUTO_FREE char *shown = excerpt_of_change(python, &file, tree, cases[i].symbol, &err);
        AUTO_FREE char *expected = text_format("%s%s", cases[i].in_class ? cart_head : "", cases[i].shown);
        if (!shown || strcmp(shown, expected) != 0)
            fail_msg("%s: %s\n%s", cases[i].name, err.message, shown ? shown : "nothing");
    }
}

static void a_new_file_is_all_written(void **state)
{
    struct change_file file = {
        .path = "new.py", .content = (char *)(uintptr_t)base, .len = strlen(base), .is_new = true};
    AUTO_FREE char *shown = excerpt_of_change(python, &file, tree, NULL, NULL);
    (void)state;
    assert_non_null(shown);
    for (const char *const *part = (const char *const[]){"import os\nimport sys\n", "RATE = 0.2\n", "def vat(net):\n",
                                                         "class Cart:\n", "        return 0\n", NULL};
         *part; part++)
        assert_non_null(strstr(shown, *part));
}

static void a_file_that_cannot_be_compared_is_an_error(void **state)
{
    struct change_file file = {.path = "missing.py", .content = (char *)(uintptr_t)base, .len = strlen(base)};
    struct error err = {0};
    (void)state;
    assert_null(excerpt_of_change(python, &file, tree, NULL, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_was_written_and_its_place),
        cmocka_unit_test(a_new_file_is_all_written),
        cmocka_unit_test(a_file_that_cannot_be_compared_is_an_error),
    };
    return cmocka_run_group_tests_name("excerpt", tests, make_tree, remove_tree);
}
