/* Whose job is claimed next, on both back ends. */
#include "store_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static int64_t add(struct store *store, const char *owner, const char *repo, bool urgent)
{
    static int number;
    struct error err = {0};
    json_auto_t *request = json_object();
    AUTO_FREE char *key = text_format("%d", ++number);
    struct job job = {.forge = "github",
                      .owner = (char *)owner,
                      .repo = (char *)repo,
                      .number = number,
                      .kind = "generate",
                      .request_key = key,
                      .request = request,
                      .urgent = urgent};
    int64_t id = 0;
    bool fresh = false;
    NEEDS(store_job_add(store, &job, &id, &fresh, &err), &err);
    assert_true(fresh);
    return id;
}

static int64_t fresh(struct store *store, const char *owner, const char *repo)
{
    return add(store, owner, repo, false);
}

static int64_t urgent(struct store *store, const char *owner, const char *repo)
{
    return add(store, owner, repo, true);
}

static int64_t claim(struct store *store)
{
    return claim_at(store, "w", 1000, 100);
}

static void finish(struct store *store, int64_t id)
{
    struct error err = {0};
    NEEDS(store_job_finish(store, id, JOB_DONE, "proven", "", &err), &err);
}

static void repositories_take_turns_and_each_gives_its_oldest(void **state)
{
    struct store *store = store_of(state);
    int64_t a1 = fresh(store, "octo", "a");
    int64_t a2 = fresh(store, "octo", "a");
    int64_t a3 = fresh(store, "octo", "a");
    int64_t b1 = fresh(store, "octo", "b");
    int64_t b2 = fresh(store, "octo", "b");
    const int64_t expected[] = {a1, b1, a2, b2, a3, 0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(claim(store), expected[i]);
}

static void an_account_with_many_repositories_has_one_turn_in_each_round(void **state)
{
    struct store *store = store_of(state);
    int64_t a = fresh(store, "octo", "a");
    int64_t b = fresh(store, "octo", "b");
    int64_t c = fresh(store, "octo", "c");
    int64_t d1 = fresh(store, "hubot", "d");
    int64_t d2 = fresh(store, "hubot", "d");
    const int64_t expected[] = {a, d1, b, d2, c, 0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(claim(store), expected[i]);
}

static void who_was_served_longest_ago_is_next_also_after_a_pause(void **state)
{
    struct store *store = store_of(state);
    assert_int_equal(claim(store), fresh(store, "octo", "a"));
    assert_int_equal(claim(store), fresh(store, "octo", "b"));
    assert_int_equal(claim(store), fresh(store, "octo", "c"));
    int64_t c = fresh(store, "octo", "c");
    int64_t b = fresh(store, "octo", "b");
    int64_t a = fresh(store, "octo", "a");
    int64_t new = fresh(store, "octo", "new");
    const int64_t expected[] = {new, a, b, c, 0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(claim(store), expected[i]);
}

static void a_repository_at_its_bound_is_passed_over(void **state)
{
    struct store *store = store_of(state);
    int64_t a1 = fresh(store, "octo", "a");
    int64_t a2 = fresh(store, "octo", "a");
    int64_t b1 = urgent(store, "hubot", "b");
    int64_t b2 = urgent(store, "hubot", "b");
    int64_t b3 = fresh(store, "hubot", "b"); /* one bound for both lines */
    assert_int_equal(claim_at(store, "w", 1000, 1), b1);
    assert_int_equal(claim_at(store, "w", 1000, 1), a1);
    assert_int_equal(claim_at(store, "w", 1000, 1), 0);
    finish(store, a1);
    assert_int_equal(claim_at(store, "w", 1000, 1), a2);
    finish(store, b1);
    assert_int_equal(claim_at(store, "w", 1000, 1), b2);
    assert_int_equal(claim_at(store, "w", 1000, 1), 0);
    finish(store, b2);
    assert_int_equal(claim_at(store, "w", 1000, 1), b3);
}

static void what_a_person_waits_for_goes_first_and_starves_nobody(void **state)
{
    struct store *store = store_of(state);
    int64_t f1 = fresh(store, "octo", "a");
    int64_t f2 = fresh(store, "hubot", "b");
    int64_t u[7];
    for (size_t i = 0; i < 7; i++)
        u[i] = urgent(store, "octo", "a");
    const int64_t expected[] = {u[0], u[1], u[2], f1, u[3], u[4], u[5], f2, u[6], 0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(claim(store), expected[i]);
}

static void a_job_that_is_run_again_is_urgent(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t a = fresh(store, "octo", "a");
    assert_int_equal(claim(store), a);
    NEEDS(store_job_finish(store, a, JOB_QUESTION, "question", "", &err), &err);
    int64_t b = fresh(store, "hubot", "b");
    NEEDS(store_job_again(store, a, NULL, false, &err), &err);
    assert_int_equal(claim(store), a);
    assert_int_equal(claim(store), b);
}

static void a_job_that_waits_for_its_time_holds_up_nobody(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t a = fresh(store, "octo", "a");
    assert_int_equal(claim_at(store, "w", 1000, 9), a);
    NEEDS(store_job_requeue(store, a, 5000, "the forge is down", &err), &err);
    int64_t b = fresh(store, "octo", "a");
    assert_int_equal(claim_at(store, "w", 4999, 9), b);
    assert_int_equal(claim_at(store, "w", 4999, 9), 0);
    assert_int_equal(claim_at(store, "w", 5000, 9), a);
}

static void jobs_of_a_dead_worker_stand_in_line_again(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t a = fresh(store, "octo", "a");
    size_t count = 0;
    assert_int_equal(claim_at(store, "w", 1000, 9), a);
    NEEDS(store_jobs_recover(store, 99999, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(claim_at(store, "w", 99999, 9), a);
}

static void a_job_that_was_cancelled_in_line_is_passed_over(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    char repo[16];
    bool running = true;
    for (int i = 0; i < 30; i++) {
        snprintf(repo, sizeof repo, "r%d", i);
        NEEDS(store_job_cancel(store, fresh(store, "octo", repo), &running, &err), &err);
        assert_false(running);
    }
    int64_t last = fresh(store, "octo", "last");
    assert_int_equal(claim(store), last);
    assert_int_equal(claim(store), 0);
    int64_t again = fresh(store, "octo", "r5");
    assert_int_equal(claim(store), again);
}

/* Two accounts, one with a hundred jobs for each of the other's: both have half of the turns. */
static void a_flood_takes_no_more_than_its_share(void **state)
{
    struct store *store = store_of(state);
    int64_t few[3];
    for (int i = 0; i < 60; i++)
        fresh(store, "flood", i % 2 ? "a" : "b");
    for (size_t i = 0; i < 3; i++)
        few[i] = fresh(store, "octo", "shop");
    for (size_t i = 0; i < 3; i++) {
        assert_true(claim(store) < few[0]);
        assert_int_equal(claim(store), few[i]);
    }
}

enum { RACERS = 4, RACE_JOBS = 120, RACE_BOUND = 2 };

static size_t count_running(struct store *store, const char *repo)
{
    struct error err = {0};
    struct job_filter filter = {.repo = repo, .state = JOB_RUNNING};
    struct job *jobs = NULL;
    size_t count = 0;
    NEEDS(store_jobs(store, &filter, &jobs, &count, &err), &err);
    jobs_free(jobs, count);
    return count;
}

/* Claims, looks, ends; until nothing has come for a second. Exits 1 when the bound was passed. */
_Noreturn static void race(const char *url)
{
    struct store *store = store_open(url, NULL);
    for (int idle = 0; store && idle < 100; idle++) {
        struct job job = {0};
        bool found = false;
        if (store_job_claim(store, "w", store_now_ms(store), 60 * 1000, RACE_BOUND, &job, &found, NULL) < 0)
            _exit(2);
        if (!found) {
            usleep(10 * 1000);
            continue;
        }
        idle = 0;
        if (count_running(store, job.repo) > RACE_BOUND)
            _exit(1);
        if (store_job_finish(store, job.id, JOB_DONE, "proven", "", NULL) < 0)
            _exit(3); /* somebody else had it, too */
        job_release(&job);
    }
    _exit(store ? 0 : 4);
}

static void many_workers_lose_no_job_and_keep_the_bound(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[RACERS];
    for (int i = 0; i < RACERS; i++)
        if ((pids[i] = fork()) == 0)
            race(fixture->url);
    for (int i = 0; i < RACE_JOBS; i++)
        add(fixture->store, "octo", i % 3 ? "a" : "b", i % 5 == 0);
    for (int i = 0; i < RACERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    json_auto_t *status = store_status(fixture->store, NULL);
    json_t *jobs = json_object_get(status, "jobs");
    assert_int_equal(json_integer_value(json_object_get(jobs, "done")), RACE_JOBS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(repositories_take_turns_and_each_gives_its_oldest),
        TEST(an_account_with_many_repositories_has_one_turn_in_each_round),
        TEST(who_was_served_longest_ago_is_next_also_after_a_pause),
        TEST(a_repository_at_its_bound_is_passed_over),
        TEST(what_a_person_waits_for_goes_first_and_starves_nobody),
        TEST(a_job_that_is_run_again_is_urgent),
        TEST(a_job_that_waits_for_its_time_holds_up_nobody),
        TEST(jobs_of_a_dead_worker_stand_in_line_again),
        TEST(a_job_that_was_cancelled_in_line_is_passed_over),
        TEST(a_flood_takes_no_more_than_its_share),
        TEST(many_workers_lose_no_job_and_keep_the_bound),
    };
    return RUN_ON_BOTH(tests);
}
