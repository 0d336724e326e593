/* What Assay says to people: a template of templates/replies/, a view, and a marker by which the comment is found
 * again.
 *
 * A marker is an HTML comment of our own making. Every comment carries one, so that saying the same thing again after
 * a crash edits what is there.
 */
#ifndef APP_REPLY_H
#define APP_REPLY_H

#include <jansson.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/effect.h"

/* Forges refuse comments over 65,536 characters. */
enum { REPLY_MAX = 60000 };

/* Renders replies/<name>.mustache; heap, owned by the caller. */
char *reply_render(const char *name, const json_t *view, struct error *err);

/* Every marker starts with this. */
#define REPLY_MARK "<!-- assay:"

/* "<!-- assay:job:12:progress -->"; heap; NULL without memory. */
char *reply_job_marker(int64_t job, const char *what);
/* "<!-- assay:reply:12345 -->": our answer to the comment of that id, or to another thing a person did. */
char *reply_marker(const char *to);

/* Puts `body` (cut to REPLY_MAX, at a line's end) with the marker behind it; *id as for effect_comment(). */
int reply_put(const struct effects *effects, int64_t number, const char *marker, const char *body, int64_t *id,
              struct error *err);

/* True when another delivery has led to a reaction to the comment, or to an answer. */
int reply_is_anothers(const struct effects *effects, int64_t number, int64_t comment_id, bool *anothers,
                      struct error *err);

/* One line of prose for a title, a commit subject or a reason: no control characters, no mention or reference that a
 * forge would act on, at most `max` bytes, cut between characters. Heap; NULL without memory. */
char *reply_plain_line(const char *text, size_t max);

#endif
