/* The store: deliveries, jobs, the journal of stages, model calls and artifacts; durable before a call returns.
 *
 * `struct store` is opaque; the back end sits behind a vtable (app/store_sqlite.c, app/store_postgres.c), the SQL in
 * templates/sql/. One connection for each process, one thread at a time. Times are wall-clock ms. All
 * returned structs are owned by the caller and freed with their release function. A store that cannot write is
 * ERROR_STORE, retryable when busy; ERROR_FULL when its disk has no room left.
 */
#ifndef APP_STORE_H
#define APP_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"

struct store;

/* Opens (and creates) the database of a URL and applies missing migrations under a lock. A database made by a newer
 * Assay is ERROR_CONFIG. */
struct store *store_open(const char *url, struct error *err);
void store_close(struct store *store);

/* Whether such an address may stand in a configuration: it is well formed and holds no password. ERROR_CONFIG. */
int store_check_url(const char *url, struct error *err);

/* The address with everything that this process's environment and files add to it, for a process that has neither.
 * It may hold a password. Heap. */
char *store_whole_url(const struct store *store, struct error *err);

/* What a process that gives up its rights must keep to go on with the store. */
struct store_needs {
    char *folder;   /* to read and write in; NULL: none */
    bool connects;  /* to a server */
    char *files[8]; /* to read; NULL-terminated */
};
int store_needs(const struct store *store, struct store_needs *out, struct error *err);
void store_needs_release(struct store_needs *needs);

/* The database answers and takes a delivery now: one was written, synced and never seen by anybody. */
int store_ping(struct store *store, struct error *err);

/* A copy of everything as of now, while others go on; checked, and complete once a file of this name exists. The file
 * must not exist yet. ERROR_USAGE for a server, which has its own tool. */
int store_backup(struct store *store, const char *path, struct error *err);

/* Reads all of the database and checks that it is sound, while others go on; ERROR_STORE with the fix. A server looks
 * after its own files: always 0. */
int store_examine(struct store *store, struct error *err);

/* This process will read little: the store is to keep few pages of the database in memory. */
int store_spare(struct store *store, struct error *err);

/* All rows of one store into another that has none; app/store_move.h says how. Nothing is changed on failure, and
 * `from` never. `in_use`: also while other processes use `from`, as it stands at the start; else that is
 * ERROR_CONFLICT, and nobody writes there until the end. A target with rows is ERROR_CONFLICT, too. `progress` may be
 * NULL. *report: [{table, rows, digest}]; owned by the caller. */
struct store_move {
    bool in_use;
    void (*progress)(void *context, const char *doing, const char *table, int64_t rows, int64_t total);
    void *context;
};
int store_move(struct store *from, struct store *to, const struct store_move *how, json_t **report, struct error *err);

/* Now, by the one clock that all processes on all machines share: this machine's for SQLite, the server's for
 * PostgreSQL (known from the last call within ten seconds; no call is made for it). Leases and due times are compared
 * by nothing else, so a machine whose clock is wrong neither loses its jobs nor takes other machines' jobs. */
int64_t store_now_ms(const struct store *store);

/* Waits until there may be something new to take, `fd` can be read, or `ms` have passed. True: look now. A message can
 * be lost with its connection, so look now and then in any case. */
enum store_news { STORE_NEWS_DELIVERY, STORE_NEWS_JOB };
bool store_wait(struct store *store, enum store_news news, int fd, int64_t ms);

/* For the process that runs what one claim of a job began (job.fence): from now on this handle's writes to the job's
 * state, stages and published things are refused with ERROR_CONFLICT as soon as the job has been claimed again, even
 * under the same attempt's number. ERROR_CONFLICT at once when the job does not run under this claim. */
int store_fence(struct store *store, int64_t id, int64_t fence, struct error *err);

/* The same for a worker that holds several claims, without asking: what follows about this job counts only as long as
 * it is this claim's. Job 0: nothing is fenced. */
void store_fence_claim(struct store *store, int64_t id, int64_t fence);

/* ---- deliveries: what the receiver acknowledged ---- */

enum { DELIVERY_PAYLOAD_MAX = 32 * 1024 * 1024 }; /* GitHub's own cap is 25 MiB */

