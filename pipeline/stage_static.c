/* static: formats what the change wrote, then lints and type-checks it, before any of it is run. Only findings that the
 * change introduced count. */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"

/* ---- tidying ---- */

/* Runs one tool over one file lying on base and gives the text that it left; NULL when there is no such tool or it
 * failed. */
static char *rewrite(struct pipeline *pipeline, const struct run *run, const struct language_command *command,
                     const struct change_file *file, struct error *err)
{
    if (!command->argv.count)
        return NULL;
    json_auto_t *paths = json_pack("[s]", file->path);
    struct sandbox_result result = {0};
    struct tool_run tool = {.command = command,
                            .layers = LAYER_BASE,
                            .extra = file,
                            .extra_count = 1,
                            .files = paths,
                            .collect = (const char *const[]){file->path, NULL}};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0)
        return NULL;
    const struct sandbox_file *written = stage_collected(&result, file->path);
    bool usable = written && result.end == SANDBOX_EXITED && result.exit_status == 0 && written->len;
    char *text = usable ? strndup(written->data, written->len) : NULL;
    sandbox_result_release(&result);
    return text;
}

/* True when the tool would not touch the file as it is on base: then it may touch the change. */
static bool agrees_with_base(struct pipeline *pipeline, const struct run *run, const struct language_command *command,
                             const char *path)
{
    AUTO_BUF struct buf base = BUF_INIT(CHANGE_MAX_FILE_BYTES);
    if (change_read(&(struct change){0}, pipeline->tree, path, &base, NULL) < 0)
        return true;
    struct change_file file = {.path = (char *)path, .content = base.data, .len = base.len, .kind = FILE_CODE};
    AUTO_FREE char *rewritten = base.len ? rewrite(pipeline, run, command, &file, NULL) : NULL;
    return rewritten && strcmp(rewritten, buf_text(&base)) == 0;
}

char *stage_expand(struct pipeline *pipeline, const struct run *run, const char *path, const char *text,
                   struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    struct change_file file = {.path = (char *)path, .content = (char *)text, .len = strlen(text), .kind = FILE_CODE};
    struct error failed = {0};
    char *expanded = language ? rewrite(pipeline, run, &language->commands.expand, &file, &failed) : NULL;
    if (!expanded && failed.code) {
        if (err)
            *err = failed;
        return NULL;
    }
    return expanded ? expanded : strdup(text);
}

char *stage_tidy(struct pipeline *pipeline, const struct run *run, const char *path, const char *text,
                 enum file_kind kind, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    char *current = strdup(text);
    if (!language || !current)
        return current;
    const struct language_command *fix = &language->commands.fix, *format = &language->commands.format;
    const struct {
        const struct language_command *command;
        bool wanted;
    } tools[] = {{&language->commands.expand, kind == FILE_CODE},
                 {fix, agrees_with_base(pipeline, run, fix, path)},
                 {format, agrees_with_base(pipeline, run, format, path)}};
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        struct change_file file = {.path = (char *)path, .content = current, .len = strlen(current), .kind = kind};
        struct error failed = {0};
        char *next = tools[i].wanted ? rewrite(pipeline, run, tools[i].command, &file, &failed) : NULL;
        if (!next && failed.code) {
            free(current);
            if (err)
                *err = failed;
            return NULL;
        }
        if (next) {
            free(current);
            current = next;
        }
    }
    return current;
}

static int tidy_code(struct pipeline *pipeline, struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        if (file->kind != FILE_CODE || !file->content)
            continue;
        AUTO_FREE char *path = strdup(file->path);
        AUTO_FREE char *author = strdup(file->author ? file->author : "");
        AUTO_FREE char *text = stage_tidy(pipeline, run, file->path, file->content, FILE_CODE, err);
        if (!path || !author || !text ||
            change_put(&run->change, pipeline->tree, &pipeline->policy.forbidden_paths, path, text, strlen(text),
                       FILE_CODE, author, err) < 0)
            return error_wrap(err, "format");
    }
    return 0;
}

