/* Specs as people write them: headings, signatures, examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "pipeline/spec.h"
#include "tests/unit/pipeline/python.h"

static struct spec read_spec(const char *text)
{
    struct spec spec;
    struct error err = {0};
    if (spec_read(languages, "A title", text, &spec, &err) < 0)
        fail_msg("%s", err.message);
    return spec;
}

static void headings_become_fields(void **state)
{
    (void)state;
    struct spec spec = read_spec("### Signature\n\n```python\nslugify(text: str) -> str\n```\n\n"
                                 "### BEHAVIOR\n\nMakes a slug.\n\nTwo paragraphs.\n\n"
                                 "## Acceptance criteria:\n- [ ] lower case\n* no spaces\n3. not empty\n\n"
                                 "#### Target\n`src/shop/text.py` (new)\n\n### Language\nPython3\n\n"
                                 "### Kind\nFunction\n\n### Pattern\n_No response_\n");
    assert_string_equal(spec.signature, "slugify(text: str) -> str");
    assert_string_equal(spec.behaviour, "Makes a slug.\n\nTwo paragraphs.");
    assert_string_equal(spec.file, "src/shop/text.py");
    assert_string_equal(spec.language, "python");
    assert_string_equal(spec.kind, "function");
    assert_null(spec.pattern);
    assert_int_equal(spec.criteria_count, 3);
    assert_string_equal(spec.criteria[0], "lower case");
    assert_string_equal(spec.criteria[2], "not empty");
    spec_release(&spec);
}

static void text_before_the_first_heading_is_behaviour(void **state)
{
    (void)state;
    struct spec spec = read_spec("Please add it.\n\n# Behaviour\nIt adds.\n# Something else\nnoise\n");
    assert_string_equal(spec.behaviour, "Please add it.\n\nIt adds.");
    spec_release(&spec);
}

static void an_unknown_language_is_refused_with_its_name(void **state)
{
    (void)state;
    struct spec spec;
    struct error err = {0};
    assert_int_equal(spec_read(languages, "", "# Language\nCobol\n", &spec, &err), -1);
    assert_non_null(strstr(err.message, "Cobol"));
}

static void signatures_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *written, *signature, *symbol;
    } cases[] = {
        {"slugify(text: str) -> str", "def slugify(text: str) -> str:", "slugify"},
        {"def f(x)", "def f(x):", "f"},
        {"`def f(x, *, y=1) -> None:`", "def f(x, *, y=1) -> None:", "f"},
        {"class Cart:", "class Cart:", "Cart"},
        {"async def fetch(url)", "async def fetch(url):", "fetch"},
        {"please make it fast", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spec spec = {0};
        bool found = spec_set_signature(&spec, python, cases[i].written);
        assert_int_equal(found, cases[i].signature != NULL);
        if (found) {
            assert_string_equal(spec.signature, cases[i].signature);
            assert_string_equal(spec.symbol, cases[i].symbol);
        }
        spec_release(&spec);
    }
}

static void a_signature_is_found_in_prose(void **state)
{
    (void)state;
    static const struct {
        const char *text, *symbol;
    } cases[] = {
        {"Add `split_money(amount: Money, parts: int) -> list[Money]` to it.", "split_money"},
        {"```python\nfrom typing import List\n\ndef total(prices: List[int]) -> int:\n    \"\"\"Sum.\"\"\"\n```\n",
         "total"},
        {"`total(prices)` is an expression, so it may be an example", NULL},
        {"nothing here", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spec spec = read_spec(cases[i].text);
        assert_int_equal(spec_find_signature(&spec, python), cases[i].symbol != NULL);
        if (cases[i].symbol)
            assert_string_equal(spec.symbol, cases[i].symbol);
        spec_release(&spec);
    }
}

#define UP_TO_3 3
static const struct {
    const char *text;
    size_t count;
    struct {
        enum example_kind kind;
        const char *setup, *call, *expected;
    } examples[UP_TO_3];
} example_cases[] = {
    {"- `f(2)` -> `4`", 1, {{EXAMPLE_EQUAL, "", "f(2)", "4"}}},
    {"`f(2) -> 4`", 1, {{EXAMPLE_EQUAL, "", "f(2)", "4"}}},
    {"f(2) -> 4\nf(3) => 9\n", 2, {{EXAMPLE_EQUAL, "", "f(2)", "4"}, {EXAMPLE_EQUAL, "", "f(3)", "9"}}},
    {"* `f(2)` returns `4`, `f(3)` returns `9`.",
     2,
     {{EXAMPLE_EQUAL, "", "f(2)", "4"}, {EXAMPLE_EQUAL, "", "f(3)", "9"}}},
    {"`f(\"a b\")` \xe2\x86\x92 `\"a-b\"`", 1, {{EXAMPLE_EQUAL, "", "f(\"a b\")", "\"a-b\""}}},
    {"f([1, 2]) == [2, 1]  # reversed", 1, {{EXAMPLE_EQUAL, "", "f([1, 2])", "[2, 1]"}}},
    {"- `f(-1)` raises `ValueError`", 1, {{EXAMPLE_RAISES, "", "f(-1)", "ValueError"}}},
    {"- f(-1) -> ValueError", 1, {{EXAMPLE_RAISES, "", "f(-1)", "ValueError"}}},
    {"`f(\"\")` should raise a `shop.NotFoundError`", 1, {{EXAMPLE_RAISES, "", "f(\"\")", "shop.NotFoundError"}}},
    {">>> f(2)\n4\n>>> f(3)\n9\n", 2, {{EXAMPLE_EQUAL, "", "f(2)", "4"}, {EXAMPLE_EQUAL, "", "f(3)", "9"}}},
    {"```\n>>> x = f(1)\n>>> x.go()\n'on'\n```", 1, {{EXAMPLE_EQUAL, "x = f(1)\n", "x.go()", "'on'"}}},
    {">>> f(0)\nTraceback (most recent call last):\n    ...\nValueError: no\n\n",
     1,
     {{EXAMPLE_RAISES, "", "f(0)", "ValueError"}}},
    {">>> f(7)\n<F 7>\n\n", 1, {{EXAMPLE_OUTPUT, "", "f(7)", "<F 7>"}}},
    {"| call | result |\n|---|---|\n| `f(1)` | `2` |\n| `f(0)` | raises `ValueError` |\n",
     2,
     {{EXAMPLE_EQUAL, "", "f(1)", "2"}, {EXAMPLE_RAISES, "", "f(0)", "ValueError"}}},
    {"| a | b | output |\n|---|---|---|\n| 1 | 'x' | 3 |\n", 1, {{EXAMPLE_EQUAL, "", "f(1, 'x')", "3"}}},
    {"Input:\n```\n[1, 2]\n```\nOutput:\n```\n3\n```\n", 1, {{EXAMPLE_EQUAL, "", "f([1, 2])", "3"}}},
    {"The call f(x) is fast.", 0, {{0}}},
    {"`f(x: int) -> int` is the signature", 0, {{0}}},
    {"def f(x) -> int:\n    pass\n", 0, {{0}}},
    {"`g(2)` -> `4` is about something else", 0, {{0}}},
    {"f(2) -> somewhere else", 0, {{0}}},
    {"f(2) => true\nf(3) -> null\n", 2, {{EXAMPLE_EQUAL, "", "f(2)", "True"}, {EXAMPLE_EQUAL, "", "f(3)", "None"}}},
    {"For x = [1, 2] the output should be 3.", 1, {{EXAMPLE_EQUAL, "", "f(x=[1, 2])", "3"}}},
    {"* with x=\"a, b\", y = -1.5 the result should be ('b',False)",
     1,
     {{EXAMPLE_EQUAL, "", "f(x=\"a, b\", y=-1.5)", "('b',False)"}}},
    {"Input: x = 3, y = {'k': [0]}\nOutput: 'yes'\n", 1, {{EXAMPLE_EQUAL, "", "f(x=3, y={'k': [0]})", "'yes'"}}},
    {"**Input:** 3, 4\n**Output:** 5\n", 1, {{EXAMPLE_EQUAL, "", "f(3, 4)", "5"}}},
    {">>> f(2) == 4\n>>> f(3) == 9\n", 2, {{EXAMPLE_EQUAL, "", "f(2)", "4"}, {EXAMPLE_EQUAL, "", "f(3)", "9"}}},
    {">>> x = f(1)\n>>> x.go()\n'on'\n", 1, {{EXAMPLE_EQUAL, "x = f(1)\n", "x.go()", "'on'"}}},
    {"f(2) ==> 4\nfor f(3) == 9\n", 2, {{EXAMPLE_EQUAL, "", "f(2)", "4"}, {EXAMPLE_EQUAL, "", "f(3)", "9"}}},
    {"f(n) = f(n - 1) + 1", 0, {{0}}},
    {">>> x = f(1)\n>>> try:\n...     x.go()\n... except ValueError as e:\n...     print(e)\nno\n>>> x.left\n2\n",
     1,
     {{EXAMPLE_EQUAL, "x = f(1)\ntry:\n    x.go()\nexcept ValueError as e:\n    print(e)\n", "x.left", "2"}}},
    {">>> [part.cents for part in f(2)]\n[1, 1]\n",
     1,
     {{EXAMPLE_EQUAL, "", "[part.cents for part in f(2)]", "[1, 1]"}}},
    {"[g for g in h(2)] -> [1]", 0, {{0}}},
    {"It returns y = 2 is 3", 0, {{0}}},
    {"x = 1 is fine", 0, {{0}}},
};

static void examples_are_taken_exactly_as_given(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof example_cases / sizeof example_cases[0]; i++) {
        struct spec spec = read_spec(example_cases[i].text);
        struct error err = {0};
        spec.symbol = strdup("f");
        if (!spec.signature)
            spec.signature = strdup("def f(x, y: float = 0) -> int:");
        assert_int_equal(spec_read_examples(&spec, python, &err), 0);
        if (spec.example_count != example_cases[i].count)
            fail_msg("%s: %zu examples, first %s", example_cases[i].text, spec.example_count,
                     spec.example_count ? spec.examples[0].call : "");
        for (size_t k = 0; k < spec.example_count; k++) {
            assert_int_equal(spec.examples[k].kind, example_cases[i].examples[k].kind);
            assert_string_equal(spec.examples[k].setup, example_cases[i].examples[k].setup);
            assert_string_equal(spec.examples[k].call, example_cases[i].examples[k].call);
            assert_string_equal(spec.examples[k].expected, example_cases[i].examples[k].expected);
        }
        assert_int_equal(spec_read_examples(&spec, python, &err), 0); /* a second reading finds nothing new */
        assert_int_equal(spec.example_count, example_cases[i].count);
        spec_release(&spec);
    }
}