struct delivery {
    char *forge, *id, *event;
    char *payload; /* the raw bytes */
    size_t payload_len;
    int64_t received_ms;
    int attempts;
};

/* Durable when it returns 0. *fresh is false for a delivery id that was there before (nothing is changed). */
int store_delivery_add(struct store *store, const struct delivery *delivery, bool *fresh, struct error *err);

/* Many at once, in one transaction with one sync: all are durable when it returns 0, none otherwise. fresh[i] as above.
 */
int store_deliveries_add(struct store *store, const struct delivery *deliveries, size_t count, bool fresh[],
                         struct error *err);

/* Takes the oldest deliveries that are not done and due, for `lease_ms`, in one transaction: `max` at most, about a MiB
 * of payloads, and one that was tried before only by itself. *count 0 when there is none. `holder` is the name of who
 * takes them. */
int store_deliveries_take(struct store *store, const char *holder, int64_t now_ms, int64_t lease_ms,
                          struct delivery *out, size_t max, size_t *count, struct error *err);

/* The holder is known to be dead: what it had taken, and nobody had before it, is due now. *count: how many. */
int store_deliveries_let_go(struct store *store, const char *holder, int64_t now_ms, size_t *count, struct error *err);

/* What becomes of one that was taken. */
struct delivery_end {
    const struct delivery *delivery; /* borrowed */
    enum {
        DELIVERY_DONE,     /* with a note ("job 12", "ignored: own comment") */
        DELIVERY_DEFERRED, /* to be tried at `again_ms`; after `DELIVERY_ATTEMPTS` tries it is dead and shown as such */
        DELIVERY_UNTRIED,  /* as if it had never been taken */
    } how;
    const char *note; /* borrowed; NULL: none */
    int64_t again_ms;
};
enum { DELIVERY_ATTEMPTS = 8 };

/* Ends what was taken, in one transaction. *late counts those that are somebody else's by now, their lease having
 * passed; they stay as they are. */
int store_deliveries_end(struct store *store, const struct delivery_end *ends, size_t count, size_t *late,
                         struct error *err);

/* The same for one; ERROR_CONFLICT when it is late. */
int store_delivery_take(struct store *store, const char *holder, int64_t now_ms, int64_t lease_ms, struct delivery *out,
                        bool *found, struct error *err);
int store_delivery_done(struct store *store, const struct delivery *delivery, const char *note, struct error *err);
int store_delivery_defer(struct store *store, const struct delivery *delivery, int64_t again_ms, const char *reason,
                         struct error *err);
void delivery_release(struct delivery *delivery);

/* What became of a delivery; its payload is left out. */
struct delivery_row {
    char *forge, *id, *event;
    char *state; /* "waiting", "taken", "done", "dead" */
    char *note;
    int64_t received_ms, due_ms, ended_ms;
    int attempts;
};
/* Newest first. */
struct delivery_filter {
    const char *state; /* NULL: any */
    bool lost;         /* only what came to nothing: dead, or failed for good */
    size_t limit;      /* 0: 50 */
};
int store_deliveries(struct store *store, const struct delivery_filter *filter, struct delivery_row **out,
                     size_t *count, struct error *err);
void delivery_rows_free(struct delivery_row *rows, size_t count);
/* A delivery that came to nothing gets its tries again. ERROR_NOT_FOUND; ERROR_CONFLICT when it did not. */
int store_delivery_retry(struct store *store, const char *id, struct error *err);

/* ---- jobs ---- */

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_QUESTION,  /* waits for a person's answer */
    JOB_DONE,      /* ended with an outcome */
    JOB_CANCELLED, /* by a person */
    JOB_FAILED,    /* given up without an outcome, until a person has it run again: something outside failed, and the
                      tries are used up; `reason` says what */
};
const char *job_state_name(enum job_state state);
int job_state_find(const char *name); /* -1 for an unknown name */

