/* repair: mends the code by what failed. Repair once, then a fresh sample at a higher temperature, then repair again;
 * the stronger model from round 2. What failed is hashed: the same set again ends the loop as oscillation, but only
 * once a fresh sample had its chance, since a first repair that changes nothing is what the fresh sample is for. */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/digest.h"
#include "app/base/json.h"

enum how { REPAIR, RESAMPLE };

static const struct plan {
    enum how how;
    const char *name, *template_path;
    size_t step; /* on the route */
    double temperature;
} plans[] = {
    {REPAIR, "repair", "prompts/repair.mustache", 0, 0.2},
    {RESAMPLE, "fresh sample", "prompts/implement.mustache", 1, 0.8},
    {REPAIR, "repair", "prompts/repair.mustache", 1, 0.4},
};

enum { PLAN_COUNT = sizeof plans / sizeof plans[0] };

/* The names of what failed, sorted: which tests, or which findings. */
static void digest_of_failures(const struct run *run, char hex[static DIGEST_HEX_SIZE])
{
    json_auto_t *names = json_object();
    size_t index;
    json_t *item;
    json_array_foreach (json_object_get(run->feedback, "items"), index, item) {
        const char *name = json_text_at(item, "test", "");
        bool is_finding = strcmp(json_text_at(run->feedback, "kind", ""), "tests") != 0;
        AUTO_FREE char *key = text_format("%s %s", name, is_finding ? json_text_at(item, "message", "") : "");
        json_object_set_new(names, key ? key : name, json_true());
    }
    AUTO_FREE char *text = json_write(names, NULL);
    digest_sha256(text ? text : "", text ? strlen(text) : 0, hex);
}

static size_t failure_count(const struct run *run)
{
    /* Code that does not even reach the tests is further away than any number of failing ones, and no code still more;
     * but an implementation that passed them all before is as near as can be, whatever the static gate finds in it. */
    const char *kind = json_text_at(run->feedback, "kind", "");
    bool passes = !run->round && json_true_at(run->scratch, "witness_passes");
    size_t distance = strcmp(kind, "tests") == 0 ? 0 : strcmp(kind, "answer") == 0 ? 100000 : passes ? 0 : 1000;
    return json_array_size(json_object_get(run->feedback, "items")) + distance;
}

static bool seen_before(const struct run *run, const char *digest)
{
    size_t index;
    json_t *attempt;
    json_array_foreach (run->attempts, index, attempt)
        if (strcmp(json_text_at(attempt, "digest", ""), digest) == 0)
            return true;
    return false;
}

/* Keeps the attempt that came closest; a person who takes over starts from it. */
static void remember(struct run *run, const char *digest)
{
    const json_t *items = json_object_get(run->feedback, "items");
    const char *how = run->round ? plans[(run->round - 1) % PLAN_COUNT].name : "first answer";
    json_array_append_new(run->attempts,
                          json_pack("{s:i, s:s, s:s, s:s, s:O}", "round", run->round, "how", how, "digest", digest,
                                    "kind", json_text_at(run->feedback, "kind", ""), "failing", items));
    const json_t *best = json_object_get(run->scratch, "best");
    if (!best || failure_count(run) < (size_t)json_int_at(best, "failures", 0))
        json_object_set_new(run->scratch, "best",
                            json_pack("{s:I, s:o, s:o}", "failures", (json_int_t)failure_count(run), "change",
                                      change_to_json(&run->change), "feedback", json_deep_copy(run->feedback)));
}

static int restore_best(struct run *run)
{
    const json_t *best = json_object_get(run->scratch, "best");
    struct change change = {0};
    if (!best || change_from_json(json_object_get(best, "change"), &change, NULL) < 0)
        return -1;
    change_release(&run->change);
    run->change = change;
    json_object_clear(run->feedback);
    json_object_update(run->feedback, json_object_get(best, "feedback"));
    return 0;
}

static int give_up(struct run *run, struct stage_result *result, const char *why)
{
    restore_best(run);
    const json_t *first = json_array_get(json_object_get(run->feedback, "items"), 0);
    run_stop(run, OUTCOME_NEEDS_HUMAN, "%s; %zu still fail, first: %s: %.200s", why,
             json_array_size(json_object_get(run->feedback, "items")), json_text_at(first, "test", ""),
             json_text_at(first, "message", ""));
    return stage_end(result, VERDICT_STOPPED, "%s", run->reason);
}

