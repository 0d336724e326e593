/* witness: cross-examines the tests by implementations that never saw them, and locks what stands.
 *
 * The tests' model writes expectations from the request; the implementing model writes code from the request. Neither
 * sees the other's work, so where they agree, both are likely right (agreement.h). The first implementation that passes
 * every test ends the hearing. Otherwise more are asked for, and a test that the winning group contradicts is left out,
 * while the request's own examples always stay. The group's code goes to the implement stage.
 */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "pipeline/agreement.h"
#include "pipeline/testfile.h"

enum {
    FIRST_TOKENS = 1200, /* of a function; a longer one is asked for again without the bound */
    MAX_UNUSABLE = 2,    /* when they are most: a model that cannot answer is left to the implement stage */
    MANY = 5,            /* of so many or more, most are enough */
};

struct witness {
    json_t *code; /* array of {path, content}; NULL: it gave no usable answer */
    char *author;
    bool *passed; /* for each test */
    json_t *said; /* for each test that failed: name → message */
    json_t *seen; /* what it did on inputs like those of the tests: array of texts; empty where that cannot be seen */
};

struct hearing {
    struct testfile file;
    json_t *tests; /* their names, in the file's order */
    bool *trusted;
    struct witness witnesses[AGREEMENT_MAX_WITNESSES];
    size_t count;
    const char *why; /* nobody else was asked */
};

static void hearing_release(struct hearing *hearing)
{
    for (size_t i = 0; i < hearing->count; i++) {
        json_decref(hearing->witnesses[i].code);
        json_decref(hearing->witnesses[i].said);
        json_decref(hearing->witnesses[i].seen);
        free(hearing->witnesses[i].author);
        free(hearing->witnesses[i].passed);
    }
    testfile_release(&hearing->file);
    json_decref(hearing->tests);
    free(hearing->trusted);
}

static const struct change_file *test_file_of(const struct run *run)
{
    for (size_t i = 0; i < run->change.count; i++)
        if (run->change.files[i].kind == FILE_TEST)
            return &run->change.files[i];
    return NULL;
}

static int hearing_open(const struct run *run, const struct language *language, struct hearing *hearing,
                        struct error *err)
{
    const struct change_file *file = test_file_of(run);
    if (!file) {
        error_set(err, ERROR_INTERNAL, "there is no test file to cross-examine");
        return -1;
    }
    if (testfile_open(&hearing->file, language, file->path, file->content,
                      json_text_at(run->scratch, "trusted_tests", ""), err) < 0)
        return -1;
    hearing->tests = testfile_names(&hearing->file);
    size_t count = json_array_size(hearing->tests);
    hearing->trusted = calloc(count + 1, sizeof *hearing->trusted);
    if (!hearing->trusted)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < count; i++)
        hearing->trusted[i] = testfile_is_trusted(&hearing->file, json_string_value(json_array_get(hearing->tests, i)));
    return 0;
}

/* ---- one witness ---- */

static size_t index_of(const json_t *names, const char *name)
{
    size_t index, len = strcspn(name, "[");
    json_t *known;
    json_array_foreach (names, index, known)
        if (json_string_length(known) == len && strncmp(json_string_value(known), name, len) == 0)
            break;
    return index;
}

/* A test passes when it ran and none of its cases failed. */
static int judge(const struct hearing *hearing, struct witness *witness, const struct test_report *report,
                 struct error *err)
{
    size_t tests = json_array_size(hearing->tests);
    witness->passed = calloc(tests + 1, sizeof *witness->passed);
    witness->said = json_object();
    if (!witness->passed || !witness->said)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    for (int failures = 0; failures < 2; failures++)
        for (size_t i = 0; i < report->count; i++) {
            const struct test_case *test = &report->cases[i];
            size_t at = index_of(hearing->tests, test->name);
            if (at == tests || (test->status != TEST_PASSED) != failures)
                continue;
            witness->passed[at] = !failures;
            if (failures)
                json_object_set_new(witness->said, json_string_value(json_array_get(hearing->tests, at)),
                                    json_string(test->message));
        }
    return 0;
}

static int examine(struct pipeline *pipeline, const struct run *run, const struct hearing *hearing,
                   struct witness *witness, struct error *err)
{
    struct change_file files[CHANGE_MAX_FILES];
    size_t count = stage_code_files(witness->code, files);
    json_auto_t *paths = json_pack("[s]", hearing->file.path);
    struct test_report report = {0};
    char trouble[256];
    if (stage_run_tests(pipeline, run, LAYER_TESTS, files, count, paths, &report, trouble, err) < 0)
        return -1;
    int status = judge(hearing, witness, &report, err);
    report_release(&report);
    witness->seen = status < 0 ? NULL : stage_observe(pipeline, run, files, count, hearing->file.path, err);
    return witness->seen ? 0 : -1;
}

