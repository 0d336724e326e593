/* Which repositories a delivery tells of: noted, so that the catch-up knows where to look. */
#ifndef APP_HEARD_H
#define APP_HEARD_H

#include <jansson.h>

#include "app/base/error.h"
#include "app/store.h"

/* `event` is the forge's name for it. Repositories of an installation that came or went, and the one that any other
 * event is about. */
int heard_note(struct store *store, const char *forge, const char *event, const json_t *payload, struct error *err);

#endif
