/* Tasks made of a repository's own functions: what is taken out of its tree, and how its own tests judge what comes in
 * its place.
 *
 * A test is named as everywhere: "tests/test_cart.py::TestCart::test_total", without parameters.
 */
#ifndef PIPELINE_MINED_H
#define PIPELINE_MINED_H

#include <jansson.h>
#include <stdbool.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "pipeline/pipeline.h"

/* Appends the text with the function's body replaced by one that only fails; decorators, signature and documentation
 * stay. ERROR_INPUT when it does not define the function. */
int mined_blank(const struct language *language, const char *text, size_t len, const char *symbol, struct buf *out,
                struct error *err);

/* Appends the text without the tests of `ids` (array) that are in the file `path`. ERROR_INPUT for a test that does not
 * stand in it by its name: one that a class inherits. */
int mined_hide(const struct language *language, const char *path, const char *text, size_t len, const json_t *ids,
               struct buf *out, struct error *err);

/* "tests/test_x.py" of a test's id. Heap. */
char *mined_file_of(const char *id);
/* The id without its parameters: "…::test_total" of "…::test_total[1-2]". Heap. */
char *mined_without_parameters(const char *id);

/* Runs the tests (array of paths) of the pipeline's tree and gives what the language's `cover` command reports.
 * `source` is a file of the code: modules are found from its source root. Owned by the caller. */
json_t *mined_coverage(struct pipeline *pipeline, const struct language *language, const char *source,
                       const json_t *paths, int64_t timeout_ms, struct error *err);

/* How tests fared: object from each id of `ids` to "passed" or "failed" ("failed" when one of its cases did, or it did
 * not run), with `extra` files on top of the tree. *whole is false when nothing ran, since a file could not even be
 * loaded. Owned by the caller. */
json_t *mined_run(struct pipeline *pipeline, const struct language *language, const char *source,
                  const struct change_file *extra, size_t extra_count, const json_t *ids, bool *whole,
                  struct error *err);

/* Runs hidden tests, whose files are taken from the tree `origin`, against the run's code, whatever its outcome. */
int mined_test(struct pipeline *pipeline, const struct run *run, const char *origin, const json_t *ids,
               enum hidden_end *end, struct error *err);

#endif
