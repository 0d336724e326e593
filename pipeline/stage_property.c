/* property: looks for inputs that break what holds for every input.
 *
 * The tests' model writes properties from the request, without sight of the code. Those that most of the independent
 * implementations keep are tried on the code, with many random inputs. An input that breaks one is shrunk; when the
 * code fails the plain test that is made of it, and most implementations pass it, the test joins the change and the
 * code is repaired.
 */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app/base/json.h"
#include "pipeline/later.h"

enum {
    MAX_WRITTEN = 3,
    EXAMPLES = 100,
    CODE_SECONDS = 30,   /* for one property on the code, with its shrinking */
    WITNESS_SECONDS = 8, /* on a witness, which only has to keep it */
    TIMEOUT_MS = 100 * 1000,
    MIN_WITNESSES = 2,
};

/* ---- writing them ---- */

static int fresh_seed(void)
{
    unsigned seed = 1;
    if (getrandom(&seed, sizeof seed, 0) < 0)
        seed = 1;
    return (int)(seed % 1000000000u);
}

static int ask(struct pipeline *pipeline, struct run *run, struct testfile *file, char **author, struct error *err)
{
    json_auto_t *extra = json_pack("{s:s*, s:s}", "property_notes", file->language->tests.property_notes,
                                   "property_example", file->language->tests.property_example);
    struct later_question question = {.template_path = "prompts/properties.mustache",
                                      .extra = extra,
                                      .header = file->language->tests.property_header,
                                      .seed = 60,
                                      .most = MAX_WRITTEN};
    if (later_ask(pipeline, run, &question, file, author, err) < 0)
        return error_wrap(err, "ask for properties");
    return 0;
}

/* ---- trying them ---- */

/* What each property came to (array, see the language table), with `files` on top of `layers`; an input that breaks one
 * is shrunk in the code of the change only. NULL when the sandbox failed; empty when there was no report. */
static json_t *try_on(struct pipeline *pipeline, const struct run *run, int layers, const struct testfile *file,
                      struct change_file *files, size_t count, json_int_t seed, struct error *err)
{
    const struct language_command *command = &file->language->commands.property;
    json_auto_t *paths = json_pack("[s]", file->path);
    bool own = layers & LAYER_CODE;
    json_auto_t *view = json_pack("{s:I, s:i, s:i, s:s}", "seed", seed, "examples", EXAMPLES, "seconds",
                                  own ? CODE_SECONDS : WITNESS_SECONDS, "shrink", own ? "shrink" : "as found");
    struct sandbox_result result = {0};
    files[count] =
        (struct change_file){.path = file->path, .content = file->text, .len = strlen(file->text), .kind = FILE_TEST};
    struct tool_run tool = {.command = command,
                            .layers = layers,
                            .extra = files,
                            .extra_count = count + 1,
                            .files = paths,
                            .view = view,
                            .collect = (const char *const[]){command->report, NULL},
                            .timeout_ms = TIMEOUT_MS};
    if (stage_run_tool(pipeline, run, &tool, &result, err) < 0) {
        error_wrap(err, "try properties");
        return NULL;
    }
    const struct sandbox_file *report = stage_collected(&result, command->report);
    json_auto_t *tried = report ? json_read(report->data, report->len, JSON_LIMITS_MODEL, NULL) : NULL;
    sandbox_result_release(&result);
    return json_is_array(tried) ? STEAL(tried) : json_array();
}

/* Leaves the properties that most of the witnesses keep. */
static int keep_agreed(struct pipeline *pipeline, const struct run *run, struct testfile *file, json_int_t seed,
                       struct error *err)
{
    struct change_file files[CHANGE_MAX_FILES + 1];
    json_auto_t *passes = json_object();
    size_t index, other;
    json_t *code, *one;
    json_array_foreach (later_witnesses(run), index, code) {
        size_t count = stage_code_files(code, files);
        json_auto_t *tried = try_on(pipeline, run, LAYER_BASE, file, files, count, seed, err);
        if (!tried)
            return -1;
        json_array_foreach (tried, other, one) {
            const char *name = json_text_at(one, "name", "");
            if (strcmp(json_text_at(one, "status", ""), "passed") == 0)
                json_object_set_new(passes, name, json_integer(json_int_at(passes, name, 0) + 1));
        }
        if (!later_keep_possible(run, file, passes, index + 1))
            break;
    }
    return 0;
}

/* ---- counterexamples ---- */

static int start_file(struct pipeline *pipeline, struct run *run, struct import_rules *rules, const char *what,
                      struct testfile *file, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    AUTO_FREE char *name = text_format("%s_%s", run->spec.symbol, what);
    if (!language || !name || testfile_init(file, language, rules, pipeline->tree, &run->spec, err) < 0)
        return -1;
    return testfile_name(file, pipeline->tree, name, err);
}

