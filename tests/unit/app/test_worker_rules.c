/* What becomes of a job whose process has ended: the table of rules. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "app/attempt.h"
#include "app/worker.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, EXITED = 0x100 }; /* as waitpid(2) packs an exit status of 1 */

struct rule {
    const char *name;
    int attempt;
    bool cancel_requested;
    const char *published;
    int status;
    enum worker_cause cause;
    /* expected */
    enum worker_next next;
    int64_t wait_ms;
    enum job_state state;
    const char *words; /* in the reason */
    int crashed, outside;
};

static const struct rule rules[] = {
    {"a crash is tried again at once", 1, false, "{}", SIGKILL, CAUSE_NONE, NEXT_REQUEUE, 0, 0, "signal 9", 1, 0},
    {"an unexpected end is a crash", 1, false, "{}", 2 * EXITED, CAUSE_NONE, NEXT_REQUEUE, 0, 0, "status 2", 1, 0},
    {"an end without a word is a crash", 1, false, "{}", 0, CAUSE_NONE, NEXT_REQUEUE, 0, 0, "status 0", 1, 0},
    {"a second crash needs a person", 2, false, "{\"tries\": {\"crashed\": 1}}", SIGSEGV, CAUSE_NONE, NEXT_BURY, 0,
     JOB_DONE, "signal 11", 2, 0},
    {"counts of an earlier run are forgotten", 1, false, "{\"tries\": {\"crashed\": 1, \"outside\": 5}}", SIGKILL,
     CAUSE_NONE, NEXT_REQUEUE, 0, 0, "signal 9", 1, 0},
    {"what is outside is waited for", 1, false, "{\"error\": {\"attempt\": 1, \"message\": \"forge down\"}}",
     JOB_EXIT_OUTSIDE *EXITED, CAUSE_NONE, NEXT_REQUEUE, 30 * SECOND, 0, "forge down", 0, 1},
    {"an old error is not this one", 2, false, "{\"error\": {\"attempt\": 1, \"message\": \"forge down\"}}",
     JOB_EXIT_OUTSIDE *EXITED, CAUSE_NONE, NEXT_REQUEUE, 30 * SECOND, 0, "the log", 0, 1},
    {"longer each time", 3, false, "{\"tries\": {\"outside\": 2}}", JOB_EXIT_OUTSIDE *EXITED, CAUSE_NONE, NEXT_REQUEUE,
     10 * MINUTE, 0, "", 0, 3},
    {"as long as the forge asks for", 1, false,
     "{\"error\": {\"attempt\": 1, \"message\": \"rate limit\", \"retry_after_ms\": 120000}}", JOB_EXIT_OUTSIDE *EXITED,
     CAUSE_NONE, NEXT_REQUEUE, 2 * MINUTE, 0, "rate limit", 0, 1},
    {"but not for days", 1, false,
     "{\"error\": {\"attempt\": 1, \"message\": \"rate limit\", \"retry_after_ms\": 999999999}}",
     JOB_EXIT_OUTSIDE *EXITED, CAUSE_NONE, NEXT_REQUEUE, 60 * MINUTE, 0, "rate limit", 0, 1},
    {"five times, then it has failed", 6, false,
     "{\"tries\": {\"outside\": 5}, \"error\": {\"attempt\": 6, \"message\": \"forge down\"}}",
     JOB_EXIT_OUTSIDE *EXITED, CAUSE_NONE, NEXT_BURY, 0, JOB_FAILED, "forge down", 0, 5},
    {"a stopped worker puts it back", 1, false, "{}", JOB_EXIT_STOPPED *EXITED, CAUSE_DRAINED, NEXT_REQUEUE, 0, 0,
     "stopped", 0, 0},
    {"a stopped worker that had to kill is no crash", 2, false, "{\"tries\": {\"crashed\": 1}}", SIGKILL, CAUSE_DRAINED,
     NEXT_REQUEUE, 0, 0, "stopped", 1, 0},
    {"a signal from elsewhere puts it back", 1, false, "{}", JOB_EXIT_STOPPED *EXITED, CAUSE_NONE, NEXT_REQUEUE, 0, 0,
     "stopped", 0, 0},
    {"a cancelled job that had to be killed", 1, true, "{}", SIGKILL, CAUSE_CANCELLED, NEXT_BURY, 0, JOB_CANCELLED,
     "by a person", 0, 0},
    {"a wish to cancel counts more than a stop", 1, true, "{}", SIGKILL, CAUSE_DRAINED, NEXT_BURY, 0, JOB_CANCELLED,
     "by a person", 0, 0},
    {"too late", 1, false, "{}", SIGKILL, CAUSE_LATE, NEXT_BURY, 0, JOB_DONE, "2 h", 0, 0},
    {"an end to everything", WORKER_ATTEMPTS_MAX, false, "{}", JOB_EXIT_STOPPED *EXITED, CAUSE_DRAINED, NEXT_BURY, 0,
     JOB_DONE, "too many times", 0, 0},
};

static void check(const struct rule *rule)
{
    json_auto_t *published = json_loads(rule->published, 0, NULL);
    struct job job = {.attempt = rule->attempt, .cancel_requested = rule->cancel_requested, .published = published};
    struct worker_verdict got = worker_judge(&job, rule->status, rule->cause, 2 * 60 * MINUTE);
    bool same = got.next == rule->next && got.crashed == rule->crashed && got.outside == rule->outside &&
                (got.next == NEXT_BURY ? got.state == rule->state : got.wait_ms == rule->wait_ms) &&
                strstr(got.reason, rule->words);
    if (!same)
        fail_msg("%s: next %d, wait %lld, state %d, crashed %d, outside %d: %s", rule->name, got.next,
                 (long long)got.wait_ms, got.state, got.crashed, got.outside, got.reason);
}

static void every_end_has_its_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        check(&rules[i]);
}

static void a_job_that_gave_way_names_the_one_that_took_its_place(void **state)
{
    (void)state;
    struct job job = {.attempt = 1, .cancel_requested = true, .superseded_by = 12};
    struct worker_verdict got = worker_judge(&job, SIGKILL, CAUSE_CANCELLED, MINUTE);
    assert_int_equal(got.next, NEXT_BURY);
    assert_int_equal(got.state, JOB_CANCELLED);
    assert_string_equal(got.reason, "job 12, a newer request, took its place");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_has_its_rule),
        cmocka_unit_test(a_job_that_gave_way_names_the_one_that_took_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
