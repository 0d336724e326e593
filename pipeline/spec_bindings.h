/* Examples that name the parameters: "for text = 'a b', width = 3 the result should be 'a…'". */
#ifndef PIPELINE_SPEC_BINDINGS_H
#define PIPELINE_SPEC_BINDINGS_H

#include "pipeline/language.h"
#include "pipeline/spec.h"

/* The call that a line's "name = literal" pairs make, when they give every parameter of the spec's signature that has
 * no default. *rest is where the line goes on behind the last pair (borrowed). Heap; NULL when the line holds no such
 * call. */
char *spec_bound_call(const struct spec *spec, const struct language *language, const char *line, const char **rest);

#endif