/* The plain test of a counterexample counts when it fails on the code, and most of the witnesses pass it. */
static int is_confirmed(struct pipeline *pipeline, struct run *run, struct import_rules *rules, const char *test,
                        bool *confirmed, struct error *err)
{
    struct testfile file = {0};
    struct change_file files[1];
    struct error unusable = {0};
    json_auto_t *passes = json_object();
    *confirmed = false;
    int status = start_file(pipeline, run, rules, "counterexamples", &file, err);
    if (status == 0 && testfile_add(&file, test, 1, &unusable) == 0) {
        status = later_count(pipeline, run, LAYER_CODE, &file, files, 0, passes, err);
        later_keep(&file, passes, 0, 0);
        if (status == 0 && file.test_count)
            status = later_keep_agreed(pipeline, run, &file, err);
        *confirmed = status == 0 && file.test_count > 0;
    }
    testfile_release(&file);
    return status;
}

/* All counterexamples so far as tests of the change. */
static int put_tests(struct pipeline *pipeline, struct run *run, struct import_rules *rules, const json_t *known,
                     const char *author, char **path, struct error *err)
{
    struct testfile file = {0};
    struct error unusable = {0};
    size_t index;
    json_t *one;
    int status = start_file(pipeline, run, rules, "counterexamples", &file, err);
    if (status == 0) {
        json_array_foreach (known, index, one)
            testfile_add(&file, json_text_at(one, "test", ""), TESTFILE_MAX_TESTS, &unusable);
        status = later_put(pipeline, run, &file, "Inputs that broke the code while it was written.", author, err);
        *path = status == 0 ? strdup(file.path) : NULL;
    }
    testfile_release(&file);
    return status;
}

static json_t *feedback_of(const json_t *found, const char *path)
{
    json_t *items = json_array(), *one;
    size_t index;
    json_array_foreach (found, index, one)
        json_array_append_new(items,
                              json_pack("{s:o, s:o, s:s}", "test",
                                        json_sprintf("%s::%s", path, json_text_at(one, "test_name", "")), "message",
                                        json_sprintf("for %s: %.300s", json_text_at(one, "example", ""),
                                                     json_text_at(one, "message", "")),
                                        "details", json_text_at(one, "test", "")));
    return items;
}

/* ---- the stage ---- */

/* The properties that are kept, in the run's scratch: {path, text, author, written, seed}; written once for a run. */
static int write_properties(struct pipeline *pipeline, struct run *run, struct import_rules *rules,
                            struct testfile *file, struct error *err)
{
    json_int_t seed = pipeline->seed ? pipeline->seed : fresh_seed();
    AUTO_FREE char *author = NULL;
    if (start_file(pipeline, run, rules, "properties", file, err) < 0 || ask(pipeline, run, file, &author, err) < 0)
        return -1;
    size_t written = file->test_count;
    if (written && keep_agreed(pipeline, run, file, seed, err) < 0)
        return -1;
    json_object_set_new(run->scratch, "properties",
                        json_pack("{s:s, s:s, s:s, s:I, s:I, s:[]}", "path", file->path, "text", file->text, "author",
                                  author ? author : "", "written", (json_int_t)written, "seed", seed, "found"));
    return 0;
}

static int open_properties(struct pipeline *pipeline, struct run *run, struct import_rules *rules,
                           struct testfile *file, struct error *err)
{
    const json_t *known = json_object_get(run->scratch, "properties");
    if (!known)
        return write_properties(pipeline, run, rules, file, err);
    const struct language *language = stage_language(pipeline, run, err);
    return !language ? -1
                     : testfile_open(file, language, json_text_at(known, "path", ""), json_text_at(known, "text", ""),
                                     "", err);
}

/* A repair may start again from code that broke by the same input. */
static void note(json_t *known, json_t *counterexample)
{
    size_t index;
    json_t *one;
    json_array_foreach (known, index, one)
        if (strcmp(json_text_at(one, "test", ""), json_text_at(counterexample, "test", "")) == 0)
            return;
    json_array_append(known, counterexample);
}

/* Counterexamples that are confirmed go to the known ones, and to *fresh; a property without one that the code breaks
 * is not kept: nobody can say who is wrong. */
