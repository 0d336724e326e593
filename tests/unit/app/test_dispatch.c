/* What an event sets off: jobs in a real store, calls to a scripted GitHub, in this order and no others. */
#include "dispatch_world.h"

/* ---- labels ---- */

static void opened_and_labeled_make_one_job(void **state)
{
    const struct exchange script[] = {MAY_WRITE, EYES("/issues/7"), MAY_WRITE, MAY_WRITE};
    WORLD(world, script);
    send_issue(&world, "opened", "assay", "mia", "Make a slug", "2026-11-21T08:00:00Z");
    assert_string_equal(world.note, "job 1");
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T08:00:01Z");
    assert_string_equal(world.note, "same as job 1");
    end_job(&world, 1, JOB_DONE, "proven"); /* an event that comes late is still of that moment */
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T08:00:59Z");
    assert_string_equal(world.note, "same as job 1");
    assert_int_equal(count_jobs(&world), 1);

    struct job job = job_of(&world, 1);
    assert_string_equal(job.kind, "generate");
    assert_string_equal(job.title, "Slugify");
    assert_int_equal(job.installation, 77);
    assert_string_equal(json_text_at(job.request, "body", ""), "Make a slug");
    assert_string_equal(json_text_at(job.request, "requester", ""), "mia");
    assert_int_equal(json_int_at(job.request, "requester_id", 0), 42);
    assert_string_equal(json_text_at(job.request, "trigger", ""), "label");
    job_release(&job);
    world_close(&world);
}

static void a_later_label_starts_again_once_the_job_has_ended(void **state)
{
    const struct exchange script[] = {MAY_WRITE,
                                      EYES("/issues/7"),
                                      MAY_WRITE,
                                      MAY_WRITE,
                                      MAY_WRITE,
                                      MAY_WRITE,
                                      WHO_WE_ARE,
                                      COMMENTS,
                                      {"POST " OCTO "/issues/7/comments", NULL,
                                       "{\"body\": \"Job 3 takes the place of job 2: the newest request "
                                       "counts.\\n\\n<!-- assay:reply:job:3 -->\\n\"}",
                                       201, NULL, "{\"id\": 900}"}};
    WORLD(world, script);
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T08:00:00Z");
    assert_string_equal(world.note, "job 1");
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T09:00:00Z");
    assert_string_equal(world.note, "same as job 1");
    end_job(&world, 1, JOB_FAILED, "");
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T10:00:00Z");
    assert_string_equal(world.note, "job 2");
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T10:00:00Z");
    assert_string_equal(world.note, "same as job 2");
    send_issue(&world, "labeled", "assay", "mia", "Another text", "2026-11-21T10:00:01Z");
    assert_string_equal(world.note, "job 3");
    struct job job = job_of(&world, 2);
    assert_int_equal(job.state, JOB_CANCELLED);
    assert_int_equal(job.superseded_by, 3);
    job_release(&job);
    world_close(&world);
}

/* The same, found in the repository afterwards. */
static void find_issue(struct world *world, const char *body, const char *time)
{
    AUTO_FREE char *payload = issue_event("labeled", "assay", "mia", body, time);
    AUTO_FREE char *found = text_format("%.*s, \"" FORGE_FOUND_KEY "\": {\"as_of\": \"2026-11-21T12:00:00Z\"}}",
                                        (int)strlen(payload) - 1, payload);
    deliver(world, "issues", found);
}

static void a_label_found_afterwards_is_its_webhooks_request_whatever_the_text(void **state)
{
    const struct exchange script[] = {MAY_WRITE, EYES("/issues/7"), MAY_WRITE, MAY_WRITE, MAY_WRITE};
    WORLD(world, script);
    find_issue(&world, "Edited since", "2026-11-21T08:00:01Z");
    assert_string_equal(world.note, "job 1");
    struct job job = job_of(&world, 1);
    assert_string_equal(json_text_at(job.request, "text_as_of", ""), "2026-11-21T12:00:00Z");
    job_release(&job);
    send_issue(&world, "opened", "assay", "mia", "Make a slug", "2026-11-21T08:00:00Z");
    assert_string_equal(world.note, "same as job 1");
    end_job(&world, 1, JOB_DONE, "proven");
    send_issue(&world, "labeled", "assay", "mia", "Make a slug", "2026-11-21T08:00:00Z");
    assert_string_equal(world.note, "same as job 1");
    find_issue(&world, "Edited since", "2026-11-21T09:30:00Z"); /* it was put on once more */
    assert_string_equal(world.note, "job 2");
    world_close(&world);
}

