/* green: the locked tests pass on the change, and what passed on base still does. */
#include "pipeline/stage.h"

#include <string.h>

#include "app/base/json.h"

static json_t *case_ids(const struct test_report *report, enum test_status status)
{
    json_t *ids = json_object();
    for (size_t i = 0; i < report->count; i++) {
        AUTO_FREE char *id = stage_case_id(&report->cases[i]);
        if (report->cases[i].status == status && id)
            json_object_set_new(ids, id, json_string(report->cases[i].message));
    }
    return ids;
}

/* What passed on base and does not now, as feedback items added to `items`. A suite that did not end says nothing. */
static int add_regressions(struct pipeline *pipeline, struct run *run, json_t *items, struct error *err)
{
    const json_t *baseline = json_object_get(run->scratch, "baseline");
    if (!json_array_size(baseline))
        return 0;
    struct test_report report = {0};
    char trouble[256];
    if (stage_run_tests(pipeline, run, LAYER_ALL, NULL, 0, NULL, &report, trouble, err) < 0)
        return -1;
    json_auto_t *passed = case_ids(&report, TEST_PASSED), *failed = case_ids(&report, TEST_FAILED);
    size_t index, broken = 0;
    json_t *id;
    json_array_foreach (baseline, index, id) {
        const char *name = json_string_value(id);
        if (json_object_get(passed, name) || (*trouble && !json_object_get(failed, name)))
            continue;
        const char *message = json_string_value(json_object_get(failed, name));
        broken++;
        json_array_append_new(items, json_pack("{s:s, s:s, s:s}", "test", name, "message",
                                               message ? message : "passed before the change, and does not run now",
                                               "details", ""));
    }
    json_object_set_new(run->evidence, "regressions",
                        json_pack("{s:I, s:I, s:s}", "checked", (json_int_t)json_array_size(baseline), "broken",
                                  (json_int_t)broken, "trouble", trouble));
    report_release(&report);
    return 0;
}

int stage_green(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    json_auto_t *paths = stage_paths(run, FILE_TEST);
    struct test_report report = {0};
    char trouble[256];
    if (change_check_lock(&run->change, err) < 0 ||
        stage_run_tests(pipeline, run, LAYER_ALL, NULL, 0, paths, &report, trouble, err) < 0)
        return -1;
    json_t *evidence = stage_report_json(&report);
    json_object_set_new(evidence, "tests_digest", json_string(run->change.tests_digest));
    json_object_set_new(evidence, "trouble", json_string(trouble));
    json_object_set_new(run->evidence, "green", evidence);
    json_auto_t *items = stage_failures(&report);
    size_t passed = report.passed;
    report_release(&report);
    if (*trouble)
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:s}", "test", "the test run", "message", trouble, "details", ""));
    else if (!passed && !json_array_size(items))
        json_array_append_new(
            items, json_pack("{s:s, s:s, s:s}", "test", "the test run", "message", "no test was run", "details", ""));
    size_t own = json_array_size(items);
    if (!own && add_regressions(pipeline, run, items, err) < 0)
        return -1;
    size_t failing = json_array_size(items);
    if (!failing)
        return stage_end(result, VERDICT_PASSED, "all %zu tests pass, and nothing that passed before broke", passed);
    const json_t *first = json_array_get(items, 0);
    stage_end(result, VERDICT_FAILED, "%zu %s, first: %s: %.120s", failing, own ? "failures" : "regressions",
              json_text_at(first, "test", ""), json_text_at(first, "message", ""));
    json_object_clear(run->feedback);
    json_object_update_new(run->feedback, json_pack("{s:s, s:O}", "kind", "tests", "items", items));
    return 0;
}
