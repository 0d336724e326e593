/* spec: what is asked for. Headings and examples are taken as they are; only what is missing is asked of a model,
 * and only what nobody can know is asked of a person. */
#include "pipeline/stage.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "pipeline/answer.h"
#include "pipeline/context.h"
#include "pipeline/symbols.h"

/* What people have answered stands below this heading (app/question.c). */
#define ANSWERS "\n## Answers\n"

enum { MAX_QUESTIONS = 3, MAX_LISTED_FILES = 120, MAX_TREE_FILES = 20000 };

static int stop_with_question(struct run *run, struct stage_result *result, const char *question)
{
    json_array_append_new(run->questions, json_pack("{s:s, s:[]}", "question", question, "options"));
    run_stop(run, OUTCOME_QUESTION, "%s", question);
    return stage_end(result, VERDICT_STOPPED, "asks: %s", question);
}

static int find_language(struct pipeline *pipeline, struct run *run, struct error *err)
{
    if (run->spec.language)
        return 0;
    const struct language *language = run->spec.file ? languages_by_path(pipeline->languages, run->spec.file) : NULL;
    if (!language)
        language = languages_of_tree(pipeline->languages, pipeline->tree);
    if (!language)
        return 0;
    run->spec.language = strdup(language->name);
    return run->spec.language ? 0 : error_set(err, ERROR_INTERNAL, "out of memory");
}

static bool says_something(const struct spec *spec)
{
    size_t letters = 0;
    const char *const texts[] = {spec->title, spec->behaviour ? spec->behaviour : ""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (const char *at = texts[i]; *at; at++)
            letters += (unsigned char)*at > 127 || isalnum((unsigned char)*at);
    return letters >= 10 || spec->criteria_count || spec->example_count;
}

/* ---- what a model fills in ---- */

struct listing {
    const struct language *language;
    json_t *paths;
};

static int list_file(void *context, const char *path)
{
    struct listing *listing = context;
    bool known = json_array_size(listing->paths) < MAX_LISTED_FILES;
    for (size_t i = 0; known && i < listing->language->extensions.count; i++) {
        const char *extension = listing->language->extensions.items[i];
        size_t len = strlen(path), extension_len = strlen(extension);
        if (len > extension_len && strcmp(path + len - extension_len, extension) == 0 &&
            !language_is_test(listing->language, path))
            json_array_append_new(listing->paths, json_string(path));
    }
    return 0;
}

static json_t *list_files(const struct pipeline *pipeline, const struct language *language)
{
    struct listing listing = {language, json_array()};
    fs_walk(pipeline->tree, MAX_TREE_FILES, list_file, &listing, NULL); /* past the cap: what was listed so far */
    return listing.paths;
}

/* The rest of "Word: text" when the line starts with the word (list marks and emphasis aside). */
static char *labelled(const char *line, size_t len, const char *word)
{
    AUTO_FREE char *copy = strndup(line, len);
    if (!copy)
        return NULL;
    const char *at = copy + strspn(copy, " \t-*_#>");
    size_t word_len = strlen(word);
    if (strncasecmp(at, word, word_len) != 0)
        return NULL;
    at += word_len;
    at += strspn(at, "*_ ");
    return *at == ':' ? strdup(at + 1 + strspn(at + 1, "*_ ")) : NULL;
}

/* "Signature: …", "File: …", "Assumption: …", "Question: …" lines, the form that small models keep to. */
static json_t *read_lines(const char *text)
{
    static const struct {
        const char *word, *key;
        bool is_list;
    } labels[] = {{"Signature", "signature", false},
                  {"File", "file", false},
                  {"Criterion", "criteria", true},
                  {"Assumption", "assumptions", true},
                  {"Question", "questions", true}};
    json_t *out = json_object();
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
            AUTO_FREE char *value = labelled(line, strcspn(line, "\n"), labels[i].word);
            if (!value || strlen(value) < 2 || strncasecmp(value, "none", 4) == 0)
                continue;
            if (!labels[i].is_list && !json_object_get(out, labels[i].key))
                json_object_set_new(out, labels[i].key, json_string(value));
            else if (labels[i].is_list && !json_object_get(out, labels[i].key))
                json_object_set_new(out, labels[i].key, json_pack("[s]", value));
            else if (labels[i].is_list)
                json_array_append_new(json_object_get(out, labels[i].key), json_string(value));
        }
    return out;
}

static json_t *spec_schema(void)
{
    return json_pack(
        "{s:s, s:b, s:[s,s,s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s, s:{s:s}}, s:{s:s, s:{s:s}}, s:{s:s, s:{s:s}}}}", "type",
        "object", "additionalProperties", 0, "required", "signature", "file", "criteria", "assumptions", "questions",
        "properties", "signature", "type", "string", "file", "type", "string", "criteria", "type", "array", "items",
        "type", "string", "assumptions", "type", "array", "items", "type", "string", "questions", "type", "array",
        "items", "type", "string");
}

