/* What the store promises about a running job's journal: fences, stages, snapshots, model calls, artifacts. */
#include "store_fixture.h"

#include "app/base/clock.h"

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

/* ---- fencing ---- */

static void a_handle_of_an_older_claim_cannot_write(void **state)
{
    struct fixture *fixture = *state;
    struct store *zombie = fixture->store;
    struct store *now = open_or_fail(fixture->url);
    struct error err = {0};
    size_t count = 0;
    int64_t stage = 0;
    int64_t id = add_job(zombie, "a", "k");
    assert_int_equal(claim_at(zombie, "w1", 1000, 1), id);
    assert_int_equal(store_fence(zombie, id, 2, &err), -1); /* there was one claim */
    assert_int_equal(err.code, ERROR_CONFLICT);
    NEEDS(store_fence(zombie, id, 1, &err), &err);
    NEEDS(store_stage_begin(zombie, id, 1, 0, "spec", "", &stage, &err), &err);
    NEEDS(store_jobs_recover(now, 5000, &count, &err), &err);
    assert_int_equal(claim_at(now, "w2", 5000, 1), id);
    json_auto_t *value = json_integer(1);
    int64_t late = 0;
    assert_int_equal(store_job_publish(zombie, id, "pull", value, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(store_job_finish(zombie, id, JOB_DONE, "proven", "", &err), -1);
    assert_int_equal(store_job_requeue(zombie, id, 0, "", &err), -1);
    assert_int_equal(store_stage_begin(zombie, id, 2, 0, "tests", "", &late, &err), -1);
    assert_int_equal(store_stage_end(zombie, stage, "passed", "", NULL, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    NEEDS(store_fence(now, id, 2, &err), &err);
    NEEDS(store_job_publish(now, id, "pull", value, &err), &err);
    NEEDS(store_job_finish(now, id, JOB_DONE, "proven", "", &err), &err);
    NEEDS(store_job_again(now, id, NULL, true, &err), &err);
    assert_int_equal(claim_at(now, "w2", 6000, 1), id);
    assert_int_equal(store_fence(zombie, id, 1, &err), -1); /* the first attempt once more, by another claim */
    store_close(now);
}

/* ---- the journal ---- */

static void the_last_snapshot_is_that_of_the_newest_finished_stage(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t job = add_job(store, "a", "k");
    int64_t stages[3] = {0};
    json_t *snapshot = NULL;
    assert_int_equal(claim_at(store, "w", 1000, 1), job);
    NEEDS(store_last_snapshot(store, job, &snapshot, &err), &err);
    assert_null(snapshot);
    const char *const names[] = {"spec", "tests", "red"};
    for (int i = 0; i < 3; i++) {
        NEEDS(store_stage_begin(store, job, 1, i, names[i], "digest", &stages[i], &err), &err);
        json_auto_t *run = json_pack("{s:i}", "at", i);
        if (i < 2)
            NEEDS(store_stage_end(store, stages[i], "passed", "fine", run, &err), &err);
    }
    NEEDS(store_last_snapshot(store, job, &snapshot, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(snapshot, "at")), 1);
    json_decref(snapshot);

    struct stage_row *rows = NULL;
    size_t count = 0;
    NEEDS(store_stages(store, job, true, &rows, &count, &err), &err);
    assert_int_equal(count, 3);
    assert_string_equal(rows[0].stage, "spec");
    assert_string_equal(rows[0].status, "passed");
    assert_string_equal(rows[0].detail, "fine");
    assert_string_equal(rows[0].input_digest, "digest");
    assert_int_equal(rows[1].round, 1);
    assert_int_equal(json_integer_value(json_object_get(rows[1].snapshot, "at")), 1);
    assert_string_equal(rows[2].status, "running");
    assert_null(rows[2].snapshot);
    stages_free(rows, count);
    NEEDS(store_stages(store, job, false, &rows, &count, &err), &err);
    assert_null(rows[0].snapshot);
    stages_free(rows, count);
    assert_int_equal(store_stage_end(store, stages[0], "failed", "twice", NULL, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
}

static void a_fresh_start_forgets_the_stages_but_not_the_money(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t job = add_job(store, "a", "k");
    int64_t stage = 0;
    assert_int_equal(claim_at(store, "w", 1000, 1), job);
    NEEDS(store_stage_begin(store, job, 1, 0, "spec", "", &stage, &err), &err);
    struct call_row call = {
        .job = job, .stage = stage, .name = "local", .tokens_in = 10, .tokens_out = 5, .cost_usd = 0.25};
    NEEDS(store_call_add(store, &call, &err), &err);
    json_auto_t *run = json_object();
    NEEDS(store_stage_end(store, stage, "passed", "", run, &err), &err);
    for (int fresh = 0; fresh <= 1; fresh++) {
        NEEDS(store_job_finish(store, job, JOB_FAILED, "", "", &err), &err);
        NEEDS(store_job_again(store, job, NULL, fresh, &err), &err);
        json_t *snapshot = NULL;
        struct stage_row *rows = NULL;
        size_t count = 9;
        NEEDS(store_last_snapshot(store, job, &snapshot, &err), &err);
        NEEDS(store_stages(store, job, false, &rows, &count, &err), &err);
        assert_int_equal(snapshot == NULL, fresh);
        assert_int_equal(count, fresh ? 0 : 1);
        json_decref(snapshot);
        stages_free(rows, count);
        assert_int_equal(claim_at(store, "w", 3000, 1), job);
    }
    struct job after = {0};
    NEEDS(store_job_get(store, job, &after, &err), &err);
    assert_float_equal(after.cost_usd, 0.25, 1e-9);
    assert_int_equal(after.attempt, 1);
    job_release(&after);
}

static void journal(struct store *store, int64_t job, const char *name, const char *status, const char *snapshot)
{
    struct error err = {0};
    int64_t stage = 0;
    json_auto_t *run = json_pack("{s:s}", "next_stage", snapshot);
    NEEDS(store_stage_begin(store, job, 1, 0, name, "", &stage, &err), &err);
    NEEDS(store_stage_end(store, stage, status, "", run, &err), &err);
}

static void a_job_that_stopped_goes_on_with_the_stage_at_which_it_did(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t job = add_job(store, "a", "k");
    assert_int_equal(claim_at(store, "w", 1000, 1), job);
    journal(store, job, "spec", "passed", "tests");
    for (int i = 0; i < 2; i++) { /* and it stops there once more */
        journal(store, job, "tests", "stopped", "report");
        journal(store, job, "report", "passed", "");
        NEEDS(store_job_finish(store, job, JOB_DONE, "needs-human", "", &err), &err);
        NEEDS(store_job_continue(store, job, NULL, &err), &err);
        json_t *snapshot = NULL;
        struct stage_row *rows = NULL;
        size_t count = 9;
        NEEDS(store_last_snapshot(store, job, &snapshot, &err), &err);
        NEEDS(store_stages(store, job, false, &rows, &count, &err), &err);
        assert_string_equal(json_string_value(json_object_get(snapshot, "next_stage")), "tests");
        assert_int_equal(count, 1);
        json_decref(snapshot);
        stages_free(rows, count);
        assert_int_equal(claim_at(store, "w", 3000, 1), job);
    }
}

static void calls_add_up_for_the_job_and_over_time(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t job = add_job(store, "a", "k");
    int64_t before = clock_wall_ms() - 1000; /* the store's clock may be another */
    struct call_row call = {.job = job,
                            .name = "sonnet",
                            .model = "claude",
                            .role = "tests",
                            .template_path = "prompts/tests.mustache",
                            .template_digest = "t",
                            .request_digest = "r",
                            .tokens_in = 1000,
                            .tokens_out = 50,
                            .tokens_cached = 20,
                            .elapsed_ms = 1500,
                            .cost_usd = 0.5};
    NEEDS(store_call_add(store, &call, &err), &err);
    call.error = "overloaded";
    call.cost_usd = 0;
    NEEDS(store_call_add(store, &call, &err), &err);
    struct job after = {0};
    NEEDS(store_job_get(store, job, &after, &err), &err);
    assert_int_equal(after.tokens_in, 2000);
    assert_int_equal(after.tokens_out, 100);
    assert_float_equal(after.cost_usd, 0.5, 1e-9);
    job_release(&after);
    json_auto_t *calls = store_calls(store, job, &err);
    assert_int_equal(json_array_size(calls), 2);
    json_t *first = json_array_get(calls, 0);
    assert_string_equal(json_string_value(json_object_get(first, "model")), "claude");
    assert_int_equal(json_integer_value(json_object_get(first, "tokens_cached")), 20);
    assert_true(json_is_null(json_object_get(first, "error")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(calls, 1), "error")), "overloaded");
    double cost = -1;
    NEEDS(store_cost_since(store, before, &cost, &err), &err);
    assert_float_equal(cost, 0.5, 1e-9);
    NEEDS(store_cost_since(store, before + 3600000, &cost, &err), &err);
    assert_float_equal(cost, 0, 1e-9);
    call.job = 999;
    assert_int_equal(store_call_add(store, &call, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void artifacts_are_replaced_and_bounded_by_the_readers_cap(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    int64_t job = add_job(store, "a", "k");
    NEEDS(store_artifact_put(store, job, "green.log", "old", 3, &err), &err);
    NEEDS(store_artifact_put(store, job, "green.log", "\0new", 4, &err), &err);
    NEEDS(store_artifact_put(store, job, "empty", NULL, 0, &err), &err);
    AUTO_BUF struct buf out = BUF_INIT(4);
    NEEDS(store_artifact_get(store, job, "green.log", &out, &err), &err);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "\0new", 4);
    NEEDS(store_artifact_get(store, job, "empty", &out, &err), &err);
    assert_int_equal(out.len, 4);
    assert_int_equal(store_artifact_get(store, job, "green.log", &out, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_int_equal(store_artifact_get(store, job, "other", &out, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_int_equal(store_artifact_put(store, 999, "x", "y", 1, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

/* ---- evaluations ---- */

static void an_evaluation_goes_on_under_its_key_and_keeps_each_task_once(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    int64_t first = 0, again = 0, other = 0;
    NEEDS(store_eval_begin(fixture->store, "key", "tasks.jsonl", &first, &err), &err);
    NEEDS(store_eval_begin(fixture->store, "key", "tasks.jsonl", &again, &err), &err);
    NEEDS(store_eval_begin(fixture->store, "other", "tasks.jsonl", &other, &err), &err);
    assert_int_equal(first, again);
    assert_int_not_equal(first, other);
    json_auto_t *line = json_pack("{s:s, s:b, s:n}", "task_id", "own/one", "hidden", 1, "first_try");
    json_auto_t *later = json_pack("{s:s, s:b}", "task_id", "own/one", "hidden", 0);
    NEEDS(store_eval_add(fixture->store, first, line, &err), &err);
    NEEDS(store_eval_add(fixture->store, first, later, &err), &err);
    NEEDS(store_eval_add(fixture->store, other, later, &err), &err);
    assert_int_equal(store_eval_add(fixture->store, 999, line, &err), -1); /* there is no such run */
    json_auto_t *all = store_evals(fixture->store, 0, &err);
    assert_int_equal(json_array_size(all), 2);
    assert_true(json_equal(json_object_get(json_array_get(all, 0), "line"), line));
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "tasks")), "tasks.jsonl");
    json_auto_t *none = store_evals(fixture->store, INT64_MAX, &err);
    assert_int_equal(json_array_size(none), 0);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_handle_of_an_older_claim_cannot_write),
        STORE_TEST(the_last_snapshot_is_that_of_the_newest_finished_stage),
        STORE_TEST(a_fresh_start_forgets_the_stages_but_not_the_money),
        STORE_TEST(a_job_that_stopped_goes_on_with_the_stage_at_which_it_did),
        STORE_TEST(calls_add_up_for_the_job_and_over_time),
        STORE_TEST(artifacts_are_replaced_and_bounded_by_the_readers_cap),
        STORE_TEST(an_evaluation_goes_on_under_its_key_and_keeps_each_task_once),
    };
    return RUN_ON_BOTH(tests);
}
