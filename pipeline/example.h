/* Examples of a spec as test code: a test file's top, and one function for each example. */
#ifndef PIPELINE_EXAMPLE_H
#define PIPELINE_EXAMPLE_H

#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "pipeline/language.h"
#include "pipeline/spec.h"

/* Appends the top of a test file that takes `symbols` ("slugify", "Cart.total": its class is taken) from `module`. */
int example_header_render(const struct language *language, const char *module, const struct yaml_texts *symbols,
                          struct buf *out, struct error *err);

/* Appends the test function "test_example_<number>". Its text stands in a comment; the call and the value are taken as
 * they are, so ERROR_INPUT for what is not one expression. Floats are compared with a tolerance, an exception is named
 * by type, a text is compared with what is printed (or with the printed form of the value). */
int example_render(const struct language *language, const struct example *example, size_t number, struct buf *out,
                   struct error *err);

#endif
