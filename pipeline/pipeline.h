/* From a spec to a proven change: the stage table, and the run that passes through it.
 *
 * The pipeline knows no forge and no store. It reads a checked-out tree, asks models, runs things in the sandbox, and
 * tells a journal what it does. After each stage the whole run is a JSON snapshot; handing the last one back to
 * run_from_json() and pipeline_run() goes on where it stopped.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/base/yaml.h"
#include "pipeline/language.h"
#include "pipeline/model.h"
#include "pipeline/run.h"
#include "sandbox/sandbox.h"

/* What a repository's .github/assay.yml says about runs; all optional. */
struct policy {
    struct yaml_texts allowed_imports;
    struct yaml_texts forbidden_paths;
    struct yaml_texts test_command; /* argv in place of the language table's */
};

/* Who is told. Every member is required; `context` is handed back. */
struct journal {
    void *context;
    /* A stage begins; *id is handed to stage_end. An error stops the run. */
    int (*stage_begin)(void *context, const char *stage, int round, const char *input_digest, int64_t *id,
                       struct error *err);
    int (*stage_end)(void *context, int64_t id, const char *status, const char *detail, const json_t *snapshot,
                     struct error *err);
    void (*model_call)(void *context, int64_t stage_id, const struct model_call *call);
    bool (*cancelled)(void *context); /* asked several times a second */
};

/* How much evidence is enough for "proven"; shares of 1, 0: none is asked for. */
struct thresholds {
    double coverage; /* of the changed lines and branches, that tests run */
    double mutation; /* of the mutants of changed lines, that tests find */
};

/* Means that make the outcome better and can be switched off, to measure what each is worth. */
enum mean {
    MEAN_WITNESSES,
    MEAN_RESAMPLE,
    MEAN_PROPERTIES,
    MEAN_COVERAGE,
    MEAN_MUTANTS,
    MEAN_COUNT,
};

struct pipeline {
    const struct languages *languages;
    struct models *models;
    struct sandbox *sandbox;
    const char *tools; /* folder of pinned tools */
    const char *tree;  /* the checked-out base */
    struct policy policy;
    struct thresholds thresholds;
    int64_t repair_rounds, context_tokens;
    unsigned without; /* bit n: the mean n of enum mean is switched off */
    int64_t samples;  /* implementations that may be asked for before the tests are locked; 0: none */
    struct journal journal;
    const struct log *log;
    int64_t seed;     /* of the inputs that properties are tried on; 0: a fresh one for each run */
    int64_t stage_id; /* of the stage that runs now; set by pipeline_run */
};

/* Runs the remaining stages. 0 when the run has an outcome; -1 when something outside failed (model, sandbox, journal)
 * or it was cancelled: the run can be resumed from its last snapshot. */
int pipeline_run(struct pipeline *pipeline, struct run *run, struct error *err);

/* The stages in order, for progress: the name of number `index` and in *help what it does; NULL past the last. */
const char *pipeline_stage(size_t index, const char **help);

/* The name of a mean, and in *help what it does; NULL past the last. */
const char *pipeline_mean(enum mean mean, const char **help);
bool pipeline_uses(const struct pipeline *pipeline, enum mean mean);

/* The baseline: one greedy answer to `source` (a function without its body) or, when that is NULL, to the spec's text;
 * read and placed as any other; no tests, no second try. The run's spec names file, language and symbol
 * (pipeline_single_shot takes the signature from it). The outcome is unproven, or rejected when there is no code in the
 * answer. */
int pipeline_single_shot(struct pipeline *pipeline, struct run *run, const char *source, struct error *err);

/* How code fared with a test that nobody had seen. */
enum hidden_end { HIDDEN_NO_CODE, HIDDEN_FAILED, HIDDEN_CUT_SHORT, HIDDEN_PASSED };
const char *hidden_end_name(enum hidden_end end); /* "no code", … */

/* Runs a hidden test (source that defines check(candidate)) against the run's code, whatever its outcome. Nothing of it
 * stays in the run. -1 when the sandbox failed. */
int pipeline_hidden_test(struct pipeline *pipeline, const struct run *run, const char *entry_point, const char *test,
                         enum hidden_end *end, struct error *err);

/* `assay verify`: the tests (paths) are run on `red_tree` and on `green_tree`; out: {"proven": bool, "reason", "red":
 * {…}, "green": {…}}. */
json_t *pipeline_verify(struct pipeline *pipeline, const char *red_tree, const char *green_tree,
                        const struct yaml_texts *test_files, struct error *err);

/* The pull request's (or comment's) text for a run, from templates/replies: view = run_to_view() and what `extra` adds
 * (forge things: issue number, requester). Heap. */
char *pipeline_describe(const struct run *run, const char *template_path, const json_t *extra, struct error *err);

#endif