static void a_command_that_was_found_before_its_webhook_came_is_obeyed_once(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500")};
    WORLD(world, script);
    struct said said = {.author = "mia", .body = "/generate"};
    say_aged(&world, said, "found:octo/shop:comment:500", 0);
    assert_string_equal(world.note, "/generate job 1");
    say_aged(&world, said, "d-1", 0);
    assert_string_equal(world.note, "ignored: it has come in another way before");
    assert_int_equal(count_jobs(&world), 1);
    world_close(&world);
}

static void a_label_counts_only_with_write_permission(void **state)
{
    const struct exchange script[] = {MAY_READ, WHO_WE_ARE, COMMENTS, SAYS};
    WORLD(world, script);
    send_issue(&world, "opened", "assay", "eve", "Make a slug", "2026-11-21T08:00:00Z");
    assert_string_equal(world.note, "ignored: eve has no write permission");
    assert_int_equal(count_jobs(&world), 0);
    world_close(&world);
}

static void other_labels_and_actions_start_nothing(void **state)
{
    const struct exchange script[] = {{0}};
    struct world world;
    world_open(&world, state, script, 0);
    static const char *const actions[] = {"labeled", "opened", "unlabeled", "edited", "closed", "deleted"};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        send_issue(&world, actions[i], i < 2 ? "bug" : "assay", "mia", "Make a slug", "2026-11-21T08:00:00Z");
        assert_non_null(strstr(world.note, "ignored"));
    }
    deliver(&world, "ping", "{\"zen\": \"Keep it logically awesome.\"}");
    assert_string_equal(world.note, "pong");
    deliver(&world, "star", "{\"action\": \"created\"}");
    assert_non_null(strstr(world.note, "ignored"));
    assert_int_equal(count_jobs(&world), 0);
    world_close(&world);
}

/* ---- pull requests that end ---- */

/* The fixture's jobs were triggered in 1970. */
static void a_pull_request_that_is_closed_ends_what_waits_for_it(void **state)
{
    static const char closed[] =
        "{\"action\": \"closed\", \"number\": 7, \"pull_request\": {\"number\": 7, \"state\": \"closed\", \"title\": "
        "\"t\", \"user\": {\"login\": \"mia\"}, \"updated_at\": \"2026-11-21T09:00:00Z\"}, \"repository\": {\"name\": "
        "\"shop\", \"owner\": {\"login\": \"octo\"}}, \"sender\": {\"login\": \"mia\"}}";
    struct error err = {0};
    struct job job;
    struct world world;
    world_open(&world, state, NULL, 0);
    struct store *store = world.fixture->store;
    json_auto_t *number = json_integer(7);
    int64_t opened = add_job_for(store, "shop", 3, "opened-it");
    NEEDS(store_job_publish(store, opened, "pull", number, &err), &err);
    assert_int_equal(claim_at(store, "w", clock_wall_ms(), 1), opened);
    NEEDS(store_job_finish(store, opened, JOB_DONE, "proven", "", &err), &err);
    int64_t waits = add_job_for(store, "shop", 7, "waits");
    deliver_aged(&world, "pull_request", "d-1", closed, 0);
    assert_string_equal(world.note, "our pull request has ended, and with it 1 waiting jobs");
    NEEDS(store_job_get(store, waits, &job, &err), &err);
    assert_int_equal(job.state, JOB_CANCELLED);
    job_release(&job);
    NEEDS(store_job_get(store, opened, &job, &err), &err);
    assert_int_equal(job.state, JOB_DONE);
    assert_string_equal(json_text_at(job.published, "pull_ended", ""), "2026-11-21T09:00:00Z");
    job_release(&job);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opened_and_labeled_make_one_job),
        TEST(a_later_label_starts_again_once_the_job_has_ended),
        TEST(a_label_found_afterwards_is_its_webhooks_request_whatever_the_text),
        TEST(a_command_that_was_found_before_its_webhook_came_is_obeyed_once),
        TEST(a_label_counts_only_with_write_permission),
        TEST(other_labels_and_actions_start_nothing),
        TEST(a_pull_request_that_is_closed_ends_what_waits_for_it),
    };
    return RUN_ON_BOTH(tests);
}
