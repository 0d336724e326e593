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

int main(void)
{
#define WITH_A_RUN(test) cmocka_unit_test_setup_teardown(test, start, end)
    const struct CMUnitTest tests[] = {
        WITH_A_RUN(gates_that_were_passed_are_told_with_their_counts),
        WITH_A_RUN(a_checker_that_was_cut_short_is_not_told_as_passed),
        WITH_A_RUN(a_suite_that_was_cut_short_is_not_told_as_passed),
    };
    return cmocka_run_group_tests_name("describe", tests, python_load, python_unload);
}
