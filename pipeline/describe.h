/* Parts of the view that templates/replies are rendered with: what is not the run's own JSON. */
#ifndef PIPELINE_DESCRIBE_H
#define PIPELINE_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "pipeline/run.h"

/* Text of others as a code span that it cannot leave; in a table a bar would end the cell. */
json_t *describe_code(const char *text, bool in_table);

/* Whole percents; what is short of a whole is never shown as one. */
long long describe_percent(double share);

/* The evidence beyond red and green: properties, coverage, mutants. */
void describe_evidence(json_t *view, const struct run *run);

#endif
