#include "pipeline/mined.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/edit.h"
#include "pipeline/stage.h"
#include "pipeline/symbols.h"

enum { MAX_FILE = 4 << 20, MAX_TEST_FILES = 64 };

/* ---- ids ---- */

char *mined_file_of(const char *id)
{
    const char *end = strstr(id, "::");
    return strndup(id, end ? (size_t)(end - id) : strlen(id));
}

char *mined_without_parameters(const char *id)
{
    return strndup(id, strcspn(id, "["));
}

/* "TestCart.test_total" of "tests/test_cart.py::TestCart::test_total". Heap; NULL for a file's id. */
static char *symbol_of(const char *id)
{
    AUTO_BUF struct buf out = BUF_INIT(KiB(8));
    for (const char *at = strstr(id, "::"); at; at = strstr(at + 2, "::")) {
        const char *end = strstr(at + 2, "::");
        buf_printf(&out, "%s%.*s", out.len ? "." : "", (int)(end ? end - at - 2 : (long)strcspn(at + 2, "[")), at + 2);
    }
    return out.len ? buf_steal(&out, NULL) : NULL;
}

/* ---- taking out ---- */

static bool parses(const struct language *language, const char *text, size_t len)
{
    struct symbols symbols = {0};
    bool clean = symbols_parse(language, text, len, &symbols, NULL) == 0 && symbols.error_line == 0;
    symbols_release(&symbols);
    return clean;
}

/* The text with another body for the symbol, behind its documentation. */
static int put_body(const struct language *language, const char *text, const struct symbol *symbol, const char *body,
                    struct buf *out, struct error *err)
{
    AUTO_BUF struct buf made = BUF_INIT(MAX_FILE);
    bool documented = symbol->documentation_end > symbol->documentation_start;
    size_t keep = documented ? symbol->documentation_end : symbol->body_start;
    bool on_own_line = documented || text[keep - 1] == '\n'; /* or beside the signature */
    buf_add(&made, text, keep);
    if (on_own_line)
        buf_printf(&made, "%s%*s%s", documented ? "\n" : "", (int)symbol->indent, "", language->layout.indent);
    buf_printf(&made, "%s\n", body);
    buf_puts(&made, text + symbol->end);
    if (buf_check(&made, "the file", err) < 0)
        return -1;
    if (!parses(language, buf_text(&made), made.len))
        return error_set(err, ERROR_INPUT, "the body of %s cannot be taken out", symbol->name);
    buf_add(out, buf_text(&made), made.len);
    return buf_check(out, "the file", err);
}

int mined_blank(const struct language *language, const char *text, size_t len, const char *name, struct buf *out,
                struct error *err)
{
    struct symbols symbols = {0};
    AUTO_FREE char *body = language_failing_body(language);
    if (!body)
        return error_set(err, ERROR_CONFIG, "languages/%s.yml has no stub", language->name);
    if (symbols_parse(language, text, len, &symbols, err) < 0)
        return -1;
    const struct symbol *symbol = symbols_find(&symbols, name);
    int status = symbol && symbol->body_end > symbol->body_start
                     ? put_body(language, text, symbol, body, out, err)
                     : error_set(err, ERROR_INPUT, "there is no function %s to take the body of", name);
    symbols_release(&symbols);
    return status;
}

int mined_hide(const struct language *language, const char *path, const char *text, size_t len, const json_t *ids,
               struct buf *out, struct error *err)
{
    AUTO_FREE char *rest = strndup(text, len);
    size_t index;
    json_t *id;
    json_array_foreach (ids, index, id) {
        AUTO_FREE char *file = mined_file_of(json_string_value(id));
        AUTO_FREE char *symbol = symbol_of(json_string_value(id));
        AUTO_BUF struct buf less = BUF_INIT(MAX_FILE);
        struct edit edit = {.kind = EDIT_REMOVE, .path = (char *)path, .symbol = symbol};
        if (!rest || !file || !symbol || strcmp(file, path) != 0)
            continue;
        if (edit_apply(language, rest, strlen(rest), &edit, &less, err) < 0)
            return error_wrap(err, "hide %s", json_string_value(id));
        free(rest);
        rest = buf_steal(&less, NULL);
    }
    if (!rest)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    buf_puts(out, rest);
    return buf_check(out, path, err);
}

/* ---- running ---- */

json_t *mined_coverage(struct pipeline *pipeline, const struct language *language, const char *source,
                       const json_t *paths, int64_t timeout_ms, struct error *err)
{
    const struct language_command *command = &language->commands.cover;
    struct run run = {.spec = {.language = language->name, .file = (char *)source}};
    struct sandbox_result result = {0};
    json_auto_t *view = json_pack("{s:i}", "seconds", 120);
    struct tool_run tool = {.command = command,
                            .layers = LAYER_BASE,
                            .files = paths,
                            .view = view,
                            .collect = (const char *const[]){command->report, NULL},
                            .timeout_ms = timeout_ms};
    if (!command->argv.count) {
        error_set(err, ERROR_CONFIG, "the coverage of tests cannot be seen in %s yet", language->name);
        return NULL;
    }
    if (stage_run_tool(pipeline, &run, &tool, &result, err) < 0)
        return NULL;
    const struct sandbox_file *file = stage_collected(&result, command->report);
    json_t *report = file ? json_read(file->data, file->len, JSON_LIMITS_API, err) : NULL;
    if (!file) {
        const char *text = buf_text(result.err.len ? &result.err : &result.out);
        size_t len = strlen(text);
        error_set(err, ERROR_INPUT, "the tests did not run to their end (%s): %s", sandbox_end_name(result.end),
                  len > 300 ? text + len - 300 : text);
    }
    sandbox_result_release(&result);
    return report;
}

