/* What an installation takes in room: its database by parts, its state directory by folders. */
#ifndef APP_STORAGE_H
#define APP_STORAGE_H

#include <jansson.h>

#include "app/base/error.h"
#include "app/config.h"

/* {"database": {PART: {count, bytes}}, "state_dir": {FOLDER: {count?, bytes}}}; owned by the caller, NULL on failure.
 */
json_t *storage_measure(const struct config *config, struct error *err);

#endif
