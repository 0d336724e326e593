#include "pipeline/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "app/base/json.h"

/* A locked test is small: one that takes longer does not end. The repository's own may be slow. */
enum { OWN_TEST_SECONDS = 10, OTHER_TEST_SECONDS = 60 };

int stage_end(struct stage_result *result, enum verdict verdict, const char *format, ...)
{
    va_list args;
    result->verdict = verdict;
    va_start(args, format);
    vsnprintf(result->detail, sizeof result->detail, format, args);
    va_end(args);
    return 0;
}

const struct language *stage_language(const struct pipeline *pipeline, const struct run *run, struct error *err)
{
    const struct language *language =
        run->spec.language ? languages_by_name(pipeline->languages, run->spec.language) : NULL;
    if (!language)
        error_set(err, ERROR_INTERNAL, "the run's language \"%s\" is unknown",
                  run->spec.language ? run->spec.language : "");
    return language;
}

/* ---- tools ---- */

static bool is_in_layers(const struct change_file *file, int layers)
{
    return file->content && (layers & (file->kind == FILE_TEST ? LAYER_TESTS : LAYER_CODE));
}

static size_t add_files(struct sandbox_file *out, const struct change_file *files, size_t count, int layers)
{
    size_t added = 0;
    for (size_t i = 0; i < count; i++)
        if (is_in_layers(&files[i], layers))
            out[added++] = (struct sandbox_file){files[i].path, files[i].content, files[i].len};
    return added;
}

char *stage_tools(const struct pipeline *pipeline, const struct language *language)
{
    return text_format("%s/%s", pipeline->tools, language->name);
}

int stage_run_tool(struct pipeline *pipeline, const struct run *run, const struct tool_run *tool,
                   struct sandbox_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    AUTO_FREE char *tools = stage_tools(pipeline, language);
    AUTO_FREE char *source_root = language_source_root(language, pipeline->tree, run->spec.file ? run->spec.file : "");
    json_auto_t *view =
        json_pack("{s:s, s:s, s:s, s:i, s:O*}", "tools", tools, "report",
                  tool->command->report ? tool->command->report : "", "source_root", source_root ? source_root : ".",
                  "seconds", tool->files ? OWN_TEST_SECONDS : OTHER_TEST_SECONDS, "files", tool->files);
    if (tool->view)
        json_object_update(view, (json_t *)tool->view);
    char **argv = language_argv(&tool->command->argv, view, err);
    char **environment = argv ? language_argv(&tool->command->environment, view, err) : NULL;
    struct sandbox_file *files = calloc(run->change.count + tool->extra_count + 1, sizeof *files);
    int status = -1;
    if (argv && environment && files) {
        size_t count = add_files(files, run->change.files, run->change.count, tool->layers);
        count += add_files(files + count, tool->extra, tool->extra_count, LAYER_ALL);
        struct sandbox_request request = {.argv = (const char *const *)argv,
                                          .environment = (const char *const *)environment,
                                          .tree = pipeline->tree,
                                          .files = files,
                                          .file_count = count,
                                          .collect = tool->collect,
                                          .timeout_ms = tool->timeout_ms,
                                          .cancelled = pipeline->journal.cancelled,
                                          .cancel_context = pipeline->journal.context};
        status = sandbox_run(pipeline->sandbox, &request, result, err);
    }
    free(files);
    argv_free(argv);
    argv_free(environment);
    return status;
}

const struct sandbox_file *stage_collected(const struct sandbox_result *result, const char *path)
{
    for (size_t i = 0; i < result->file_count; i++)
        if (strcmp(result->files[i].path, path) == 0)
            return &result->files[i];
    return NULL;
}

json_t *stage_paths(const struct run *run, enum file_kind kind)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < run->change.count; i++)
        if (run->change.files[i].kind == kind && run->change.files[i].content)
            json_array_append_new(paths, json_string(run->change.files[i].path));
    return paths;
}

/* The last line that says something, for a tool that gave no report. */
static void last_line(const struct sandbox_result *result, char *out, size_t size)
{
    const char *text = result->err.len ? buf_text(&result->err) : buf_text(&result->out);
    size_t end = strlen(text);
    while (end && strchr(" \n\t", text[end - 1]))
        end--;
    size_t start = end;
    while (start && text[start - 1] != '\n')
        start--;
    snprintf(out, size, "%.*s", (int)(end - start), text + start);
}

