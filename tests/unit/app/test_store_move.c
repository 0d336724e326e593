/* Everything of one database into another: between SQLite and PostgreSQL, in both directions. */
#include "store_fixture.h"

#include <sqlite3.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/store_internal.h"

static struct postgres_server server;

struct pair {
    char *folder;
    char *urls[3]; /* of an SQLite file, a PostgreSQL schema, another SQLite file */
};

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    pair->folder = fs_make_temp_dir("/tmp", "assay-move-", NULL);
    pair->urls[0] = text_format("sqlite://%s/one.db", pair->folder);
    pair->urls[1] = postgres_new_schema(server.url);
    pair->urls[2] = text_format("sqlite://%s/two.db", pair->folder);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    fs_remove_tree(pair->folder, NULL);
    for (size_t i = 0; i < 3; i++)
        free(pair->urls[i]);
    free(pair->folder);
    free(pair);
    return 0;
}

static void change(const char *url, const char *sql)
{
    sqlite3 *db = NULL;
    char *problem = NULL;
    assert_int_equal(sqlite3_open(url + strlen("sqlite://"), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &problem) != SQLITE_OK)
        fail_msg("%s: %s", sql, problem);
    sqlite3_close(db);
}

/* At least one row in each table, with what is awkward: NUL bytes, half a character, fractions, nothing at all. */
static void fill(const char *url)
{
    struct error err = {0};
    struct store *store = open_or_fail(url);
    AUTO_FREE char *long_text = calloc(1, 300000);
    memset(long_text, 'x', 299999);
    const char *const payloads[] = {"{}", "{\"a\": \"\xc3\xa9\"}", long_text};
    for (size_t i = 0; i < 3; i++) {
        bool fresh;
        AUTO_FREE char *id = text_format("delivery-%zu", i);
        struct delivery delivery = a_delivery(id, payloads[i]);
        NEEDS(store_delivery_add(store, &delivery, &fresh, &err), &err);
    }
    int64_t first = add_job(store, "shop", "one");
    int64_t last = add_job(store, "shop", "two");
    assert_int_equal(claim_at(store, "w", clock_wall_ms(), 1), first);
    int64_t stage = 0;
    NEEDS(store_stage_begin(store, first, 1, 0, "spec", "digest", &stage, &err), &err);
    const struct call_row call = {first,     stage, "name", "model", "role", "path", "digest",
                                  "request", NULL,  1,      2,       3,      4,      0.1};
    NEEDS(store_call_add(store, &call, &err), &err);
    NEEDS(store_artifact_put(store, first, "log", "a\0b\xff", 4, &err), &err);
    NEEDS(store_artifact_put(store, first, "empty", "", 0, &err), &err);
    json_auto_t *number = json_integer(7);
    NEEDS(store_job_publish(store, first, "pull", number, &err), &err);
    NEEDS(store_job_finish(store, first, JOB_DONE, "proven", "caf\xc3\xa9, cut off: \xc3", &err), &err);
    int64_t run = 0;
    json_auto_t *line = json_pack("{s:s, s:f}", "task_id", "t", "seconds", 0.25);
    NEEDS(store_eval_begin(store, "key", "tasks.jsonl", &run, &err), &err);
    NEEDS(store_eval_add(store, run, line, &err), &err);
    struct effect_row before = {0};
    const struct effect_row effect = {
        .forge = "github", .owner = "octo", .repo = "shop", .kind = "comment", .key = "k", .job = first, .token = 4711};
    NEEDS(store_effect_begin(store, &effect, &before, &err), &err);
    effect_row_release(&before);
    int64_t seen;
    bool claimed;
    NEEDS(store_catch_up_claim(store, &(struct catch_up_claim){"github", "deliveries", 1, 2, true}, &seen, &claimed,
                               &err),
          &err);
    NEEDS(store_missed_try(store, "github", "lost", &seen, &err), &err);
    store_close(store);
    AUTO_FREE char *sql = text_format("DELETE FROM job WHERE id = %lld", (long long)last);
    change(url, sql); /* its number must not be given out again */
}

static int try_move(const char *from, const char *to, bool in_use, json_t **report, struct error *err)
{
    struct store *source = open_or_fail(from);
    struct store *target = open_or_fail(to);
    int status = store_move(source, target, &(struct store_move){.in_use = in_use}, report, err);
    store_close(source);
    store_close(target);
    return status;
}

static json_t *move_or_fail(const char *from, const char *to)
{
    struct error err = {0};
    json_t *report = NULL;
    NEEDS(try_move(from, to, false, &report, &err), &err);
    return report;
}

static int64_t rows_of(const json_t *report, const char *name)
{
    const json_t *table;
    size_t i;
    json_array_foreach (report, i, table)
        if (strcmp(json_text_at(table, "table", ""), name) == 0)
            return json_int_at(table, "rows", -1);
    return -1;
}

