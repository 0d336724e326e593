/* A run: the spec, the change, the evidence and the outcome, as far as they are known. Survives as JSON. */
#ifndef PIPELINE_RUN_H
#define PIPELINE_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/base/error.h"
#include "pipeline/change.h"
#include "pipeline/spec.h"

enum outcome {
    OUTCOME_NONE,
    OUTCOME_PROVEN,
    OUTCOME_UNPROVEN,
    OUTCOME_NEEDS_HUMAN,
    OUTCOME_REJECTED,
    OUTCOME_QUESTION
};
const char *outcome_name(enum outcome outcome); /* "proven", "needs-human", …; "" for none */

struct run {
    struct spec spec;
    struct change change;
    json_t *evidence; /* object: one member for each stage that has something to show */
    json_t *caveats;  /* arrays of texts */
    json_t *assumptions;
    json_t *questions; /* array of {question, options[]} */
    json_t *criteria;  /* array of {criterion, tests[], result}: result "passed", "failed", "assumed", "not testable" */
    json_t *context;   /* what context_gather gave */
    json_t *models;    /* array of names of models that wrote something */
    json_t *files_by;  /* object: path → model */
    json_t *attempts;  /* array of {round, how, model, failing[], digest}: what repair has seen */
    json_t *feedback;  /* what the next repair is told: {kind, items:[…]} */
    json_t *scratch;   /* object: what one stage leaves for a later one (results on base, import rules) */
    char *next_stage;  /* NULL: from the start; "" when it has ended */
    int round;         /* repair rounds used */
    enum outcome outcome;
    char *reason;      /* one line */
    bool out_of_money; /* it stopped before its bound: a higher one lets it go on */
    int64_t tokens_in, tokens_out;
    double cost_usd;
    int64_t elapsed_ms;
};

/* An empty run for a spec's text (cleaned and kept as it is); everything is owned by the run. */
struct languages;
int run_init(struct run *run, const struct languages *languages, const char *title, const char *text,
             struct error *err);
void run_release(struct run *run);

/* Gives the run its outcome and the one-line reason. */
__attribute__((format(printf, 3, 4))) void run_stop(struct run *run, enum outcome outcome, const char *format, ...);

/* True when its change holds code. */
bool run_has_code(const struct run *run);

/* Notes that a model wrote (part of) a file; path may be NULL. */
void run_credit(struct run *run, const char *path, const char *model);

json_t *run_to_json(const struct run *run); /* the snapshot; owned by the caller */
int run_from_json(const json_t *snapshot, struct run *out, struct error *err);

/* The documented JSON of `assay run` without diff and stages (design 1.4): status, files, evidence, caveats,
 * assumptions, rounds, models, tokens, cost_usd, seconds. Owned by the caller. */
json_t *run_to_view(const struct run *run);

#endif
