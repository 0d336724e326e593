/* The test file that a run writes: put together by us from the spec's examples and from what a model wrote.
 *
 * Of a model's code only test definitions, fixtures, helpers and imports are taken, each only if it parses by itself; a
 * definition or import of the very thing under test is left out, so that a test file cannot bring its own
 * implementation.
 */
#ifndef PIPELINE_TESTFILE_H
#define PIPELINE_TESTFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"
#include "pipeline/imports.h"
#include "pipeline/language.h"
#include "pipeline/spec.h"

struct testfile {
    const struct language *language;
    const struct import_rules *rules;
    char *path;              /* where it goes: a path that the tree does not have yet */
    char *text;              /* so far */
    char *trusted_text;      /* the header and the tests made from examples alone */
    const struct spec *spec; /* borrowed; NULL for a file that was taken up again */
    json_t *undecided;       /* tests left out since they expect what the request does not say: array of texts */
    char *symbol;            /* what is under test: its outer name ("Cart" of "Cart.total") */
    char *module;            /* where it is, as an import names it; NULL for a file that was taken up again */
    char *target;            /* that file's text on base, "" for a new one */
    size_t trusted_count;    /* tests made from the spec's examples */
    size_t test_count;       /* tests written by a model */
};

/* Starts the file for a spec (file, symbol and examples are set). `language` and `rules` are borrowed. */
int testfile_init(struct testfile *file, const struct language *language, const struct import_rules *rules,
                  const char *tree, const struct spec *spec, struct error *err);
/* Gives the file another name than its symbol's: "slugify_mutants". */
int testfile_name(struct testfile *file, const char *tree, const char *name, struct error *err);
void testfile_release(struct testfile *file);

/* The most tests that one file takes. */
enum { TESTFILE_MAX_TESTS = 40 };

/* Takes up a file that was written before, with the text that held its examples' tests alone. */
int testfile_open(struct testfile *file, const struct language *language, const char *path, const char *text,
                  const char *trusted_text, struct error *err);

/* The names of its tests as a report gives them, in the file's order: array of texts. Owned by the caller. */
json_t *testfile_names(const struct testfile *file);

/* Adds a test made from an example, with imports of names that it uses and that the target file or the request's own
 * import lines explain; before the first testfile_add(). */
int testfile_add_trusted(struct testfile *file, const char *code, struct error *err);

/* Adds what is usable of a model's code. A test that expects an error which the request does not speak of is left out:
 * models like to invent such, and the request alone decides. Up to `max` tests in all; a name that is taken gets a
 * number. ERROR_INPUT with a sentence for the model when nothing is usable. */
int testfile_add(struct testfile *file, const char *code, size_t max, struct error *err);

/* True when a report's name ("test_example_2", "test_x[1-2]") is that of a test made from an example. */
bool testfile_is_trusted(const struct testfile *file, const char *name);

/* Takes out a test, or a class's method, by the name that a report gives it. False when it is not there. */
bool testfile_drop(struct testfile *file, const char *name);

/* The first test written by a model that a message names ("In test_x: function uses no argument 'y'"). Heap, or NULL.
 */
char *testfile_mentioned(const struct testfile *file, const char *message);

/* Forgets all that a model wrote. */
int testfile_reset(struct testfile *file, struct error *err);

#endif