/* True when the file may be the target: a clean path in the spec's language that is not a test. */
static bool is_target(const struct pipeline *pipeline, const struct language *language, const char *path)
{
    return fs_path_is_clean(path) && languages_by_path(pipeline->languages, path) == language &&
           !language_is_test(language, path);
}

static void take_file(struct pipeline *pipeline, struct run *run, const struct language *language, const char *text)
{
    char *file = NULL;
    spec_fill(&file, text);
    if (!run->spec.file && file && is_target(pipeline, language, file)) {
        json_append_text(run->assumptions, "The code goes to %s.", file);
        run->spec.file = STEAL(file);
    }
    free(file);
}

static void take_answer(struct pipeline *pipeline, struct run *run, const struct language *language,
                        const json_t *answer)
{
    struct spec *spec = &run->spec;
    if (!spec->signature && spec_set_signature(spec, language, json_text_at(answer, "signature", "")))
        json_append_text(run->assumptions, "The signature is %s", spec->signature);
    take_file(pipeline, run, language, json_text_at(answer, "file", ""));
    size_t index;
    json_t *item;
    json_array_foreach (json_object_get(answer, "assumptions"), index, item)
        if (json_is_string(item) && index < 5)
            json_array_append(run->assumptions, item);
    json_array_foreach (json_object_get(answer, "questions"), index, item)
        if (json_is_string(item) && json_array_size(run->questions) < MAX_QUESTIONS)
            json_array_append_new(run->questions, json_pack("{s:O, s:[]}", "question", item, "options"));
}

static int ask_model(struct pipeline *pipeline, struct run *run, const struct language *language, struct error *err)
{
    json_auto_t *extra = json_pack("{s:o, s:b, s:b}", "files", list_files(pipeline, language), "needs_signature",
                                   run->spec.signature == NULL, "needs_file", run->spec.file == NULL);
    json_auto_t *schema = spec_schema();
    struct stage_question question = {.role = ROLE_TESTS,
                                      .template_path = "prompts/spec.mustache",
                                      .extra = extra,
                                      .seed = 1,
                                      .schema = schema,
                                      .schema_name = "spec"};
    struct model_answer answer = {0};
    if (stage_ask(pipeline, run, &question, &answer, err) < 0)
        return error_wrap(err, "fill in the spec");
    json_auto_t *fields = answer_json(answer.text, NULL);
    json_auto_t *lines = fields ? NULL : read_lines(answer.text);
    take_answer(pipeline, run, language, fields ? fields : lines);
    model_answer_release(&answer);
    return 0;
}

/* ---- the stage ---- */

static void find_file(struct pipeline *pipeline, struct run *run, const struct language *language)
{
    struct spec *spec = &run->spec;
    if (spec->file || !spec->symbol)
        return;
    AUTO_FREE char *outer = strndup(spec->symbol, strcspn(spec->symbol, "."));
    AUTO_FREE char *found = outer ? context_find_definition(pipeline->tree, language, outer) : NULL;
    if (found && is_target(pipeline, language, found)) {
        json_append_text(run->assumptions, "%s is the one defined in %s.", outer, found);
        spec->file = STEAL(found);
    }
}

/* ---- what the text mentions ---- */

static bool is_path_byte(char c)
{
    return isalnum((unsigned char)c) || strchr("_-./", c);
}

/* The one source file that the text names; two different ones decide nothing. Heap or NULL. */
static char *mentioned_file(const struct pipeline *pipeline, const struct language *language, const char *text)
{
    AUTO_FREE char *found = NULL;
    for (const char *at = text; *at;) {
        size_t len = 0;
        while (at[len] && is_path_byte(at[len]))
            len++;
        size_t kept = len;
        while (kept && at[kept - 1] == '.')
            kept--;
        AUTO_FREE char *path = strndup(at, kept);
        bool other = path && kept > 3 && is_target(pipeline, language, path) && (!found || strcmp(found, path) != 0);
        if (other && found)
            return NULL;
        if (other)
            found = STEAL(path);
        at += len ? len : 1;
    }
    return STEAL(found);
}

/* A person who was asked which file it is has the last word over a heading that cannot be right. */
static void take_answered_file(struct pipeline *pipeline, struct run *run, const struct language *language)
{
    const char *answers = strstr(run->spec.text, ANSWERS);
    if (!answers || !run->spec.file || is_target(pipeline, language, run->spec.file))
        return;
    AUTO_FREE char *path = mentioned_file(pipeline, language, answers);
    if (path) {
        free(run->spec.file);
        run->spec.file = STEAL(path);
    }
}

static void find_mentioned_file(struct pipeline *pipeline, struct run *run, const struct language *language)
{
    AUTO_FREE char *path = run->spec.file ? NULL : mentioned_file(pipeline, language, run->spec.text);
    if (path)
        run->spec.file = STEAL(path);
}

/* The definition of the target file that the text names first in backticks ("`Stock.take` must …"). */
static const struct symbol *mentioned_symbol(const struct symbols *symbols, const char *text)
{
    for (const char *open = text; (open = strchr(open, '`'));) {
        open++;
        size_t len = strcspn(open, "`\n(");
        AUTO_FREE char *name = strndup(open, len);
        const struct symbol *symbol = name && len && len < 128 ? symbols_find(symbols, name) : NULL;
        if (symbol && symbol->kind != SYMBOL_VALUE)
            return symbol;
        open += strcspn(open, "`");
        open += *open == '`';
    }
    return NULL;
}

