/* What a pull request says of the gates (pipeline/describe.c): never more than what was seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "pipeline/pipeline.h"
#include "tests/unit/pipeline/python.h"

static char *pull_text(struct run *run)
{
    struct error err = {0};
    char *text = pipeline_describe(run, "replies/pull.mustache", NULL, &err);
    if (!text)
        fail_msg("%s", err.message);
    return text;
}

/* A run whose gates all passed: 3 tests were red, 2 tests of the repository still pass. */
static int start(void **state)
{
    struct run *run = calloc(1, sizeof *run);
    struct error err = {0};
    if (run_init(run, languages, "Slugs", "Makes a slug.", &err) < 0)
        fail_msg("%s", err.message);
    run->outcome = OUTCOME_PROVEN;
    json_object_set_new(run->evidence, "red", json_pack("{s:i}", "failed", 3));
    json_object_set_new(run->evidence, "green", json_pack("{s:i}", "passed", 3));
    json_object_set_new(run->evidence, "regressions", json_pack("{s:i}", "checked", 2));
    *state = run;
    return 0;
}

static int end(void **state)
{
    run_release(*state);
    free(*state);
    return 0;
}

static void gates_that_were_passed_are_told_with_their_counts(void **state)
{
    AUTO_FREE char *text = pull_text(*state);
    assert_non_null(strstr(text, "| static | no new finding"));
    assert_non_null(strstr(text, "| regressions | 2 tests that passed before still pass"));
    assert_null(strstr(text, "incomplete"));
}

static void a_checker_that_was_cut_short_is_not_told_as_passed(void **state)
{
    struct run *run = *state;
    json_object_set_new(run->scratch, "static_incomplete", json_true());
    AUTO_FREE char *text = pull_text(run);
    assert_non_null(strstr(text, "| static | incomplete: a checker did not run to its end"));
    assert_null(strstr(text, "no new finding"));
    assert_non_null(strstr(text, "| regressions | 2 tests"));
}

static void a_suite_that_was_cut_short_is_not_told_as_passed(void **state)
{
    struct run *run = *state;
    json_object_set_new(json_object_get(run->evidence, "regressions"), "trouble", json_string("out of memory"));
    AUTO_FREE char *text = pull_text(run);
    assert_non_null(strstr(text, "| regressions | incomplete"));
    assert_null(strstr(text, "still pass"));
    assert_non_null(strstr(text, "| static | no new finding"));
}

static void evidence_is_told_with_what_is_missing_in_it(void **state)
{
    static const struct {
        const char *evidence;
        const char *said[4];
    } cases[] = {
        {"{'coverage': {'lines': 3, 'lines_run': 3, 'branches': 0, 'branches_run': 0, 'share': 1.0, 'uncovered': []}}",
         {"| coverage | 100 %: the tests run 3 of 3 changed lines |"}},
        {"{'coverage': {'lines': 300, 'lines_run': 299, 'branches': 2, 'branches_run': 2, 'share': 0.9967,"
         " 'uncovered': [{'path': 'a.py', 'first': 4, 'last': 6}, {'path': 'a.py', 'first': 8, 'last': 8, 'to': 0}]}}",
         {"| coverage | 99 %: the tests run 299 of 300 changed lines and 2 of 2 branches |", "- `a.py:4-6`\n",
          "- `a.py:8`, on to the end\n"}},
        {"{'coverage': {'trouble': 'no report'}}", {"| coverage | not known |"}},
        {"{'properties': {'written': 3, 'kept': 1, 'examples': 100, 'seed': 7, 'names': ['test_p'], 'text': 'def "
         "test_p',"
         " 'counterexamples': [{'property': 'test_p', 'example': 'x=1'}]}}",
         {"| properties | 1 property holds on 100 random inputs each (seed 7); 1 input that broke the code before is a "
          "test now |",
          "def test_p", "- `test_p` was broken by `x=1`"}},
        {"{'mutation': {'killed': 3, 'survived': 0, 'survivors': [], 'added': []}}",
         {"| mutants | the tests find 3 of 3 small faults put into the changed lines |"}},
        {"{'mutation': {'killed': 0, 'survived': 0, 'survivors': [], 'added': []}}",
         {"| mutants | nothing in the changed lines to put a fault into |"}},
        {"{'mutation': {'killed': 1, 'survived': 1, 'added': ['test_low'], 'survivors': [{'path': 'a.py', 'first': 2,"
         " 'was': 'return a|b', 'now': 'return b`', 'maybe_equivalent': true}]}}",
         {"| mutants | the tests find 1 of 2 small faults put into the changed lines; 1 test for that written after "
          "the "
          "code |",
          "- `a.py:2`: `return a|b` changed to `` return b` `` (perhaps no fault", "- `test_low`\n"}},
        {"{'mutation': {'trouble': 'no end'}}", {"| mutants | not known |"}},
    };
    struct run *run = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *json = strdup(cases[i].evidence);
        for (char *at = json; *at; at++)
            *at = *at == '\'' ? '"' : *at;
        json_object_clear(run->evidence);
        json_object_update_new(run->evidence, json_loads(json, 0, NULL));
        AUTO_FREE char *text = pull_text(run);
        for (size_t k = 0; cases[i].said[k]; k++)
            if (!strstr(text, cases[i].said[k]))
                fail_msg("\"%s\" is not said in:\n%s", cases[i].said[k], text);
    }
}

int main(void)
{
#define WITH_A_RUN(test) cmocka_unit_test_setup_teardown(test, start, end)
    const struct CMUnitTest tests[] = {
        WITH_A_RUN(gates_that_were_passed_are_told_with_their_counts),
        WITH_A_RUN(a_checker_that_was_cut_short_is_not_told_as_passed),
        WITH_A_RUN(evidence_is_told_with_what_is_missing_in_it),
        WITH_A_RUN(a_suite_that_was_cut_short_is_not_told_as_passed),
    };
    return cmocka_run_group_tests_name("describe", tests, python_load, python_unload);
}
