/* What the store promises about jobs, on a real file and a real server. */
#include "store_fixture.h"

#include "app/base/json.h"

#include <sys/stat.h>

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static void a_job_keeps_what_it_was_added_with(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t id = add_job_for(store, "slug", 7, "key");
    struct job job = {0};
    NEEDS(store_job_get(store, id, &job, &err), &err);
    assert_string_equal(job.forge, "github");
    assert_string_equal(job.owner, "octo");
    assert_string_equal(job.repo, "slug");
    assert_int_equal(job.installation, 77);
    assert_int_equal(job.number, 7);
    assert_false(job.on_pull);
    assert_string_equal(job.kind, "generate");
    assert_string_equal(job.request_key, "key");
    assert_string_equal(json_string_value(json_object_get(job.request, "body")), "Make a slug");
    assert_int_equal(job.state, JOB_QUEUED);
    assert_string_equal(job.outcome, "");
    assert_int_equal(job.attempt, 0);
    assert_int_equal(job.triggered_ms, 123);
    assert_true(job.created_ms > 1600000000000);
    assert_int_equal(json_object_size(job.published), 0);
    job_release(&job);
    assert_int_equal(store_job_get(store, id + 1, &job, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void the_same_request_by_two_events_is_one_job(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t id = add_job(store, "slug", "octo/slug#7@123");
    json_auto_t *request = json_object();
    struct job again = {.forge = "github",
                        .owner = "octo",
                        .repo = "slug",
                        .kind = "generate",
                        .request_key = "octo/slug#7@123",
                        .request = request};
    int64_t found = 0;
    bool fresh = true;
    NEEDS(store_job_add(store, &again, &found, &fresh, &err), &err);
    assert_false(fresh);
    assert_int_equal(found, id);
}

static void claims_are_bounded_for_each_repository(void **state)
{
    struct store *store = store_of(state);
    int64_t a1 = add_job(store, "a", "a1");
    int64_t a2 = add_job(store, "a", "a2");
    int64_t a3 = add_job(store, "a", "a3");
    int64_t b1 = add_job(store, "b", "b1");
    assert_int_equal(claim_at(store, "w1", 100, 2), a1);
    assert_int_equal(claim_at(store, "w2", 100, 2), b1);
    assert_int_equal(claim_at(store, "w3", 100, 2), a2);
    assert_int_equal(claim_at(store, "w4", 100, 2), 0); /* a has its two */
    struct error err = {0};
    NEEDS(store_job_finish(store, a1, JOB_DONE, "proven", "", &err), &err);
    assert_int_equal(claim_at(store, "w4", 100, 2), a3);
}

static void a_claimed_job_runs_and_a_requeued_one_waits_for_its_time(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    struct job job = {0};
    bool found = false;
    NEEDS(store_job_claim(store, "w1", 5000, 1000, 1, &job, &found, &err), &err);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.started_ms, 5000);
    job_release(&job);
    NEEDS(store_job_requeue(store, id, 9000, "GitHub is down", &err), &err);
    assert_int_equal(claim_at(store, "w1", 8999, 1), 0);
    assert_int_equal(claim_at(store, "w1", 9000, 1), id);
    NEEDS(store_job_get(store, id, &job, &err), &err);
    assert_int_equal(job.attempt, 2);
    assert_string_equal(job.reason, "GitHub is down");
    assert_int_equal(job.started_ms, 5000);
    job_release(&job);
}

static void a_lease_is_extended_by_its_worker_only_and_recovered_when_it_passes(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    bool cancel = true;
    size_t count = 9;
    assert_int_equal(claim_at(store, "w1", 1000, 1), id); /* until 2000 */
    assert_int_equal(store_job_extend(store, id, "w2", 9000, &cancel, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    NEEDS(store_job_extend(store, id, "w1", 3000, &cancel, &err), &err);
    assert_false(cancel);
    NEEDS(store_jobs_recover(store, 3000, &count, &err), &err);
    assert_int_equal(count, 0);
    int64_t stage = 0;
    NEEDS(store_stage_begin(store, id, 1, 0, "spec", "abc", &stage, &err), &err);
    NEEDS(store_jobs_recover(store, 3001, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(store_job_extend(store, id, "w1", 9000, &cancel, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    struct stage_row *rows = NULL;
    NEEDS(store_stages(store, id, false, &rows, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].status, "interrupted");
    assert_int_equal(rows[0].ended_ms, 3001);
    stages_free(rows, count);
    assert_int_equal(claim_at(store, "w2", 4000, 1), id);
}

static void a_running_job_is_asked_to_stop_and_a_waiting_one_is_ended(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t runs = add_job(store, "a", "k1");
    int64_t waits = add_job(store, "b", "k2");
    bool flag = false;
    assert_int_equal(claim_at(store, "w", 1000, 1), runs);
    NEEDS(store_job_cancel(store, runs, &flag, &err), &err);
    assert_true(flag);
    bool cancel = false;
    NEEDS(store_job_extend(store, runs, "w", 3000, &cancel, &err), &err);
    assert_true(cancel);
    int64_t ids[4] = {0};
    size_t count = 0;
    NEEDS(store_jobs_to_cancel(store, "w", ids, 4, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], runs);
    NEEDS(store_jobs_to_cancel(store, "another", ids, 4, &count, &err), &err);
    assert_int_equal(count, 0);
    NEEDS(store_job_cancel(store, waits, &flag, &err), &err);
    assert_false(flag);
    struct job job = {0};
    NEEDS(store_job_get(store, waits, &job, &err), &err);
    assert_int_equal(job.state, JOB_CANCELLED);
    assert_true(job.ended_ms > 0);
    job_release(&job);
    assert_int_equal(store_job_cancel(store, waits, &flag, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(store_job_cancel(store, 999, &flag, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void only_a_running_job_ends_and_only_an_ended_or_waiting_one_runs_again(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    assert_int_equal(store_job_finish(store, id, JOB_DONE, "proven", "", &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(store_job_again(store, id, NULL, false, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(claim_at(store, "w", 1000, 1), id);
    assert_int_equal(store_job_finish(store, id, JOB_QUEUED, "", "", &err), -1);
    assert_int_equal(store_job_again(store, id, NULL, false, &err), -1);
    NEEDS(store_job_finish(store, id, JOB_QUESTION, "question", "which separator?", &err), &err);
    json_auto_t *request = json_pack("{s:[s]}", "answers", "a dash");
    NEEDS(store_job_again(store, id, request, false, &err), &err);
    struct job job = {0};
    NEEDS(store_job_get(store, id, &job, &err), &err);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_int_equal(job.attempt, 0);
    assert_string_equal(job.outcome, "");
    assert_true(json_equal(job.request, request));
    job_release(&job);
    assert_int_equal(claim_at(store, "w", 2000, 1), id);
    NEEDS(store_job_finish(store, id, JOB_DONE, "proven", "all gates passed", &err), &err);
    NEEDS(store_job_get(store, id, &job, &err), &err);
    assert_string_equal(job.outcome, "proven");
    assert_string_equal(job.reason, "all gates passed");
    assert_true(job.ended_ms > 0);
    job_release(&job);
}

static void published_things_are_kept_key_by_key(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t id = add_job(store, "a", "k");
    json_auto_t *comment = json_integer(4242);
    json_auto_t *branch = json_string("assay/7-\"slug\"");
    json_auto_t *label = json_null();
    NEEDS(store_job_publish(store, id, "comment_id", json_true(), &err), &err);
    NEEDS(store_job_publish(store, id, "comment_id", comment, &err), &err);
    NEEDS(store_job_publish(store, id, "branch", branch, &err), &err);
    NEEDS(store_job_publish(store, id, "label", label, &err), &err);
    struct job job = {0};
    NEEDS(store_job_get(store, id, &job, &err), &err);
    json_auto_t *expected = json_pack("{s:i, s:s, s:n}", "comment_id", 4242, "branch", "assay/7-\"slug\"", "label");
    assert_true(json_equal(job.published, expected));
    job_release(&job);
    assert_int_equal(store_job_publish(store, 999, "x", comment, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

/* What became of a job, as "state reason". */
static char *fate(struct store *store, int64_t id, int64_t superseded_by)
{
    struct error err = {0};
    struct job job = {0};
    NEEDS(store_job_get(store, id, &job, &err), &err);
    assert_int_equal(job.superseded_by, superseded_by);
    char *text =
        text_format("%s%s %s", job_state_name(job.state), job.cancel_requested ? ", asked to stop" : "", job.reason);
    job_release(&job);
    return text;
}

static void expect_fate(struct store *store, int64_t id, int64_t superseded_by, const char *expected)
{
    AUTO_FREE char *text = fate(store, id, superseded_by);
    assert_string_equal(text, expected);
}

static void the_newest_request_for_an_issue_wins(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t elsewhere = add_job_for(store, "b", 7, "another repository");
    int64_t other = add_job_for(store, "a", 8, "another issue");
    int64_t runs = add_job_for(store, "a", 7, "k1");
    while (claim_at(store, "w", 1000, 9))
        continue;
    int64_t waits = add_job_for(store, "A", 7, "k2");
    int64_t newest = add_job_for(store, "a", 7, "k3");
    AUTO_FREE char *reason = text_format("cancelled job %lld, a newer request, took its place", (long long)newest);
    expect_fate(store, runs, newest, "running, asked to stop ");
    expect_fate(store, waits, newest, reason);
    expect_fate(store, elsewhere, 0, "running ");
    expect_fate(store, other, 0, "running ");
    struct job_filter filter = {.superseded_by = newest, .state = -1};
    struct job *jobs = NULL;
    size_t count = 0;
    NEEDS(store_jobs(store, &filter, &jobs, &count, &err), &err);
    assert_int_equal(count, 2);
    jobs_free(jobs, count);
    NEEDS(store_job_again(store, waits, NULL, false, &err), &err); /* a person insists: both are to run */
    expect_fate(store, waits, 0, "queued ");
    expect_fate(store, newest, 0, "queued ");
}

static int64_t add_on_pull(struct store *store, const char *kind, const char *text)
{
    struct error err = {0};
    static int key;
    AUTO_FREE char *request_key = text_format("pull %d", ++key);
    json_auto_t *request = json_pack("{s:s}", "text", text);
    struct job job = {.forge = "github",
                      .owner = "octo",
                      .repo = "a",
                      .number = 7,
                      .on_pull = true,
                      .kind = (char *)kind,
                      .request_key = request_key,
                      .request = request};
    int64_t id = 0;
    bool fresh = false;
    NEEDS(store_job_add(store, &job, &id, &fresh, &err), &err);
    return id;
}

static void a_command_on_a_pull_request_replaces_the_same_words_only(void **state)
{
    struct store *store = store_of(state);
    int64_t review = add_on_pull(store, "review", "");
    int64_t explain = add_on_pull(store, "explain", "src/a.c");
    int64_t another = add_on_pull(store, "explain", "src/b.c");
    int64_t again = add_on_pull(store, "explain", "src/a.c");
    AUTO_FREE char *reason = text_format("cancelled job %lld, a newer request, took its place", (long long)again);
    expect_fate(store, review, 0, "queued ");
    expect_fate(store, explain, again, reason);
    expect_fate(store, another, 0, "queued ");
    expect_fate(store, again, 0, "queued ");
}

static void jobs_are_listed_newest_first_by_filter(void **state)
{
    struct store *store = store_of(state);
    int64_t a = add_job(store, "a", "k1");
    int64_t b = add_job(store, "b", "k2");
    int64_t c = add_job_for(store, "a", 7, "k3");
    assert_int_equal(claim_at(store, "w", 1000, 1), a);
    const struct {
        struct job_filter filter;
        size_t count;
        int64_t first;
    } cases[] = {
        {{.state = -1}, 3, c},
        {{.state = -1, .limit = 2}, 2, c},
        {{.state = JOB_QUEUED}, 2, c},
        {{.state = JOB_RUNNING}, 1, a},
        {{.state = JOB_DONE}, 0, 0},
        {{.state = -1, .repo = "b"}, 1, b},
        {{.state = -1, .owner = "OCTO", .repo = "A"}, 2, c},
        {{.state = -1, .owner = "other"}, 0, 0},
        {{.state = -1, .forge = "github", .number = 7}, 1, c},
        {{.state = -1, .forge = "github", .owner = "OCTO", .repo = "A", .number = 7}, 1, c},
        {{.state = JOB_DONE, .forge = "github", .owner = "octo", .repo = "a", .number = 7}, 0, 0},
        {{.state = -1, .number = 8}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct job *jobs = NULL;
        size_t count = 0;
        NEEDS(store_jobs(store, &cases[i].filter, &jobs, &count, &err), &err);
        assert_int_equal(count, cases[i].count);
        if (count)
            assert_int_equal(jobs[0].id, cases[i].first);
        jobs_free(jobs, count);
    }
}

static void the_status_counts_by_state(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    bool yes = false;
    struct delivery in = a_delivery("d", "{}");
    NEEDS(store_delivery_add(store, &in, &yes, &err), &err);
    add_job(store, "a", "k1");
    add_job(store, "a", "k2");
    claim_at(store, "w", 1000, 1);
    json_auto_t *status = store_status(store, &err);
    json_auto_t *expected = json_pack("{s:{s:i}, s:{s:i, s:i}, s:O}", "deliveries", "waiting", 1, "jobs", "queued", 1,
                                      "running", 1, "schema", json_object_get(status, "schema"));
    assert_true(json_equal(status, expected));
    assert_true(json_int_at(status, "schema", 0) > 0);
    NEEDS(store_ping(store, &err), &err);
}

static void everything_is_there_after_opening_again(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    bool yes = false;
    struct delivery in = a_delivery("d", "{}");
    NEEDS(store_delivery_add(fixture->store, &in, &yes, &err), &err);
    store_close(fixture->store);
    fixture->store = open_or_fail(fixture->url);
    NEEDS(store_delivery_add(fixture->store, &in, &yes, &err), &err);
    assert_false(yes);
}

static void the_file_is_for_its_owner_only(void **state)
{
    struct fixture *fixture = *state;
    struct stat st;
    const char *const ends[] = {"", "-wal"};
    for (size_t i = 0; i < 2; i++) {
        AUTO_FREE char *path = text_format("%s%s", fixture->path, ends[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void a_backup_is_whole_private_and_never_written_over(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    AUTO_FREE char *path = text_format("%s/backup.db", fixture->folder);
    AUTO_FREE char *url = text_format("sqlite://%s", path);
    struct store *other = open_or_fail(fixture->url); /* in use */
    int64_t id = add_job(other, "a", "k1");
    NEEDS(store_backup(fixture->store, path, &err), &err);
    add_job(other, "a", "k2");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct store *copy = open_or_fail(url);
    struct job job = {0};
    NEEDS(store_job_get(copy, id, &job, &err), &err);
    job_release(&job);
    assert_int_equal(store_job_get(copy, id + 1, &job, &err), -1);
    store_close(copy);
    assert_int_equal(store_backup(fixture->store, path, &err), -1);
    assert_non_null(strstr(err.message, "File exists"));
    store_close(other);
}

static void job_states_have_names_that_are_found_again(void **state)
{
    (void)state;
    for (int i = JOB_QUEUED; i <= JOB_FAILED; i++)
        assert_int_equal(job_state_find(job_state_name((enum job_state)i)), i);
    assert_int_equal(job_state_find("sleeping"), -1);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_job_keeps_what_it_was_added_with),
        STORE_TEST(the_same_request_by_two_events_is_one_job),
        STORE_TEST(claims_are_bounded_for_each_repository),
        STORE_TEST(a_claimed_job_runs_and_a_requeued_one_waits_for_its_time),
        STORE_TEST(a_lease_is_extended_by_its_worker_only_and_recovered_when_it_passes),
        STORE_TEST(a_running_job_is_asked_to_stop_and_a_waiting_one_is_ended),
        STORE_TEST(only_a_running_job_ends_and_only_an_ended_or_waiting_one_runs_again),
        STORE_TEST(the_newest_request_for_an_issue_wins),
        STORE_TEST(a_command_on_a_pull_request_replaces_the_same_words_only),
        STORE_TEST(published_things_are_kept_key_by_key),
        STORE_TEST(jobs_are_listed_newest_first_by_filter),
        STORE_TEST(the_status_counts_by_state),
        STORE_TEST(everything_is_there_after_opening_again),
        cmocka_unit_test(job_states_have_names_that_are_found_again),
    };
    const struct CMUnitTest sqlite_only[] = {STORE_TEST(the_file_is_for_its_owner_only),
                                             STORE_TEST(a_backup_is_whole_private_and_never_written_over)};
    return RUN_ON_BOTH(tests) + cmocka_run_group_tests(sqlite_only, NULL, NULL);
}
