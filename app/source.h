/* Where an attempt's code comes from and goes to: the repository's mirror, the base, a checkout, commits, the branch.
 *
 * One mirror for each repository under <state_dir>/mirrors; its lock is held only as long as git works.
 */
#ifndef APP_SOURCE_H
#define APP_SOURCE_H

#include "app/attempt.h"
#include "app/base/error.h"
#include "pipeline/run.h"

/* <state_dir>/work: one folder for each attempt. Heap. */
char *source_work_dir(const struct config *config);

/* Fetches, settles the base and reads the repository's settings at it; ERROR_CONFIG with file and line when those are
 * invalid. The base is the one noted before when *again is set and it still exists (else *again is cleared), otherwise
 * the default branch's head, which is noted. With `checkout` its tree is written to attempt->tree. */
int source_prepare(struct attempt *attempt, bool *again, bool checkout, struct error *err);

/* What a change looks like on the forge. */
struct source_change {
    char *branch;
    char tests[REPO_ID_SIZE], head[REPO_ID_SIZE]; /* the two commits */
};

/* Commits the run's change on the base (tests first, then code) and pushes it to a branch of this job; the same run
 * gives the same commits. Notes branch and head. */
int source_push(struct attempt *attempt, const struct run *run, struct source_change *out, struct error *err);
void source_change_release(struct source_change *change);

/* "login <id+login@users.noreply.host>" of a request's person, "" when the login could not stand in a trailer. Heap. */
char *source_co_author(const json_t *request, const char *git_url);

#endif
