/* coverage: which of the changed lines and branches the locked tests run.
 *
 * Only what the change wrote counts; a line that no test runs is told with its place. The share is weighed by the
 * report stage: too little of it makes the outcome "unproven".
 */
#include "pipeline/stage.h"

#include "app/base/json.h"
#include "pipeline/coverage.h"

enum { COVERAGE_TIMEOUT_MS = 120 * 1000 };

/* What the language's command reports; NULL with the reason in `trouble` when it gave no report, -1 when the sandbox
 * failed. */
static int measure(struct pipeline *pipeline, const struct run *run, const struct language_command *command,
                   json_t **report, struct error *trouble, struct error *err)
{
    json_auto_t *tests = stage_paths(run, FILE_TEST), *code = stage_paths(run, FILE_CODE);
    json_auto_t *view = json_pack("{s:O}", "changed", code);
    struct sandbox_result result = {0};
    struct tool_run tool = {.command = command,
                            .layers = LAYER_ALL,
                            .files = tests,
                            .view = view,
                            .collect = (const char *const[]){command->report, NULL},
                            .timeout_ms = COVERAGE_TIMEOUT_MS};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0)
        return error_wrap(err, "measure the coverage");
    const struct sandbox_file *file = stage_collected(&result, command->report);
    *report = file ? json_read(file->data, file->len, JSON_LIMITS_API, trouble) : NULL;
    if (!file)
        error_set(trouble, ERROR_INPUT, "the tests gave no report on what they ran (%s)", sandbox_end_name(result.end));
    sandbox_result_release(&result);
    return 0;
}

int stage_coverage(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    const struct language_command *command = &language->commands.coverage;
    json_object_del(run->evidence, "coverage");
    if (!command->argv.count || !pipeline_uses(pipeline, MEAN_COVERAGE))
        return stage_end(result, VERDICT_PASSED, "not measured");
    struct error trouble = {0};
    json_auto_t *report = NULL;
    if (measure(pipeline, run, command, &report, &trouble, err) < 0)
        return -1;
    if (!report) {
        json_object_set_new(run->evidence, "coverage", json_pack("{s:s}", "trouble", trouble.message));
        return stage_end(result, VERDICT_PASSED, "not measured: %.200s", trouble.message);
    }
    json_t *evidence = coverage_count(&run->change, pipeline->tree, report, err);
    if (!evidence)
        return -1;
    json_object_set_new(evidence, "threshold", json_real(pipeline->thresholds.coverage));
    json_object_set_new(run->evidence, "coverage", evidence);
    return stage_end(result, VERDICT_PASSED, "%lld of %lld changed lines run, %lld of %lld branches",
                     (long long)json_int_at(evidence, "lines_run", 0), (long long)json_int_at(evidence, "lines", 0),
                     (long long)json_int_at(evidence, "branches_run", 0),
                     (long long)json_int_at(evidence, "branches", 0));
}
