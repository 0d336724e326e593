/* red: the locked tests fail on base, each for the right reason; and what the repository's own tests say before the
 * change. */
#include "pipeline/stage.h"

#include <string.h>

#include "app/base/json.h"

/* The repository's own tests on base: the ids of those that pass, so that green can tell what the change broke. */
static int take_baseline(struct pipeline *pipeline, struct run *run, struct error *err)
{
    struct test_report report = {0};
    char trouble[256];
    if (stage_run_tests(pipeline, run, LAYER_BASE, NULL, 0, NULL, &report, trouble, err) < 0)
        return -1;
    json_t *passing = json_array();
    for (size_t i = 0; i < report.count; i++) {
        AUTO_FREE char *id = stage_case_id(&report.cases[i]);
        if (report.cases[i].status == TEST_PASSED)
            json_array_append_new(passing, json_string(id));
    }
    json_object_set_new(run->scratch, "baseline", passing);
    json_object_set_new(run->evidence, "base",
                        json_pack("{s:I, s:I, s:s}", "passed", (json_int_t)report.passed, "failed",
                                  (json_int_t)report.failed + (json_int_t)report.errored, "trouble", trouble));
    if (*trouble && report.count)
        json_append_text(run->caveats, "The repository's own tests did not run to their end on base: %s", trouble);
    report_release(&report);
    return 0;
}

static int refuse(struct run *run, struct stage_result *result, const char *test, const char *message)
{
    run_stop(run, OUTCOME_NEEDS_HUMAN, "a locked test does not fail on base for the right reason: %s: %s", test,
             message);
    return stage_end(result, VERDICT_STOPPED, "%s", run->reason);
}

int stage_red(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    json_auto_t *paths = stage_paths(run, FILE_TEST);
    struct test_report report = {0};
    char trouble[256];
    if (!language || change_check_lock(&run->change, err) < 0 ||
        stage_run_tests(pipeline, run, LAYER_TESTS, NULL, 0, paths, &report, trouble, err) < 0)
        return -1;
    json_t *evidence = stage_report_json(&report);
    json_object_set_new(evidence, "tests_digest", json_string(run->change.tests_digest));
    json_object_set_new(run->evidence, "red", evidence);
    size_t right = 0;
    int status = 1;
    for (size_t i = 0; i < report.count && status == 1; i++) {
        const struct test_case *test = &report.cases[i];
        bool failed = test->status == TEST_FAILED || test->status == TEST_ERRORED;
        if (failed && stage_failure_reason(pipeline, run, language, test) == FAILURE_BROKEN)
            status = refuse(run, result, test->name, test->message);
        right += failed;
    }
    if (status == 1 && right == 0)
        status = refuse(run, result, "the whole file", *trouble ? trouble : "it passes");
    size_t passing = report.passed;
    report_release(&report);
    if (status != 1)
        return status;
    if (take_baseline(pipeline, run, err) < 0)
        return -1;
    if (passing)
        return stage_end(result, VERDICT_PASSED, "%zu failures on base, as they should; %zu examples hold already",
                         right, passing);
    return stage_end(result, VERDICT_PASSED, "%zu failures on base, all for the right reason", right);
}
