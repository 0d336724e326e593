/* What the stage mutation is made of: mutants (mutants.h) that are tried out, and tests that find those which survive.
 *
 * A mutant that was tried has "fate": killed, survived, timeout (the tests do not end: found as well), equivalent (the
 * same bytecode), invalid (no program, or one that was tried already) or skipped (the time was up); and "failed": the
 * names of the tests that found it.
 */
#ifndef PIPELINE_MUTATION_H
#define PIPELINE_MUTATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"
#include "pipeline/stage.h"

/* Runs tests (array of paths) on all mutants in one sandbox, with the file `extra` (or NULL) on top of the change;
 * `first`: up to the first test that fails. When the tests do not pass without a mutant, `trouble` says so and nothing
 * is known. */
int mutation_run(struct pipeline *pipeline, const struct run *run, const struct change_file *extra, json_t *mutants,
                 const json_t *tests, bool first, struct error *trouble, struct error *err);

/* False, with the reason in `trouble`, when the time was up before half of the mutants were tried: then the score of
 * the rest says nothing. */
bool mutation_is_measured(const json_t *mutants, struct error *trouble);

/* Asks the tests' model once for tests that find the survivors. Those that pass on the code and on most of the
 * independent implementations and find one join the change as later tests, named in `added`; what they find is killed.
 * 0 also when no such test was written. */
int mutation_add_tests(struct pipeline *pipeline, struct run *run, json_t *mutants, json_t *added, struct error *err);

#endif