struct job {
    int64_t id;
    char *forge, *owner, *repo;
    int64_t installation;
    int64_t number; /* the issue or pull request */
    bool on_pull;
    char *kind;        /* the command: "generate", … */
    char *request_key; /* equal for the same request however it arrived: one job */
    char *title;       /* of the issue, for lists */
    json_t *request; /* {title, body, text, requester, requester_id?, comment_id, trigger, answers:[…]} as it was at the
                        trigger */
    enum job_state state;
    char *outcome; /* design 1.1; "" until it has one */
    char *reason;  /* one line; "" when there is nothing to say */
    int attempt;   /* 1 for the first */
    int64_t fence; /* grows with every claim: whose claim it is (store_fence_claim) */
    bool urgent;   /* a person waits for it: goes before fresh work (store_job_claim) */
    bool cancel_requested;
    int64_t superseded_by; /* the newer request for the same target that took its place; 0: none */
    json_t *published; /* what exists on the forge: {comment_id, check_id, branch, head, pull, pull_url, label…}; never
                          NULL */
    double cost_usd;   /* of all attempts */
    int64_t tokens_in, tokens_out;
    int64_t created_ms, started_ms, ended_ms; /* 0 when not yet */
    int64_t triggered_ms;                     /* when the person did it, by the forge's clock */
    int64_t not_before_ms;                    /* a queued job waits until then */
};
void job_release(struct job *job);

/* A fact in job.published: it stopped before its bound, and more money lets it go on. True, false or absent. */
#define JOB_OUT_OF_MONEY "out_of_money"

/* Adds a job unless one with the same request_key exists; then *id is that one's and *fresh is false. The newest
 * request wins: jobs of the same kind for the same issue (or pull request, in the same words) that wait are cancelled,
 * those that run are asked to stop, and all are marked as superseded. Fields used: forge…request, triggered_ms, urgent.
 */
int store_job_add(struct store *store, const struct job *job, int64_t *id, bool *fresh, struct error *err);
int store_job_get(struct store *store, int64_t id, struct job *out, struct error *err); /* ERROR_NOT_FOUND */

/* Newest first. Filters: NULL, 0 and -1 mean any. */
struct job_filter {
    const char *forge, *owner, *repo;
    int64_t number, superseded_by;
    int state;    /* enum job_state or -1 */
    size_t limit; /* 0: 50 */
};
int store_jobs(struct store *store, const struct job_filter *filter, struct job **out, size_t *count,
               struct error *err);
void jobs_free(struct job *jobs, size_t count);

/* Claims a queued job that is due and whose repository has fewer than `per_repository` running; marks it running,
 * attempt + 1, leased to `worker` until now + lease. Which one: what a person waits for before fresh work, but of four
 * claims one at least is for fresh work; then the account that had its turn longest ago, its repository that had, and
 * that one's oldest. */
int store_job_claim(struct store *store, const char *worker, int64_t now_ms, int64_t lease_ms, int per_repository,
                    struct job *out, bool *found, struct error *err);
/* Heartbeat; ERROR_CONFLICT when the lease is no longer this worker's. *cancel is set when a person asked to stop. */
int store_job_extend(struct store *store, int64_t id, const char *worker, int64_t lease_until_ms, bool *cancel,
                     struct error *err);
/* Running jobs whose lease has passed go back to the queue; returns how many in *count. */
int store_jobs_recover(struct store *store, int64_t now_ms, size_t *count, struct error *err);

/* The states that a running job moves to; each clears the lease and marks stages that still run as interrupted.
 * ERROR_CONFLICT when it does not run (any more). */
int store_job_requeue(struct store *store, int64_t id, int64_t not_before_ms, const char *reason, struct error *err);
int store_job_finish(struct store *store, int64_t id, enum job_state state, const char *outcome, const char *reason,
                     struct error *err);
int store_job_cancel(struct store *store, int64_t id, bool *was_running,
                     struct error *err); /* running: asks; waiting: ends; ended: ERROR_CONFLICT */
/* The jobs that run for this worker and were asked to stop: the first `max`, one question for all. */
int store_jobs_to_cancel(struct store *store, const char *worker, int64_t ids[], size_t max, size_t *count,
                         struct error *err);
/* A new run of an ended (or waiting) job, urgent: back to queued with the attempt count reset; `fresh_start` forgets
 * its journal's stages (money spent stays counted). `request`: replaces the stored one, or NULL. One that was put back
 * to wait for its time need not wait any more. ERROR_CONFLICT when it is queued otherwise or running. */
