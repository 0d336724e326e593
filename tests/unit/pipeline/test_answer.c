/* What models really write, and what is read out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "pipeline/answer.h"

/* ---- code blocks: each expected block is "language:path:code", path "-" when there is none ---- */

static const struct {
    const char *name, *text;
    const char *blocks[4];
} fenced[] = {
    {"plain", "```python\nx = 1\n```\n", {"python:-:x = 1\n"}},
    {"prose around", "Sure! Here it is:\n\n```python\nx = 1\n```\n\nThis sets x.\n", {"python:-:x = 1\n"}},
    {"no fence", "x = 1\n", {NULL}},
    {"empty answer", "", {NULL}},
    {"no language", "```\nx = 1\n```", {":-:x = 1\n"}},
    {"misspelt language", "```pyhton\nx = 1\n```", {"pyhton:-:x = 1\n"}},
    {"upper case", "```Python\nx = 1\n```", {"python:-:x = 1\n"}},
    {"tildes", "~~~python\nx = 1\n~~~\n", {"python:-:x = 1\n"}},
    {"tildes around backticks", "~~~markdown\n```\nx\n```\n~~~\n", {"markdown:-:```\nx\n```\n"}},
    {"blank before the language", "``` python\nx = 1\n```", {"python:-:x = 1\n"}},
    {"CRLF", "```python\r\nx = 1\r\n\r\ny = 2\r\n```\r\n", {"python:-:x = 1\n\ny = 2\n"}},
    {"missing closing fence", "Code:\n```python\nx = 1\n", {"python:-:x = 1\n"}},
    {"missing closing fence, no line end", "```python\nx = 1", {"python:-:x = 1\n"}},
    {"closing fence glued to the code", "```python\nx = 1```", {"python:-:x = 1\n"}},
    {"missing closing fence before the next block",
     "```python\nx = 1\n```python\ny = 2\n```\n",
     {"python:-:x = 1\n", "python:-:y = 2\n"}},
    {"fence around a fence", "```\n```python\nx = 1\n```\n```\n", {"python:-:x = 1\n"}},
    {"longer fence", "````python\ns = '''\n```\nx\n```\n'''\n````\n", {"python:-:s = '''\n```\nx\n```\n'''\n"}},
    {"closing fence longer", "```python\nx = 1\n`````\n", {"python:-:x = 1\n"}},
    {"a fence in a docstring",
     "```python\ndef f():\n    \"\"\"\n    ```\n    f()\n    ```\n    ```python\n    f()\n    ```\n    "
     "\"\"\"\n```\nDone.",
     {"python:-:def f():\n    \"\"\"\n    ```\n    f()\n    ```\n    ```python\n    f()\n    ```\n    \"\"\"\n"}},
    {"Markdown that shows code",
     "```markdown\n# Use\n```python\nf()\n```\nEnd.\n```\nprose\n",
     {"markdown:-:# Use\n```python\nf()\n```\nEnd.\n"}},
    {"in a list", "1. First:\n\n   ```python\n   if x:\n       y()\n   ```\n", {"python:-:if x:\n    y()\n"}},
    {"right after a list marker",
     "- ```python\n  x = 1\n  ```\n- ```js\n  y\n  ```\n",
     {"python:-:x = 1\n", "js:-:y\n"}},
    {"closing fence deeper than the opening one", "```python\nx = 1\n        ```\nThanks!", {"python:-:x = 1\n"}},
    {"two blocks", "```a\n1\n```\ntext\n```b\n2\n```", {"a:-:1\n", "b:-:2\n"}},
    {"code in a line is no fence", "Use ```f()``` here.\n```x``` too\n", {NULL}},
    {"empty blocks are nothing", "```\n```\n```python\n\n```\n", {"python:-:\n"}},
    {"thinking first", "<think>\n```python\nwrong\n```\n</think>\n```python\nright\n```", {"python:-:right\n"}},
    {"only the end of thinking",
     "drafts\n```python\nwrong\n```\n</think>\n\n```python\nright\n```",
     {"python:-:right\n"}},
    {"thinking that never ends", "<think>\n```python\nwrong\n```\n", {NULL}},
    {"thinking in the code stays",
     "```python\ns = '<think>'\nt = '</think>'\n```",
     {"python:-:s = '<think>'\nt = '</think>'\n"}},

    {"path after the language", "```python src/shop/cart.py\nx\n```", {"python:src/shop/cart.py:x\n"}},
    {"path after a colon", "```python:src/cart.py\nx\n```", {"python:src/cart.py:x\n"}},
    {"path alone", "```src/cart.py\nx\n```", {":src/cart.py:x\n"}},
    {"path attribute", "```python path=src/cart.py\nx\n```", {"python:src/cart.py:x\n"}},
    {"title attribute", "```python title=\"src/cart.py\"\nx\n```", {"python:src/cart.py:x\n"}},
    {"attributes in braces", "```{.python filename='cart.py'}\nx\n```", {"python:cart.py:x\n"}},
    {"path in brackets", "```python (cart.py)\nx\n```", {"python:cart.py:x\n"}},
    {"other words are no path", "```python linenums=\"1\" showLineNumbers\nx\n```", {"python:-:x\n"}},
    {"a version is no path", "```python 3.11\nx\n```", {"python:-:x\n"}},
    {"bold path before", "**src/cart.py**\n\n```python\nx\n```", {"python:src/cart.py:x\n"}},
    {"path in backticks before", "`cart.py`:\n```python\nx\n```", {"python:cart.py:x\n"}},
    {"heading before", "### `src/cart.py`\n```python\nx\n```", {"python:src/cart.py:x\n"}},
    {"numbered heading before", "### 1. src/cart.py\n```python\nx\n```", {"python:src/cart.py:x\n"}},
    {"label before", "File: src/cart.py\n```python\nx\n```", {"python:src/cart.py:x\n"}},
    {"bold label before", "**File:** `Makefile`\n```make\nx\n```", {"make:Makefile:x\n"}},
    {"a sentence before is no path", "Now change src/cart.py:\n```python\nx\n```", {"python:-:x\n"}},
    {"a word before is no path", "Example:\n```python\nx\n```", {"python:-:x\n"}},
    {"the line before belongs to one block",
     "`a.py`\n```python\nx\n```\n```python\ny\n```",
     {"python:a.py:x\n", "python:-:y\n"}},
    {"far above is not before", "`a.py`\n\n\n```python\nx\n```", {"python:-:x\n"}},
    {"first comment", "```python\n# src/cart.py\nx\n```", {"python:src/cart.py:# src/cart.py\nx\n"}},
    {"first comment with a label", "```c\n/* File: cart.c */\nx\n```", {"c:cart.c:/* File: cart.c */\nx\n"}},
    {"first comment in HTML", "```html\n<!-- web/a.html -->\nx\n```", {"html:web/a.html:<!-- web/a.html -->\nx\n"}},
    {"any comment is no path", "```python\n# Sums up.\nx\n```", {"python:-:# Sums up.\nx\n"}},
    {"an interpreter line is no path", "```sh\n#!/bin/sh\nx\n```", {"sh:-:#!/bin/sh\nx\n"}},
    {"a path is not judged", "```python ../../etc/passwd.py\nx\n```", {"python:../../etc/passwd.py:x\n"}},
    {"a dot step in front is cut", "```python ./a.py\nx\n```", {"python:a.py:x\n"}},
    {"an empty file", "```python pkg/__init__.py\n```", {"python:pkg/__init__.py:"}},
};