/* The code files of the change, each with the imports that it lacks. NULL when the sandbox failed. */
static json_t *code_files(struct pipeline *pipeline, const struct run *run, struct error *err)
{
    json_auto_t *code = json_array();
    for (size_t i = 0; code && i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        if (file->kind != FILE_CODE || !file->content)
            continue;
        AUTO_FREE char *text = stage_expand(pipeline, run, file->path, file->content, err);
        if (!text)
            return NULL;
        json_array_append_new(code, json_pack("{s:s, s:s}", "path", file->path, "content", text));
    }
    return STEAL(code);
}

/* What the answer would write, taken out of the change again: a witness leaves no trace there. *code is NULL, with the
 * reason in `problem`, when it cannot be used. */
static int take_code(struct pipeline *pipeline, struct run *run, const struct model_answer *answer, json_t **code,
                     struct error *problem, struct error *err)
{
    int status = 0;
    *code = NULL;
    if (stage_apply_answer(pipeline, run, answer->text, answer->name, problem) == 0) {
        *code = code_files(pipeline, run, err);
        status = *code ? 0 : -1;
    }
    change_drop(&run->change, FILE_CODE);
    return status;
}

/* Asks for one implementation that sees no test. An unusable answer is told back once. */
static int call_witness(struct pipeline *pipeline, struct run *run, struct hearing *hearing, struct error *err)
{
    struct witness *witness = &hearing->witnesses[hearing->count];
    struct error problem = {0};
    json_auto_t *schema = stage_code_schema();
    json_auto_t *credits = json_deep_copy(run->files_by), *models = json_deep_copy(run->models);
    for (int tries = 0; tries < 2 && !witness->code; tries++) {
        json_auto_t *extra = json_pack("{s:[], s:s*}", "tests", "problem", *problem.message ? problem.message : NULL);
        struct stage_question question = {.role = ROLE_IMPLEMENT,
                                          .template_path = "prompts/implement.mustache",
                                          .completes = true,
                                          .extra = extra,
                                          .temperature = hearing->count || tries ? 0.8 : 0.0,
                                          .seed = 100 + 2 * (int)hearing->count + tries,
                                          .max_tokens = tries ? 0 : FIRST_TOKENS,
                                          .schema = schema,
                                          .schema_name = "code"};
        struct model_answer answer = {0};
        if (stage_ask(pipeline, run, &question, &answer, err) < 0)
            return error_wrap(err, "ask for an implementation");
        int taken = take_code(pipeline, run, &answer, &witness->code, &problem, err);
        witness->author = witness->code ? strdup(answer.name) : NULL;
        model_answer_release(&answer);
        if (taken < 0)
            return error_wrap(err, "complete an implementation");
        if (problem.code == ERROR_DENIED)
            break; /* implement asks again, and refuses what is forbidden */
    }
    json_object_clear(run->files_by);
    json_object_update(run->files_by, credits);
    json_array_clear(run->models);
    json_array_extend(run->models, models);
    if (!witness->code)
        return 0;
    hearing->count++;
    return examine(pipeline, run, hearing, witness, err);
}

/* ---- the verdict ---- */

static size_t count_same(const json_t *a, const json_t *b)
{
    size_t same = 0;
    for (size_t i = 0; i < json_array_size(a); i++)
        same += (size_t)json_equal(json_array_get(a, i), json_array_get(b, i));
    return same;
}

/* What the witnesses did, laid out for the comparison. */
struct record {
    bool passed[AGREEMENT_MAX_WITNESSES * TESTFILE_MAX_TESTS];
    size_t alike[AGREEMENT_MAX_WITNESSES * AGREEMENT_MAX_WITNESSES];
};

static size_t count_seen(const struct hearing *hearing)
{
    size_t most = 0;
    for (size_t i = 0; i < hearing->count; i++)
        if (json_array_size(hearing->witnesses[i].seen) > most)
            most = json_array_size(hearing->witnesses[i].seen);
    return most;
}

static struct agreement_view view_of(const struct hearing *hearing, struct record *record)
{
    size_t tests = json_array_size(hearing->tests), count = hearing->count;
    for (size_t i = 0; i < count; i++) {
        memcpy(record->passed + i * tests, hearing->witnesses[i].passed, tests * sizeof *record->passed);
        for (size_t k = 0; k < count; k++)
            record->alike[i * count + k] = count_same(hearing->witnesses[i].seen, hearing->witnesses[k].seen);
    }
    return (struct agreement_view){.witnesses = count,
                                   .tests = tests,
                                   .inputs = count_seen(hearing),
                                   .passed = record->passed,
                                   .trusted = hearing->trusted,
                                   .alike = record->alike};
}