int store_job_again(struct store *store, int64_t id, const json_t *request, bool fresh_start, struct error *err);
/* The same for one that has stopped: it goes on with the stage at which it did. */
int store_job_continue(struct store *store, int64_t id, const json_t *request, struct error *err);
int store_job_publish(struct store *store, int64_t id, const char *key, json_t *value,
                      struct error *err); /* sets one key; value is borrowed */

/* ---- the journal ---- */

struct stage_row {
    int64_t id, job;
    int attempt, round;
    char *stage;
    char *status; /* "running", "passed", "failed", "stopped", "error", "interrupted" */
    char *detail; /* one line for people */
    char *input_digest;
    int64_t started_ms, ended_ms;
    json_t *snapshot; /* the run after this stage; NULL while it runs */
};

/* ERROR_CONFLICT when the job does not run at this attempt. */
int store_stage_begin(struct store *store, int64_t job, int attempt, int round, const char *stage,
                      const char *input_digest, int64_t *id, struct error *err);
/* ERROR_CONFLICT when the job was stopped or claimed again since the stage began. */
int store_stage_end(struct store *store, int64_t id, const char *status, const char *detail, const json_t *snapshot,
                    struct error *err);
/* Oldest first; snapshots only with `with_snapshots`. */
int store_stages(struct store *store, int64_t job, bool with_snapshots, struct stage_row **out, size_t *count,
                 struct error *err);
void stages_free(struct stage_row *rows, size_t count);
/* The newest snapshot of a job's finished stages and its stage; NULL in *snapshot when there is none. */
int store_last_snapshot(struct store *store, int64_t job, json_t **snapshot, struct error *err);

struct call_row {
    int64_t job, stage;                                                                         /* stage row id */
    const char *name, *model, *role, *template_path, *template_digest, *request_digest, *error; /* borrowed */
    int64_t tokens_in, tokens_out, tokens_cached, elapsed_ms;
    double cost_usd;
};
int store_call_add(struct store *store, const struct call_row *call,
                   struct error *err); /* also adds to the job's totals */
json_t *store_calls(struct store *store, int64_t job,
                    struct error *err); /* array of objects with the names above; owned by the caller */
int store_cost_since(struct store *store, int64_t since_ms, double *cost_usd, struct error *err);

/* Artifacts: named bytes of a job (logs, the pull request's text), replaced when written again. */
int store_artifact_put(struct store *store, int64_t job, const char *name, const void *data, size_t len,
                       struct error *err);
int store_artifact_get(struct store *store, int64_t job, const char *name, struct buf *out, struct error *err);

/* ---- evaluations ---- */

/* A run of `assay eval`; the same key gives the same run again, so that one that was interrupted goes on. */
int store_eval_begin(struct store *store, const char *key, const char *tasks, int64_t *run, struct error *err);
/* A result line (design 1.4); one that is there already stays. */
int store_eval_add(struct store *store, int64_t run, const json_t *line, struct error *err);
/* Array of {run, tasks, started_ms, at_ms, line} since a time, by run; eval_summary() makes rates of the lines. Owned
 * by the caller. */
json_t *store_evals(struct store *store, int64_t since_ms, struct error *err);

/* ---- effects: what was or may have been done on a forge (app/effect.h) ---- */

struct effect_row {
    char *forge, *owner, *repo, *kind, *key; /* which one */
    int64_t job;                             /* 0: of no job */
    char *delivery;                          /* the one that asked for it first; "" for a job's own */
    char *state;                             /* "intended", "done", "unknown", "refused", "dry" */
    int64_t token;                           /* of who tries it now */
    int64_t tries;
    char *external_id, *note;
    json_t *request; /* in a dry run: what would have been sent */
    int64_t first_ms, last_ms;
};
void effect_row_release(struct effect_row *row);

/* *found false: it was never intended. Only the five fields of `wanted` that say which one are read. */
int store_effect_find(struct store *store, const struct effect_row *wanted, struct effect_row *out, bool *found,
                      struct error *err);
/* Notes that `wanted` (which one, job, delivery, token) will be tried now, and gives how it stood before: state NULL
 * for one that was never intended. One that is done stays as it is. ERROR_CONFLICT as for store_fence(). */
int store_effect_begin(struct store *store, const struct effect_row *wanted, struct effect_row *before,
                       struct error *err);
