/* Edits by symbol (pipeline/edit.h) on Python files: what is named changes, everything else keeps its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/edit.h"
#include "tests/unit/pipeline/python.h"

/* ---- blocks ---- */

static const char shop[] = "\"\"\"A shop.\"\"\"\n"
                           "import os\n"
                           "from typing import Any, List\n"
                           "\n"
                           "RATE = 0.2\n"
                           "\n"
                           "\n"
                           "# Adds tax.\n"
                           "def taxed(price):\n"
                           "    return price * (1 + RATE)\n"
                           "\n"
                           "\n"
                           "class Cart:\n"
                           "    \"\"\"A cart.\"\"\"\n"
                           "\n"
                           "    limit = 3\n"
                           "\n"
                           "    def __init__(self):\n"
                           "        self.items = []\n"
                           "\n"
                           "    @property\n"
                           "    def total(self):\n"
                           "        return sum(self.items)\n"
                           "\n"
                           "\n"
                           "if __name__ == \"__main__\":\n"
                           "    print(taxed(1))\n";

struct change {
    const char *from, *to; /* the one place of `shop` that changes */
};

static const struct block {
    const char *habit;
    const char *file; /* NULL: shop */
    const char *code;
    struct change changes[4]; /* what the result differs in; none: nothing changes */
    const char *skipped;      /* part of what is reported as left out; NULL: nothing is */
} blocks[] = {
    {"one function replaces the one of its name and keeps the comment above",
     NULL,
     "def taxed(price):\n    return round(price * (1 + RATE), 2)\n",
     {{"    return price * (1 + RATE)\n", "    return round(price * (1 + RATE), 2)\n"}},
     NULL},
    {"the whole module repeated changes only what differs",
     NULL,
     "\"\"\"A shop.\"\"\"\nimport os\nfrom typing import Any, List\n\nRATE = 0.2\n\ndef taxed(price):\n    return "
     "price\n\n"
     "class Cart:\n    \"\"\"A cart.\"\"\"\n    limit = 3\n    def __init__(self):\n        self.items = []\n    "
     "@property\n"
     "    def total(self):\n        return sum(self.items)\n\nif __name__ == \"__main__\":\n    print(taxed(1))\n",
     {{"    return price * (1 + RATE)\n", "    return price\n"}},
     NULL},
    {"a class with one method keeps its other members",
     NULL,
     "class Cart:\n    def __init__(self):\n        self.items = [1]\n",
     {{"        self.items = []\n", "        self.items = [1]\n"}},
     NULL},
    {"a new method goes to the end of its class",
     NULL,
     "class Cart:\n    def clear(self):\n        self.items = []\n",
     {{"        return sum(self.items)\n",
       "        return sum(self.items)\n\n    def clear(self):\n        self.items = []\n"}},
     NULL},
    {"a new method after one that is repeated goes there",
     NULL,
     "class Cart:\n    def __init__(self):\n        self.items = []\n\n    def add(self, item):\n        "
     "self.items.append(item)\n",
     {{"        self.items = []\n",
       "        self.items = []\n\n    def add(self, item):\n        self.items.append(item)\n"}},
     NULL},
    {"an indented method finds the class that has it",
     NULL,
     "    @property\n    def total(self):\n        return 0\n",
     {{"        return sum(self.items)\n", "        return 0\n"}},
     NULL},
    {"a method that lost its first line's indentation finds its class",
     NULL,
     "@property\n    def total(self):\n        return 0\n",
     {{"        return sum(self.items)\n", "        return 0\n"}},
     NULL},
    {"a bare method without indentation is moved to its place",
     NULL,
     "@property\ndef total(self):\n    return 0\n",
     {{"        return sum(self.items)\n", "        return 0\n"}},
     NULL},
    {"a setter joins its property",
     NULL,
     "class Cart:\n    @total.setter\n    def total(self, value):\n        self.items = [value]\n",
     {{"        return sum(self.items)\n",
       "        return sum(self.items)\n\n    @total.setter\n    def total(self, value):\n"
       "        self.items = [value]\n"}},
     NULL},
    {"a new helper stands before the function that follows it",
     NULL,
     "def _factor():\n    return 1 + RATE\n\ndef taxed(price):\n    return price * _factor()\n",
     {{"# Adds tax.\n", "def _factor():\n    return 1 + RATE\n\n\n# Adds tax.\n"},
      {"    return price * (1 + RATE)\n", "    return price * _factor()\n"}},
     NULL},
    {"a new function that nothing follows goes after the last definition, before the main guard",
     NULL,
     "def net(price):\n    return price / (1 + RATE)\n",
     {{"        return sum(self.items)\n",
       "        return sum(self.items)\n\n\ndef net(price):\n    return price / (1 + RATE)\n"}},
     NULL},
    {"imports are added once, and only the names that are missing",
     NULL,
     "import os\nimport re\nfrom typing import List, Optional\nimport re\n\ndef taxed(price):\n    return price\n",
     {{"from typing import Any, List\n", "from typing import Any, List\nimport re\nfrom typing import Optional\n"},
      {"    return price * (1 + RATE)\n", "    return price\n"}},
     NULL},
    {"a future import goes first",
     NULL,
     "from __future__ import annotations\n",
     {{"import os\n", "from __future__ import annotations\nimport os\n"}},
     NULL},
    {"aliases are other imports",
     NULL,
     "import os as system\nfrom typing import List as L, Any\n",
     {{"from typing import Any, List\n",
       "from typing import Any, List\nimport os as system\nfrom typing import List as L\n"}},
     NULL},
    {"what the file defines is not imported",
     NULL,
     "from shop import taxed, net\nfrom your_module import Cart\n",
     {{"from typing import Any, List\n", "from typing import Any, List\nfrom shop import net\n"}},
     "line 2: from your_module import Cart: a name is left out"},
    {"a guarded import comes as it stands",
     NULL,
     "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n",
     {{"List\n\nRATE", "List\n\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n\nRATE"}},
     NULL},
    {"a value replaces the assignment of its name", NULL, "RATE = 0.25\n", {{"RATE = 0.2\n", "RATE = 0.25\n"}}, NULL},
    {"new values stand after the imports",
     NULL,
     "LOW = 0.07\nHIGH = 0.19\n",
     {{"List\n\nRATE", "List\n\nLOW = 0.07\nHIGH = 0.19\n\nRATE"}},
     NULL},
    {"a new value that uses another stands below it",
     NULL,
     "DOUBLE = 2 * RATE\n",
     {{"RATE = 0.2\n", "RATE = 0.2\nDOUBLE = 2 * RATE\n"}},
     NULL},
    {"prints, calls and another main guard are left out",
     NULL,
     "def taxed(price):\n    return 1\n\nprint(taxed(3))\nassert taxed(3) == 1\n\nif __name__ == '__main__':\n    "
     "main()\n",
     {{"    return price * (1 + RATE)\n", "    return 1\n"}},
     "line 4: print(taxed(3)): left out"},
    {"an empty body does not replace code",
     NULL,
     "def taxed(price):\n    ...\n\nclass Cart:\n    def __init__(self):\n        pass\n\n    @property\n    def "
     "total(self):\n"
     "        return 7\n",
     {{"        return sum(self.items)\n", "        return 7\n"}},
     "line 1: def taxed(price):: left out, an empty body"},
    {"a body with a comment for the rest does not replace code",
     NULL,
     "def taxed(price):\n    # ... existing code ...\n    return price\n",
     {{NULL, NULL}},
     "left out, a comment stands in place of code"},
    {"a comment for other members is not taken over",
     NULL,
     "class Cart:\n    # ... other methods unchanged ...\n\n    # ... rest of the class\n    def clear(self):\n        "
     "self.items = []\n",
     {{"        return sum(self.items)\n",
       "        return sum(self.items)\n\n    def clear(self):\n        self.items = []\n"}},
     NULL},
    {"of a function written twice the second counts",
     NULL,
     "def taxed(price):\n    return 1\n\n\ndef taxed(price):\n    return 2\n",
     {{"    return price * (1 + RATE)\n", "    return 2\n"}},
     "line 1: def taxed(price):: left out, it is defined again below"},
    {"bases and decorators of a class come along, missing ones stay",
     NULL,
     "@final\nclass Cart(Base):\n    limit = 4\n",
     {{"class Cart:\n", "@final\nclass Cart(Base):\n"}, {"limit = 3", "limit = 4"}},
     NULL},
    {"documentation of a class is replaced",
     NULL,
     "class Cart:\n    \"\"\"A cart with a limit.\"\"\"\n    limit = 3\n",
     {{"A cart.", "A cart with a limit."}},
     NULL},
    {"a fence around the code is taken off",
     NULL,
     "```python\ndef taxed(price):\n    return 1\n```\n",
     {{"    return price * (1 + RATE)\n", "    return 1\n"}},
     NULL},
    {"a string's lines keep their columns when code is moved",
     NULL,
     "@property\ndef total(self):\n    return '''\nx\n  y'''\n",
     {{"        return sum(self.items)\n", "        return '''\nx\n  y'''\n"}},
     NULL},
    {"documentation moves along with its function",
     NULL,
     "@property\ndef total(self):\n    \"\"\"Sum.\n\n    Of all.\n    \"\"\"\n    return 0\n",
     {{"        return sum(self.items)\n",
       "        \"\"\"Sum.\n\n        Of all.\n        \"\"\"\n        return 0\n"}},
     NULL},
    {"carriage returns follow the file",
     NULL,
     "def taxed(price):\r\n    return 1\r\n",
     {{"    return price * (1 + RATE)\n", "    return 1\n"}},
     NULL},
    {"a file with carriage returns keeps them",
     "def f():\r\n    return 1\r\n\r\n\r\ndef g():\r\n    return 2\r\n",
     "def f():\n    return 3\n\n\ndef h():\n    pass\n",
     {{"    return 1\r\n", "    return 3\r\n\r\n\r\ndef h():\r\n    pass\r\n"}},
     NULL},
    {"a byte order mark stays first",
     "\xef\xbb\xbf"
     "def f():\n    return 1\n",
     "import os\n\ndef f():\n    return 2\n",
     {{"\xef\xbb\xbf"
       "def f():\n    return 1\n",
       "\xef\xbb\xbf"
       "import os\n\n\ndef f():\n    return 2\n"}},
     NULL},
    {"a file without a last line end",
     "def f():\n    return 1",
     "def f():\n    return 2\n\ndef g():\n    return 3\n",
     {{"    return 1", "    return 2\n\n\ndef g():\n    return 3\n"}},
     NULL},
    {"tabs of the place are used",
     "class A:\n\tdef f(self):\n\t\treturn 1\n",
     "class A:\n\tdef f(self):\n\t\treturn 2\n",
     {{"return 1", "return 2"}},
     NULL},
    {"overloads pair with overloads",
     "@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str) -> str: ...\ndef f(a):\n    return a\n",
     "def f(a):\n    return a + a\n",
     {{"    return a\n", "    return a + a\n"}},
     NULL},
    {"a stub class is filled",
     "class A:\n    pass\n",
     "class A:\n    def f(self):\n        return 1\n",
     {{"    pass\n", "    def f(self):\n        return 1\n"}},
     NULL},
    {"imports of a file that has none come after its documentation and before code",
     "#!/usr/bin/env python\n\"\"\"Doc.\"\"\"\n\n\ndef f():\n    return 1\n",
     "import os\nimport re\n",
     {{"\"\"\"Doc.\"\"\"\n", "\"\"\"Doc.\"\"\"\n\nimport os\nimport re\n"}},
     NULL},
    {"an import below other code is not moved before what it shares a line with",
     "import os; X = '''\na'''\nY = 1\n",
     "import re\n",
     {{"a'''\n", "a'''\nimport re\n"}},
     NULL},
    {"unicode is untouched",
     "# äöü\ndef größe():\n    return 'ß'\n",
     "def größe():\n    return 'ẞ'\n",
     {{"'ß'", "'ẞ'"}},
     NULL},
};

