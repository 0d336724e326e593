/* The hidden test of an evaluation: run once, after the outcome stands. */
#include <stdlib.h>
#include <string.h>

#include "app/base/digest.h"
#include "pipeline/stage.h"

enum { HIDDEN_TIMEOUT_MS = 60000 };

const char *hidden_end_name(enum hidden_end end)
{
    static const char *const names[] = {[HIDDEN_NO_CODE] = "no code",
                                        [HIDDEN_FAILED] = "failed",
                                        [HIDDEN_CUT_SHORT] = "cut short",
                                        [HIDDEN_PASSED] = "passed"};
    return names[end];
}

static enum hidden_end judge(const struct sandbox_result *result, const char *token)
{
    size_t len = strlen(token);
    if (result->end != SANDBOX_EXITED)
        return HIDDEN_CUT_SHORT;
    bool told = result->out.len && memmem(result->out.data, result->out.len, token, len);
    return result->exit_status == 0 && told ? HIDDEN_PASSED : HIDDEN_FAILED;
}

int pipeline_hidden_test(struct pipeline *pipeline, const struct run *run, const char *entry_point, const char *test,
                         enum hidden_end *end, struct error *err)
{
    if (!run_has_code(run) || !run->spec.file) {
        *end = HIDDEN_NO_CODE;
        return 0;
    }
    const struct language *language = stage_language(pipeline, run, err);
    AUTO_FREE char *module = language ? language_module_of(language, pipeline->tree, run->spec.file) : NULL;
    AUTO_FREE char *path = language ? text_format("assay_hidden_test%s", language->extensions.items[0]) : NULL;
    if (!module || !path)
        return language ? error_set(err, ERROR_INTERNAL, "no memory") : -1;
    if (!language->commands.hidden.argv.count)
        return error_set(err, ERROR_CONFIG, "hidden tests cannot be run in %s yet", language->name);
    char token[RANDOM_ID_SIZE];
    random_id(token);
    json_auto_t *files = json_pack("[s]", path);
    json_auto_t *view = json_pack("{s:s, s:s, s:s}", "module", module, "symbol", entry_point, "token", token);
    struct change_file file = {.path = path, .content = (char *)test, .len = strlen(test), .kind = FILE_TEST};
    struct tool_run tool = {.command = &language->commands.hidden,
                            .layers = LAYER_CODE,
                            .extra = &file,
                            .extra_count = 1,
                            .files = files,
                            .view = view,
                            .timeout_ms = HIDDEN_TIMEOUT_MS};
    struct sandbox_result result = {0};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0)
        return error_wrap(err, "run the hidden test");
    *end = judge(&result, token);
    sandbox_result_release(&result);
    return 0;
}
