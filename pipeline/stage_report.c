/* report: weighs the evidence, ties criteria to tests, and gives the outcome. */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "pipeline/describe.h"
#include "pipeline/symbols.h"

/* Tests say which criterion they check: "criterion 2" or "C2" in their name or documentation. */
static bool speaks_of(const char *text, int number)
{
    static const char *const forms[] = {"criterion %d", "criterion_%d", "Criterion %d", "C%d", "c%d"};
    for (size_t i = 0; text && i < sizeof forms / sizeof forms[0]; i++) {
        AUTO_FREE char *word = NULL;
        if (asprintf(&word, forms[i], number) < 0)
            continue;
        for (const char *at = text; (at = strstr(at, word)); at++) {
            bool starts = at == text || !((at[-1] | 32) >= 'a' && (at[-1] | 32) <= 'z');
            char next = at[strlen(word)];
            if (starts && !(next >= '0' && next <= '9'))
                return true;
        }
    }
    return false;
}

/* "passed" when every test of the list is green, "failed" when one is not, "not tested" without a test. */
static const char *result_of(const struct run *run, const json_t *tests)
{
    const json_t *green = json_object_get(json_object_get(run->evidence, "green"), "tests");
    size_t index, other;
    json_t *name, *test;
    bool ran = false;
    json_array_foreach (tests, index, name)
        json_array_foreach (green, other, test) {
            const char *id = json_text_at(test, "id", ""), *at = strstr(id, json_string_value(name));
            char next = at ? at[json_string_length(name)] : 'x';
            if (!at || (next && next != '['))
                continue;
            ran = true;
            if (strcmp(json_text_at(test, "status", ""), "passed") != 0)
                return "failed";
        }
    return ran ? "passed" : "not tested";
}

static void add_row(struct run *run, const char *criterion, json_t *tests)
{
    json_array_append_new(run->criteria, json_pack("{s:s, s:s, s:o}", "criterion", criterion, "result",
                                                   result_of(run, tests), "tests", tests));
}

static bool is_plain_test(const struct language *language, const struct symbol *symbol)
{
    const char *prefix = language->tests.function_prefix, *dot = strrchr(symbol->name, '.');
    return (symbol->kind == SYMBOL_FUNCTION || symbol->kind == SYMBOL_METHOD) &&
           strncmp(dot ? dot + 1 : symbol->name, prefix, strlen(prefix)) == 0;
}

static json_t *tests_of_criterion(const struct symbols *symbols, const struct language *language, int number,
                                  bool taken[])
{
    json_t *tests = json_array();
    for (size_t i = 0; i < symbols->count; i++) {
        const struct symbol *symbol = &symbols->items[i];
        if (!is_plain_test(language, symbol) ||
            (!speaks_of(symbol->name, number) && !speaks_of(symbol->documentation, number)))
            continue;
        const char *dot = strrchr(symbol->name, '.');
        taken[i] = true;
        json_array_append_new(tests, json_string(dot ? dot + 1 : symbol->name));
    }
    return tests;
}

static bool is_example_test(const char *name)
{
    return strstr(name, "example_") != NULL;
}

static json_t *rest_of_tests(const struct symbols *symbols, const struct language *language, const bool taken[],
                             bool examples)
{
    json_t *tests = json_array();
    for (size_t i = 0; i < symbols->count; i++) {
        const char *dot = strrchr(symbols->items[i].name, '.'), *name = dot ? dot + 1 : symbols->items[i].name;
        if (is_plain_test(language, &symbols->items[i]) && !taken[i] && is_example_test(name) == examples)
            json_array_append_new(tests, json_string(name));
    }
    return tests;
}

static void tabulate(struct run *run, const struct language *language, const struct change_file *file)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, file->content, file->len, &symbols, NULL) < 0)
        return;
    bool *taken = calloc(symbols.count + 1, sizeof *taken);
    for (size_t i = 0; taken && i < run->spec.criteria_count; i++)
        add_row(run, run->spec.criteria[i], tests_of_criterion(&symbols, language, (int)i + 1, taken));
    for (int examples = 1; taken && examples >= 0; examples--) {
        json_t *tests = rest_of_tests(&symbols, language, taken, examples == 1);
        if (json_array_size(tests))
            add_row(run,
                    examples ? "the examples of the request" : "the checklist: usual, empty, boundary and error cases",
                    tests);
        else
            json_decref(tests);
    }
    free(taken);
    symbols_release(&symbols);
}

