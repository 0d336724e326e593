/* What was done on a forge for a job, and in a dry run what would have been, for people and for programs. */
#ifndef APP_EFFECT_VIEW_H
#define APP_EFFECT_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "app/store.h"

/* [{kind, key, state, external_id, note, tries, first, last, would_send: [{method, path, body}]}]; owned by the caller.
 */
json_t *effect_view_json(const struct effect_row *rows, size_t count);

/* A table, and below it the texts that a dry run has kept back. */
void effect_view_print(const struct effect_row *rows, size_t count, FILE *file);

#endif
