/* What the store remembers for the catch-up, and what a token forge lacks. */
#include "tests/unit/forge/script_server.h"

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/catch_up.h"
#include "app/heard.h"
#include "store_fixture.h"

static void one_process_looks_when_it_is_due_and_everybody_at_a_start(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    int64_t seen_ms = -1;
    bool claimed = false;
    struct catch_up_claim claim = {.forge = "github", .what = "deliveries", .now_ms = 1000, .next_ms = 5000};
    NEEDS(store_catch_up_claim(store, &claim, &seen_ms, &claimed, &err), &err);
    assert_true(claimed);
    assert_int_equal(seen_ms, 0);
    NEEDS(store_catch_up_seen(store, "github", "deliveries", 900, &err), &err);
    claim.now_ms = 4999;
    claim.next_ms = 9000;
    NEEDS(store_catch_up_claim(store, &claim, &seen_ms, &claimed, &err), &err);
    assert_false(claimed);
    claim.always = true;
    NEEDS(store_catch_up_claim(store, &claim, &seen_ms, &claimed, &err), &err);
    assert_true(claimed);
    assert_int_equal(seen_ms, 900);
    claim.always = false;
    claim.now_ms = 8999;
    NEEDS(store_catch_up_claim(store, &claim, &seen_ms, &claimed, &err), &err);
    assert_false(claimed);
    NEEDS(store_catch_up_seen(store, "github", "deliveries", 800, &err), &err); /* a slower look ends later */
    claim.now_ms = 9000;
    NEEDS(store_catch_up_claim(store, &claim, &seen_ms, &claimed, &err), &err);
    assert_true(claimed);
    assert_int_equal(seen_ms, 900);
    claim.what = "repositories";
    NEEDS(store_catch_up_claim(store, &claim, &seen_ms, &claimed, &err), &err);
    assert_true(claimed);
    assert_int_equal(seen_ms, 0);
}

static void tries_at_a_missed_delivery_are_counted(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    struct delivery known = a_delivery("d-1", "{}");
    bool yes = false;
    int64_t tries = 0;
    for (int i = 1; i <= 3; i++) {
        NEEDS(store_missed_try(store, "github", "d-2", &tries, &err), &err);
        assert_int_equal(tries, i);
    }
    NEEDS(store_missed_try(store, "other", "d-2", &tries, &err), &err);
    assert_int_equal(tries, 1);
    NEEDS(store_delivery_add(store, &known, &yes, &err), &err);
    NEEDS(store_delivery_known(store, "github", "d-1", &yes, &err), &err);
    assert_true(yes);
    NEEDS(store_delivery_known(store, "other", "d-1", &yes, &err), &err);
    assert_false(yes);
}

static void a_token_keeps_no_list_of_deliveries(void **state)
{
    (void)state;
    struct script_forge it = {0};
    script_forge_open(&it, NULL, 0);
    assert_false(forge_keeps_deliveries(it.forge));
    script_forge_close(&it);
}

/* ---- what is found by reading the state ---- */

#define OCTO "/repos/octo/shop"
#define LABELLED(number, time)                                                                                         \
    "{\"number\": " number ", \"title\": \"t\", \"body\": \"b\", \"state\": \"open\", \"user\": {\"login\": \"mia\"}," \
    " \"labels\": [{\"name\": \"assay\"}], \"updated_at\": \"" time "\"}"
#define EVENT(kind, who, time)                                                                                         \
    "{\"event\": \"" kind "\", \"actor\": {\"login\": \"" who                                                          \
    "\"}, \"label\": {\"name\": \"assay\"}, \"created_at\": \"" time "\"}"
#define COMMENT(id, who, type, created, updated)                                                                       \
    "{\"id\": " id ", \"issue_url\": \"https://x" OCTO                                                                 \
    "/issues/7\", \"body\": \"/help\", \"user\": {\"login\": \"" who "\", \"type\": \"" type                           \
    "\"}, \"created_at\": \"" created "\", \"updated_at\": \"" updated "\"}"

static const struct forge_repo repo = {.owner = "octo", .name = "shop"};

static int list(void *context, const struct forge_found *found, struct error *err)
{
    (void)err;
    buf_printf(context, "%s#%lld %lld by %s; ", found->event, (long long)found->number, (long long)found->comment_id,
               found->who);
    return 0;
}

