/* What the store remembers for the catch-up, and what a token forge lacks. */
#include "tests/unit/forge/script_server.h"

#include "app/base/clock.h"
#include "app/catch_up.h"
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_process_looks_when_it_is_due_and_everybody_at_a_start),
        TEST(tries_at_a_missed_delivery_are_counted),
        cmocka_unit_test(a_token_keeps_no_list_of_deliveries),
        cmocka_unit_test(a_label_counts_when_it_was_put_on_last_and_lately),
        cmocka_unit_test(comments_of_bots_edited_and_older_ones_are_passed_over),
    };
    return RUN_ON_BOTH(tests);
}
