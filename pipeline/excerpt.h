/* What a change wrote in a file, for a model that is to mend it: of a long file the rest would only cost. */
#ifndef PIPELINE_EXCERPT_H
#define PIPELINE_EXCERPT_H

#include "app/base/error.h"
#include "pipeline/change.h"
#include "pipeline/language.h"

/* The imports and the definitions that the change wrote or altered, each whole, in the file's order, and the definition
 * of `symbol` (NULL: none) whether altered or not; a member stands below the head of its class. "" when nothing is
 * left, as after a removal. Heap; NULL with an error when the file cannot be compared with its base in `tree`. */
char *excerpt_of_change(const struct language *language, const struct change_file *file, const char *tree,
                        const char *symbol, struct error *err);

#endif