static void there_and_back_every_table_has_the_same_rows(void **state)
{
    static const char *const tables[] = {"delivery", "payload",     "job",          "effect",
                                         "stage",    "model_call",  "artifact",     "eval_run",
                                         "catch_up", "eval_result", "forge_effect", "missed"};
    struct pair *pair = *state;
    fill(pair->urls[0]);
    json_auto_t *there = move_or_fail(pair->urls[0], pair->urls[1]);
    json_auto_t *back = move_or_fail(pair->urls[1], pair->urls[2]);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (rows_of(there, tables[i]) < 1)
            fail_msg("nothing was moved of %s", tables[i]);
    assert_int_equal(rows_of(there, "payload"), 3);
    assert_true(json_equal(there, back));
}

static void what_was_moved_is_what_the_store_gives(void **state)
{
    struct pair *pair = *state;
    struct error err = {0};
    struct job job;
    struct delivery delivery;
    bool found;
    AUTO_BUF struct buf log = BUF_INIT(100);
    fill(pair->urls[0]);
    json_decref(move_or_fail(pair->urls[0], pair->urls[1]));
    struct store *store = open_or_fail(pair->urls[1]);
    NEEDS(store_job_get(store, 1, &job, &err), &err);
    assert_string_equal(job.reason, "caf\xc3\xa9, cut off: \xef\xbf\xbd");
    assert_int_equal(json_int_at(job.published, "pull", 0), 7);
    assert_true(job.cost_usd == 0.1);
    job_release(&job);
    NEEDS(store_artifact_get(store, 1, "log", &log, &err), &err);
    assert_int_equal(log.len, 4);
    assert_memory_equal(log.data, "a\0b\xff", 4);
    NEEDS(store_delivery_take(store, "dispatcher", store_now_ms(store), 1000, &delivery, &found, &err), &err);
    assert_true(found);
    assert_string_equal(delivery.id, "delivery-0");
    delivery_release(&delivery);
    store_close(store);
}

static void numbers_go_on_where_they_were_even_of_rows_that_are_gone(void **state)
{
    struct pair *pair = *state;
    bool fresh = false;
    struct error err = {0};
    fill(pair->urls[0]); /* job 2 was there and is deleted */
    json_decref(move_or_fail(pair->urls[0], pair->urls[1]));
    json_decref(move_or_fail(pair->urls[1], pair->urls[2]));
    for (size_t i = 1; i < 3; i++) {
        struct store *store = open_or_fail(pair->urls[i]);
        struct delivery delivery = a_delivery("new", "{}");
        assert_int_equal(add_job(store, "shop", "three"), 3);
        NEEDS(store_delivery_add(store, &delivery, &fresh, &err), &err);
        store_close(store);
    }
}

static void a_target_with_rows_is_refused_and_left_alone(void **state)
{
    struct pair *pair = *state;
    struct error err = {0};
    json_t *report = NULL;
    fill(pair->urls[0]);
    struct store *store = open_or_fail(pair->urls[1]);
    add_job(store, "other", "key");
    store_close(store);
    assert_int_equal(try_move(pair->urls[0], pair->urls[1], false, &report, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "1 rows in table job"));
    struct error none = {0};
    struct job *jobs = NULL;
    size_t count = 0;
    store = open_or_fail(pair->urls[1]);
    NEEDS(store_jobs(store, &(struct job_filter){.state = -1}, &jobs, &count, &none), &none);
    assert_int_equal(count, 1);
    jobs_free(jobs, count);
    store_close(store);
}

static void a_source_that_others_have_open_is_refused_unless_told(void **state)
{
    struct pair *pair = *state;
    fill(pair->urls[0]);
    for (size_t from = 0; from < 2; from++) {
        struct error err = {0};
        json_t *report = NULL;
        struct store *other = open_or_fail(pair->urls[from]);
        assert_int_equal(try_move(pair->urls[from], pair->urls[from + 1], false, &report, &err), -1);
        assert_int_equal(err.code, ERROR_CONFLICT);
        assert_non_null(strstr(err.message, "stop `assay serve`"));
        NEEDS(try_move(pair->urls[from], pair->urls[from + 1], true, &report, &err), &err);
        assert_int_equal(rows_of(report, "job"), 1);
        json_decref(report);
        store_close(other);
    }
}

static void what_fails_on_its_way_leaves_nothing_behind(void **state)
{
    struct pair *pair = *state;
    struct error err = {0};
    json_t *report = NULL;
    fill(pair->urls[0]);
    change(pair->urls[0], "PRAGMA ignore_check_constraints = ON; UPDATE stage SET status = 'running';"
                          "UPDATE job SET state = 'dreaming'");
    assert_int_equal(try_move(pair->urls[0], pair->urls[1], false, &report, &err), -1);
    assert_non_null(strstr(err.message, "table job"));
    assert_null(report);
    change(pair->urls[0], "UPDATE job SET state = 'done'");
    json_decref(move_or_fail(pair->urls[0], pair->urls[1])); /* it is empty still */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back_every_table_has_the_same_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_moved_is_what_the_store_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_go_on_where_they_were_even_of_rows_that_are_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_with_rows_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_that_others_have_open_is_refused_unless_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_fails_on_its_way_leaves_nothing_behind, setup, teardown),
    };
    if (!postgres_start(&server, NULL)) {
        print_message("[  SKIPPED ] moves: PostgreSQL is not installed\n");
        return 0;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_end(&server);
    return failed;
}
