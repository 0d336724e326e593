/* tests: written before any code, and tried out.
 *
 * The spec's examples become tests as they stand. A model adds tests by the checklist. Each one is tried: on base, and
 * on a stub that only fails, where a test that passes proves nothing; one that is broken in itself is dropped.
 */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/answer.h"
#include "pipeline/edit.h"
#include "pipeline/example.h"
#include "pipeline/symbols.h"
#include "pipeline/testfile.h"
#include "pipeline/testfile_names.h"

/* Tests that are taken of one answer, and the tokens that they may need: small models go on and on. */
enum { ASKS = 2, MAX_WRITTEN = 8, FIRST_TOKENS = 400, MAX_FILE = 512 * 1024 };

/* Tests that were tried and left out, and why; shown as caveats. */
struct sieve {
    json_t *vacuous; /* pass without the behaviour */
    json_t *broken;  /* fail by a fault of their own */
    json_t *on_base; /* hold already */
    size_t failing;  /* cases that failed for the right reason in the last trial */
    bool again;      /* a test that broke all others was taken out: the rest has not been tried yet */
    bool on_stub;    /* that trial was on a stub, where each test counts for itself */
};

/* ---- what the model writes ---- */

json_t *stage_tests_schema(void)
{
    return json_pack("{s:s, s:b, s:[s], s:{s:{s:s, s:{s:s, s:b, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s}}}}}}", "type",
                     "object", "additionalProperties", 0, "required", "tests", "properties", "tests", "type", "array",
                     "items", "type", "object", "additionalProperties", 0, "required", "name", "criterion", "code",
                     "properties", "name", "type", "string", "criterion", "type", "integer", "code", "type", "string");
}

char *stage_tests_code(const struct language *language, const char *text, struct error *err)
{
    AUTO_BUF struct buf code = BUF_INIT(MAX_FILE);
    json_auto_t *value = text[strspn(text, " \n\t")] == '{' ? answer_json(text, NULL) : NULL;
    size_t index;
    json_t *test;
    json_array_foreach (json_object_get(value, "tests"), index, test)
        buf_printf(&code, "%s\n\n", json_text_at(test, "code", ""));
    if (!code.len) {
        struct answer_blocks blocks = {0};
        if (answer_blocks_read(text, &blocks, err) < 0)
            return NULL;
        for (size_t i = 0; i < blocks.count; i++)
            if (!*blocks.items[i].language || answer_language_is(blocks.items[i].language, language->name))
                buf_printf(&code, "%s\n", blocks.items[i].code);
        answer_blocks_release(&blocks);
    }
    if (!code.len) {
        error_set(err, ERROR_INPUT, "the answer holds no code block");
        return NULL;
    }
    return buf_check(&code, "the answer's code", err) < 0 ? NULL : buf_steal(&code, NULL);
}

static int ask(struct pipeline *pipeline, struct run *run, int ask_number, const char *problem, struct testfile *file,
               struct error *err)
{
    json_auto_t *extra = json_pack("{s:s*}", "problem", problem);
    json_auto_t *schema = stage_tests_schema();
    struct stage_question question = {.role = ROLE_TESTS,
                                      .step = (size_t)ask_number,
                                      .template_path = "prompts/tests.mustache",
                                      .extra = extra,
                                      .worked = true,
                                      .temperature = ask_number ? 0.6 : 0.0,
                                      .seed = ask_number + 1,
                                      .max_tokens = (1 + ask_number) * FIRST_TOKENS,
                                      .schema = schema,
                                      .schema_name = "tests"};
    struct model_answer answer = {0};
    if (stage_ask(pipeline, run, &question, &answer, err) < 0)
        return error_wrap(err, "ask for tests");
    struct error unreadable = {0};
    size_t before = file->test_count;
    AUTO_FREE char *code = stage_tests_code(file->language, answer.text, &unreadable);
    if (code && testfile_add(file, code, file->trusted_count + before + MAX_WRITTEN, &unreadable) == 0 &&
        file->test_count > before)
        run_credit(run, file->path, answer.name);
    stage_take_remarks(run, answer.text);
    model_answer_release(&answer);
    return 0;
}

/* ---- trying them out ---- */

static struct change_file as_change_file(const char *path, char *content, enum file_kind kind)
{
    return (struct change_file){.path = (char *)path, .content = content, .len = strlen(content), .kind = kind};
}

/* Does the target's base text define the symbol already? */
static bool symbol_exists(struct pipeline *pipeline, const struct run *run, const struct language *language)
{
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    struct symbols symbols = {0};
    if (change_read(&(struct change){0}, pipeline->tree, run->spec.file, &text, NULL) < 0 ||
        symbols_parse(language, buf_text(&text), text.len, &symbols, NULL) < 0)
        return false;
    bool exists = symbols_find(&symbols, run->spec.symbol) != NULL;
    symbols_release(&symbols);
    return exists;
}

/* Names in the signature must not break the file: annotations are not evaluated, and what a default value needs is
 * imported where the request or the file says from where. Before the stub is rendered. */
