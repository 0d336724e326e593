/* Mutants: small faults put into the lines that a change wrote, to see whether its tests find them.
 *
 * Where a fault can be put, and which, is in the language table (`mutants`): a query whose capture is replaced, by the
 * text that `tokens` has for what stands there, else by the form of the capture's name. A mutant is JSON: {"path",
 * "line", "kind" (the capture's name), "start", "end" (bytes), "was", "now"}.
 */
#ifndef PIPELINE_MUTANTS_H
#define PIPELINE_MUTANTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "pipeline/changed.h"
#include "pipeline/language.h"

/* Adds every mutant of the text's changed lines to `out`, by their places; none where the language has no table. */
int mutants_find(const struct language *language, const char *path, const char *text, size_t len,
                 const struct changed_lines *changed, json_t *out, struct error *err);

/* Leaves at most `most`, drawn by the seed: the same ones for the same seed. */
void mutants_sample(json_t *mutants, size_t most, uint64_t seed);

/* The text with one mutant in it. Heap. */
char *mutants_apply(const char *text, size_t len, const json_t *mutant);

#endif
