/* mutation: puts small faults into the lines that the change wrote, and counts those that the tests find.
 *
 * Too few found, and the tests' model is asked once for tests that find the rest; they are shown as written after the
 * code. The score is weighed by the report stage: too low a one makes the outcome "unproven".
 */
#include "pipeline/mutation.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "pipeline/changed.h"
#include "pipeline/mutants.h"

enum {
    MAX_TRIED = 30,
    SECONDS = 60, /* for all mutants; their container may take a little longer */
    TIMEOUT_MS = 90 * 1000,
    MAX_OBSERVED = 8,
    MAX_LINE = 160,
};

#define PLAN_PATH ".assay-mutants.json"

/* ---- trying them out ---- */

static void take_fates(json_t *mutants, const json_t *report)
{
    const json_t *fates = json_object_get(report, "mutants");
    size_t index;
    json_t *mutant;
    json_array_foreach (mutants, index, mutant) {
        const json_t *fate = json_array_get(fates, index), *failed = json_object_get(fate, "failed");
        json_object_set_new(mutant, "fate", json_string(json_text_at(fate, "fate", "skipped")));
        json_object_set_new(mutant, "failed", failed ? json_deep_copy(failed) : json_array());
    }
}

/* The plan goes into the tree, the report comes out of it. */
static int run_plan(struct pipeline *pipeline, const struct run *run, const struct language_command *command,
                    const struct change_file *extra, char *plan, const json_t *tests, struct sandbox_result *result,
                    struct error *err)
{
    struct change_file files[2] = {{.path = (char *)PLAN_PATH, .content = plan, .len = strlen(plan)}};
    json_auto_t *view = json_pack("{s:s}", "plan", PLAN_PATH);
    if (extra)
        files[1] = *extra;
    struct tool_run tool = {.command = command,
                            .layers = LAYER_ALL,
                            .extra = files,
                            .extra_count = extra ? 2 : 1,
                            .files = tests,
                            .view = view,
                            .collect = (const char *const[]){command->report, NULL},
                            .timeout_ms = TIMEOUT_MS};
    return stage_run_tool(pipeline, run, &tool, result, err);
}

int mutation_run(struct pipeline *pipeline, const struct run *run, const struct change_file *extra, json_t *mutants,
                 const json_t *tests, bool first, struct error *trouble, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    const struct language_command *command = &language->commands.mutate;
    json_auto_t *plan = json_pack("{s:O, s:i, s:b}", "mutants", mutants, "seconds", SECONDS, "first", first);
    AUTO_FREE char *text = json_write(plan, err);
    struct sandbox_result result = {0};
    if (!text || run_plan(pipeline, run, command, extra, text, tests, &result, err) < 0)
        return error_wrap(err, "try mutants");
    const struct sandbox_file *file = stage_collected(&result, command->report);
    json_auto_t *report = file ? json_read(file->data, file->len, JSON_LIMITS_MODEL, NULL) : NULL;
    const char *original = json_text_at(report, "original", "");
    if (strcmp(original, "survived") == 0)
        take_fates(mutants, report);
    else
        error_set(trouble, ERROR_INPUT, "the tests did not pass without a mutant (%s)",
                  *original ? original : sandbox_end_name(result.end));
    sandbox_result_release(&result);
    return 0;
}

static json_t *find_all(const struct pipeline *pipeline, const struct run *run, const struct language *language,
                        struct error *err)
{
    json_auto_t *mutants = json_array();
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        struct changed_lines changed = {0};
        if (file->kind != FILE_CODE || !file->content)
            continue;
        int status = changed_lines_of(file, pipeline->tree, &changed, err);
        if (status == 0)
            status = mutants_find(language, file->path, file->content, file->len, &changed, mutants, err);
        changed_lines_release(&changed);
        if (status < 0)
            return error_wrap(err, "%s", file->path), NULL;
    }
    return STEAL(mutants);
}

/* ---- what survives ---- */

