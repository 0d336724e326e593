/* From an acknowledged delivery to what it sets off: one visible table of events and handlers. */
#ifndef APP_DISPATCH_H
#define APP_DISPATCH_H

#include <jansson.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/trigger.h"

/* Hands an event to its handler. `note` gets a few words for the delivery's record ("job 12", "ignored: …"); *again_ms
 * is set when the delivery should come again at that time. Fields of `trigger` but the event's are filled in. */
int dispatch_event(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err);

#endif