/* An answer that cannot be used takes the round's place as what failed. */
static int unusable(struct pipeline *pipeline, struct run *run, struct stage_result *result, const char *message,
                    struct error *err)
{
    json_object_clear(run->feedback);
    json_object_update_new(run->feedback, json_pack("{s:s, s:[{s:s, s:s, s:s}]}", "kind", "answer", "items", "test",
                                                    "the answer", "message", message, "details", ""));
    return stage_repair(pipeline, run, result, err); /* the next round, or the end of the rounds */
}

/* What failed, as the prompt shows it: in full while it fits into half of the budget for context, the first in any
 * case; of others the name and the message while these fit; the rest is counted. */
static json_t *shown_failures(const struct pipeline *pipeline, const json_t *items)
{
    json_t *shown = json_array();
    int64_t left = pipeline->context_tokens / 2, more = 0;
    size_t index;
    json_t *item;
    json_array_foreach (items, index, item) {
        const char *test = json_text_at(item, "test", ""), *message = json_text_at(item, "message", "");
        int64_t brief = (int64_t)(model_estimate_tokens(test) + model_estimate_tokens(message));
        int64_t whole = brief + (int64_t)model_estimate_tokens(json_text_at(item, "details", ""));
        if (index == 0 || whole <= left) {
            json_array_append(shown, item);
            left -= whole;
        } else if (brief <= left) {
            json_array_append_new(shown, json_pack("{s:s, s:s, s:s}", "test", test, "message", message, "details", ""));
            left -= brief;
        } else {
            more++;
        }
    }
    json_t *view = json_pack("{s:o}", "items", shown);
    if (more)
        json_object_set_new(view, "more", json_integer(more));
    return view;
}

static int ask(struct pipeline *pipeline, struct run *run, const struct plan *plan, struct model_answer *answer,
               struct error *err)
{
    json_auto_t *schema = stage_code_schema();
    json_auto_t *extra =
        json_pack("{s:o, s:i}", "feedback", shown_failures(pipeline, json_object_get(run->feedback, "items")), "round",
                  run->round);
    struct stage_question question = {.role = ROLE_REPAIR,
                                      .step = plan->step,
                                      .template_path = plan->template_path,
                                      .completes = plan->how == RESAMPLE,
                                      .extra = extra,
                                      .temperature = plan->temperature,
                                      .seed = 10 + run->round,
                                      .schema = schema,
                                      .schema_name = "code"};
    return stage_ask(pipeline, run, &question, answer, err);
}

/* What the static gate complains about in one of the implementations that agree may be right in another, which costs
 * nothing. True when there was one that the gate has not seen. */
static bool take_another(struct pipeline *pipeline, struct run *run, struct stage_result *result)
{
    json_t *others = json_object_get(run->scratch, "alternatives");
    bool taken = false;
    if (strcmp(json_text_at(run->feedback, "kind", ""), "static") != 0)
        return false;
    while (!taken && json_array_size(others)) {
        change_drop(&run->change, FILE_CODE);
        taken = stage_take_code(pipeline, run, json_array_get(others, 0), NULL) == 0;
        json_array_remove(others, 0);
    }
    if (taken)
        stage_end(result, VERDICT_PASSED, "another of the implementations that agree");
    return taken;
}

int stage_repair(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    char digest[DIGEST_HEX_SIZE];
    digest_of_failures(run, digest);
    bool again = seen_before(run, digest);
    remember(run, digest);
    if (take_another(pipeline, run, result))
        return 0;
    if (again && run->round >= 2)
        return give_up(run, result, "the repair loop oscillates: the same tests fail again");
    if (run->round >= pipeline->repair_rounds)
        return give_up(run, result, "the repair rounds are used up");
    const struct plan *plan = &plans[run->round % PLAN_COUNT];
    if (plan->how == RESAMPLE && !pipeline_uses(pipeline, MEAN_RESAMPLE))
        plan = &plans[0];
    run->round++;
    if (plan->how == RESAMPLE)
        change_drop(&run->change, FILE_CODE);
    else if (run->round > 1)
        restore_best(run);
    struct model_answer answer = {0};
    if (ask(pipeline, run, plan, &answer, err) < 0)
        return error_wrap(err, "round %d", run->round);
    struct error problem = {0};
    int applied = stage_apply_answer(pipeline, run, answer.text, answer.name, &problem);
    AUTO_FREE char *model = strdup(answer.name);
    model_answer_release(&answer);
    if (applied == 0)
        return stage_end(result, VERDICT_PASSED, "round %d: %s by %s", run->round, plan->name, model ? model : "");
    if (problem.code != ERROR_DENIED)
        return unusable(pipeline, run, result, problem.message, err);
    run_stop(run, OUTCOME_REJECTED, "%s", problem.message);
    return stage_end(result, VERDICT_STOPPED, "%s", problem.message);
}