/* The line of a text, without its indentation. Heap. */
static char *line_at(const char *text, json_int_t line)
{
    while (--line > 0 && *text)
        text += strcspn(text, "\n") + (text[strcspn(text, "\n")] == '\n');
    text += strspn(text, " \t");
    size_t len = strcspn(text, "\n");
    return strndup(text, len < MAX_LINE ? len : MAX_LINE);
}

static bool survived(const json_t *mutant)
{
    return strcmp(json_text_at(mutant, "fate", ""), "survived") == 0;
}

/* What the function does with the mutant in it; [] where nothing can be seen, NULL when the sandbox failed. */
static json_t *observe(struct pipeline *pipeline, const struct run *run, const json_t *mutant, const char *tests,
                       struct error *err)
{
    struct change_file files[CHANGE_MAX_FILES];
    size_t count = 0;
    AUTO_FREE char *mutated = NULL;
    for (size_t i = 0; i < run->change.count && count < CHANGE_MAX_FILES; i++) {
        struct change_file file = run->change.files[i];
        if (file.kind != FILE_CODE || !file.content)
            continue;
        if (mutant && strcmp(file.path, json_text_at(mutant, "path", "")) == 0 &&
            (mutated = mutants_apply(file.content, file.len, mutant)))
            file.content = mutated, file.len = strlen(mutated);
        files[count++] = file;
    }
    return stage_observe(pipeline, run, files, count, tests, err);
}

/* Marks survivors that do the same as the code on every input that the witnesses were compared by: perhaps no test can
 * find them. */
static int mark_alike(struct pipeline *pipeline, const struct run *run, json_t *mutants, const json_t *tests,
                      struct error *err)
{
    const char *path = json_string_value(json_array_get(tests, 0));
    json_auto_t *original = NULL;
    size_t index, observed = 0;
    json_t *mutant;
    json_array_foreach (mutants, index, mutant) {
        if (!survived(mutant) || observed++ >= MAX_OBSERVED)
            continue;
        if (!original && !(original = observe(pipeline, run, NULL, path, err)))
            return -1;
        if (!json_array_size(original))
            return 0;
        json_auto_t *seen = observe(pipeline, run, mutant, path, err);
        if (!seen)
            return -1;
        json_object_set_new(mutant, "alike", json_boolean(json_equal(seen, original)));
    }
    return 0;
}

static void add_lines(const struct run *run, json_t *mutants)
{
    size_t index;
    json_t *mutant;
    json_array_foreach (mutants, index, mutant) {
        const struct change_file *file = change_find(&run->change, json_text_at(mutant, "path", ""));
        AUTO_FREE char *mutated = survived(mutant) && file ? mutants_apply(file->content, file->len, mutant) : NULL;
        if (!mutated)
            continue;
        AUTO_FREE char *was = line_at(file->content, json_int_at(mutant, "line", 0));
        AUTO_FREE char *now = line_at(mutated, json_int_at(mutant, "line", 0));
        json_object_set_new(mutant, "line_was", json_from_text(was ? was : "", was ? strlen(was) : 0));
        json_object_set_new(mutant, "line_now", json_from_text(now ? now : "", now ? strlen(now) : 0));
    }
}

/* ---- the score ---- */

static size_t count_fate(const json_t *mutants, const char *fate)
{
    size_t index, count = 0;
    json_t *mutant;
    json_array_foreach (mutants, index, mutant)
        count += strcmp(json_text_at(mutant, "fate", ""), fate) == 0;
    return count;
}

static size_t count_found(const json_t *mutants)
{
    return count_fate(mutants, "killed") + count_fate(mutants, "timeout");
}

/* Survivors that do the same as the code wherever it was looked at: most are no faults, and nobody can tell. */
static size_t count_alike(const json_t *mutants)
{
    size_t index, count = 0;
    json_t *mutant;
    json_array_foreach (mutants, index, mutant)
        count += survived(mutant) && json_true_at(mutant, "alike");
    return count;
}

static size_t count_missed(const json_t *mutants)
{
    return count_fate(mutants, "survived") - count_alike(mutants);
}

