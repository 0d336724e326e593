/* What a model gets to see of the repository, under a token budget.
 *
 * The interface is the one that a symbol index will use; today's version reads the tree: the target file (whole when
 * it fits, else its outline with the symbols that matter in full), the definitions that it imports from the repository,
 * the definitions that the spec names, the nearest related functions by shared names, an existing test of the same
 * module as a style example, and the conventions (AGENTS.md, CONTRIBUTING.md, .github/copilot-instructions.md).
 */
#ifndef PIPELINE_CONTEXT_H
#define PIPELINE_CONTEXT_H

#include <jansson.h>
#include <stddef.h>

#include "app/base/error.h"
#include "pipeline/language.h"

struct context_request {
    const char *tree; /* the base checkout */
    const struct language *language;
    const char *target; /* file to change; may not exist yet; or NULL */
    const char *symbol; /* what is asked for, or NULL */
    const char *text;   /* the spec's text: names in it are looked up */
    size_t budget_tokens;
};

/* {"target": {path, exists, text, whole}, "pieces": [{path, symbol, lines, why, text}], "test_example": {path, text} or
 * null, "conventions": [{path, text}], "tokens": n, "left_out": n}. Owned by the caller. All text is data from the
 * repository. */
json_t *context_gather(const struct context_request *request, struct error *err);

/* Finds the file that defines a top-level symbol: the one path, or NULL when none or several do. Heap. */
char *context_find_definition(const char *tree, const struct language *language, const char *symbol);

/* Removes what people cannot see and could steer a model: HTML comments, zero-width and bidi control characters, other
 * control characters but tab and line end. Heap. (Used on issues, comments and files alike.) */
char *context_clean_text(const char *text);

#endif