/* A change to something that exists: its signature is what the file says today. What is there without a body is to be
 * written as if it were new. */
static void find_existing(struct pipeline *pipeline, struct run *run, const struct language *language)
{
    struct spec *spec = &run->spec;
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    struct symbols symbols = {0};
    if (!spec->file || change_read(&run->change, pipeline->tree, spec->file, &text, NULL) < 0 ||
        symbols_parse(language, buf_text(&text), text.len, &symbols, NULL) < 0)
        return;
    AUTO_FREE char *words = text_format("%s\n%s", spec->title, spec->text);
    const struct symbol *symbol = spec->symbol ? symbols_find(&symbols, spec->symbol)
                                  : words      ? mentioned_symbol(&symbols, words)
                                               : NULL;
    if (symbol && !spec->symbol) {
        spec->signature = strdup(symbol->signature);
        spec->symbol = strdup(symbol->name);
    }
    if (symbol && !symbols_is_unwritten(language, buf_text(&text), symbol))
        json_object_set_new(run->scratch, "symbol_exists", json_true());
    symbols_release(&symbols);
}

/* A file in the spec that cannot be the target is the person's to mend: guessing another one would be wrong. */
static int check_file(struct pipeline *pipeline, struct run *run, const struct language *language,
                      struct stage_result *result)
{
    const char *file = run->spec.file;
    if (!file || is_target(pipeline, language, file))
        return 0;
    AUTO_FREE char *question = text_format(
        "The spec names the file \"%s\", which cannot hold the code (it must be a %s file inside the repository, "
        "not a test). Which file should it be?",
        file, language->name);
    stop_with_question(run, result, question ? question : "Which file should hold the code?");
    return 1;
}

/* A model's questions are worth a person's time only when the request gives little to go on and has not been asked
 * about before; else the work goes on, and the open points are told as caveats. */
static bool should_ask(const struct run *run)
{
    bool answered = strstr(run->spec.text, ANSWERS) != NULL;
    return json_array_size(run->questions) && !answered && !run->spec.example_count && !run->spec.criteria_count;
}

static int put_questions(struct run *run, struct stage_result *result)
{
    const char *first = json_text_at(json_array_get(run->questions, 0), "question", "");
    run_stop(run, OUTCOME_QUESTION, "%s", first);
    return stage_end(result, VERDICT_STOPPED, "asks: %s", first);
}

static void assume(struct run *run)
{
    size_t index;
    json_t *question;
    json_array_foreach (run->questions, index, question)
        json_append_text(run->caveats, "Left open by the request: %s", json_text_at(question, "question", ""));
    json_array_clear(run->questions);
}

/* What can be known without asking anybody. */
static int read_facts(struct pipeline *pipeline, struct run *run, const struct language *language, struct error *err)
{
    struct spec *spec = &run->spec;
    if (spec->signature && !spec_set_signature(spec, language, spec->signature)) {
        free(spec->signature);
        spec->signature = NULL;
    }
    take_answered_file(pipeline, run, language);
    find_mentioned_file(pipeline, run, language);
    if (!spec->signature)
        spec_find_signature(spec, language);
    find_file(pipeline, run, language);
    find_existing(pipeline, run, language);
    return spec_read_examples(spec, language, err);
}

static int fill_in(struct pipeline *pipeline, struct run *run, const struct language *language, struct error *err)
{
    if (run->spec.signature && run->spec.file)
        return 0;
    if (ask_model(pipeline, run, language, err) < 0)
        return -1;
    find_file(pipeline, run, language);
    find_existing(pipeline, run, language);
    return spec_read_examples(&run->spec, language, err); /* now that the symbol is known */
}

int stage_spec(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct spec *spec = &run->spec;
    if (!says_something(spec))
        return stop_with_question(run, result,
                                  "What should the code do? Please describe the behaviour, or give an example.");
    if (find_language(pipeline, run, err) < 0)
        return -1;
    if (!spec->language)
        return stop_with_question(run, result,
                                  "Which language and which file is this about? The repository has no file in a "
                                  "language that Assay knows.");
    const struct language *language = stage_language(pipeline, run, err);
    if (!language || read_facts(pipeline, run, language, err) < 0)
        return -1;
    if (check_file(pipeline, run, language, result))
        return 0;
    if (fill_in(pipeline, run, language, err) < 0)
        return -1;
    if (should_ask(run))
        return put_questions(run, result);
    assume(run);
    if (!spec->signature)
        return stop_with_question(run, result, "What is the function's name, and what are its parameters?");
    if (!spec->file)
        return stop_with_question(run, result, "Which file should hold the code?");
    return stage_end(result, VERDICT_PASSED, "%s in %s, %zu examples, %zu criteria", spec->symbol, spec->file,
                     spec->example_count, spec->criteria_count);
}
