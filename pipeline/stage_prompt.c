/* What the stages that ask a model share: the view that prompts are rendered with, and the asking. */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/digest.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/excerpt.h"
#include "pipeline/symbols.h"

enum { MAX_REMARKS = 8, PROMPT_MAX = 512 * 1024, SHORT_FILE = 4000 };

/* ---- what it costs ---- */

static void on_call(void *context, const struct model_call *call)
{
    struct stage_hooks *hooks = context;
    hooks->run->tokens_in += call->tokens_in;
    hooks->run->tokens_out += call->tokens_out;
    hooks->run->cost_usd += call->cost_usd;
    hooks->pipeline->journal.model_call(hooks->pipeline->journal.context, hooks->pipeline->stage_id, call);
}

static bool is_cancelled(void *context)
{
    const struct journal *journal = &((struct stage_hooks *)context)->pipeline->journal;
    return journal->cancelled(journal->context);
}

void stage_hook_models(struct stage_hooks *hooks)
{
    models_set_hooks(hooks->pipeline->models, on_call, is_cancelled, hooks);
}

void stage_unhook_models(struct stage_hooks *hooks)
{
    models_set_hooks(hooks->pipeline->models, NULL, NULL, NULL);
}

/* ---- the view ---- */

/* Text from outside is put between marks that carry a digest of that very text, so that it cannot contain its own end.
 */
static json_t *fenced_text(const char *text)
{
    text += strspn(text, "\r\n");
    char digest[DIGEST_HEX_SIZE];
    digest_sha256(text, strlen(text), digest);
    digest[8] = '\0';
    return json_pack("{s:s, s:s}", "text", text, "mark", digest);
}

json_t *stage_completion_view(const char *source)
{
    size_t longest = 2, length = 0;
    for (const char *at = source; *at; at++) {
        length = *at == '`' ? length + 1 : 0;
        longest = length > longest ? length : longest;
    }
    AUTO_FREE char *fence = malloc(longest + 2);
    if (!fence)
        return NULL;
    memset(fence, '`', longest + 1);
    fence[longest + 1] = '\0';
    return json_pack("{s:s, s:s}", "text", source, "fence", fence);
}

static json_t *numbered(char *const *texts, size_t count)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, json_pack("{s:i, s:s}", "number", (int)i + 1, "text", texts[i]));
    return out;
}

static json_t *example_views(const struct spec *spec)
{
    json_t *out = json_array();
    for (size_t i = 0; i < spec->example_count; i++) {
        const struct example *example = &spec->examples[i];
        json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:b, s:b}", "setup", example->setup, "call",
                                             example->call, "expected", example->expected, "raises",
                                             example->kind == EXAMPLE_RAISES, "equal", example->kind == EXAMPLE_EQUAL));
    }
    return out;
}

static json_t *test_views(const struct run *run)
{
    json_t *out = json_array();
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        if (file->kind == FILE_TEST && file->content)
            json_array_append_new(out, json_pack("{s:s, s:s}", "path", file->path, "text", file->content));
    }
    return out;
}

/* The code as a repair gets to see it: files whole while they fit into half of the budget for context, and of the
 * others what the change wrote. Of a function that stands by itself always that alone: a small model mends what it
 * sees. */
static json_t *code_views(const struct pipeline *pipeline, const struct run *run, const struct language *language,
                          bool plain)
{
    json_t *out = json_array();
    size_t left = plain ? 0 : (size_t)pipeline->context_tokens / 2;
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        if (file->kind != FILE_CODE || !file->content)
            continue;
        size_t tokens = model_estimate_tokens(file->content);
        bool whole = tokens <= left;
        left -= whole ? tokens : 0;
        AUTO_FREE char *part =
            whole || !language ? NULL : excerpt_of_change(language, file, pipeline->tree, run->spec.symbol, NULL);
        bool shows = part && *part; /* what stands outside of all definitions is in no excerpt */
        json_array_append_new(out, json_pack("{s:s, s:s, s:b}", "path", file->path, "text",
                                             shows ? part : file->content, "in_part", shows && !plain));
    }
    return out;
}

static json_t *lines_of(const char *text)
{
    json_t *lines = json_array();
    while (*text) {
        size_t len = strcspn(text, "\n");
        json_array_append_new(lines, json_from_text(text, len));
        text += len;
        text += *text == '\n';
    }
    return lines;
}

/* True when the spec's signature is that of one function that stands by itself. */
static bool is_plain_function(const struct language *language, const struct spec *spec)
{
    AUTO_BUF struct buf stub = BUF_INIT(KiB(64));
    json_auto_t *view = json_pack("{s:s}", "signature", spec->signature ? spec->signature : "");
    struct symbols symbols = {0};
    if (!spec->signature || !spec->symbol || strchr(spec->symbol, '.') || !language->stub ||
        template_render((struct template_source){"stub", language->stub, strlen(language->stub)}, TEMPLATE_PLAIN, view,
                        NULL, NULL, &stub, NULL) < 0 ||
        symbols_parse(language, buf_text(&stub), stub.len, &symbols, NULL) < 0)
        return false;
    bool plain = symbols.count == 1 && symbols.items[0].kind == SYMBOL_FUNCTION;
    symbols_release(&symbols);
    return plain;
}