/* ---- findings ---- */

/* A checker that was stopped or could not start has not said that the code is clean. */
static int check_with(struct pipeline *pipeline, struct run *run, const struct language_command *command, int layers,
                      const json_t *paths, struct findings *out, struct error *err)
{
    if (!command->argv.count || !json_array_size(paths))
        return 0;
    struct sandbox_result result = {0};
    struct tool_run tool = {.command = command, .layers = layers, .files = paths};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0)
        return -1;
    int status = 0;
    if (result.end != SANDBOX_EXITED || result.exit_status > 1) {
        if (layers & LAYER_CODE)
            json_append_text(run->caveats, "The %s check did not run to its end (%s, status %d): %.160s",
                             command->format, sandbox_end_name(result.end), result.exit_status, buf_text(&result.err));
        json_object_set_new(run->scratch, "static_incomplete", json_true());
    } else
        status = findings_read(command->format, command->format, buf_text(&result.out), result.out.len, out, err);
    sandbox_result_release(&result);
    return status < 0 ? error_wrap(err, "read what %s says", command->format) : 0;
}

static int check_all(struct pipeline *pipeline, struct run *run, const struct language *language, int layers,
                     const json_t *paths, struct findings *out, struct error *err)
{
    if (check_with(pipeline, run, &language->commands.lint, layers, paths, out, err) < 0)
        return -1;
    return check_with(pipeline, run, &language->commands.types, layers, paths, out, err);
}

static json_t *paths_on_base(const struct run *run)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < run->change.count; i++)
        if (run->change.files[i].kind == FILE_CODE && !run->change.files[i].is_new)
            json_array_append_new(paths, json_string(run->change.files[i].path));
    return paths;
}

static json_t *feedback_items(const struct findings *findings)
{
    json_t *items = json_array();
    for (size_t i = 0; i < findings->count && i < 20; i++) {
        const struct finding *finding = &findings->items[i];
        AUTO_FREE char *name = text_format("%s %s", finding->tool, finding->code);
        AUTO_FREE char *message = text_format("%s:%d: %s", finding->path, finding->line, finding->message);
        json_array_append_new(items, json_pack("{s:s, s:s, s:s}", "test", name ? name : "", "message",
                                               message ? message : "", "details", ""));
    }
    return items;
}

int stage_static(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language || tidy_code(pipeline, run, err) < 0)
        return -1;
    json_auto_t *paths = stage_paths(run, FILE_CODE), *old = paths_on_base(run);
    struct findings after = {0}, before = {0};
    json_object_del(run->scratch, "static_incomplete");
    int status = check_all(pipeline, run, language, LAYER_ALL, paths, &after, err);
    if (status == 0 && after.count && json_array_size(old))
        status = check_all(pipeline, run, language, LAYER_BASE, old, &before, err);
    findings_subtract(&after, &before);
    if (status == 0) {
        json_object_set_new(run->evidence, "static",
                            json_pack("{s:b, s:o}", "clean", after.count == 0, "findings", findings_to_json(&after)));
        if (!json_object_get(run->evidence, "static_first"))
            json_object_set_new(run->evidence, "static_first", json_pack("{s:i}", "findings", (int)after.count));
    }
    if (status == 0 && after.count) {
        json_object_clear(run->feedback);
        json_object_update_new(run->feedback,
                               json_pack("{s:s, s:o}", "kind", "static", "items", feedback_items(&after)));
        stage_end(result, VERDICT_FAILED, "%zu new findings, first: %s:%d: %s", after.count, after.items[0].path,
                  after.items[0].line, after.items[0].message);
    } else if (status == 0)
        stage_end(result, VERDICT_PASSED, "nothing new to complain about");
    findings_release(&after);
    findings_release(&before);
    return status;
}
