/* Mutants of Python: where they are put, what they are, and what is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "pipeline/mutants.h"
#include "pipeline/mutation.h"
#include "tests/unit/pipeline/python.h"

static json_t *mutants_of(const char *before, const char *text)
{
    struct changed_lines changed = {0};
    struct error err = {0};
    json_t *found = json_array();
    if (changed_lines_find(before, strlen(before), text, strlen(text), &changed, &err) < 0 ||
        mutants_find(python, "a.py", text, strlen(text), &changed, found, &err) < 0)
        fail_msg("%s", err.message);
    changed_lines_release(&changed);
    return found;
}

static void puts_small_faults_into_python(void **state)
{
    /* Each mutant as "kind: was -> now", in the order of their places. */
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"x = a < b\n", "comparison: < -> <=\n"},
        {"x = a is not b\n", "comparison: is not -> is\n"},
        {"x = a not in b\n", "comparison: not in -> in\n"},
        {"x = a + b * c\n", "arithmetic: + -> -\narithmetic: * -> +\n"},
        {"x += y\n", "statement: x += y -> pass\narithmetic: += -> -=\n"},
        {"x = a and not b\n", "boolean: and -> or\nboolean: not b -> (b)\n"},
        {"x = True\n", "constant: True -> False\n"},
        {"x = 10\n", "number: 10 -> (10 + 1)\n"},
        {"x = 1.5\n", "fraction: 1.5 -> (1.5 + 1.0)\n"},
        {"x = r'[a]'\n", "text: r'[a]' -> \"\"\n"},
        {"x = ''\n", "text: '' -> 'x'\n"},
        {"x = b'a'\n", ""},
        {"if a:\n    f()\n", "condition: a -> not (a)\nstatement: f() -> pass\n"},
        {"x = y if a else z\n", "condition: a -> not (a)\n"},
        {"x = [y for y in z if y]\n", "condition: y -> not (y)\n"},
        {"def f(a):\n    return a\n", "return: a -> None\n"},
        {"def f(a):\n    return None\n", ""},
        {"def f(a):\n    return\n", ""},
        {"x = text.strip('-')\n", "call: text.strip('-') -> text\ntext: '-' -> \"\"\n"},
        {"import re\nx = re.sub(a, b)\n", ""},
        {"raise ValueError('a message')\n", "statement: raise ValueError('a message') -> pass\n"},
        {"def f(a: Literal['x']) -> 'int':\n    \"\"\"Text.\"\"\"\n", ""},
        {"@cache(maxsize=10)\ndef f():\n    pass\n", ""},
        {"for x in y:\n    pass\n", ""},
        {"x = -y\nf(*a)\n", "statement: f(*a) -> pass\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *found = mutants_of("", cases[i].text);
        AUTO_BUF struct buf said = BUF_INIT(KiB(8));
        size_t index;
        json_t *mutant;
        json_array_foreach (found, index, mutant)
            buf_printf(&said, "%s: %s -> %s\n", json_text_at(mutant, "kind", ""), json_text_at(mutant, "was", ""),
                       json_text_at(mutant, "now", ""));
        if (strcmp(buf_text(&said), cases[i].expected) != 0)
            fail_msg("%s gives\n%s", cases[i].text, buf_text(&said));
    }
}

static void only_changed_lines_get_mutants(void **state)
{
    (void)state;
    json_auto_t *found = mutants_of("x = 1\ny = 2\n", "x = 1\ny = 3\n");
    assert_int_equal(json_array_size(found), 1);
    assert_int_equal(json_int_at(json_array_get(found, 0), "line", 0), 2);
    const char *text = "x = 1\ny = 3\n";
    AUTO_FREE char *mutated = mutants_apply(text, strlen(text), json_array_get(found, 0));
    assert_string_equal(mutated, "x = 1\ny = (3 + 1)\n");
}

static void a_sample_is_the_same_for_the_same_seed(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = BUF_INIT(KiB(8));
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "x%d = %d\n", i, i);
    json_auto_t *first = mutants_of("", buf_text(&text)), *again = json_copy(first), *other = json_copy(first);
    mutants_sample(first, 30, 1);
    mutants_sample(again, 30, 1);
    mutants_sample(other, 30, 2);
    assert_int_equal(json_array_size(first), 30);
    assert_int_equal(json_array_size(other), 30);
    assert_true(json_equal(first, again));
    assert_false(json_equal(first, other));
    json_auto_t *few = mutants_of("", "x = 1\n");
    mutants_sample(few, 30, 1);
    assert_int_equal(json_array_size(few), 1);
}

/* A slow machine: nothing found and nothing missed is no score. */
static void mutants_that_were_not_tried_are_no_score(void **state)
{
    static const struct {
        const char *fates;
        bool measured;
    } cases[] = {
        {"[]", true},
        {"['killed', 'survived']", true},
        {"['killed', 'skipped']", true},
        {"['killed', 'skipped', 'skipped']", false},
        {"['skipped', 'skipped']", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *text = strdup(cases[i].fates);
        for (char *at = text; *at; at++)
            *at = *at == '\'' ? '"' : *at;
        json_auto_t *fates = json_loads(text, 0, NULL), *mutants = json_array();
        size_t index;
        json_t *fate;
        json_array_foreach (fates, index, fate)
            json_array_append_new(mutants, json_pack("{s:O}", "fate", fate));
        struct error trouble = {0};
        assert_int_equal(mutation_is_measured(mutants, &trouble), cases[i].measured);
        assert_int_equal(trouble.code, cases[i].measured ? ERROR_NONE : ERROR_TIMEOUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_small_faults_into_python),
        cmocka_unit_test(only_changed_lines_get_mutants),
        cmocka_unit_test(a_sample_is_the_same_for_the_same_seed),
        cmocka_unit_test(mutants_that_were_not_tried_are_no_score),
    };
    return cmocka_run_group_tests(tests, python_load, python_unload);
}
