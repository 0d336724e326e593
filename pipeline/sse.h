/* Server-sent events, as the HTML standard defines their stream, fed piece by piece.
 *
 * Line ends may be LF, CRLF or CR and may be split between two pieces; comments are skipped; several `data` lines of
 * one event are joined by LF. Kept from the last event only: an event without its closing blank line is given out by
 * sse_end(), since small servers leave that line away. A line or an event over the cap is ERROR_LIMIT.
 */
#ifndef PIPELINE_SSE_H
#define PIPELINE_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"

struct sse_event {
    const char *name; /* the `event` field, "" when it has none; borrowed for the callback's time */
    const char *data; /* NUL-terminated; borrowed */
    size_t len;
};

struct sse {
    struct buf line, name, data;
    bool has_data;
    bool after_cr; /* the last byte was CR: an LF now belongs to it */
    bool started;  /* the byte order mark, if any, is behind */
};

#define SSE_INIT(cap) ((struct sse){.line = BUF_INIT(cap), .name = BUF_INIT(256), .data = BUF_INIT(cap)})

/* Returns what the callback returned when that is not 0 (feeding ends there), -1 with ERROR_LIMIT, else 0. */
typedef int sse_each(void *context, const struct sse_event *event);
int sse_feed(struct sse *sse, const char *data, size_t len, sse_each *each, void *context, struct error *err);
int sse_end(struct sse *sse, sse_each *each, void *context, struct error *err);
void sse_release(struct sse *sse);

#endif