static void test_code_blocks_are_read_as_meant(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fenced / sizeof fenced[0]; i++) {
        struct answer_blocks blocks = {0};
        struct error err = {0};
        size_t count = 0;
        if (answer_blocks_read(fenced[i].text, &blocks, &err) < 0)
            fail_msg("%s: %s", fenced[i].name, err.message);
        while (count < 4 && fenced[i].blocks[count])
            count++;
        if (blocks.count != count)
            fail_msg("%s: %zu blocks instead of %zu", fenced[i].name, blocks.count, count);
        for (size_t n = 0; n < count; n++) {
            const struct answer_block *block = &blocks.items[n];
            AUTO_FREE char *got =
                text_format("%s:%s:%s", block->language, block->path ? block->path : "-", block->code);
            if (strcmp(got, fenced[i].blocks[n]) != 0)
                fail_msg("%s: \"%s\" instead of \"%s\"", fenced[i].name, got, fenced[i].blocks[n]);
        }
        answer_blocks_release(&blocks);
    }
}

static void test_more_than_64_blocks_are_refused(void **state)
{
    (void)state;
    struct answer_blocks blocks = {0};
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(KiB(8));
    for (int i = 0; i < 64; i++)
        buf_puts(&text, "```a\nx\n```\n");
    assert_int_equal(answer_blocks_read(buf_text(&text), &blocks, &err), 0);
    assert_int_equal(blocks.count, 64);
    answer_blocks_release(&blocks);
    buf_puts(&text, "```a\nx\n```\n");
    assert_int_equal(answer_blocks_read(buf_text(&text), &blocks, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_int_equal(blocks.count, 0);
}

static void test_an_answer_made_of_fences_is_read_in_time(void **state)
{
    (void)state;
    struct answer_blocks blocks = {0};
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    while (buf_puts(&text, "```\n") == 0 && buf_puts(&text, "    ````\n") == 0)
        ;
    assert_int_equal(answer_blocks_read(buf_text(&text), &blocks, NULL), -1);
    AUTO_BUF struct buf shorter = BUF_INIT(MiB(1)); /* each needs a longer fence than any that follows */
    for (int n = 1200; n > 3; n--)
        buf_printf(&shorter, "%0*d\n        %0*d\n", n, 0, n, 0);
    for (size_t i = 0; i < shorter.len; i++)
        shorter.data[i] = shorter.data[i] == '0' ? '`' : shorter.data[i];
    assert_int_equal(answer_blocks_read(buf_text(&shorter), &blocks, NULL), -1);
}

/* ---- JSON ---- */

static const struct {
    const char *name, *text;
    const char *json; /* NULL: refused, and `says` is part of the sentence */
    const char *says;
} objects[] = {
    {"alone", "{\"a\":1}", "{\"a\":1}", NULL},
    {"blanks around", "\n\n {\"a\":1}\n", "{\"a\":1}", NULL},
    {"an empty object alone", "{}", "{}", NULL},
    {"JSON in prose", "Sure, here you are: {\"a\": {\"b\": [1, 2]}} Hope it helps {smile}!", "{\"a\":{\"b\":[1,2]}}",
     NULL},
    {"JSON in a fence", "Here:\n```json\n{\"a\":1}\n```\nDone.", "{\"a\":1}", NULL},
    {"JSON in a plain fence", "```\n{\"a\":1}\n```", "{\"a\":1}", NULL},
    {"JSON with comments allowed in name only", "```jsonc\n{\"a\":1}\n```", "{\"a\":1}", NULL},
    {"an unclosed fence", "```json\n{\"a\":1}", "{\"a\":1}", NULL},
    {"braces in strings", "x {\"a\":\"}{\\\"\"} y", "{\"a\":\"}{\\\"\"}", NULL},
    {"a fence inside a string", "Here:\n{\"code\": \"```python\\nx\\n```\"}", "{\"code\":\"```python\\nx\\n```\"}",
     NULL},
    {"a raw fence inside a string of a fence", "```json\n{\"code\": \"\n```\nx\n```\n\"}\n```",
     "{\"code\":\"\\n```\\nx\\n```\\n\"}", NULL},
    {"trailing commas", "{\"a\":[1,2,],\n \"b\":\"x,}\",\n}", "{\"a\":[1,2],\"b\":\"x,}\"}", NULL},
    {"raw line ends in strings", "{\"code\":\"def f():\n\treturn 1\n\"}", "{\"code\":\"def f():\\n\\treturn 1\\n\"}",
     NULL},
    {"the same object twice", "{\"a\":1}\n{ \"a\": 1 }", "{\"a\":1}", NULL},
    {"thinking first", "<think>maybe {\"a\":2}</think>{\"a\":1}", "{\"a\":1}", NULL},
    {"only the end of thinking", "{\"a\":2}\n</think>\n{\"a\":1}", "{\"a\":1}", NULL},
    {"the fence wins over prose", "Not {\"a\":2} but\n```json\n{\"a\":1}\n```", "{\"a\":1}", NULL},
    {"placeholders in prose", "Replace {name} and {} with {\"a\":1}.", "{\"a\":1}", NULL},
    {"a lone brace in prose", "Use { to open. {\"a\":1}", "{\"a\":1}", NULL},
    {"inside a list", "[{\"a\":1}]", "{\"a\":1}", NULL},
    {"surrogates", "{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xf0\x9f\x98\x80\"}", NULL},

    {"nothing", "", NULL, "holds no JSON object"},
    {"prose", "I cannot do that.", NULL, "holds no JSON object"},
    {"a number", "42", NULL, "holds no JSON object"},
    {"two objects", "{\"a\":1}\n{\"a\":2}", NULL, "several different"},
    {"two fences", "```json\n{\"a\":1}\n```\n```json\n{\"b\":1}\n```", NULL, "several different"},
    {"cut off", "{\"files\":[{\"path\":\"a\"},{\"path\":\"b", NULL, "ends in the middle"},
    {"cut off in a fence", "```json\n{\"files\":[{\"path\":\"a\"},\n", NULL, "cannot be read"},
    {"broken outside, whole inside", "{\"a\": {\"b\":1}, c: 2}", NULL, "cannot be read: not valid JSON: line 1"},
    {"single quotes", "{'a': {\"b\": 1}}", NULL, "holds no JSON object"},
    {"a missing comma", "{\"a\":1 \"b\":2}", NULL, "cannot be read"},
    {"the same key twice", "{\"a\":1,\"a\":2}", NULL, "cannot be read"},
    {"a comment", "{\"a\":1 // one\n}", NULL, "cannot be read"},
    {"two commas", "{\"a\":[1,,]}", NULL, "cannot be read"},
    {"nothing but thinking", "<think>{\"a\":1}", NULL, "holds no JSON object"},
};

static void test_the_one_json_object_is_found_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        struct error err = {0};
        json_auto_t *value = answer_json(objects[i].text, &err);
        json_auto_t *wanted = objects[i].json ? json_loads(objects[i].json, 0, NULL) : NULL;
        AUTO_FREE char *got = value ? json_dumps(value, JSON_COMPACT) : NULL;
        if (objects[i].json && (!value || !json_equal(value, wanted)))
            fail_msg("%s: %s instead of %s", objects[i].name, got ? got : err.message, objects[i].json);
        if (!objects[i].json && (value || err.code != ERROR_INPUT || !strstr(err.message, objects[i].says)))
            fail_msg("%s: %s", objects[i].name, got ? got : err.message);
    }
}

