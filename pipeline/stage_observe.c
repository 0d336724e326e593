/* What an implementation does on inputs like those of its tests, to compare it with another. */
#include "pipeline/stage.h"

#include <string.h>

#include "app/base/json.h"

size_t stage_code_files(const json_t *code, struct change_file out[static CHANGE_MAX_FILES])
{
    size_t count = 0, index;
    json_t *item;
    json_array_foreach (code, index, item) {
        const char *content = json_text_at(item, "content", "");
        if (count < CHANGE_MAX_FILES)
            out[count++] = (struct change_file){.path = (char *)json_text_at(item, "path", ""),
                                                .content = (char *)content,
                                                .len = strlen(content),
                                                .kind = FILE_CODE};
    }
    return count;
}

json_t *stage_observe(struct pipeline *pipeline, const struct run *run, const struct change_file *files, size_t count,
                      const char *tests, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return NULL;
    const struct language_command *command = &language->commands.observe;
    AUTO_FREE char *module = language_module_of(language, pipeline->tree, run->spec.file);
    json_auto_t *view = json_pack("{s:s*, s:s}", "module", module, "symbol", run->spec.symbol);
    json_auto_t *paths = json_pack("[s]", tests);
    if (!command->argv.count || strchr(run->spec.symbol, '.'))
        return json_array();
    struct sandbox_result result = {0};
    struct tool_run tool = {.command = command,
                            .layers = LAYER_TESTS,
                            .extra = files,
                            .extra_count = count,
                            .files = paths,
                            .view = view,
                            .collect = (const char *const[]){command->report, NULL}};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0) {
        error_wrap(err, "observe an implementation");
        return NULL;
    }
    const struct sandbox_file *file = stage_collected(&result, command->report);
    json_auto_t *seen = file ? json_read(file->data, file->len, JSON_LIMITS_MODEL, NULL) : NULL;
    sandbox_result_release(&result);
    return json_is_array(seen) ? STEAL(seen) : json_array();
}
