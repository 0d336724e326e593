/* The tree of a mined task: a repository without the body of one function and without the tests of it. */
#ifndef APP_TASK_TREE_H
#define APP_TASK_TREE_H

#include <jansson.h>

#include "app/base/error.h"
#include "pipeline/language.h"

struct task_tree { /* all borrowed */
    const struct language *language;
    const char *file, *symbol; /* whose body is taken out */
    const json_t *hide;        /* array of tests' ids */
};

/* Copies the files below `from` to `to` (which is made), without links and ".git", and takes out what `task` names:
 * nothing of that is ever written below `to`. `task` NULL: copies all. */
int task_tree_make(const struct task_tree *task, const char *from, const char *to, struct error *err);

#endif
