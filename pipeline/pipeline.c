#include "pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/json.h"
#include "pipeline/stage.h"

/* The whole pipeline: what runs, and where it goes from there. A stage that stops the run goes to the report. */
static const struct stage {
    const char *name;
    stage_function *run;
    const char *passed, *failed; /* the next stage; "" ends */
    const char *help;
} stages[] = {
    {"spec", stage_spec, "context", "report", "reads what is asked for, and asks back what is missing"},
    {"context", stage_context, "tests", "report", "gathers what the models need to see of the repository"},
    {"tests", stage_tests, "witness", "report", "writes the tests"},
    {"witness", stage_witness, "red", "report",
     "cross-examines the tests by independent implementations, and locks them"},
    {"red", stage_red, "implement", "report", "shows that the tests fail before the change"},
    {"implement", stage_implement, "imports", "repair", "writes the code"},
    {"imports", stage_imports, "static", "report", "checks that everything imported exists and is declared"},
    {"static", stage_static, "green", "repair", "lints, formats and type-checks what the change introduced"},
    {"green", stage_green, "property", "repair", "shows that the tests pass after the change, and nothing else broke"},
    {"property", stage_property, "coverage", "repair", "looks for inputs that break what always holds"},
    {"coverage", stage_coverage, "mutation", "report", "shows which of the changed lines and branches the tests run"},
    {"mutation", stage_mutation, "report", "report",
     "puts small faults into the changed lines, which the tests should find"},
    {"repair", stage_repair, "imports", "report", "mends the code by what failed, within its rounds"},
    {"report", stage_report, "", "", "weighs the evidence and gives the outcome"},
};

enum { STAGE_COUNT = sizeof stages / sizeof stages[0], MAX_STEPS = 64 };

const char *pipeline_stage(size_t index, const char **help)
{
    if (index >= STAGE_COUNT)
        return NULL;
    *help = stages[index].help;
    return stages[index].name;
}

static const struct stage *stage_find(const char *name)
{
    for (size_t i = 0; i < STAGE_COUNT; i++)
        if (strcmp(stages[i].name, name) == 0)
            return &stages[i];
    return NULL;
}

static const char *verdict_status(enum verdict verdict)
{
    static const char *const statuses[] = {
        [VERDICT_PASSED] = "passed", [VERDICT_FAILED] = "failed", [VERDICT_STOPPED] = "stopped"};
    return statuses[verdict];
}

static int go_to(struct run *run, const char *stage, struct error *err)
{
    char *next = strdup(stage);
    if (!next)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    free(run->next_stage);
    run->next_stage = next;
    return 0;
}

/* Money that is used up is an outcome, not a failure: the run ends with what it has. */
static int try_stage(struct pipeline *pipeline, struct run *run, const struct stage *stage, struct stage_result *result,
                     struct error *err)
{
    if (pipeline->journal.cancelled(pipeline->journal.context))
        return error_set(err, ERROR_CANCELLED, "cancelled");
    struct error failure = {0};
    if (stage->run(pipeline, run, result, &failure) == 0)
        return 0;
    if (failure.code != ERROR_BUDGET) {
        if (err)
            *err = failure;
        return error_wrap(err, "%s", stage->name);
    }
    run_stop(run, OUTCOME_NEEDS_HUMAN, "%s", failure.message);
    run->out_of_money = true;
    return stage_end(result, VERDICT_STOPPED, "%s", failure.message);
}

static int run_stage(struct pipeline *pipeline, struct run *run, const struct stage *stage, struct error *err)
{
    const struct journal *journal = &pipeline->journal;
    json_auto_t *before = run_to_json(run);
    AUTO_FREE char *text = before ? json_write(before, err) : NULL;
    if (!text)
        return -1;
    char digest[DIGEST_HEX_SIZE];
    digest_sha256(text, strlen(text), digest);
    if (journal->stage_begin(journal->context, stage->name, run->round, digest, &pipeline->stage_id, err) < 0)
        return error_wrap(err, "journal");
    struct stage_result result = {0};
    int64_t started = clock_monotonic_ms();
    int status = try_stage(pipeline, run, stage, &result, err);
    run->elapsed_ms += clock_monotonic_ms() - started;
    if (status < 0) {
        struct error ignored = {0}; /* the stage's own error is the one to tell */
        journal->stage_end(journal->context, pipeline->stage_id, "error", err ? err->message : "", NULL, &ignored);
        return -1;
    }
    const char *next = result.verdict == VERDICT_PASSED   ? stage->passed
                       : result.verdict == VERDICT_FAILED ? stage->failed
                                                          : "report";
    if (go_to(run, stage->run == stage_report ? "" : next, err) < 0)
        return -1;
    json_auto_t *after = run_to_json(run);
    if (journal->stage_end(journal->context, pipeline->stage_id, verdict_status(result.verdict), result.detail, after,
                           err) < 0)
        return error_wrap(err, "journal");
    return 0;
}

int pipeline_run(struct pipeline *pipeline, struct run *run, struct error *err)
{
    struct stage_hooks hooks = {pipeline, run};
    stage_hook_models(&hooks);
    int status = 0, steps = 0;
    while (status == 0 && !(run->next_stage && !*run->next_stage)) {
        const struct stage *stage = stage_find(run->next_stage ? run->next_stage : stages[0].name);
        if (!stage)
            status = error_set(err, ERROR_INPUT, "the snapshot names a stage \"%s\" that this version does not have",
                               run->next_stage);
        else if (++steps > MAX_STEPS)
            status = error_set(err, ERROR_INTERNAL, "the pipeline made %d steps without an end", steps);
        else
            status = run_stage(pipeline, run, stage, err);
    }
    stage_unhook_models(&hooks);
    return status;
}