static void what_is_told_leaves_out_the_facts(void **state)
{
    (void)state;
    struct spec spec =
        read_spec("We need it.\n\n## Signature\n`f(x)`\n\n## File\nsrc/a.py\n\n## Behaviour\nDoubles.\n\n"
                  "## Constraints\nFast.\n\n### Language\npython\n");
    AUTO_FREE char *told = spec_told(&spec);
    assert_string_equal(told, "We need it.\n\nDoubles.\n\n## Constraints\nFast.");
    spec_release(&spec);
}

static void a_spec_survives_as_json(void **state)
{
    (void)state;
    struct spec spec = read_spec("# Signature\nf(x)\n# Acceptance criteria\n- one\n# Examples\n`f(1)` -> `2`\n");
    struct spec copy = {0};
    struct error err = {0};
    assert_true(spec_set_signature(&spec, python, spec.signature));
    assert_int_equal(spec_read_examples(&spec, python, &err), 0);
    json_auto_t *value = spec_to_json(&spec);
    assert_int_equal(spec_from_json(value, &copy, &err), 0);
    json_auto_t *again = spec_to_json(&copy);
    assert_true(json_equal(value, again));
    assert_int_equal(copy.example_count, 1);
    spec_release(&copy);
    spec_release(&spec);
    json_auto_t *empty = json_object();
    assert_int_equal(spec_from_json(empty, &copy, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headings_become_fields),
        cmocka_unit_test(text_before_the_first_heading_is_behaviour),
        cmocka_unit_test(an_unknown_language_is_refused_with_its_name),
        cmocka_unit_test(signatures_are_read_as_people_write_them),
        cmocka_unit_test(a_signature_is_found_in_prose),
        cmocka_unit_test(examples_are_taken_exactly_as_given),
        cmocka_unit_test(what_is_told_leaves_out_the_facts),
        cmocka_unit_test(a_spec_survives_as_json),
    };
    return cmocka_run_group_tests_name("spec", tests, python_load, python_unload);
}