/* The file with one place changed, by hand. */
static char *changed(const char *file, const struct change *changes)
{
    char *text = strdup(file);
    for (size_t i = 0; i < 4 && changes[i].from; i++) {
        char *at = strstr(text, changes[i].from);
        assert_non_null(at);
        char *next = text_format("%.*s%s%s", (int)(at - text), text, changes[i].to, at + strlen(changes[i].from));
        free(text);
        text = next;
    }
    return text;
}

static void test_blocks_are_merged_as_models_write_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        const struct block *block = &blocks[i];
        const char *file = block->file ? block->file : shop;
        struct error err = {0};
        AUTO_BUF struct buf out = BUF_INIT(KiB(64)), skipped = BUF_INIT(KiB(4));
        AUTO_FREE char *expected = changed(file, block->changes);
        if (edit_apply_block(python, file, strlen(file), block->code, &out, &skipped, &err) < 0)
            fail_msg("%s: %s", block->habit, err.message);
        if (strcmp(buf_text(&out), expected) != 0)
            fail_msg("%s: got\n%s", block->habit, buf_text(&out));
        if (block->skipped ? !strstr(buf_text(&skipped), block->skipped) : skipped.len > 0)
            fail_msg("%s: left out: %s", block->habit, buf_text(&skipped));
    }
}