/* 0 as long as nobody else has begun the same (token 0: not asked) and a fenced job is still ours; else
 * ERROR_CONFLICT. */
int store_effect_holds(struct store *store, const struct effect_row *row, struct error *err);
/* How it went: state, external_id (NULL: as before), note, request. ERROR_CONFLICT when somebody else has begun it. */
int store_effect_end(struct store *store, const struct effect_row *row, struct error *err);
/* A job's, oldest first. */
int store_effects(struct store *store, int64_t job, struct effect_row **out, size_t *count, struct error *err);
void effect_rows_free(struct effect_row *rows, size_t count);

/* ---- catching up (app/catch_up.h) ---- */

struct catch_up_claim {
    const char *forge, *what; /* "deliveries" or "repositories" */
    int64_t now_ms, next_ms;  /* when somebody should look again */
    bool always;              /* also when it is not due yet */
};
/* *claimed: it is ours to look now; *seen_ms: everything before was looked at, 0 for nothing. */
int store_catch_up_claim(struct store *store, const struct catch_up_claim *wanted, int64_t *seen_ms, bool *claimed,
                         struct error *err);
int store_catch_up_seen(struct store *store, const char *forge, const char *what, int64_t seen_ms, struct error *err);
/* A repository that was heard of, and how far it was looked at. */
struct repository_row {
    char *forge, *owner, *name;
    int64_t installation;
    int64_t heard_ms;     /* first, under this installation */
    int64_t installed_ms; /* 0: not asked yet */
    int64_t seen_ms;      /* everything before was looked at; 0: never */
};
/* Costs no write when it is known already. */
int store_repository_note(struct store *store, const char *forge, const char *owner, const char *name,
                          int64_t installation, struct error *err);
int store_repository_gone(struct store *store, const char *forge, const char *owner, const char *name,
                          struct error *err);
/* At most `limit` that were not looked at since then, the longest ago first. */
int store_repositories(struct store *store, const char *forge, int64_t before_ms, size_t limit,
                       struct repository_row **out, size_t *count, struct error *err);
void repository_rows_free(struct repository_row *rows, size_t count);
/* Notes seen_ms and installed_ms. */
int store_repository_seen(struct store *store, const struct repository_row *row, struct error *err);

/* A pull request of ours of which it is not known that it has ended ("pull_ended" of the job's published things). */
struct open_pull {
    int64_t job, number;
};
/* `number` 0: all of the repository's. *out: heap. */
int store_open_pulls(struct store *store, const char *forge, const char *owner, const char *repo, int64_t number,
                     struct open_pull **out, size_t *count, struct error *err);

/* Counts that something is done about a delivery that never came. */
int store_missed_try(struct store *store, const char *forge, const char *id, int64_t *tries, struct error *err);
int store_delivery_known(struct store *store, const char *forge, const char *id, bool *known, struct error *err);

/* ---- housekeeping (app/housekeeping.h) ---- */

enum store_part {
    STORE_DELIVERIES,      /* that are done, with their payloads */
    STORE_LOST_DELIVERIES, /* that came to nothing */
    STORE_SNAPSHOTS,       /* of the stages of ended jobs: what a retry goes on from */
    STORE_ARTIFACTS,       /* of ended jobs */
    STORE_EVAL_RESULTS,
    STORE_EVAL_RUNS, /* without results */
};
/* Lets go of at most `limit` rows that ended before a time, in one transaction; nothing of a job that waits or runs, or
 * whose pull request is open. *count: how many there were. */
int store_forget(struct store *store, enum store_part part, int64_t before_ms, size_t limit, size_t *count,
                 struct error *err);
/* Whether a waiting or running job needs it. */
int store_repository_in_use(struct store *store, const char *forge, const char *owner, const char *repo, bool *used,
                            struct error *err);
/* {"database": {count, bytes}, "deliveries": …, "journal": …, "artifacts": …, "evaluations": …}; owned by the caller.
 */
json_t *store_sizes(struct store *store, struct error *err);

/* Counts for /readyz, /metrics and `assay doctor`: {"deliveries": {state: n}, "jobs": {state: n}, "schema": n}. */
json_t *store_status(struct store *store, struct error *err);

#endif
