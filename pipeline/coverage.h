/* How much of a change its tests run: lines and branches that the change wrote, by coverage.py's JSON report.
 *
 * Other languages' commands write the same form: {"files": {path: {"executed_lines", "missing_lines": [line],
 * "executed_branches", "missing_branches": [[from, to]]}}}; a branch to a line that is not positive leaves the
 * function.
 */
#ifndef PIPELINE_COVERAGE_H
#define PIPELINE_COVERAGE_H

#include <jansson.h>

#include "app/base/error.h"
#include "pipeline/change.h"

/* {"lines", "lines_run", "branches", "branches_run", "share" (of both; 1 where there are none), "uncovered": [{path,
 * first, last}, with `to` for a branch that is never taken]}. Owned by the caller; NULL with an error when a file's
 * base cannot be read. */
json_t *coverage_count(const struct change *change, const char *tree, const json_t *report, struct error *err);

#endif