/* A report may name a file from another folder; its base name and what follows tell tests apart well enough. */
static const char *tail_of(const char *id)
{
    const char *end = strstr(id, "::"), *tail = id;
    for (const char *at = id; *at && at != end; at++)
        if (*at == '/')
            tail = at + 1;
    return tail;
}

static void count_case(json_t *fared, const struct test_case *test)
{
    AUTO_FREE char *full = stage_case_id(test);
    AUTO_FREE char *id = full ? mined_without_parameters(full) : NULL;
    const char *wanted;
    json_t *so_far;
    json_object_foreach (fared, wanted, so_far) {
        if (!id || strcmp(tail_of(wanted), tail_of(id)) != 0)
            continue;
        bool fresh = !*json_string_value(so_far);
        if (test->status != TEST_PASSED)
            json_string_set(so_far, "failed");
        else if (fresh)
            json_string_set(so_far, "passed");
    }
}

/* From each id to how it fared; "" for what did not run. */
static json_t *fared_of(const struct test_report *report, const json_t *ids)
{
    json_t *fared = json_object();
    size_t index;
    json_t *id;
    json_array_foreach (ids, index, id)
        json_object_set_new(fared, json_string_value(id), json_string(""));
    for (size_t i = 0; i < report->count; i++)
        count_case(fared, &report->cases[i]);
    return fared;
}

json_t *mined_run(struct pipeline *pipeline, const struct language *language, const char *source,
                  const struct change_file *extra, size_t extra_count, const json_t *ids, bool *whole,
                  struct error *err)
{
    struct run run = {.spec = {.language = language->name, .file = (char *)source}};
    struct test_report report = {0};
    char trouble[256];
    if (stage_run_tests(pipeline, &run, LAYER_BASE, extra, extra_count, ids, &report, trouble, err) < 0)
        return NULL;
    json_t *fared = fared_of(&report, ids), *how;
    const char *id;
    *whole = false;
    json_object_foreach (fared, id, how) {
        *whole = *whole || *json_string_value(how);
        if (!*json_string_value(how) || *trouble)
            json_string_set(how, "failed");
    }
    report_release(&report);
    return fared;
}

/* ---- the hidden tests of a task ---- */

struct origin {
    struct change_file files[MAX_TEST_FILES];
    size_t count;
};

static int take_file(struct origin *origin, const char *tree, const char *id, struct error *err)
{
    AUTO_FREE char *path = mined_file_of(id);
    AUTO_BUF struct buf text = BUF_INIT(MAX_FILE);
    for (size_t i = 0; path && i < origin->count; i++)
        if (strcmp(origin->files[i].path, path) == 0)
            return 0;
    if (!path || origin->count == MAX_TEST_FILES)
        return error_set(err, ERROR_LIMIT, "the hidden tests are in more than %d files", MAX_TEST_FILES);
    if (fs_read_beneath(tree, path, &text, err) < 0)
        return -1;
    struct change_file *file = &origin->files[origin->count++];
    *file = (struct change_file){.path = STEAL(path), .len = text.len, .kind = FILE_TEST};
    file->content = buf_steal(&text, NULL);
    return file->content ? 0 : error_set(err, ERROR_INTERNAL, "out of memory");
}

static bool all_passed(const struct test_report *report, const json_t *ids)
{
    json_auto_t *fared = fared_of(report, ids);
    const char *id;
    json_t *how;
    json_object_foreach (fared, id, how)
        if (strcmp(json_string_value(how), "passed") != 0)
            return false;
    return json_object_size(fared) > 0;
}

int mined_test(struct pipeline *pipeline, const struct run *run, const char *tree, const json_t *ids,
               enum hidden_end *end, struct error *err)
{
    struct origin origin = {0};
    struct test_report report = {0};
    char trouble[256];
    size_t index;
    json_t *id;
    int status = 0;
    *end = HIDDEN_NO_CODE;
    if (!run_has_code(run))
        return 0;
    json_array_foreach (ids, index, id)
        status = status == 0 ? take_file(&origin, tree, json_string_value(id), err) : -1;
    if (status == 0)
        status = stage_run_tests(pipeline, run, LAYER_CODE, origin.files, origin.count, ids, &report, trouble, err);
    if (status == 0)
        *end = *trouble ? HIDDEN_CUT_SHORT : all_passed(&report, ids) ? HIDDEN_PASSED : HIDDEN_FAILED;
    for (size_t i = 0; i < origin.count; i++) {
        free(origin.files[i].path);
        free(origin.files[i].content);
    }
    report_release(&report);
    return status < 0 ? error_wrap(err, "run the hidden tests") : 0;
}
