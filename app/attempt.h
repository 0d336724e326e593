/* One attempt at one job: what its process holds, shared by the few files that carry it out.
 *
 *     app/job.c      the process: opens everything, runs the pipeline, decides what an error means
 *     app/source.c   where the code comes from and goes to: mirror, base, checkout, settings, commits, push
 *     app/publish.c  what people get to see, by outcome
 *
 * What is written to the forge goes through app/effect, each thing once whatever crashes when; what people should find
 * of it is noted in job.published.
 */
#ifndef APP_ATTEMPT_H
#define APP_ATTEMPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/base/log.h"
#include "app/base/secret.h"
#include "app/config.h"
#include "app/effect.h"
#include "app/policy.h"
#include "app/progress.h"
#include "app/stop.h"
#include "app/store.h"
#include "forge/forge.h"
#include "forge/repo.h"
#include "pipeline/run.h"

/* How the process of an attempt ends, besides crashing; the worker acts on it. */
enum job_exit {
    JOB_EXIT_ENDED = 0,   /* the store knows how */
    JOB_EXIT_OUTSIDE = 3, /* something outside failed: try again later; job.published.error says what */
    JOB_EXIT_STOPPED = 4, /* somebody asked this process to stop, nobody the job */
};

struct attempt {
    struct config config;
    struct log log;
    struct secrets *secrets;
    struct store *store;
    struct stop stop;
    const struct forge_config *forge_config; /* borrowed from config */
    struct forge *forge;
    struct job job;         /* as it was when the attempt began; `published` is kept up to date */
    struct forge_repo repo; /* borrows from job */
    int number;             /* of the attempt */
    struct effects effects; /* all that is written to the forge */
    struct progress progress;
    char *branch;            /* the default branch */
    char base[REPO_ID_SIZE]; /* the commit that the change is made on */
    char *workspace;         /* a folder of this attempt alone */
    char *tree;              /* the checked-out base in it */
    struct repo_policy policy;
    size_t answers; /* how many answers the run has been given */
};

/* Notes a fact in the store and in job.published; `value` is stolen, also on failure. */
int attempt_note(struct attempt *attempt, const char *key, json_t *value, struct error *err);

bool attempt_is_stopped(void *attempt); /* for everything that asks whether to go on */

/* <public_url>/jobs/<id>, heap; NULL when no public URL is known. */
char *attempt_details_url(const struct attempt *attempt);

#endif