static void explain_trouble(const struct sandbox_result *result, char trouble[static 256])
{
    char line[160] = "";
    last_line(result, line, sizeof line);
    if (result->end == SANDBOX_EXITED)
        snprintf(trouble, 256, "the test command wrote no report (exit status %d): %s", result->exit_status, line);
    else
        snprintf(trouble, 256, "the test run ended early: %s", sandbox_end_name(result->end));
}

int stage_run_tests(struct pipeline *pipeline, const struct run *run, int layers, const struct change_file *extra,
                    size_t extra_count, const json_t *files, struct test_report *report, char trouble[static 256],
                    struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    struct language_command command = language->commands.test;
    if (pipeline->policy.test_command.count)
        command.argv = pipeline->policy.test_command;
    struct sandbox_result result = {0};
    struct tool_run tool = {.command = &command,
                            .layers = layers,
                            .extra = extra,
                            .extra_count = extra_count,
                            .files = files,
                            .collect = (const char *const[]){command.report, NULL}};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0)
        return error_wrap(err, "run the tests");
    const struct sandbox_file *file = stage_collected(&result, command.report);
    struct error unreadable = {0};
    trouble[0] = '\0';
    *report = (struct test_report){0};
    if (!file || report_read(command.format, file->data, file->len, report, &unreadable) < 0)
        explain_trouble(&result, trouble);
    else if (result.end != SANDBOX_EXITED)
        snprintf(trouble, 256, "the test run ended early: %s", sandbox_end_name(result.end));
    sandbox_result_release(&result);
    return 0;
}

/* ---- judging tests ---- */

char *stage_case_id(const struct test_case *test)
{
    const char *file = *test->file ? test->file : test->suite;
    const char *class = strrchr(test->suite, '.');
    /* The suite repeats the module; what is left of it is the class: "tests.test_x.TestY". */
    bool has_class = *test->file && class && class[1] >= 'A' && class[1] <= 'Z';
    if (!*test->name)
        return strdup(file);
    return has_class ? text_format("%s::%s::%s", file, class + 1, test->name) : text_format("%s::%s", file, test->name);
}

static bool matches_any(const struct yaml_texts *patterns, const char *module, const char *symbol,
                        const struct test_case *test)
{
    return language_error_matches(patterns, module, symbol, test->message) ||
           language_error_matches(patterns, module, symbol, test->details);
}

enum failure_reason stage_failure_reason(const struct pipeline *pipeline, const struct run *run,
                                         const struct language *language, const struct test_case *test)
{
    AUTO_FREE char *module = run->spec.file ? language_module_of(language, pipeline->tree, run->spec.file) : NULL;
    if (matches_any(&language->errors.missing, module, run->spec.symbol, test))
        return FAILURE_RIGHT;
    /* A failed assertion is wrong behaviour; an error while collecting or in a fixture is the test's own fault. */
    if (matches_any(&language->errors.broken, module, run->spec.symbol, test) || test->status == TEST_ERRORED)
        return FAILURE_BROKEN;
    return FAILURE_RIGHT;
}

static const char *status_name(enum test_status status)
{
    static const char *const names[] = {
        [TEST_PASSED] = "passed", [TEST_FAILED] = "failed", [TEST_ERRORED] = "error", [TEST_SKIPPED] = "skipped"};
    return names[status];
}

json_t *stage_report_json(const struct test_report *report)
{
    json_t *tests = json_array();
    int64_t elapsed = 0;
    for (size_t i = 0; i < report->count; i++) {
        AUTO_FREE char *id = stage_case_id(&report->cases[i]);
        elapsed += report->cases[i].elapsed_ms;
        json_array_append_new(tests,
                              json_pack("{s:s, s:s, s:s}", "id", id ? id : "", "status",
                                        status_name(report->cases[i].status), "message", report->cases[i].message));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:o}", "passed", (json_int_t)report->passed, "failed",
                     (json_int_t)report->failed, "errored", (json_int_t)report->errored, "skipped",
                     (json_int_t)report->skipped, "seconds", (double)elapsed / 1000.0, "tests", tests);
}

/* The end of a traceback says most: the failing line and the values. */
static const char *tail(const char *text, size_t max)
{
    size_t len = strlen(text);
    if (len <= max)
        return text;
    const char *cut = strchr(text + len - max, '\n');
    return cut ? cut + 1 : text + len - max;
}

json_t *stage_failures(const struct test_report *report)
{
    json_t *out = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct test_case *test = &report->cases[i];
        if (test->status != TEST_FAILED && test->status != TEST_ERRORED)
            continue;
        AUTO_FREE char *id = stage_case_id(test);
        json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "test", id ? id : "", "message", test->message,
                                             "details", tail(test->details, 1500)));
    }
    return out;
}