static void test_an_answer_made_of_braces_is_read_in_time(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    while (buf_putc(&text, '{') == 0)
        ;
    assert_null(answer_json(buf_text(&text), NULL));
    buf_clear(&text);
    while (buf_puts(&text, "{x}") == 0)
        ;
    assert_null(answer_json(buf_text(&text), NULL));
}

/* ---- reasoning and unfenced code ---- */

static const struct {
    const char *name, *text, *rest;
} reasoning[] = {
    {"none", "answer\n", "answer\n"},
    {"leading", "\n<think>\nhmm\n</think>\n\nanswer", "answer"},
    {"any case", "<Think>hmm</THINK>answer", "answer"},
    {"thinking", "<thinking>hmm</thinking>answer", "answer"},
    {"reasoning", "<reasoning>hmm</reasoning>answer", "answer"},
    {"two in a row", "<think>a</think>\n<think>b</think>\nanswer", "answer"},
    {"empty, as some templates leave it", "<think>\n\n</think>\n\nanswer", "answer"},
    {"the end alone", "hmm\n</think>\nanswer", "answer"},
    {"never ends", "<think>hmm", ""},
    {"in the middle stays", "I use <think>x</think> here.", "I use <think>x</think> here."},
    {"a tag of another name stays", "<thinker>x</thinker>", "<thinker>x</thinker>"},
    {"nothing", "", ""},
};

