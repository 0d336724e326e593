#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "app/attempt.h"
#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/worker.h"

enum { WAIT_MAX_MS = 60 * 60 * 1000 };

/* Waits before another try after something outside failed. */
static const int64_t waits_ms[WORKER_OUTSIDE_RETRIED] = {30 * 1000, 2 * 60 * 1000, 10 * 60 * 1000, 30 * 60 * 1000,
                                                         60 * 60 * 1000};

/* The counts stand in the job's published facts; a run that was started anew begins at nought. */
static int count_of(const struct job *job, const char *path)
{
    return job->attempt > 1 ? (int)json_int_at(job->published, path, 0) : 0;
}

static void bury(struct worker_verdict *verdict, enum job_state state, const char *reason)
{
    verdict->next = NEXT_BURY;
    verdict->state = state;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
}

static void requeue(struct worker_verdict *verdict, int64_t wait_ms, const char *reason)
{
    verdict->next = NEXT_REQUEUE;
    verdict->wait_ms = wait_ms;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
}

void worker_cancel_reason(const struct job *job, char reason[static 96])
{
    if (job->superseded_by)
        snprintf(reason, 96, "job %lld, a newer request, took its place", (long long)job->superseded_by);
    else
        snprintf(reason, 96, "cancelled by a person");
}

static void judge_cancelled(struct worker_verdict *verdict, const struct job *job)
{
    char reason[96];
    worker_cancel_reason(job, reason);
    bury(verdict, JOB_CANCELLED, reason);
}

static void judge_late(struct worker_verdict *verdict, int64_t timeout_ms)
{
    char limit[CLOCK_TEXT_SIZE];
    char reason[256];
    snprintf(reason, sizeof reason, "it took longer than the %s that limits.job_timeout allows",
             clock_duration(timeout_ms, limit));
    bury(verdict, JOB_DONE, reason);
}

/* What failed stands in the job's facts, if this attempt could still note it. */
static void judge_outside(struct worker_verdict *verdict, const struct job *job)
{
    const json_t *noted = json_object_get(job->published, "error");
    bool ours = json_int_at(noted, "attempt", 0) == job->attempt;
    const char *reason = ours ? json_text_at(noted, "message", "") : "something outside failed; the log says what";
    int64_t asked_ms = ours ? json_int_at(noted, "retry_after_ms", 0) : 0;
    if (verdict->outside == WORKER_OUTSIDE_RETRIED) {
        bury(verdict, JOB_FAILED, reason);
        return;
    }
    int64_t wait_ms = waits_ms[verdict->outside++];
    if (asked_ms > wait_ms)
        wait_ms = asked_ms < WAIT_MAX_MS ? asked_ms : WAIT_MAX_MS;
    requeue(verdict, wait_ms, reason);
}

static void judge_crash(struct worker_verdict *verdict, int status)
{
    char how[128];
    char reason[256];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(status));
    bool again = verdict->crashed++ < WORKER_CRASHES_RETRIED;
    snprintf(reason, sizeof reason, "the job's process %s%s", how, again ? "" : ", a second time; the log says more");
    if (again)
        requeue(verdict, 0, reason);
    else
        bury(verdict, JOB_DONE, reason);
}

struct worker_verdict worker_judge(const struct job *job, int status, enum worker_cause cause, int64_t timeout_ms)
{
    struct worker_verdict verdict = {
        .crashed = count_of(job, "tries.crashed"),
        .outside = count_of(job, "tries.outside"),
    };
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (job->cancel_requested || cause == CAUSE_CANCELLED)
        judge_cancelled(&verdict, job);
    else if (cause == CAUSE_LATE)
        judge_late(&verdict, timeout_ms);
    else if (job->attempt >= WORKER_ATTEMPTS_MAX)
        bury(&verdict, JOB_DONE, "it was started too many times without an end");
    else if (cause == CAUSE_DRAINED || code == JOB_EXIT_STOPPED)
        requeue(&verdict, 0, "the worker was stopped");
    else if (code == JOB_EXIT_OUTSIDE)
        judge_outside(&verdict, job);
    else
        judge_crash(&verdict, status);
    return verdict;
}
