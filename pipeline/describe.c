/* A run as text for people: the view that the templates in templates/replies are rendered with. */
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/base/markdown.h"
#include "app/base/template.h"
#include "pipeline/describe.h"
#include "pipeline/pipeline.h"

enum { DESCRIPTION_MAX = 60000 }; /* GitHub cuts a body at 65,536 characters */

static const char *result_mark(const char *result)
{
    return strcmp(result, "passed") == 0   ? "\xe2\x9c\x85"
           : strcmp(result, "failed") == 0 ? "\xe2\x9d\x8c"
                                           : "\xe2\x9a\xa0\xef\xb8\x8f";
}

json_t *describe_code(const char *text, bool in_table)
{
    AUTO_BUF struct buf span = BUF_INIT(KiB(8)), cell = BUF_INIT(KiB(16));
    markdown_code(&span, text);
    for (const char *at = buf_text(&span); *at; at++) {
        if (in_table && *at == '|')
            buf_putc(&cell, '\\');
        buf_putc(&cell, *at);
    }
    return json_string(buf_text(&cell));
}

static json_t *criteria_rows(const struct run *run)
{
    json_t *rows = json_array(), *row;
    size_t index;
    json_array_foreach (run->criteria, index, row) {
        const char *result = json_text_at(row, "result", "");
        AUTO_BUF struct buf names = BUF_INIT(KiB(8));
        size_t at;
        json_t *name;
        json_array_foreach (json_object_get(row, "tests"), at, name) {
            json_auto_t *span = describe_code(json_string_value(name), true);
            buf_printf(&names, "%s%s", at ? ", " : "", json_string_value(span));
        }
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "criterion", json_text_at(row, "criterion", ""),
                                              "tests", names.len ? buf_text(&names) : "\xe2\x80\x93", "result", result,
                                              "mark", result_mark(result)));
    }
    return rows;
}

/* One line for each failing test: the proof that they were red, in a form that fits a comment. */
static json_t *failing_lines(const struct run *run)
{
    json_t *lines = json_array(), *test;
    size_t index;
    json_array_foreach (json_object_get(json_object_get(run->evidence, "red"), "tests"), index, test) {
        const char *status = json_text_at(test, "status", "");
        if (index < 60 && (strcmp(status, "failed") == 0 || strcmp(status, "error") == 0))
            json_array_append_new(lines,
                                  json_pack("{s:o, s:s}", "id", describe_code(json_text_at(test, "id", ""), false),
                                            "message", json_text_at(test, "message", "")));
    }
    return lines;
}

static json_t *file_rows(const struct run *run)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        const char *by = json_string_value(json_object_get(run->files_by, file->path));
        bool mixed = file->kind == FILE_TEST && !file->later && by && run->spec.example_count > 0;
        json_array_append_new(rows, json_pack("{s:o, s:s, s:s, s:b}", "path", describe_code(file->path, true), "what",
                                              file->later               ? "test, after the code"
                                              : file->kind == FILE_TEST ? "test"
                                              : file->is_new            ? "new"
                                                                        : "changed",
                                              "by", by ? by : "the request's examples", "mixed", mixed));
    }
    return rows;
}

static json_t *attempt_rows(const struct run *run)
{
    json_t *rows = json_array(), *attempt;
    size_t index;
    json_array_foreach (run->attempts, index, attempt) {
        const json_t *failing = json_object_get(attempt, "failing"), *first = json_array_get(failing, 0);
        json_array_append_new(rows,
                              json_pack("{s:I, s:s, s:I, s:o, s:s}", "round", json_int_at(attempt, "round", 0), "how",
                                        json_text_at(attempt, "how", ""), "count", (json_int_t)json_array_size(failing),
                                        "first", describe_code(json_text_at(first, "test", ""), true), "message",
                                        json_text_at(first, "message", "")));
    }
    return rows;
}