static void add_stub_imports(const struct testfile *file, const char *signature, struct buf *stub)
{
    const char *lazy = file->language->layout.lazy_annotations;
    AUTO_FREE char *code = text_format("%s\n    pass\n", signature);
    json_auto_t *imports = code ? testfile_imports_for(file, file->target, code) : NULL;
    size_t index;
    json_t *statement;
    buf_printf(stub, "%s\n", lazy ? lazy : "");
    json_array_foreach (imports, index, statement)
        buf_printf(stub, "%s\n", json_string_value(statement));
}

/* The target with a stub of the symbol that only fails; NULL where the language has none, or for a class (which would
 * fail on import). */
static char *stub_text(struct pipeline *pipeline, const struct run *run, const struct testfile *file)
{
    const struct language *language = file->language;
    AUTO_BUF struct buf base = BUF_INIT(MiB(4)), stub = BUF_INIT(KiB(64)), out = BUF_INIT(MiB(4));
    add_stub_imports(file, run->spec.signature, &stub);
    json_auto_t *view = json_pack("{s:s}", "signature", run->spec.signature);
    struct symbols symbols = {0};
    if (!language->stub || template_render((struct template_source){"stub", language->stub, strlen(language->stub)},
                                           TEMPLATE_PLAIN, view, NULL, NULL, &stub, NULL) < 0)
        return NULL;
    bool is_function = symbols_parse(language, buf_text(&stub), stub.len, &symbols, NULL) == 0 && symbols.count == 1 &&
                       symbols.items[0].kind == SYMBOL_FUNCTION;
    symbols_release(&symbols);
    if (!is_function)
        return NULL;
    bool exists = change_read(&(struct change){0}, pipeline->tree, run->spec.file, &base, NULL) == 0;
    if (edit_apply_block(language, exists ? buf_text(&base) : NULL, base.len, buf_text(&stub), &out, NULL, NULL) < 0)
        return NULL;
    return buf_steal(&out, NULL);
}

/* A test that says nothing new is dropped; an example of the spec stays even when it holds already. */
static void drop_test(struct testfile *file, const struct test_case *test, bool passed, json_t *list)
{
    if (passed && testfile_is_trusted(file, test->name))
        return;
    if (testfile_drop(file, test->name))
        json_append_text(list, "%s: %.160s", test->name, passed ? "it passes" : test->message);
}

/* Something breaks the file as a whole: the test that the message names goes, and the rest is tried again; where it
 * names none (an import, a fixture), all that the model wrote goes. */
static int drop_breaker(struct testfile *file, const char *why, const char *details, struct sieve *sieve,
                        struct error *err)
{
    AUTO_FREE char *said = testfile_mentioned(file, why);
    AUTO_FREE char *named = said ? strdup(said) : testfile_mentioned(file, details);
    if (named && testfile_drop(file, named)) {
        json_append_text(sieve->broken, "%s: %.200s", named, why);
        sieve->again = true;
        return 0;
    }
    json_append_text(sieve->broken, "the whole file: %.200s", why);
    sieve->again = file->test_count > 0; /* the examples' tests are worth another trial, without what broke them */
    return testfile_reset(file, err);
}

static int judge(struct pipeline *pipeline, const struct run *run, const struct language *language,
                 const struct test_report *report, struct testfile *file, struct sieve *sieve, json_t *passing,
                 struct error *err)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct test_case *test = &report->cases[i];
        bool passed = test->status == TEST_PASSED || test->status == TEST_SKIPPED;
        if (passed) {
            drop_test(file, test, true, passing);
        } else if (stage_failure_reason(pipeline, run, language, test) == FAILURE_RIGHT) {
            sieve->failing++;
        } else {
            size_t before = file->test_count + file->trusted_count;
            drop_test(file, test, false, sieve->broken);
            if (file->test_count + file->trusted_count == before && test->status == TEST_ERRORED)
                return drop_breaker(file, test->message, test->details, sieve, err);
        }
    }
    return 0;
}

/* Runs the tests on base plus `stub` (or on base alone) and drops what proves nothing. */
static int try_tests(struct pipeline *pipeline, const struct run *run, const struct language *language,
                     struct testfile *file, char *stub, struct sieve *sieve, json_t *passing, struct error *err)
{
    struct change_file extra[2] = {as_change_file(file->path, file->text, FILE_TEST)};
    if (stub)
        extra[1] = as_change_file(run->spec.file, stub, FILE_CODE);
    json_auto_t *paths = json_pack("[s]", file->path);
    struct test_report report = {0};
    char trouble[256];
    sieve->failing = 0;
    sieve->again = false;
    if (stage_run_tests(pipeline, run, LAYER_BASE, extra, stub ? 2 : 1, paths, &report, trouble, err) < 0)
        return -1;
    int status = *trouble && !report.count ? drop_breaker(file, trouble, "", sieve, err)
                                           : judge(pipeline, run, language, &report, file, sieve, passing, err);
    report_release(&report);
    return status;
}