static size_t count_trusted(const struct hearing *hearing)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(hearing->tests); i++)
        count += hearing->trusted[i];
    return count;
}

/* Why nobody else need be asked, or NULL: nobody who keeps the examples disagrees, and there are two who behave alike
 * and pass every test (one at least is the tests' model's own), or three who agree; or some disagree, but most of many
 * agree; where only the tests can be seen, one who passes them all. */
static const char *is_settled(const struct hearing *hearing, const struct agreement *agreement)
{
    size_t passed = agreement->trusted_passed + agreement->others_passed;
    bool all = passed == json_array_size(hearing->tests);
    if (!hearing->count || agreement->trusted_passed < count_trusted(hearing))
        return NULL;
    if (hearing->count >= MANY && agreement_is_clear(agreement, hearing->count))
        return "most behave alike";
    if (agreement->rivals)
        return NULL;
    if (agreement->members >= 3)
        return "three behave alike";
    if (all && agreement->members == 2 && agreement->others_passed)
        return "two pass every test and behave alike";
    return all && !count_seen(hearing) ? "one passes every test" : NULL;
}

static bool has_two_voices(const struct hearing *hearing, const struct agreement_view *view,
                           const struct agreement *agreement)
{
    for (size_t i = 0; i < hearing->count; i++)
        if (agreement_same(view, i, agreement->chosen) &&
            !json_equal(hearing->witnesses[i].code, hearing->witnesses[agreement->chosen].code))
            return true;
    return false;
}

/* How many of the tests' model's tests the group may overrule: none unless it keeps every example of the request and is
 * not alone; all when three or more agree and nobody who keeps the examples disagrees; else up to half, beyond which it
 * is not clear who is wrong. The same text over and over is one voice, which counts only where there are examples. */
static size_t may_overrule(const struct hearing *hearing, const struct agreement_view *view,
                           const struct agreement *agreement)
{
    size_t trusted = count_trusted(hearing), others = view->tests - trusted;
    if (view->witnesses < 2 || agreement->trusted_passed < trusted ||
        (trusted == 0 && !has_two_voices(hearing, view, agreement)))
        return 0;
    bool unanimous = agreement->members >= 3 && agreement->rivals == 0 && trusted > 0;
    return unanimous ? others : others / 2;
}

static void leave_out(struct run *run, struct hearing *hearing, const struct agreement *agreement, size_t test,
                      json_t *dropped)
{
    const char *name = json_string_value(json_array_get(hearing->tests, test));
    const json_t *said = hearing->witnesses[agreement->chosen].said;
    size_t failing = 0;
    if (!testfile_drop(&hearing->file, name))
        return;
    for (size_t i = 0; i < hearing->count; i++)
        failing += !hearing->witnesses[i].passed[test];
    json_array_append_new(dropped, json_string(name));
    json_append_text(run->caveats,
                     "A test was left out before the lock (%zu of %zu independent implementations fail it): %s: "
                     "%.160s",
                     failing, hearing->count, name, json_text_at(said, name, "it fails"));
}

static void overrule(struct run *run, struct hearing *hearing, const struct agreement_view *view,
                     const struct agreement *agreement, json_t *dropped)
{
    size_t contradicted = 0;
    for (size_t i = 0; i < view->tests; i++)
        contradicted += agreement_contradicts(view, agreement, i);
    bool all = contradicted <= may_overrule(hearing, view, agreement);
    for (size_t i = 0; i < view->tests; i++)
        if (agreement_contradicts(view, agreement, i) && (all || agreement_nobody_passes(view, i)))
            leave_out(run, hearing, agreement, i, dropped);
}

/* The winner goes on; those who behave like it stand by, where their text is another one. */
static void keep_implementation(struct run *run, const struct hearing *hearing, const struct agreement_view *view,
                                const struct agreement *agreement, size_t dropped)
{
    const struct witness *witness = &hearing->witnesses[agreement->chosen];
    size_t passed = agreement->trusted_passed + agreement->others_passed; /* it fails what was dropped */
    json_t *others = json_array(), *all = json_array();
    for (size_t i = 0; i < hearing->count; i++)
        json_array_append(all, hearing->witnesses[i].code);
    for (size_t i = 0; i < hearing->count; i++)
        if (agreement_same(view, i, agreement->chosen) && !json_equal(hearing->witnesses[i].code, witness->code))
            json_array_append_new(others, json_pack("{s:O, s:s}", "code", hearing->witnesses[i].code, "author",
                                                    hearing->witnesses[i].author));
    json_object_set_new(run->scratch, "alternatives", others);
    json_object_set_new(run->scratch, "witness_passes", json_boolean(passed + dropped == view->tests));
    json_object_set_new(run->scratch, "witnesses", all); /* they judge the tests that are written later */
    json_object_set_new(run->scratch, "implementation",
                        json_pack("{s:O, s:s, s:I, s:I}", "code", witness->code, "author", witness->author, "agree",
                                  (json_int_t)agreement->members, "of", (json_int_t)hearing->count));
}