static void a_label_counts_when_it_was_put_on_last_and_lately(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET " OCTO "/issues?state=open&labels=assay&since=2026-11-21T08:00:00Z&per_page=100", NULL, NULL, 200, NULL,
         "[" LABELLED("1", "2026-11-21T09:00:00Z") "," LABELLED("2", "2026-11-21T09:00:00Z") "," LABELLED(
             "3", "2026-11-21T09:00:00Z") "," LABELLED("4", "2026-11-21T09:00:00Z") "]"},
        {"GET " OCTO "/issues/1/events?per_page=100", NULL, NULL, 200, NULL,
         "[" EVENT("labeled", "eve", "2026-11-21T08:10:00Z") "," EVENT(
             "unlabeled", "mia", "2026-11-21T08:20:00Z") "," EVENT("labeled", "mia", "2026-11-21T08:30:00Z") "]"},
        {"GET " OCTO "/issues/2/events?per_page=100", NULL, NULL, 200, NULL,
         "[" EVENT("labeled", "mia", "2026-11-20T08:10:00Z") "]"},
        {"GET " OCTO "/issues/3/events?per_page=100", NULL, NULL, 200, NULL,
         "[" EVENT("labeled", "mia", "2026-11-21T08:10:00Z") "," EVENT("unlabeled", "mia", "2026-11-21T08:20:00Z") "]"},
        {"GET " OCTO "/issues/4/events?per_page=100", NULL, NULL, 200, NULL, "[]"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    AUTO_BUF struct buf found = BUF_INIT(KiB(4));
    int64_t since_ms = 0;
    SCRIPT_FORGE(&it, script);
    assert_ok(clock_parse_rfc3339("2026-11-21T08:00:00Z", &since_ms, &err));
    assert_ok(forge_find_labelled(it.forge, &repo, "assay", since_ms, list, &found, &err));
    assert_string_equal(buf_text(&found), "issues#1 0 by mia; ");
    script_forge_close(&it);
}

static void comments_of_bots_edited_and_older_ones_are_passed_over(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET " OCTO "/issues/comments?sort=created&direction=asc&since=2026-11-21T08:00:00Z&per_page=100", NULL, NULL,
         200, NULL,
         "[" COMMENT("1", "mia", "User", "2026-11-21T07:00:00Z", "2026-11-21T08:30:00Z") "," COMMENT(
             "2", "mia", "User", "2026-11-21T08:10:00Z",
             "2026-11-21T08:11:00Z") "," COMMENT("3", "x[bot]", "Bot", "2026-11-21T08:10:00Z",
                                                 "2026-11-21T08:10:00Z") "," COMMENT("4", "mia", "User",
                                                                                     "2026-11-21T08:10:00Z",
                                                                                     "2026-11-21T08:10:00Z") "]"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    AUTO_BUF struct buf found = BUF_INIT(KiB(4));
    int64_t since_ms = 0;
    SCRIPT_FORGE(&it, script);
    assert_ok(clock_parse_rfc3339("2026-11-21T08:00:00Z", &since_ms, &err));
    assert_ok(forge_find_comments(it.forge, &repo, since_ms, list, &found, &err));
    assert_string_equal(buf_text(&found), "issue_comment#7 4 by mia; ");
    script_forge_close(&it);
}

/* ---- repositories that were heard of ---- */

#define SINCE "2026-11-21T08:00:00Z"

/* One that was looked at up to ten minutes and `more_ms` after SINCE. */
static void note_looked_at(struct store *store, int64_t more_ms)
{
    struct error err = {0};
    struct repository_row row = {.forge = "github", .owner = "octo", .name = "shop"};
    NEEDS(store_repository_note(store, "github", "octo", "shop", 0, &err), &err);
    NEEDS(clock_parse_rfc3339(SINCE, &row.installed_ms, &err), &err);
    row.seen_ms = row.installed_ms + 10 * 60 * 1000 + more_ms;
    NEEDS(store_repository_seen(store, &row, &err), &err);
}

/* How many deliveries are made of what is found. */
static size_t look_at_repositories(struct store *store, struct forge *forge)
{
    const struct config config = {.label = "assay", .catch_up = {.repositories_ms = 1000, .back_ms = clock_wall_ms()}};
    const struct forge_config forge_config = {.name = "github"};
    const struct log log = {.fd = 2, .level = LOG_ERROR};
    const struct catch_up catch_up = {&config, &forge_config, forge, store, &log, NULL, NULL};
    struct error err = {0};
    size_t found = 0;
    NEEDS(catch_up_repositories(&catch_up, true, &found, &err), &err);
    return found;
}

static void note_pull(struct store *store, int64_t number)
{
    struct error err = {0};
    AUTO_FREE char *key = text_format("pull-%lld", (long long)number);
    json_auto_t *value = json_integer(number);
    NEEDS(store_job_publish(store, add_job(store, "shop", key), "pull", value, &err), &err);
}

static void a_pull_request_of_ours_that_was_closed_unheard_becomes_a_delivery(void **state)
{
    const struct exchange script[] = {
        {"GET " OCTO "/issues?state=open&labels=assay&since=" SINCE "&per_page=100", NULL, NULL, 200, NULL, "[]"},
        {"GET " OCTO "/issues/comments?sort=created&direction=asc&since=" SINCE "&per_page=100", NULL, NULL, 200, NULL,
         "[]"},
        {"GET " OCTO "/pulls/8", NULL, NULL, 200, NULL,
         "{\"number\": 8, \"state\": \"closed\", \"title\": \"t\", \"user\": {\"login\": \"assay-user\"}, "
         "\"closed_at\": \"2026-11-21T09:00:00Z\", \"updated_at\": \"2026-11-21T10:00:00Z\"}"},
        {"GET " OCTO "/pulls/9", NULL, NULL, 200, NULL, "{\"number\": 9, \"state\": \"open\"}"},
    };
    struct fixture *fixture = *state;
    struct script_forge it = {0};
    struct error err = {0};
    struct delivery delivery = {0};
    bool any = false;
    SCRIPT_FORGE(&it, script);
    note_looked_at(fixture->store, 0);
    note_pull(fixture->store, 8);
    note_pull(fixture->store, 9);
    assert_int_equal(look_at_repositories(fixture->store, it.forge), 1);
    NEEDS(store_delivery_take(fixture->store, "dispatcher", clock_wall_ms() + 1000, 1000, &delivery, &any, &err), &err);
    assert_true(any);
    assert_string_equal(delivery.event, "pull_request");
    json_auto_t *payload = json_loads(delivery.payload, 0, NULL);
    assert_string_equal(json_text_at(payload, "action", ""), "closed");
    assert_string_equal(json_text_at(payload, "pull_request.updated_at", ""), "2026-11-21T09:00:00Z");
    delivery_release(&delivery);
    script_forge_close(&it);
}