static void set_flags(json_t *view, const struct run *run)
{
    static const struct {
        const char *flag, *list;
    } flags[] = {{"has_caveats", "caveats"},     {"has_assumptions", "assumptions"}, {"has_criteria", "rows"},
                 {"has_questions", "questions"}, {"has_attempts", "attempts"},       {"has_red", "red_lines"}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        json_object_set_new(view, flags[i].flag,
                            json_boolean(json_array_size(json_object_get(view, flags[i].list)) > 0));
    for (int i = OUTCOME_PROVEN; i <= OUTCOME_QUESTION; i++) {
        AUTO_FREE char *flag = text_format("is_%s", outcome_name((enum outcome)i));
        if (flag)
            json_object_set_new(view, flag, json_boolean(run->outcome == (enum outcome)i));
    }
}

/* The witnesses' part in the proof. */
static void set_hearing(json_t *view, const struct run *run)
{
    json_int_t heard = json_int_at(run->evidence, "witnesses.asked", 0);
    size_t overruled = json_array_size(json_at(run->evidence, "witnesses.left_out"));
    json_object_set_new(view, "heard", heard ? json_integer(heard) : json_false());
    json_object_set_new(view, "heard_one", json_boolean(heard == 1));
    json_object_set_new(view, "heard_many", json_boolean(heard > 1));
    json_object_set_new(view, "agree", json_integer(json_int_at(run->evidence, "witnesses.agree", 0)));
    json_object_set_new(view, "overruled", overruled ? json_integer((json_int_t)overruled) : json_false());
    json_object_set_new(view, "overruled_one", json_boolean(overruled == 1));
}

static void set_numbers(json_t *view, const struct run *run)
{
    char duration[CLOCK_TEXT_SIZE], cost[32];
    snprintf(cost, sizeof cost, "%.4f", run->cost_usd);
    json_object_set_new(view, "duration", json_string(clock_duration(run->elapsed_ms, duration)));
    json_object_set_new(view, "cost", json_string(cost));
    /* Where the thing under test does not exist, the test file fails as a whole: then the stub tells the tests apart.
     */
    json_int_t failed = json_int_at(run->evidence, "red.failed", 0);
    json_int_t errored = json_int_at(run->evidence, "red.errored", 0);
    json_object_set_new(view, "red_whole", json_boolean(!failed && errored));
    json_object_set_new(view, "red_count", json_integer(failed + errored));
    json_object_set_new(view, "stub_count", json_integer(json_int_at(run->evidence, "stub.failed", 0)));
    json_object_set_new(view, "green_count", json_integer(json_int_at(run->evidence, "green.passed", 0)));
    /* What did not run to its end must not be told as passed. */
    json_object_set_new(view, "held_count", json_integer(json_int_at(run->evidence, "regressions.checked", 0)));
    json_object_set_new(view, "held_cut",
                        json_boolean(*json_text_at(run->evidence, "regressions.trouble", "") != '\0'));
    json_object_set_new(view, "static_cut", json_boolean(json_object_get(run->scratch, "static_incomplete") != NULL));
    json_object_set_new(view, "digest_short", json_sprintf("%.12s", run->change.tests_digest));
    json_object_set_new(view, "digest", json_string(run->change.tests_digest));
    json_object_set_new(view, "one_round", json_boolean(run->round == 1));
    json_object_set_new(view, "repaired", json_boolean(run->round > 0));
}

char *pipeline_describe(const struct run *run, const char *template_path, const json_t *extra, struct error *err)
{
    json_auto_t *view = run_to_view(run);
    if (!view) {
        error_set(err, ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    json_object_set_new(view, "title", json_string(run->spec.title));
    json_object_set_new(view, "symbol", describe_code(run->spec.symbol ? run->spec.symbol : "", false));
    json_object_set_new(view, "file", describe_code(run->spec.file ? run->spec.file : "", false));
    json_object_set_new(view, "language", json_string(run->spec.language ? run->spec.language : ""));
    json_object_set_new(view, "rows", criteria_rows(run));
    json_object_set_new(view, "red_lines", failing_lines(run));
    json_object_set_new(view, "file_rows", file_rows(run));
    json_object_set_new(view, "attempts", attempt_rows(run));
    set_numbers(view, run);
    set_hearing(view, run);
    describe_evidence(view, run);
    set_flags(view, run);
    if (extra)
        json_object_update(view, (json_t *)extra);
    AUTO_BUF struct buf text = BUF_INIT(DESCRIPTION_MAX);
    if (template_render_file(template_path, view, &text, err) < 0 || buf_check(&text, template_path, err) < 0)
        return NULL;
    return buf_steal(&text, NULL);
}
