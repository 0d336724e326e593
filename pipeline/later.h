/* Tests that are written after the lock: tried on the code and judged by the witnesses, and kept in files of their own.
 *
 * A test that most of the independent implementations fail expects something else than what was asked for.
 */
#ifndef PIPELINE_LATER_H
#define PIPELINE_LATER_H

#include <jansson.h>

#include "app/base/error.h"
#include "pipeline/stage.h"
#include "pipeline/testfile.h"

struct later_question {
    const char *template_path;
    const json_t *extra; /* added to the prompt's view */
    const char *header;  /* goes before what the model writes, such as imports; NULL: nothing */
    int64_t seed;
    size_t most; /* tests that are taken */
};

/* What the tests' model writes goes into `file`; nothing when there is no money left or nothing that can be used.
 * *author: heap, the model's name, when it has answered. */
int later_ask(struct pipeline *pipeline, struct run *run, const struct later_question *asked, struct testfile *file,
              char **author, struct error *err);

/* Adds one to the count of each test (name → number) that passes with `files` and the test file on top of `layers`;
 * `files` has room for one more. */
int later_count(struct pipeline *pipeline, const struct run *run, int layers, const struct testfile *file,
                struct change_file *files, size_t count, json_t *passes, struct error *err);

/* Drops the tests whose count is below `least` or above `most`. */
void later_keep(struct testfile *file, const json_t *counts, json_int_t least, json_int_t most);

/* Drops the tests that not most of the witnesses pass; all stay where there are none. */
int later_keep_agreed(struct pipeline *pipeline, const struct run *run, struct testfile *file, struct error *err);

/* The implementations that were written without sight of any test, in the run's scratch: array of codes, or NULL. */
const json_t *later_witnesses(const struct run *run);
/* Drops the tests that most of them cannot pass any more: `passes` counts what the first `heard` of them passed. After
 * the last of them those stay that most pass. False when none is left. */
bool later_keep_possible(const struct run *run, struct testfile *file, const json_t *passes, size_t heard);

/* Puts the file into the change; `note` becomes its first line, a comment. */
int later_put(struct pipeline *pipeline, struct run *run, const struct testfile *file, const char *note,
              const char *author, struct error *err);

#endif