/* A forge's times are whole seconds: what was said at 8:00:00.7 is of 8:00:00, and comes after what we know up to
 * 8:00:00.6. */
static void a_comment_in_the_second_up_to_which_we_know_is_found(void **state)
{
    const struct exchange script[] = {
        {"GET " OCTO "/issues?state=open&labels=assay&since=" SINCE "&per_page=100", NULL, NULL, 200, NULL, "[]"},
        {"GET " OCTO "/issues/comments?sort=created&direction=asc&since=" SINCE "&per_page=100", NULL, NULL, 200, NULL,
         "[" COMMENT("4", "mia", "User", SINCE, SINCE) "]"},
        {"GET /user", NULL, NULL, 200, NULL, "{\"login\": \"assay-user\", \"id\": 1}"},
        {"GET " OCTO "/issues/7", NULL, NULL, 200, NULL,
         "{\"number\": 7, \"title\": \"t\", \"state\": \"open\", \"user\": {\"login\": \"mia\"}}"},
    };
    struct fixture *fixture = *state;
    struct script_forge it = {0};
    SCRIPT_FORGE(&it, script);
    note_looked_at(fixture->store, 600);
    assert_int_equal(look_at_repositories(fixture->store, it.forge), 1);
    script_forge_close(&it);
}

/* What a delivery tells: the names that are known afterwards, each with a blank behind it. Heap. */
static char *heard(struct store *store, const char *event, const char *text)
{
    struct error err = {0};
    json_auto_t *payload = json_loads(text, 0, NULL);
    struct repository_row *rows = NULL;
    size_t count = 0;
    AUTO_BUF struct buf names = BUF_INIT(KiB(1));
    assert_non_null(payload);
    NEEDS(heard_note(store, "github", event, payload, &err), &err);
    NEEDS(store_repositories(store, "github", INT64_MAX, 10, &rows, &count, &err), &err);
    buf_puts(&names, "");
    for (size_t i = 0; i < count; i++)
        buf_printf(&names, "%s/%s@%lld ", rows[i].owner, rows[i].name, (long long)rows[i].installation);
    repository_rows_free(rows, count);
    return strdup(buf_text(&names));
}

static void repositories_are_known_from_any_event_and_from_installations(void **state)
{
    static const struct {
        const char *event, *payload, *known;
    } steps[] = {
        {"push", "{\"repository\": {\"name\": \"a\", \"owner\": {\"login\": \"octo\"}}, \"installation\": {\"id\": 7}}",
         "octo/a@7 "},
        {"ping", "{\"zen\": \"Anything added dilutes everything else.\"}", "octo/a@7 "},
        {"installation",
         "{\"action\": \"created\", \"installation\": {\"id\": 8}, "
         "\"repositories\": [{\"full_name\": \"octo/a\"}, {\"full_name\": \"octo/b\"}]}",
         "octo/a@8 octo/b@8 "},
        {"installation_repositories",
         "{\"action\": \"removed\", \"installation\": {\"id\": 8}, \"repositories_added\": [], "
         "\"repositories_removed\": [{\"full_name\": \"octo/a\"}]}",
         "octo/b@8 "},
        {"installation",
         "{\"action\": \"deleted\", \"installation\": {\"id\": 8}, \"repositories\": [{\"full_name\": \"octo/b\"}]}",
         ""},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        AUTO_FREE char *known = heard(((struct fixture *)*state)->store, steps[i].event, steps[i].payload);
        assert_string_equal(known, steps[i].known);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_process_looks_when_it_is_due_and_everybody_at_a_start),
        TEST(tries_at_a_missed_delivery_are_counted),
        TEST(a_pull_request_of_ours_that_was_closed_unheard_becomes_a_delivery),
        TEST(a_comment_in_the_second_up_to_which_we_know_is_found),
        TEST(repositories_are_known_from_any_event_and_from_installations),
        cmocka_unit_test(a_token_keeps_no_list_of_deliveries),
        cmocka_unit_test(a_label_counts_when_it_was_put_on_last_and_lately),
        cmocka_unit_test(comments_of_bots_edited_and_older_ones_are_passed_over),
    };
    return RUN_ON_BOTH(tests);
}