static void test_reasoning_is_taken_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reasoning / sizeof reasoning[0]; i++) {
        AUTO_FREE char *rest = answer_without_thinking(reasoning[i].text);
        if (strcmp(rest, reasoning[i].rest) != 0)
            fail_msg("%s: \"%s\" instead of \"%s\"", reasoning[i].name, rest, reasoning[i].rest);
    }
}

static const struct {
    const char *name, *text, *code;
} bare[] = {
    {"all code", "def f():\n    return 1", "def f():\n    return 1\n"},
    {"prose before", "Here is the function:\n\ndef f():\n    return 1\n", "def f():\n    return 1\n"},
    {"prose after", "def f():\n    return 1\n\nThis returns one.\n", "def f():\n    return 1\n"},
    {"prose on both sides", "Sure thing!\n\nHere it is:\n\nx = 1\n\ny = 2\n\nIt is done. Enjoy it!",
     "x = 1\n\ny = 2\n"},
    {"only prose", "I am sorry.\n\nIt cannot be done.", "I am sorry.\n\nIt cannot be done.\n"},
    {"a class is no prose", "Point = namedtuple('Point', 'x y')\n\nx = Point(1, 2)",
     "Point = namedtuple('Point', 'x y')\n\nx = Point(1, 2)\n"},
    {"thinking and CRLF", "<think>a</think>x = 1\r\ny = 2\r\n", "x = 1\ny = 2\n"},
};

