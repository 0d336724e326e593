/* What a check run says beside the lines of a change: evidence that is missing there. */
#ifndef APP_ANNOTATION_H
#define APP_ANNOTATION_H

#include <jansson.h>

#include "pipeline/run.h"

/* For forge_check.annotations. Owned by the caller. */
json_t *annotations_of(const struct run *run);

#endif