/* Too little of the change is run by its tests, or nobody knows how much. */
static size_t find_coverage_gap(struct run *run)
{
    const json_t *coverage = json_object_get(run->evidence, "coverage");
    const char *trouble = json_text_at(coverage, "trouble", "");
    double share = json_real_value(json_object_get(coverage, "share")),
           least = json_real_value(json_object_get(coverage, "threshold"));
    if (*trouble)
        json_append_text(run->caveats, "How much of the change its tests run is not known: %s", trouble);
    else if (coverage && share < least)
        json_append_text(
            run->caveats,
            "The tests run %lld %% of the changed lines and branches, less than the %lld %% that are asked "
            "for.",
            describe_percent(share), describe_percent(least));
    else
        return 0;
    return 1;
}

/* The tests find too few of the faults that were put in, or nobody knows how many. */
static size_t find_mutation_gap(struct run *run)
{
    const json_t *mutation = json_object_get(run->evidence, "mutation");
    const char *trouble = json_text_at(mutation, "trouble", "");
    long long killed = (long long)json_int_at(mutation, "killed", 0),
              survived = (long long)json_int_at(mutation, "survived", 0);
    double least = json_real_value(json_object_get(mutation, "threshold"));
    if (*trouble)
        json_append_text(run->caveats, "Whether the tests find small faults in the code is not known: %s", trouble);
    else if (mutation && json_real_value(json_object_get(mutation, "score")) < least)
        json_append_text(run->caveats,
                         "The tests find %lld of %lld small faults that were put into the code, less than the %lld %% "
                         "that are asked for.",
                         killed, killed + survived, describe_percent(least));
    else
        return 0;
    return 1;
}

/* What the witnesses say against the change: they differ among themselves, or from most of what the tests' model wrote.
 */
static size_t find_doubts(struct run *run)
{
    const json_t *heard = json_object_get(run->evidence, "witnesses");
    long long left_out = (long long)json_array_size(json_object_get(heard, "left_out")),
              written = (long long)(json_int_at(heard, "tests", 0) - json_int_at(heard, "examples", 0));
    size_t doubts = 0;
    if (heard && !json_true_at(heard, "clear")) {
        bool seen = json_int_at(heard, "observed", 0) > 0;
        json_append_text(run->caveats,
                         "Only %lld of %lld independent implementations %s: the request can be read in several ways, "
                         "or is hard. Read the code with care.",
                         (long long)json_int_at(heard, "agree", 0), (long long)json_int_at(heard, "asked", 0),
                         seen ? "behave like this one on inputs like those of the tests"
                              : "pass the tests that this one passes, and nothing else of them could be compared");
        doubts++;
    }
    if (left_out * 2 > written) {
        json_append_text(run->caveats,
                         "%lld of %lld tests that a model wrote were left out, since the implementations that agree "
                         "fail them: tests and code read the request in different ways. Check which is meant.",
                         left_out, written);
        doubts++;
    }
    return doubts;
}

/* Evidence that is missing though the tests pass: each is a caveat, and makes the outcome "unproven". */
static size_t find_gaps(struct run *run)
{
    size_t gaps = 0;
    if (json_int_at(run->evidence, "green.skipped", 0)) {
        json_append_text(run->caveats, "%lld locked tests were skipped, so they prove nothing.",
                         (long long)json_int_at(run->evidence, "green.skipped", 0));
        gaps++;
    }
    gaps += find_doubts(run);
    if (json_object_get(run->scratch, "static_incomplete"))
        gaps++; /* the stage has said why */
    gaps += find_coverage_gap(run) + find_mutation_gap(run);
    if (*json_text_at(run->evidence, "regressions.trouble", "")) {
        json_append_text(run->caveats, "The repository's own tests did not run to their end on the change: %s",
                         json_text_at(run->evidence, "regressions.trouble", ""));
        gaps++;
    }
    return gaps;
}

int stage_report(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language =
        run->spec.language ? languages_by_name(pipeline->languages, run->spec.language) : NULL;
    if (run->change.tests_locked && change_check_lock(&run->change, err) < 0)
        return -1;
    json_array_clear(run->criteria);
    for (size_t i = 0; language && i < run->change.count; i++)
        if (run->change.files[i].kind == FILE_TEST && !run->change.files[i].later && run->change.files[i].content)
            tabulate(run, language, &run->change.files[i]);
    if (run->outcome == OUTCOME_NONE) {
        size_t gaps = find_gaps(run);
        run_stop(run, gaps ? OUTCOME_UNPROVEN : OUTCOME_PROVEN, "%s",
                 gaps ? "the code passes, but evidence is missing" : "every gate passed");
    }
    json_object_del(run->scratch, "probe");
    return stage_end(result, VERDICT_PASSED, "%s: %s", outcome_name(run->outcome), run->reason);
}
