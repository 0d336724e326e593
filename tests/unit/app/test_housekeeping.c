/* What is let go of after a time, and above all what is not. */
#include "store_fixture.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/housekeeping.h"

enum { AT_ONCE = 1 }; /* ms: all that has ended is old */

static json_t *tidy(struct fixture *fixture, struct retention_config kept)
{
    struct error err = {0};
    struct config config = {.state_dir = fixture->folder, .retention = kept};
    struct log log = {0};
    json_t *report = NULL;
    log.level = LOG_ERROR;
    clock_sleep_ms(5);
    const struct housekeeping keeping = {.config = &config, .store = fixture->store, .log = &log};
    NEEDS(housekeeping_run(&keeping, &report, &err), &err);
    return report;
}

static int64_t gone(struct fixture *fixture, struct retention_config kept, const char *what)
{
    json_auto_t *report = tidy(fixture, kept);
    return json_int_at(report, what, -1);
}

/* ---- deliveries ---- */

static void add_delivery(struct store *store, const char *id)
{
    struct error err = {0};
    bool fresh;
    struct delivery in = a_delivery(id, "{}");
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
}

static void end_delivery(struct store *store, const char *note)
{
    struct error err = {0};
    struct delivery taken;
    bool found;
    NEEDS(store_delivery_take(store, "dispatcher", clock_wall_ms(), 1000, &taken, &found, &err), &err);
    assert_true(found);
    NEEDS(store_delivery_done(store, &taken, note, &err), &err);
    delivery_release(&taken);
}

static bool is_known(struct store *store, const char *id)
{
    struct error err = {0};
    bool known;
    NEEDS(store_delivery_known(store, "github", id, &known, &err), &err);
    return known;
}

static void deliveries_that_are_done_go_and_those_that_wait_or_came_to_nothing_stay(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    for (int i = 0; i < 250; i++) { /* more than two batches */
        AUTO_FREE char *id = text_format("done-%d", i);
        add_delivery(store, id);
        end_delivery(store, "job 1");
    }
    add_delivery(store, "failed");
    end_delivery(store, "failed: it is no JSON");
    add_delivery(store, "waiting");
    assert_int_equal(gone(fixture, (struct retention_config){.deliveries_ms = 3600 * 1000}, "deliveries"), 0);
    assert_int_equal(gone(fixture, (struct retention_config){.deliveries_ms = AT_ONCE}, "deliveries"), 250);
    assert_false(is_known(store, "done-0"));
    assert_true(is_known(store, "failed"));
    assert_true(is_known(store, "waiting"));
    assert_int_equal(gone(fixture, (struct retention_config){.journal_ms = AT_ONCE}, "lost_deliveries"), 1);
    assert_false(is_known(store, "failed"));
    end_delivery(store, "job 1"); /* the one that waited has its payload still */
}

/* ---- jobs ---- */

/* A job with a snapshot and an artifact, that runs. */
static int64_t run_job(struct store *store, const char *key)
{
    struct error err = {0};
    int64_t id = add_job(store, key, key);
    int64_t stage;
    json_auto_t *snapshot = json_pack("{s:s}", "spec", "all of it");
    assert_int_equal(claim_at(store, "w", clock_wall_ms(), 1), id);
    NEEDS(store_stage_begin(store, id, 1, 0, "spec", "digest", &stage, &err), &err);
    NEEDS(store_stage_end(store, stage, "passed", "", snapshot, &err), &err);
    NEEDS(store_artifact_put(store, id, "pull.md", "words", 5, &err), &err);
    return id;
}

static void note(struct store *store, int64_t id, const char *key)
{
    struct error err = {0};
    json_auto_t *value = json_integer(8);
    NEEDS(store_job_publish(store, id, key, value, &err), &err);
}

static void end_job(struct store *store, int64_t id, enum job_state how)
{
    struct error err = {0};
    NEEDS(store_job_finish(store, id, how, how == JOB_DONE ? "proven" : "", "", &err), &err);
}

static bool has_all(struct store *store, int64_t id)
{
    struct error err = {0};
    json_auto_t *snapshot = NULL;
    AUTO_BUF struct buf bytes = BUF_INIT(100);
    NEEDS(store_last_snapshot(store, id, &snapshot, &err), &err);
    bool has_artifact = store_artifact_get(store, id, "pull.md", &bytes, &err) == 0;
    assert_int_equal(has_artifact, snapshot != NULL);
    return has_artifact;
}

static void what_an_ended_job_left_goes_and_what_one_at_work_or_with_an_open_pull_needs_stays(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct retention_config kept = {.journal_ms = AT_ONCE, .artifacts_ms = AT_ONCE};
    int64_t failed = run_job(store, "failed");
    end_job(store, failed, JOB_FAILED);
    int64_t asks = run_job(store, "asks");
    end_job(store, asks, JOB_QUESTION);
    int64_t open = run_job(store, "open");
    note(store, open, "pull");
    end_job(store, open, JOB_DONE);
    int64_t merged = run_job(store, "merged");
    note(store, merged, "pull");
    end_job(store, merged, JOB_DONE);
    note(store, merged, "pull_ended");
    int64_t busy = run_job(store, "busy");
    assert_int_equal(gone(fixture, (struct retention_config){.journal_ms = 3600 * 1000}, "snapshots"), 0);
    json_auto_t *report = tidy(fixture, kept);
    assert_int_equal(json_int_at(report, "snapshots", -1), 2);
    assert_int_equal(json_int_at(report, "artifacts", -1), 2);
    assert_false(has_all(store, failed));
    assert_false(has_all(store, merged));
    assert_true(has_all(store, asks));
    assert_true(has_all(store, open));
    assert_true(has_all(store, busy));
}

