/* What people get to see when an attempt ends, by outcome (design 1.1); each way ends the job in the store. */
#ifndef APP_PUBLISH_H
#define APP_PUBLISH_H

#include "app/attempt.h"
#include "app/base/error.h"
#include "pipeline/run.h"

#define PUBLISH_LABEL "assay:needs-human"

/* The run has its outcome: pull request, comment or question; then the job is finished. May be repeated after a crash
 * anywhere in it. */
int publish_outcome(struct attempt *attempt, const struct run *run, struct error *err);

/* The job ends without the run's word: a comment with the reason, the label when a person is needed. Whatever the forge
 * says, the job is finished. `outcome` goes with JOB_DONE ("needs-human") and is "" otherwise. */
int publish_end(struct attempt *attempt, enum job_state state, const char *outcome, const char *reason,
                struct error *err);

#endif