bool mutation_is_measured(const json_t *mutants, struct error *trouble)
{
    size_t skipped = count_fate(mutants, "skipped"), all = json_array_size(mutants);
    if (skipped * 2 <= all)
        return true;
    error_set(trouble, ERROR_TIMEOUT, "%zu of %zu could be tried within %d seconds", all - skipped, all, SECONDS);
    return false;
}

static double score(const json_t *mutants)
{
    size_t found = count_found(mutants), all = found + count_missed(mutants);
    return all ? (double)found / (double)all : 1.0;
}

static json_t *survivors_of(const json_t *mutants)
{
    json_t *out = json_array(), *mutant;
    size_t index;
    json_array_foreach (mutants, index, mutant)
        if (survived(mutant))
            json_array_append_new(
                out, json_pack("{s:s, s:I, s:s, s:s, s:s, s:b}", "path", json_text_at(mutant, "path", ""), "first",
                               json_int_at(mutant, "line", 0), "kind", json_text_at(mutant, "kind", ""), "was",
                               json_text_at(mutant, "line_was", ""), "now", json_text_at(mutant, "line_now", ""),
                               "maybe_equivalent", json_true_at(mutant, "alike")));
    return out;
}

static json_t *evidence_of(const struct pipeline *pipeline, const json_t *mutants, size_t places, json_t *added)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:O}", "places", (json_int_t)places, "tried",
                     (json_int_t)json_array_size(mutants), "killed", (json_int_t)count_found(mutants), "survived",
                     (json_int_t)count_missed(mutants), "maybe_equivalent", (json_int_t)count_alike(mutants),
                     "equivalent", (json_int_t)count_fate(mutants, "equivalent"), "skipped",
                     (json_int_t)count_fate(mutants, "skipped"), "score", score(mutants), "threshold",
                     pipeline->thresholds.mutation, "survivors", survivors_of(mutants), "added", added);
}

/* ---- the stage ---- */

/* Drawn by the tests' digest: the same sample for a run that goes on. */
static uint64_t seed_of(const struct run *run)
{
    char digits[17];
    snprintf(digits, sizeof digits, "%.16s", run->change.tests_digest);
    return strtoull(digits, NULL, 16);
}

static int try_all(struct pipeline *pipeline, struct run *run, json_t *mutants, json_t *added, struct error *trouble,
                   struct error *err)
{
    json_auto_t *tests = stage_paths(run, FILE_TEST);
    if (mutation_run(pipeline, run, NULL, mutants, tests, true, trouble, err) < 0)
        return -1;
    if (trouble->code || !mutation_is_measured(mutants, trouble))
        return 0;
    add_lines(run, mutants);
    if (mark_alike(pipeline, run, mutants, tests, err) < 0)
        return -1;
    return score(mutants) < pipeline->thresholds.mutation ? mutation_add_tests(pipeline, run, mutants, added, err) : 0;
}

int stage_mutation(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    struct error trouble = {0};
    if (!language)
        return -1;
    json_object_del(run->evidence, "mutation");
    if (!language->commands.mutate.argv.count || !pipeline_uses(pipeline, MEAN_MUTANTS))
        return stage_end(result, VERDICT_PASSED, "not measured");
    json_auto_t *mutants = find_all(pipeline, run, language, err);
    json_auto_t *added = json_array();
    if (!mutants)
        return -1;
    size_t places = json_array_size(mutants);
    mutants_sample(mutants, MAX_TRIED, seed_of(run));
    if (places && try_all(pipeline, run, mutants, added, &trouble, err) < 0)
        return -1;
    json_object_set_new(run->evidence, "mutation",
                        trouble.code ? json_pack("{s:s}", "trouble", trouble.message)
                                     : evidence_of(pipeline, mutants, places, added));
    if (trouble.code)
        return stage_end(result, VERDICT_PASSED, "not measured: %.200s", trouble.message);
    return stage_end(result, VERDICT_PASSED, "%zu of %zu mutants found; %zu tests added", count_found(mutants),
                     count_found(mutants) + count_missed(mutants), json_array_size(added));
}