static void test_prose_around_unfenced_code_is_taken_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        AUTO_FREE char *code = answer_bare_code(bare[i].text);
        if (strcmp(code, bare[i].code) != 0)
            fail_msg("%s: \"%s\" instead of \"%s\"", bare[i].name, code, bare[i].code);
    }
}

static void test_a_language_is_known_in_spite_of_one_slip(void **state)
{
    (void)state;
    static const char *const same[] = {"python", "Python",  "pyhton", "phyton", "pyton",
                                       "pythn",  "pythonn", "oython", "ython"};
    static const char *const other[] = {"", "py", "pyhtno", "text", "cython3", "jython2"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (!answer_language_is(same[i], "python"))
            fail_msg("%s is not python", same[i]);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (answer_language_is(other[i], "python"))
            fail_msg("%s is python", other[i]);
    assert_false(answer_language_is("c", "go"));
    assert_false(answer_language_is("jav", "java"));
    assert_true(answer_language_is("GO", "go"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_blocks_are_read_as_meant),
        cmocka_unit_test(test_more_than_64_blocks_are_refused),
        cmocka_unit_test(test_an_answer_made_of_fences_is_read_in_time),
        cmocka_unit_test(test_the_one_json_object_is_found_or_refused),
        cmocka_unit_test(test_an_answer_made_of_braces_is_read_in_time),
        cmocka_unit_test(test_reasoning_is_taken_off),
        cmocka_unit_test(test_prose_around_unfenced_code_is_taken_off),
        cmocka_unit_test(test_a_language_is_known_in_spite_of_one_slip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