/* What the pull request tells of the witnesses' part. */
static void testify(struct run *run, const struct hearing *hearing, const struct agreement *agreement, json_t *dropped)
{
    size_t passed = agreement->trusted_passed + agreement->others_passed;
    bool unopposed = !agreement->rivals && passed == json_array_size(hearing->tests);
    bool clear = agreement_is_clear(agreement, hearing->count) || hearing->count == 1 ||
                 (!count_seen(hearing) && unopposed); /* the tests are all that can be seen */
    json_object_set_new(run->evidence, "witnesses",
                        json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O}", "asked",
                                  (json_int_t)hearing->count, "why", hearing->why, "agree",
                                  (json_int_t)agreement->members, "rivals", (json_int_t)agreement->rivals, "observed",
                                  (json_int_t)count_seen(hearing), "examples", (json_int_t)count_trusted(hearing),
                                  "examples_passed", (json_int_t)agreement->trusted_passed, "tests",
                                  (json_int_t)json_array_size(hearing->tests), "tests_passed", (json_int_t)passed,
                                  "clear", clear, "left_out", dropped));
}

static int lock(struct pipeline *pipeline, struct run *run, const struct testfile *file, struct error *err)
{
    const struct change_file *before = test_file_of(run);
    bool examples_alone = file->test_count == 0; /* nothing that a model wrote is left */
    AUTO_FREE char *path = strdup(before->path), *author = strdup(examples_alone ? "spec" : before->author);
    if (examples_alone)
        json_object_del(run->files_by, path);
    AUTO_FREE char *text = stage_tidy(pipeline, run, path, file->text, FILE_TEST, err);
    if (!text || change_put(&run->change, pipeline->tree, &pipeline->policy.forbidden_paths, path, text, strlen(text),
                            FILE_TEST, author, err) < 0)
        return error_wrap(err, "lock the tests");
    change_lock_tests(&run->change);
    return 0;
}

/* Asks until the tests are settled or the number that the run may ask is reached. Money that ends meanwhile ends the
 * hearing, with those who were heard. */
static int hear_all(struct pipeline *pipeline, struct run *run, struct hearing *hearing, struct agreement *agreement,
                    struct error *err)
{
    struct record record;
    int64_t most = pipeline_uses(pipeline, MEAN_WITNESSES) ? pipeline->samples : 0, unusable = 0;
    hearing->why = NULL;
    for (int64_t i = 0; i < most && !hearing->why; i++) {
        size_t before = hearing->count;
        struct error failure = {0};
        if (call_witness(pipeline, run, hearing, &failure) < 0) {
            hearing->why = "the money ends";
            if (failure.code == ERROR_BUDGET && before)
                break;
            if (err)
                *err = failure;
            return -1;
        }
        if (hearing->count > before) {
            struct agreement_view view = view_of(hearing, &record);
            *agreement = agreement_find(&view);
            hearing->why = is_settled(hearing, agreement);
        } else if (++unusable >= MAX_UNUSABLE && unusable > (int64_t)hearing->count) {
            hearing->why = "the model gives no usable code";
        }
    }
    hearing->why = hearing->why ? hearing->why : "no more samples may be asked for";
    return 0;
}

static int hear(struct pipeline *pipeline, struct run *run, struct hearing *hearing, struct agreement *agreement,
                struct error *err)
{
    struct record record;
    if (hear_all(pipeline, run, hearing, agreement, err) < 0)
        return -1;
    if (!hearing->count)
        return 0;
    json_auto_t *dropped = json_array();
    struct agreement_view view = view_of(hearing, &record);
    overrule(run, hearing, &view, agreement, dropped);
    keep_implementation(run, hearing, &view, agreement, json_array_size(dropped));
    testify(run, hearing, agreement, dropped);
    return 0;
}

int stage_witness(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    struct hearing hearing = {0};
    struct agreement agreement = {0};
    int status = -1;
    if (language && hearing_open(run, language, &hearing, err) == 0 &&
        hear(pipeline, run, &hearing, &agreement, err) == 0 && lock(pipeline, run, &hearing.file, err) == 0) {
        size_t tests = json_array_size(hearing.tests), kept = hearing.file.trusted_count + hearing.file.test_count;
        status = hearing.count ? stage_end(result, VERDICT_PASSED,
                                           "%zu tests locked, %zu left out; %zu of %zu implementations agree (%s)",
                                           kept, tests - kept, agreement.members, hearing.count, hearing.why)
                               : stage_end(result, VERDICT_PASSED, "%zu tests locked", kept);
    }
    hearing_release(&hearing);
    return status;
}
