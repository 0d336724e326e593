/* `assay mine`: tasks for `assay eval` made of a repository's own functions and tests.
 *
 *     app/cli_mine.c    the command: the tree, the order, progress, where tasks go
 *     app/mine_find.c   which functions there are, and which tests run each of them
 *     app/mine_check.c  five runs with the body and five without: does a function make a task?
 *     app/task_tree.c   the tree that a run of the task gets to see (also for `assay eval`)
 *
 * Whatever does not become a task is counted with its reason, so that nobody takes the tasks for more than they are.
 */
#ifndef APP_MINE_H
#define APP_MINE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "pipeline/pipeline.h"

struct mine_function {
    char *file, *symbol, *signature, *documentation;
    json_t *hide;  /* ids of all tests that run it */
    json_t *tests; /* those of them that passed */
};

struct mine {
    struct pipeline *pipeline; /* over the repository's tree; borrowed */
    const struct language *language;
    struct mine_function *functions; /* that may make a task */
    size_t count;
    size_t seen;      /* functions and methods in all */
    json_t *left_out; /* reason → how many */
};

enum { MINE_RUNS = 5, MINE_MAX_LINES = 80, MINE_MAX_TESTS = 40, MINE_MIN_WORDS = 4 };

/* Runs the repository's tests once and finds the functions. ERROR_INPUT when the tests cannot be run. */
int mine_find(struct mine *mine, struct error *err);
void mine_release(struct mine *mine);

/* Counts what is left out. */
void mine_leave_out(struct mine *mine, const char *reason);

/* Tries a function. 0 with a task (owned by the caller), or with NULL and the reason (static storage); -1 when
 * something outside failed. The task has no `task_id` and `repo` yet. */
int mine_check(struct mine *mine, const struct mine_function *function, json_t **task, const char **reason,
               struct error *err);

#endif