static int sift(struct pipeline *pipeline, const struct run *run, const struct language *language,
                struct testfile *file, struct sieve *sieve, struct error *err)
{
    bool exists = symbol_exists(pipeline, run, language);
    AUTO_FREE char *stub = exists ? NULL : stub_text(pipeline, run, file);
    json_t *passing = exists ? sieve->on_base : sieve->vacuous;
    do {
        if (try_tests(pipeline, run, language, file, stub, sieve, passing, err) < 0)
            return -1;
    } while (sieve->again && file->test_count + file->trusted_count);
    sieve->on_stub = stub != NULL;
    return 0;
}

/* ---- the stage ---- */

static int add_examples(const struct run *run, const struct language *language, struct testfile *file,
                        struct error *err)
{
    for (size_t i = 0; i < run->spec.example_count; i++) {
        AUTO_BUF struct buf code = BUF_INIT(KiB(64));
        struct error refused = {0};
        if (example_render(language, &run->spec.examples[i], i + 1, &code, &refused) < 0) {
            json_append_text(run->caveats, "Example %zu is not tested: %s", i + 1, refused.message);
            continue;
        }
        if (testfile_add_trusted(file, buf_text(&code), err) < 0)
            return error_wrap(err, "example %zu", i + 1);
    }
    return 0;
}

static void tell(struct run *run, const json_t *list, const char *why)
{
    size_t index;
    json_t *item;
    json_array_foreach (list, index, item)
        if (index < 5)
            json_append_text(run->caveats, "A test was left out (%s): %s", why, json_string_value(item));
}

static int give_up(struct run *run, struct stage_result *result, const struct sieve *sieve)
{
    if (json_array_size(sieve->on_base) && !json_array_size(sieve->broken))
        run_stop(run, OUTCOME_NEEDS_HUMAN,
                 "every test that was written passes already: %s seems to do what is asked for", run->spec.symbol);
    else
        run_stop(run, OUTCOME_NEEDS_HUMAN, "no test could be written that runs and fails for the right reason");
    return stage_end(result, VERDICT_STOPPED, "%s", run->reason);
}

/* The file goes into the change; the next stage cross-examines and locks it. */
static int keep(struct pipeline *pipeline, struct run *run, const struct testfile *file, const struct sieve *sieve,
                struct error *err)
{
    const char *author = json_string_value(json_object_get(run->files_by, file->path));
    if (change_put(&run->change, pipeline->tree, &pipeline->policy.forbidden_paths, file->path, file->text,
                   strlen(file->text), FILE_TEST, author ? author : "spec", err) < 0)
        return error_wrap(err, "keep the tests");
    json_object_set_new(run->scratch, "trusted_tests", json_string(file->trusted_text));
    if (sieve->on_stub)
        json_object_set_new(run->evidence, "stub", json_pack("{s:I}", "failed", (json_int_t)sieve->failing));
    return 0;
}

static int write_tests(struct pipeline *pipeline, struct run *run, const struct language *language,
                       struct testfile *file, struct sieve *sieve, struct error *err)
{
    if (add_examples(run, language, file, err) < 0)
        return -1;
    AUTO_FREE char *problem = NULL;
    for (int i = 0; i < ASKS; i++) {
        if (ask(pipeline, run, i, problem, file, err) < 0 || sift(pipeline, run, language, file, sieve, err) < 0)
            return -1;
        if (file->test_count > 0 && sieve->failing > 0)
            return 0;
        free(problem);
        const json_t *first = json_array_get(sieve->broken, 0);
        first = first ? first : json_array_get(sieve->vacuous, 0);
        problem =
            text_format("%s", first ? json_string_value(first) : "the answer held no test function in a code block");
    }
    return 0;
}

int stage_tests(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    struct sieve sieve = {json_array(), json_array(), json_array(), 0, false, false};
    struct import_rules *rules = NULL;
    struct testfile file = {0};
    int status = -1;
    if (!language || !(rules = stage_import_rules(pipeline, run, err)) ||
        testfile_init(&file, language, rules, pipeline->tree, &run->spec, err) < 0)
        goto done;
    if (write_tests(pipeline, run, language, &file, &sieve, err) < 0)
        goto done;
    tell(run, sieve.broken, "broken in itself");
    tell(run, sieve.vacuous, "passes without the behaviour");
    tell(run, file.undecided, "not decided by the request");
    tell(run, sieve.on_base, "holds on base already");
    if (file.test_count + file.trusted_count == 0 || sieve.failing == 0)
        status = give_up(run, result, &sieve);
    else if (keep(pipeline, run, &file, &sieve, err) == 0)
        status =
            stage_end(result, VERDICT_PASSED, "%zu tests: %zu from the spec's examples, %zu written; %zu left out",
                      file.trusted_count + file.test_count, file.trusted_count, file.test_count,
                      json_array_size(sieve.broken) + json_array_size(sieve.vacuous) + json_array_size(sieve.on_base));
done:
    testfile_release(&file);
    import_rules_free(rules);
    json_decref(sieve.vacuous);
    json_decref(sieve.broken);
    json_decref(sieve.on_base);
    return status;
}
