/* One test for each check: what small models write best is a list of asserts, one a line. */
#ifndef PIPELINE_CHECKS_H
#define PIPELINE_CHECKS_H

#include "app/base/error.h"
#include "pipeline/language.h"

/* The code with a test function of its own for each check that stands at the top level ("assert f(2) == 4  # even"), or
 * beside others in a test function that holds nothing else. A check's comment becomes the test's name and
 * documentation. The rest stays as it is. Heap. */
char *checks_unfold(const struct language *language, const char *code, struct error *err);

#endif
