/* The tasks of `assay eval`: a file with one JSON object a line, in HumanEval's format or with `spec` and `repo`.
 *
 *   task_id      names it
 *   prompt       imports, helpers, and the wanted function's signature with its docstring, as one source text
 *   entry_point  the function's name
 *   test         hidden: source that defines check(candidate)
 *   language     "python" when absent
 *   spec         what is asked for, as Markdown, in place of what the docstring says
 *   repo         a folder or a git bundle, relative to the tasks' file: the tree in which it is asked for
 *
 * A task that `assay mine` made of a repository's own function has, in place of `test`:
 *   file         where entry_point is: its body is taken out of the tree
 *   hide         tests that are taken out of the tree: array of ids, "tests/test_cart.py::TestCart::test_total"
 *   tests        those of them that are run afterwards, from `repo`
 *
 * The hidden test is read here, kept here, and given to the sandbox after the outcome stands; nothing else sees it.
 */
#ifndef APP_EVAL_TASK_H
#define APP_EVAL_TASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"
#include "pipeline/language.h"

struct eval_task {
    const char *id, *prompt, *entry_point, *test, *language, *spec, *repo, *file; /* from `source`; "" when absent */
    const json_t *hide, *tests; /* borrowed from `source`; NULL when absent */
    json_t *source;
};

struct eval_tasks {
    struct eval_task *items;
    size_t count;
    char *folder; /* of the file */
};

/* Reads the file; ERROR_USAGE with the line's number for what is no task, for an id that is there twice, and for an
 * unknown language. */
int eval_tasks_read(const char *path, const struct languages *languages, struct eval_tasks *out, struct error *err);
void eval_tasks_release(struct eval_tasks *tasks);

/* Keeps `count` of them, in their order: those whose ids have the smallest digests together with the seed, so that the
 * same seed gives the same tasks, and a larger sample holds the smaller one. */
void eval_tasks_sample(struct eval_tasks *tasks, size_t count, long long seed);

/* What a run gets to see of a task. */
struct eval_question {
    char *tree;   /* a checked-out base */
    char *origin; /* of a mined task: the repository with all its tests; no run sees it. NULL otherwise */
    char *title;  /* the spec's */
    char *text;   /* the spec */
};

/* Makes the tree below `folder` (which is fresh) and the spec. */
int eval_task_prepare(const struct eval_tasks *tasks, const struct eval_task *task, const struct languages *languages,
                      const char *folder, struct eval_question *out, struct error *err);
/* The spec of a function that is known by signature and documentation. Heap. */
char *eval_spec_text(const char *signature, const char *file, const char *language, const char *documentation);
void eval_question_release(struct eval_question *question);

#endif