static int look_for(struct pipeline *pipeline, struct run *run, struct import_rules *rules, struct testfile *file,
                    json_t *fresh, struct error *err)
{
    json_t *known = json_object_get(json_object_get(run->scratch, "properties"), "found");
    struct change_file files[1];
    json_auto_t *tried =
        try_on(pipeline, run, LAYER_CODE, file, files, 0, json_int_at(run->scratch, "properties.seed", 1), err);
    size_t index;
    json_t *one;
    if (!tried)
        return -1;
    json_array_foreach (tried, index, one) {
        const char *name = json_text_at(one, "name", ""), *test = json_text_at(one, "test", "");
        bool confirmed = false;
        if (strcmp(json_text_at(one, "status", ""), "passed") == 0)
            continue;
        if (*test && is_confirmed(pipeline, run, rules, test, &confirmed, err) < 0)
            return -1;
        if (confirmed) {
            json_array_append(fresh, one);
            note(known, one);
        } else
            testfile_drop(file, name);
    }
    json_object_set_new(json_object_get(run->scratch, "properties"), "text", json_string(file->text));
    return 0;
}

static void testify(struct run *run, const struct testfile *file)
{
    const json_t *properties = json_object_get(run->scratch, "properties");
    json_t *shown = json_array(), *one;
    size_t index;
    json_array_foreach (json_object_get(properties, "found"), index, one)
        json_array_append_new(shown, json_pack("{s:s, s:s}", "property", json_text_at(one, "name", ""), "example",
                                               json_text_at(one, "example", "")));
    json_object_set_new(
        run->evidence, "properties",
        json_pack("{s:I, s:I, s:i, s:I, s:s, s:o, s:o}", "written", json_int_at(properties, "written", 0), "kept",
                  (json_int_t)file->test_count, "examples", EXAMPLES, "seed", json_int_at(properties, "seed", 0),
                  "text", file->test_count ? file->text : "", "names", testfile_names(file), "counterexamples", shown));
}

static int judge(struct pipeline *pipeline, struct run *run, struct import_rules *rules, struct testfile *file,
                 struct stage_result *result, struct error *err)
{
    json_auto_t *fresh = json_array();
    AUTO_FREE char *path = NULL;
    if (file->test_count && look_for(pipeline, run, rules, file, fresh, err) < 0)
        return -1;
    testify(run, file);
    const json_t *properties = json_object_get(run->scratch, "properties"),
                 *known = json_object_get(properties, "found");
    if (json_array_size(known) && /* also those that a repair, which started again from earlier code, has lost */
        put_tests(pipeline, run, rules, known, json_text_at(properties, "author", ""), &path, err) < 0)
        return -1;
    if (!json_array_size(fresh))
        return stage_end(result, VERDICT_PASSED, "%zu of %lld properties are kept, and hold on %d inputs each",
                         file->test_count, (long long)json_int_at(properties, "written", 0), EXAMPLES);
    json_object_clear(run->feedback);
    json_object_update_new(run->feedback,
                           json_pack("{s:s, s:o}", "kind", "tests", "items", feedback_of(fresh, path ? path : "")));
    const json_t *first = json_array_get(fresh, 0);
    return stage_end(result, VERDICT_FAILED, "%s is broken by %.120s", json_text_at(first, "name", ""),
                     json_text_at(first, "example", ""));
}

/* Only with independent implementations can be told whether a property follows from the request. */
static bool can_try(const struct pipeline *pipeline, const struct run *run, const struct language *language)
{
    return language->commands.property.argv.count && language->tests.property_example &&
           language->tests.property_header && pipeline_uses(pipeline, MEAN_PROPERTIES) &&
           !strchr(run->spec.symbol, '.') && json_array_size(later_witnesses(run)) >= MIN_WITNESSES;
}

/* Properties are worth their price where implementations differ, or no test that a model wrote stands: in an evaluation
 * (docs/evaluation.md) they found something only there. */
static bool is_open(const struct run *run)
{
    const json_t *heard = json_object_get(run->evidence, "witnesses");
    json_int_t left_out = (json_int_t)json_array_size(json_object_get(heard, "left_out")),
               written = json_int_at(heard, "tests", 0) - json_int_at(heard, "examples", 0);
    return left_out == written || json_int_at(heard, "rivals", 0) || !json_true_at(heard, "clear");
}

int stage_property(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    if (!can_try(pipeline, run, language))
        return stage_end(result, VERDICT_PASSED, "not tried");
    if (!is_open(run))
        return stage_end(result, VERDICT_PASSED, "not needed: the tests leave nothing open");
    struct testfile file = {0};
    struct import_rules *rules = stage_import_rules(pipeline, run, err);
    int status = rules && open_properties(pipeline, run, rules, &file, err) == 0
                     ? judge(pipeline, run, rules, &file, result, err)
                     : -1;
    testfile_release(&file);
    import_rules_free(rules);
    return status;
}