static void test_a_block_for_no_file_becomes_the_file(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT(KiB(64));
    assert_int_equal(
        edit_apply_block(python, NULL, 0, "\n    def f():\r\n        return 1\r\n\r\n    print(f())", &out, NULL, NULL),
        0);
    assert_string_equal(buf_text(&out), "def f():\n    return 1\n\nprint(f())\n");
    buf_clear(&out);
    assert_int_equal(edit_apply_block(python, "\n \n", 3, "x = 1", &out, NULL, NULL), 0);
    assert_string_equal(buf_text(&out), "x = 1\n");
}

static void test_wrong_code_is_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *file, *code, *message;
    } cases[] = {
        {shop, "def f(:\n    return 1\n", "the code does not parse: line 1: def f(:"},
        {shop, "Here is the function:\n\ndef f():\n    return 1\n", "the code does not parse"},
        {shop, "def f():\n", "the code does not parse: line 1: def f():"},
        {"def f(:\n", "def f():\n    return 1\n", "the file itself does not parse: line 1"},
        {"class A: x = 1\n", "class A:\n    def f(self):\n        return 1\n", "stands on one line"},
        {NULL, "def f(:\n", "the code does not parse"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        AUTO_BUF struct buf out = BUF_INIT(KiB(64));
        size_t len = cases[i].file ? strlen(cases[i].file) : 0;
        assert_int_equal(edit_apply_block(python, cases[i].file, len, cases[i].code, &out, NULL, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("case %zu says: %s", i, err.message);
        assert_int_equal(out.len, 0);
    }
}

/* ---- single edits ---- */

static const struct single {
    const char *what;
    const char *file; /* NULL: shop; "": does not exist */
    enum edit_kind kind;
    const char *symbol, *after, *code;
    struct change changes[2];
    const char *error; /* part of the message when it is refused */
} singles[] = {
    {"replace a function",
     NULL,
     EDIT_REPLACE,
     "taxed",
     NULL,
     "def taxed(price):\n    return 1\n",
     {{"    return price * (1 + RATE)\n", "    return 1\n"}},
     NULL},
    {"replace by a stub, when it is asked for",
     NULL,
     EDIT_REPLACE,
     "taxed",
     NULL,
     "def taxed(price):\n    pass\n",
     {{"    return price * (1 + RATE)\n", "    pass\n"}},
     NULL},
    {"replace a method given alone",
     NULL,
     EDIT_REPLACE,
     "Cart.total",
     NULL,
     "@property\ndef total(self):\n    return 1\n",
     {{"        return sum(self.items)\n", "        return 1\n"}},
     NULL},
    {"replace a method given in its class",
     NULL,
     EDIT_REPLACE,
     "Cart.total",
     NULL,
     "class Cart:\n    @property\n    def total(self):\n        return 1\n",
     {{"        return sum(self.items)\n", "        return 1\n"}},
     NULL},
    {"a decorator that is not repeated goes",
     NULL,
     EDIT_REPLACE,
     "Cart.total",
     NULL,
     "def total(self):\n    return 1\n",
     {{"    @property\n", ""}, {"        return sum(self.items)\n", "        return 1\n"}},
     NULL},
    {"a class is replaced whole",
     NULL,
     EDIT_REPLACE,
     "Cart",
     NULL,
     "class Cart:\n    pass\n",
     {{"    \"\"\"A cart.\"\"\"\n\n    limit = 3\n\n    def __init__(self):\n        self.items = []\n\n    @property\n"
       "    def total(self):\n        return sum(self.items)\n",
       "    pass\n"}},
     NULL},
    {"what the code brings along is merged",
     NULL,
     EDIT_REPLACE,
     "taxed",
     NULL,
     "import math\n\ndef taxed(price):\n    return math.ceil(price)\n",
     {{"List\n", "List\nimport math\n"}, {"    return price * (1 + RATE)\n", "    return math.ceil(price)\n"}},
     NULL},
    {"replace what is not there",
     NULL,
     EDIT_REPLACE,
     "tax",
     NULL,
     "def tax():\n    return 1\n",
     {{NULL, NULL}},
     "does not define tax; it defines: taxed, Cart, Cart.__init__, Cart.total"},
    {"replace by code for something else",
     NULL,
     EDIT_REPLACE,
     "taxed",
     NULL,
     "def other():\n    return 1\n",
     {{NULL, NULL}},
     "the code for taxed does not define it"},
    {"add a function at the end",
     NULL,
     EDIT_ADD,
     "net",
     NULL,
     "def net():\n    return 1\n",
     {{"        return sum(self.items)\n", "        return sum(self.items)\n\n\ndef net():\n    return 1\n"}},
     NULL},
    {"add a function after another",
     NULL,
     EDIT_ADD,
     "net",
     "taxed",
     "    def net():\n        return 1\n",
     {{"    return price * (1 + RATE)\n", "    return price * (1 + RATE)\n\n\ndef net():\n    return 1\n"}},
     NULL},
    {"add a method after another, by its bare name",
     NULL,
     EDIT_ADD,
     "Cart.add",
     "__init__",
     "def add(self, item):\n    self.items.append(item)\n",
     {{"        self.items = []\n",
       "        self.items = []\n\n    def add(self, item):\n        self.items.append(item)\n"}},
     NULL},
    {"add a method without a receiver to its class",
     NULL,
     EDIT_ADD,
     "Cart.make",
     NULL,
     "@staticmethod\ndef make():\n    return Cart()\n",
     {{"        return sum(self.items)\n",
       "        return sum(self.items)\n\n    @staticmethod\n    def make():\n        return Cart()\n"}},
     NULL},
    {"add what is there already",
     NULL,
     EDIT_ADD,
     "taxed",
     NULL,
     "def taxed():\n    return 1\n",
     {{NULL, NULL}},
     "defines taxed already"},
    {"add to a class that is not there",
     NULL,
     EDIT_ADD,
     "Basket.add",
     NULL,
     "def add(self):\n    return 1\n",
     {{NULL, NULL}},
     "does not define Basket"},
    {"add after what is not there",
     NULL,
     EDIT_ADD,
     "net",
     "gross",
     "def net():\n    return 1\n",
     {{NULL, NULL}},
     "does not define gross"},
    {"add an import", NULL, EDIT_IMPORT, NULL, NULL, "import re\n", {{"List\n", "List\nimport re\n"}}, NULL},
    {"add an import that is there", NULL, EDIT_IMPORT, NULL, NULL, "from typing import Any\n", {{NULL, NULL}}, NULL},
    {"an import that is none",
     NULL,
     EDIT_IMPORT,
     NULL,
     NULL,
     "import re\nx = 1\n",
     {{NULL, NULL}},
     "an import edit holds something else: line 2"},
    {"remove a function with its comment",
     NULL,
     EDIT_REMOVE,
     "taxed",
     NULL,
     NULL,
     {{"# Adds tax.\ndef taxed(price):\n    return price * (1 + RATE)\n\n\n", ""}},
     NULL},
    {"remove a method",
     NULL,
     EDIT_REMOVE,
     "Cart.__init__",
     NULL,
     NULL,
     {{"    def __init__(self):\n        self.items = []\n\n", ""}},
     NULL},
    {"remove the last member",
     "class A:\n    x = 1\n\n\ny = 2\n",
     EDIT_REMOVE,
     "A.x",
     NULL,
     NULL,
     {{"    x = 1\n", "    pass\n"}},
     NULL},
    {"remove what is not there", NULL, EDIT_REMOVE, "gone", NULL, NULL, {{NULL, NULL}}, "does not define gone"},
    {"create a file that exists", NULL, EDIT_CREATE, NULL, NULL, "x = 1\n", {{NULL, NULL}}, "exists already"},
    {"replace in a file that does not exist",
     "",
     EDIT_REPLACE,
     "f",
     NULL,
     "def f():\n    return 1\n",
     {{NULL, NULL}},
     "does not exist: create it"},
    {"an edit without a symbol", NULL, EDIT_REPLACE, NULL, NULL, "x = 1\n", {{NULL, NULL}}, "names no symbol"},
    {"an edit without code", NULL, EDIT_ADD, "f", NULL, NULL, {{NULL, NULL}}, "has no code"},
};

static void test_single_edits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        const struct single *single = &singles[i];
        const char *file = !single->file ? shop : *single->file ? single->file : NULL;
        struct edit edit = {single->kind, (char *)"shop.py", (char *)single->symbol, (char *)single->after,
                            (char *)single->code};
        struct error err = {0};
        AUTO_BUF struct buf out = BUF_INIT(KiB(64));
        int failed = edit_apply(python, file, file ? strlen(file) : 0, &edit, &out, &err);
        if (single->error) {
            if (!failed || err.code != ERROR_INPUT || !strstr(err.message, single->error) || out.len)
                fail_msg("%s: %s", single->what, err.message);
            continue;
        }
        if (failed)
            fail_msg("%s: %s", single->what, err.message);
        AUTO_FREE char *expected = changed(file, single->changes);
        if (strcmp(buf_text(&out), expected) != 0)
            fail_msg("%s: got\n%s", single->what, buf_text(&out));
    }
}

static void test_create_makes_a_file(void **state)
{
    (void)state;
    struct edit edit = {EDIT_CREATE, (char *)"a.py", NULL, NULL, (char *)"x = 1"};
    AUTO_BUF struct buf out = BUF_INIT(KiB(1));
    assert_int_equal(edit_apply(python, NULL, 0, &edit, &out, NULL), 0);
    assert_string_equal(buf_text(&out), "x = 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_merged_as_models_write_them),
        cmocka_unit_test(test_a_block_for_no_file_becomes_the_file),
        cmocka_unit_test(test_wrong_code_is_refused_with_a_sentence),
        cmocka_unit_test(test_single_edits),
        cmocka_unit_test(test_create_makes_a_file),
    };
    return cmocka_run_group_tests(tests, python_load, python_unload);
}