static void evaluations_go_with_their_results(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    int64_t run;
    json_auto_t *line = json_pack("{s:s}", "task_id", "t");
    NEEDS(store_eval_begin(fixture->store, "key", "tasks.jsonl", &run, &err), &err);
    NEEDS(store_eval_add(fixture->store, run, line, &err), &err);
    json_auto_t *report = tidy(fixture, (struct retention_config){.evaluations_ms = AT_ONCE});
    assert_int_equal(json_int_at(report, "eval_results", -1), 1);
    assert_int_equal(json_int_at(report, "eval_runs", -1), 1);
    json_auto_t *left = store_evals(fixture->store, 0, &err);
    assert_int_equal(json_array_size(left), 0);
}

/* ---- mirrors ---- */

/* A mirror of 64 KiB, unused for so many days. Its path; heap. */
static char *make_mirror(struct fixture *fixture, const char *name, int days)
{
    AUTO_FREE char *path = text_format("%s/mirrors/%s", fixture->folder, name);
    AUTO_FREE char *head = text_format("%s/HEAD", path);
    AUTO_FREE char *pack = text_format("%s/pack", path);
    AUTO_FREE char *lock = text_format("%s.lock", path);
    char bytes[KiB(64)];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(fs_make_dirs(path, 0700, NULL), 0);
    assert_int_equal(fs_write_atomic(head, "ref", 3, 0600, NULL), 0);
    assert_int_equal(fs_write_atomic(pack, bytes, sizeof bytes, 0600, NULL), 0);
    assert_int_equal(fs_write_atomic(lock, "", 0, 0600, NULL), 0);
    const struct timespec then = {.tv_sec = time(NULL) - days * 86400};
    assert_int_equal(utimensat(AT_FDCWD, lock, (struct timespec[]){then, then}, 0), 0);
    return STEAL(path);
}

static void mirrors_that_nobody_uses_go_and_those_of_waiting_jobs_or_in_use_stay(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *old = make_mirror(fixture, "github/octo/old.git", 40);
    AUTO_FREE char *named = make_mirror(fixture, "run/0123456789abcdef.git", 40);
    AUTO_FREE char *fresh = make_mirror(fixture, "github/octo/fresh.git", 1);
    AUTO_FREE char *wanted = make_mirror(fixture, "github/Octo/wanted.git", 40);
    AUTO_FREE char *locked = make_mirror(fixture, "github/octo/locked.git", 40);
    AUTO_FREE char *lock = text_format("%s.lock", locked);
    AUTO_CLOSE int held = open(lock, O_RDWR);
    assert_int_equal(flock(held, LOCK_EX), 0);
    add_job(fixture->store, "wanted", "key");
    json_auto_t *report = tidy(fixture, (struct retention_config){.mirrors_ms = (int64_t)30 * 86400 * 1000});
    assert_int_equal(json_int_at(report, "mirrors", -1), 2);
    assert_in_range(json_int_at(report, "mirror_bytes", -1), 2 * KiB(64), 2 * KiB(128));
    assert_false(fs_exists(old));
    assert_false(fs_exists(named));
    assert_true(fs_exists(fresh));
    assert_true(fs_exists(wanted));
    assert_true(fs_exists(locked));
}

static void mirrors_beyond_their_room_go_longest_unused_first(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *third = make_mirror(fixture, "github/octo/c.git", 3);
    AUTO_FREE char *first = make_mirror(fixture, "github/octo/a.git", 5);
    AUTO_FREE char *second = make_mirror(fixture, "github/octo/b.git", 4);
    json_auto_t *report = tidy(fixture, (struct retention_config){.mirrors_size = KiB(200)});
    assert_int_equal(json_int_at(report, "mirrors", -1), 1);
    assert_false(fs_exists(first));
    assert_true(fs_exists(second));
    assert_true(fs_exists(third));
}

static void a_removal_that_was_interrupted_is_completed(void **state)
{
    struct fixture *fixture = *state;
    AUTO_FREE char *half = make_mirror(fixture, "github/octo/a.git.removed", 1);
    json_auto_t *report = tidy(fixture, (struct retention_config){0});
    assert_int_equal(json_int_at(report, "mirrors", -1), 0);
    assert_false(fs_exists(half));
}

/* ---- sizes ---- */

static void sizes_name_the_parts(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    add_delivery(store, "one");
    run_job(store, "one");
    json_auto_t *sizes = store_sizes(store, &err);
    assert_non_null(sizes);
    assert_int_equal(json_int_at(sizes, "deliveries.count", -1), 1);
    assert_int_equal(json_int_at(sizes, "artifacts.count", -1), 1);
    assert_true(json_int_at(sizes, "artifacts.bytes", -1) >= 5);
    assert_true(json_int_at(sizes, "database.bytes", -1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deliveries_that_are_done_go_and_those_that_wait_or_came_to_nothing_stay,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            what_an_ended_job_left_goes_and_what_one_at_work_or_with_an_open_pull_needs_stays, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(evaluations_go_with_their_results, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(mirrors_that_nobody_uses_go_and_those_of_waiting_jobs_or_in_use_stay,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(mirrors_beyond_their_room_go_longest_unused_first, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_removal_that_was_interrupted_is_completed, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sizes_name_the_parts, fixture_setup, fixture_teardown),
    };
    return RUN_ON_BOTH(tests);
}
