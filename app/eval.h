/* `assay eval`: a model and the pipeline, measured on tasks with hidden tests.
 *
 *     app/cli_eval.c       the command: what to run, progress, where it goes
 *     app/eval_task.c      reads tasks, and makes of each what a run gets to see
 *     app/eval_run.c       one task: the run, then the hidden test, then the result line
 *     app/eval_workers.c   several tasks at once
 *     app/eval_results.c   the file of results
 *     app/eval_summary.c   the rates, with their intervals; app/eval_compare.c: two runs, task by task
 *
 * A result line is a JSON object: task_id, status, first_try, after_repair, static, hidden, rounds, seconds, tokens_in,
 * tokens_out, cost_usd, model, templates (design 1.4), and what tells runs apart: mode, configured, without,
 * repair_rounds; reason and hidden_end say more for people.
 */
#ifndef APP_EVAL_H
#define APP_EVAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app/base/error.h"
#include "app/engine.h"
#include "app/eval_task.h"
#include "app/stop.h"
#include "app/store.h"

/* How tasks are run; the same for all of one evaluation. Everything is borrowed. */
struct eval_setup {
    bool single_shot;
    unsigned without; /* of enum mean */
    int64_t repair_rounds;
    json_t *identity; /* {mode, configured, without, repair_rounds, templates}: the same in all its result lines */
    const struct config *config;
    struct engine *engine;
    struct secrets *secrets;
    const struct log *log;
    struct stop *stop;
    size_t jobs;        /* tasks at once */
    const char *folder; /* for trees; set by eval_run_all() */
};

/* Makes `identity` from the rest; owned by the caller. */
json_t *eval_identity(const struct eval_setup *setup);

/* Runs one task; the result line is owned by the caller. -1 when something outside failed: that is no result. */
json_t *eval_run(const struct eval_setup *setup, const struct eval_tasks *tasks, const struct eval_task *task,
                 struct error *err);

/* Who hears what came of each task: a line (borrowed), or NULL and why. -1 ends the evaluation. */
struct eval_sink {
    int (*result)(void *context, size_t index, json_t *line, const struct error *failure, struct error *err);
    void *context;
};

/* Runs the tasks of these indexes, `jobs` at once, each worker a process of its own. */
int eval_run_all(const struct eval_setup *setup, const struct eval_tasks *tasks, const size_t *indexes, size_t count,
                 const struct eval_sink *sink, struct error *err);

/* ---- the file of results ---- */

struct eval_results {
    json_t *lines;       /* all that the file holds */
    int fd;              /* locked; -1 when results go to standard output */
    struct store *store; /* gets a copy of each, or NULL; owned */
    int64_t run;         /* there */
    const struct log *log;
};

/* Opens (or makes) the file; NULL: standard output. A last line that was cut short is taken off. ERROR_USAGE for a file
 * of something else, ERROR_CONFLICT when another run writes to it. */
int eval_results_open(const char *path, struct eval_results *out, struct error *err);
/* Reads a file that is not written to. Array, owned by the caller. */
json_t *eval_results_read(const char *path, struct error *err);
/* The result of a task made in the same way, or NULL. Borrowed. */
json_t *eval_results_find(const struct eval_results *results, const json_t *identity, const char *task_id);
/* From now on results go to the store too: after the file, and without it when it fails (which is logged). `tasks` and
 * `path` are the two files' names. */
void eval_results_keep(struct eval_results *results, const char *database, const char *tasks, const char *path,
                       const json_t *identity, const struct log *log);
/* Notes in the store what stands in the file already. */
void eval_results_copy(struct eval_results *results, const json_t *line);
/* Appends and syncs; the line is borrowed. */
int eval_results_add(struct eval_results *results, json_t *line, struct error *err);
void eval_results_close(struct eval_results *results);

/* True when two lines (or a line and an identity) were made in the same way. */
bool eval_is_same(const json_t *a, const json_t *b);

/* ---- what they say ---- */

/* A boolean of the line ("hidden"), or a status ("proven"). */
bool eval_holds(const json_t *line, const char *what);

/* {"runs": [{model, templates, mode, …, tasks, status{}, rates{}, rounds, tokens{}, cost_usd{}, seconds{}}]}, one for
 * each way and model version. Owned by the caller. */
json_t *eval_summary(const json_t *lines);
void eval_summary_print(const json_t *summary, FILE *out);

/* {"tasks", "only_a_file", …, "rates": [{name, a, b, both, only_a[], only_b[], neither, p}]}; the tasks that both hold.
 */
json_t *eval_compare(const json_t *a, const json_t *b, struct error *err);
void eval_compare_print(const json_t *comparison, FILE *out);

#endif
