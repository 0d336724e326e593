/* What becomes of a job whose process has ended without the job being finished in the store: the rules, apart from the
 * processes, so that they can be read and tested in one place. */
#ifndef APP_WORKER_H
#define APP_WORKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/store.h"

/* Why the worker has ended a process itself. */
enum worker_cause {
    CAUSE_NONE,      /* it ended by itself */
    CAUSE_CANCELLED, /* a person asked */
    CAUSE_LATE,      /* past the job's deadline */
    CAUSE_DRAINED,   /* the worker is being stopped */
};

enum worker_next {
    NEXT_REQUEUE, /* again, not before `wait_ms` from now */
    NEXT_BURY,    /* it ends: `state`, with a comment that gives the reason */
};

struct worker_verdict {
    enum worker_next next;
    int64_t wait_ms;
    enum job_state state;
    char reason[512];
    int crashed, outside; /* the counts from now on */
};

enum {
    WORKER_CRASHES_RETRIED = 1,
    WORKER_OUTSIDE_RETRIED = 5,
    WORKER_ATTEMPTS_MAX = 20 /* whatever the causes: something is wrong with this job */
};

/* Why a job that was asked to stop was. */
void worker_cancel_reason(const struct job *job, char reason[static 96]);

/* `status` as from waitpid(2); `timeout_ms`: the deadline, for the reason's words. */
struct worker_verdict worker_judge(const struct job *job, int status, enum worker_cause cause, int64_t timeout_ms);

#endif