/* The request as code models know it best: the definition with the text as its documentation. NULL where the language
 * has no such form. Heap. */
static char *documented(const struct language *language, const struct spec *spec)
{
    AUTO_FREE char *told = spec_told(spec);
    AUTO_BUF struct buf out = BUF_INIT(PROMPT_MAX);
    if (!language->documented || !told)
        return NULL;
    for (char *quotes = told; (quotes = strstr(quotes, "\"\"\""));)
        for (int i = 0; i < 3; i++)
            *quotes++ = '\''; /* the text must not end its own documentation */
    json_auto_t *view = json_pack("{s:s, s:o}", "signature", spec->signature, "lines", lines_of(told));
    return template_render((struct template_source){"documented", language->documented, strlen(language->documented)},
                           TEMPLATE_PLAIN, view, NULL, NULL, &out, NULL) == 0
               ? buf_steal(&out, NULL)
               : NULL;
}

static bool defines_code(const struct language *language, const char *text)
{
    struct symbols symbols = {0};
    bool some = symbols_parse(language, text, strlen(text), &symbols, NULL) < 0;
    for (size_t i = 0; i < symbols.count; i++)
        some = some || symbols.items[i].kind != SYMBOL_VALUE;
    symbols_release(&symbols);
    return some;
}

/* The file with the wanted definition at its end, as code models have seen it often: a small model writes better code
 * from this than from any description. The definition alone where the file is long, not shown whole, or defines other
 * code, which the model would write down again. */
static void set_completion(json_t *view, const struct run *run, const struct language *language, const char *documented)
{
    const json_t *target = json_object_get(run->context, "target");
    const char *text = json_text_at(target, "text", "");
    bool within = run->spec.file && strlen(text) <= SHORT_FILE && !json_is_false(json_object_get(target, "whole")) &&
                  strcmp(json_text_at(target, "path", ""), run->spec.file) == 0 && !defines_code(language, text);
    AUTO_FREE char *whole = within ? text_format("%s\n\n%s", text + strspn(text, "\r\n"), documented) : NULL;
    json_t *completion = stage_completion_view(whole ? whole : documented);
    json_object_set_new(completion, "elsewhere", json_boolean(whole == NULL));
    json_object_set_new(view, "completion", completion);
    json_object_set_new(view, "file_within", json_boolean(whole != NULL));
}

static void set_function(json_t *view, const struct pipeline *pipeline, const struct run *run,
                         const struct language *language)
{
    bool plain = language && is_plain_function(language, &run->spec);
    bool exists = json_object_get(run->scratch, "symbol_exists") != NULL;
    AUTO_FREE char *text = plain && !exists ? documented(language, &run->spec) : NULL;
    json_object_set_new(view, "is_function", json_boolean(plain));
    json_object_set_new(view, "symbol_exists", json_boolean(exists));
    json_object_set_new(view, "code", code_views(pipeline, run, language, plain));
    if (text)
        json_object_set_new(view, "documented", fenced_text(text));
}

static const struct language *language_of(const struct pipeline *pipeline, const struct run *run)
{
    return run->spec.language ? languages_by_name(pipeline->languages, run->spec.language) : NULL;
}

json_t *stage_prompt_view(const struct pipeline *pipeline, const struct run *run)
{
    const struct spec *spec = &run->spec;
    const struct language *language = language_of(pipeline, run);
    json_t *view = json_pack(
        "{s:s, s:o, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:o, s:o, s:O, s:o}", "title", spec->title,
        "spec", fenced_text(spec->text), "signature", spec->signature, "symbol", spec->symbol, "file", spec->file,
        "behaviour", spec->behaviour, "constraints", spec->constraints, "pattern", spec->pattern, "language",
        language ? language->name : NULL, "notes", language ? language->prompt_notes : NULL, "test_notes",
        language ? language->test_notes : NULL, "criteria", numbered(spec->criteria, spec->criteria_count), "examples",
        example_views(spec), "context", run->context, "tests", test_views(run));
    set_function(view, pipeline, run, language);
    json_object_set_new(view, "speaks_of_errors", json_boolean(spec_speaks_of_errors(spec->text)));
    json_object_set_new(view, "has_criteria", json_boolean(spec->criteria_count > 0));
    json_object_set_new(view, "has_examples", json_boolean(spec->example_count > 0));
    json_object_set_new(view, "has_pieces", json_boolean(json_array_size(json_object_get(run->context, "pieces")) > 0));
    return view;
}

/* ---- asking ---- */

/* A worked example of the language, asked in the same words as the run's own question. Both texts are empty where there
 * is none: what is asked for is more than a function, or the model answers by schema. */
