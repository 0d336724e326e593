/* Imports for the names that a test uses and its file does not have.
 *
 * People show examples with the classes that they know ("total(Order("7"))"), and doctests import them once for all.
 * Where such a name comes from is said by the target file, which defines or imports it, or by an import line in the
 * request.
 */
#ifndef PIPELINE_TESTFILE_NAMES_H
#define PIPELINE_TESTFILE_NAMES_H

#include <jansson.h>

#include "pipeline/testfile.h"

/* The import statements that `code` needs beside its own and those of `text` (the file that it goes to): array of
 * texts, empty when nothing is missing or known. Owned by the caller; NULL when out of memory. */
json_t *testfile_imports_for(const struct testfile *file, const char *text, const char *code);

#endif
