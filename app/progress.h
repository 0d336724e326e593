/* The journal as people watch it: one comment that is edited in place, or lines on a terminal. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/config.h"
#include "app/effect.h"
#include "app/store.h"

/* Not more often than this; the beginning and the end are always shown. */
enum { PROGRESS_EVERY_MS = 3000 };

/* One job's progress comment. All pointers are borrowed. */
struct progress {
    const struct config *config;
    const struct effects *effects; /* with the job */
    int64_t number;                /* the issue or pull request on which it stands */
    int64_t comment_id;            /* 0: not known yet; then noted in the store as comment_id */
    int64_t shown_ms;              /* monotonic time of the last edit; 0: never */
    bool held_back;                /* there is something newer than that */
};

/* Shows how the job stands now: after a stage began or ended, throttled. A failure is a log line, never the job's end.
 */
void progress_show(struct progress *progress);

/* Shows what was held back, when its time has come; to be called while a stage runs. */
void progress_tick(struct progress *progress);

/* The same at once, as the job will stand: before the store knows, so that a crash between the two cannot leave a
 * comment that says "working". */
void progress_close(struct progress *progress, enum job_state state, const char *outcome, const char *reason);

/* The comment's text for a job and its journal; `now_ms` is wall time. Heap, owned by the caller. */
char *progress_text(const struct job *job, const struct stage_row *rows, size_t count, int64_t now_ms,
                    const char *public_url, struct error *err);

/* One line on a terminal for a stage that began ("running") or ended, without a line end, from the same table. Appends
 * to out; -1 when the buffer is full. */
int progress_line(struct buf *out, const char *stage, int round, const char *status, const char *detail,
                  int64_t elapsed_ms);

#endif