static int render_worked(const struct language *language, const json_t *view, struct buf *ask, struct buf *answer,
                         struct error *err)
{
    if (!language || !language->tests.worked_answer || !language->tests.worked_definition ||
        json_true_at(view, "structured") || !json_true_at(view, "is_function"))
        return 0;
    bool errors = json_true_at(view, "speaks_of_errors");
    json_auto_t *own = json_pack("{s:s*, s:s, s:O*, s:o, s:b, s:b, s:b}", "symbol", language->tests.worked_symbol,
                                 "language", language->name, "file", json_object_get(view, "file"), "documented",
                                 fenced_text(language->tests.worked_definition), "has_examples", 1, "errors", errors,
                                 "speaks_of_errors", errors);
    const struct template_source form = {"worked_answer", language->tests.worked_answer,
                                         strlen(language->tests.worked_answer)};
    if (template_render_file("prompts/checks-worked.mustache", own, ask, err) < 0)
        return -1;
    return template_render(form, TEMPLATE_PLAIN, own, NULL, NULL, answer, err);
}

/* A completion with nothing of the repository beside it: no text between marks that the system prompt need speak of.
 * Without one a small model completes more often right. */
static bool is_bare(const json_t *view)
{
    return json_object_get(view, "completion") && json_true_at(view, "file_within") &&
           !json_true_at(view, "has_pieces") &&
           json_array_size(json_object_get(json_object_get(view, "context"), "conventions")) == 0;
}

int stage_ask(struct pipeline *pipeline, struct run *run, const struct stage_question *question,
              struct model_answer *answer, struct error *err)
{
    json_auto_t *view = stage_prompt_view(pipeline, run);
    if (question->extra)
        json_object_update(view, (json_t *)question->extra);
    bool structured =
        question->schema && models_format(pipeline->models, question->role, question->step) == MODEL_JSON_SCHEMA;
    json_object_set_new(view, "structured", json_boolean(structured));
    const char *documented = json_text_at(view, "documented.text", NULL);
    if (documented && !structured && question->completes)
        set_completion(view, run, language_of(pipeline, run), documented);
    /* A small model does better with the definition alone, and copies tests that it is shown. */
    json_object_set_new(view, "show_tests", json_boolean(structured || !json_object_get(view, "documented")));
    json_object_set_new(view, "whole_request", json_boolean(structured || !json_object_get(view, "documented")));
    AUTO_BUF struct buf system = BUF_INIT(KiB(64));
    AUTO_BUF struct buf prompt = BUF_INIT(PROMPT_MAX);
    const struct template_file *file = template_find(question->template_path);
    if (!file)
        return error_set(err, ERROR_INTERNAL, "there is no template %s", question->template_path);
    AUTO_BUF struct buf worked = BUF_INIT(KiB(16));
    AUTO_BUF struct buf worked_answer = BUF_INIT(KiB(16));
    if (question->worked && render_worked(language_of(pipeline, run), view, &worked, &worked_answer, err) < 0)
        return error_wrap(err, "the worked example");
    if ((!is_bare(view) && template_render_file("prompts/system.mustache", view, &system, err) < 0) ||
        template_render_file(question->template_path, view, &prompt, err) < 0)
        return -1;
    const char *asked = buf_text(&prompt);
    struct model_request request = {.role = question->role,
                                    .step = question->step,
                                    .system = buf_text(&system),
                                    .worked = {worked.len ? buf_text(&worked) : NULL, buf_text(&worked_answer)},
                                    .prompt = asked + strspn(asked, "\n"),
                                    .template_path = question->template_path,
                                    .template_digest = file->digest,
                                    .temperature = question->temperature,
                                    .seed = question->seed,
                                    .max_tokens =
                                        !structured && json_true_at(view, "is_function") ? question->max_tokens : 0,
                                    .schema = question->schema,
                                    .schema_name = question->schema_name};
    return models_ask(pipeline->models, &request, answer, err);
}

static void take_remark(json_t *list, const char *line, const char *word)
{
    size_t len = strlen(word);
    line += strspn(line, " -*_");
    if (strncasecmp(line, word, len) != 0 || json_array_size(list) >= MAX_REMARKS)
        return;
    line += len;
    line += strspn(line, "s:*_ ");
    size_t end = strcspn(line, "\n");
    AUTO_FREE char *text = strndup(line, end < 300 ? end : 300);
    if (text && strlen(text) > 3 && strncasecmp(text, "none", 4) != 0)
        json_array_append_new(list, json_string(text));
}

void stage_take_remarks(struct run *run, const char *answer)
{
    bool fenced = false;
    for (const char *line = answer; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line + strspn(line, " "), "```", 3) == 0)
            fenced = !fenced;
        if (fenced)
            continue;
        take_remark(run->caveats, line, "Caveat");
        take_remark(run->assumptions, line, "Assumption");
    }
}
