#include "pipeline/run.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"

static const char *const outcomes[] = {
    [OUTCOME_NONE] = "",
    [OUTCOME_PROVEN] = "proven",
    [OUTCOME_UNPROVEN] = "unproven",
    [OUTCOME_NEEDS_HUMAN] = "needs-human",
    [OUTCOME_REJECTED] = "rejected",
    [OUTCOME_QUESTION] = "question",
};

const char *outcome_name(enum outcome outcome)
{
    return outcome <= OUTCOME_QUESTION ? outcomes[outcome] : "";
}

/* The JSON members of a run, all of them saved and loaded the same way. */
static const struct member {
    const char *name;
    size_t offset;
    bool is_object;
} members[] = {
    {"evidence", offsetof(struct run, evidence), true},        {"caveats", offsetof(struct run, caveats), false},
    {"assumptions", offsetof(struct run, assumptions), false}, {"questions", offsetof(struct run, questions), false},
    {"criteria", offsetof(struct run, criteria), false},       {"context", offsetof(struct run, context), true},
    {"models", offsetof(struct run, models), false},           {"files_by", offsetof(struct run, files_by), true},
    {"attempts", offsetof(struct run, attempts), false},       {"feedback", offsetof(struct run, feedback), true},
    {"scratch", offsetof(struct run, scratch), true},
};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static json_t **member_at(struct run *run, size_t index)
{
    return (json_t **)((char *)run + members[index].offset);
}

static void init_members(struct run *run)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        *member_at(run, i) = members[i].is_object ? json_object() : json_array();
}

int run_init(struct run *run, const struct languages *languages, const char *title, const char *text, struct error *err)
{
    struct run fresh = {0};
    if (spec_read(languages, title, text, &fresh.spec, err) < 0)
        return error_wrap(err, "read the spec");
    init_members(&fresh);
    *run = fresh;
    return 0;
}

void run_release(struct run *run)
{
    spec_release(&run->spec);
    change_release(&run->change);
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        json_decref(*member_at(run, i));
    free(run->next_stage);
    free(run->reason);
    *run = (struct run){0};
}

json_t *run_to_json(const struct run *run)
{
    json_t *out =
        json_pack("{s:o, s:o, s:s*, s:i, s:s, s:s*, s:b, s:I, s:I, s:f, s:I}", "spec", spec_to_json(&run->spec),
                  "change", change_to_json(&run->change), "next_stage", run->next_stage, "round", run->round, "outcome",
                  outcome_name(run->outcome), "reason", run->reason, "out_of_money", run->out_of_money, "tokens_in",
                  (json_int_t)run->tokens_in, "tokens_out", (json_int_t)run->tokens_out, "cost_usd", run->cost_usd,
                  "elapsed_ms", (json_int_t)run->elapsed_ms);
    for (size_t i = 0; out && i < MEMBER_COUNT; i++)
        json_object_set(out, members[i].name, *member_at((struct run *)run, i));
    return out;
}

static enum outcome outcome_of(const char *name)
{
    for (size_t i = 0; i <= OUTCOME_QUESTION; i++)
        if (strcmp(outcomes[i], name) == 0)
            return (enum outcome)i;
    return OUTCOME_NONE;
}

static int members_from_json(const json_t *snapshot, struct run *run, struct error *err)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        json_t *value = json_object_get(snapshot, members[i].name);
        if (!value || json_is_object(value) != members[i].is_object)
            return error_set(err, ERROR_INPUT, "snapshot: \"%s\" is missing or has the wrong type", members[i].name);
        *member_at(run, i) = json_deep_copy(value);
    }
    return 0;
}

int run_from_json(const json_t *snapshot, struct run *out, struct error *err)
{
    struct run run = {0};
    if (spec_from_json(json_object_get(snapshot, "spec"), &run.spec, err) < 0 ||
        change_from_json(json_object_get(snapshot, "change"), &run.change, err) < 0 ||
        members_from_json(snapshot, &run, err) < 0) {
        run_release(&run);
        return error_wrap(err, "resume the run");
    }
    const char *next = json_text_at(snapshot, "next_stage", NULL), *reason = json_text_at(snapshot, "reason", NULL);
    run.next_stage = next ? strdup(next) : NULL;
    run.reason = reason ? strdup(reason) : NULL;
    run.round = (int)json_int_at(snapshot, "round", 0);
    run.outcome = outcome_of(json_text_at(snapshot, "outcome", ""));
    run.out_of_money = json_true_at(snapshot, "out_of_money");
    run.tokens_in = json_int_at(snapshot, "tokens_in", 0);
    run.tokens_out = json_int_at(snapshot, "tokens_out", 0);
    run.cost_usd = json_number_value(json_object_get(snapshot, "cost_usd"));
    run.elapsed_ms = json_int_at(snapshot, "elapsed_ms", 0);
    *out = run;
    return 0;
}

json_t *run_to_view(const struct run *run)
{
    json_t *files = json_array();
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        json_array_append_new(files, json_pack("{s:s, s:s?, s:s, s:b, s:s}", "path", file->path, "content",
                                               file->content, "kind", file->kind == FILE_TEST ? "test" : "code",
                                               "is_new", file->is_new, "author", file->author ? file->author : ""));
    }
    return json_pack("{s:s, s:s, s:o, s:O, s:O, s:O, s:O, s:O, s:i, s:O, s:{s:I, s:I}, s:f, s:f}", "status",
                     outcome_name(run->outcome), "reason", run->reason ? run->reason : "", "files", files, "evidence",
                     run->evidence, "caveats", run->caveats, "assumptions", run->assumptions, "questions",
                     run->questions, "criteria", run->criteria, "rounds", run->round, "models", run->models, "tokens",
                     "in", (json_int_t)run->tokens_in, "out", (json_int_t)run->tokens_out, "cost_usd", run->cost_usd,
                     "seconds", (double)run->elapsed_ms / 1000.0);
}

void run_stop(struct run *run, enum outcome outcome, const char *format, ...)
{
    va_list args;
    char *reason = NULL;
    va_start(args, format);
    if (vasprintf(&reason, format, args) < 0)
        reason = NULL;
    va_end(args);
    free(run->reason);
    run->reason = reason;
    run->outcome = outcome;
}

void run_credit(struct run *run, const char *path, const char *model)
{
    size_t index;
    json_t *known;
    bool seen = false;
    json_array_foreach (run->models, index, known)
        seen = seen || strcmp(json_string_value(known), model) == 0;
    if (!seen)
        json_array_append_new(run->models, json_string(model));
    if (path)
        json_object_set_new(run->files_by, path, json_string(model));
}

bool run_has_code(const struct run *run)
{
    for (size_t i = 0; i < run->change.count; i++)
        if (run->change.files[i].kind == FILE_CODE && run->change.files[i].content)
            return true;
    return false;
}
