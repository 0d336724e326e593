/* What the store promises about deliveries, on a real file and a real server. */
#include "store_fixture.h"

#include "app/base/json.h"

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static void a_delivery_comes_back_byte_for_byte(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    char bytes[] = "{\"a\":\0\xff\n}";
    struct delivery in = a_delivery("d-1", "");
    in.payload = bytes;
    in.payload_len = sizeof bytes - 1;
    struct delivery out = {0};
    bool fresh = false;
    bool found = false;
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
    assert_true(fresh);
    NEEDS(store_delivery_take(store, "dispatcher", 2000, 500, &out, &found, &err), &err);
    assert_true(found);
    assert_string_equal(out.forge, "github");
    assert_string_equal(out.id, "d-1");
    assert_string_equal(out.event, "issues");
    assert_int_equal(out.received_ms, 1000);
    assert_int_equal(out.attempts, 1);
    assert_int_equal(out.payload_len, sizeof bytes - 1);
    assert_memory_equal(out.payload, bytes, sizeof bytes - 1);
    delivery_release(&out);
}

static void add_delivery(struct store *store, const char *id)
{
    struct error err = {0};
    struct delivery in = a_delivery(id, "{}");
    bool fresh = false;
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
}

static size_t take_several(struct store *store, int64_t now_ms, struct delivery out[static 8])
{
    struct error err = {0};
    size_t count = 0;
    NEEDS(store_deliveries_take(store, "dispatcher", now_ms, 500, out, 8, &count, &err), &err);
    return count;
}

static void deliveries_are_taken_together_and_each_ends_in_its_own_way(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery taken[8] = {0};
    size_t late = 9;
    add_delivery(store, "done");
    add_delivery(store, "later");
    add_delivery(store, "untried");
    assert_int_equal(take_several(store, 2000, taken), 3);
    const struct delivery_end ends[] = {
        {.delivery = &taken[0], .how = DELIVERY_DONE, .note = "job 1"},
        {.delivery = &taken[1], .how = DELIVERY_DEFERRED, .note = "GitHub answered 503", .again_ms = 3000},
        {.delivery = &taken[2], .how = DELIVERY_UNTRIED},
    };
    NEEDS(store_deliveries_end(store, ends, 3, &late, &err), &err);
    assert_int_equal(late, 0);
    NEEDS(store_deliveries_end(store, ends, 3, &late, &err), &err);
    assert_int_equal(late, 3);
    for (size_t i = 0; i < 3; i++)
        delivery_release(&taken[i]);
    int64_t soon_ms = store_now_ms(store) + 1000;
    assert_int_equal(take_several(store, soon_ms, taken), 1); /* what was tried before comes alone */
    assert_string_equal(taken[0].id, "later");
    delivery_release(&taken[0]);
    assert_int_equal(take_several(store, soon_ms, taken), 1);
    assert_string_equal(taken[0].id, "untried");
    assert_int_equal(taken[0].attempts, 1);
    delivery_release(&taken[0]);
}

/* One that takes its process down with it must not cost the others their tries. */
static void deliveries_of_a_batch_that_crashed_come_again_one_by_one(void **state)
{
    struct store *store = store_of(state);
    struct delivery taken[8] = {0};
    add_delivery(store, "poison");
    add_delivery(store, "innocent");
    assert_int_equal(take_several(store, 2000, taken), 2);
    delivery_release(&taken[0]);
    delivery_release(&taken[1]);
    for (int64_t now_ms = 3000; now_ms <= 3001; now_ms++) {
        assert_int_equal(take_several(store, now_ms, taken), 1);
        assert_string_equal(taken[0].id, now_ms == 3000 ? "poison" : "innocent");
        assert_int_equal(taken[0].attempts, 2);
        delivery_release(&taken[0]);
    }
}

static void a_delivery_id_is_stored_once_for_each_forge(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery first = a_delivery("same", "one");
    struct delivery again = a_delivery("same", "two");
    struct delivery elsewhere = a_delivery("same", "three");
    elsewhere.forge = "gitea";
    bool fresh = false;
    NEEDS(store_delivery_add(store, &first, &fresh, &err), &err);
    assert_true(fresh);
    NEEDS(store_delivery_add(store, &again, &fresh, &err), &err);
    assert_false(fresh);
    NEEDS(store_delivery_add(store, &elsewhere, &fresh, &err), &err);
    assert_true(fresh);
    struct delivery out = {0};
    bool found = false;
    NEEDS(store_delivery_take(store, "dispatcher", 2000, 500, &out, &found, &err), &err);
    assert_string_equal(out.payload, "one");
    delivery_release(&out);
}

static void a_delivery_leased_is_not_taken_by_another_until_the_lease_passes(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery in = a_delivery("d", "{}");
    struct delivery first = {0};
    struct delivery second = {0};
    bool yes = false;
    NEEDS(store_delivery_add(store, &in, &yes, &err), &err);
    NEEDS(store_delivery_take(store, "dispatcher", 2000, 500, &first, &yes, &err), &err);
    assert_true(yes);
    NEEDS(store_delivery_take(store, "dispatcher", 2499, 500, &second, &yes, &err), &err);
    assert_false(yes);
    assert_null(second.id);
    NEEDS(store_delivery_take(store, "dispatcher", 2500, 500, &second, &yes, &err), &err);
    assert_true(yes);
    assert_int_equal(second.attempts, 2);
    assert_int_equal(store_delivery_done(store, &first, "late", &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    NEEDS(store_delivery_done(store, &second, "job 1", &err), &err);
    NEEDS(store_delivery_take(store, "dispatcher", 99999, 500, &in, &yes, &err), &err);
    assert_false(yes);
    delivery_release(&first);
    delivery_release(&second);
}

static bool take_as(struct store *store, const char *holder, int64_t now_ms)
{
    struct error err = {0};
    struct delivery out = {0};
    bool found = false;
    NEEDS(store_delivery_take(store, holder, now_ms, 500, &out, &found, &err), &err);
    delivery_release(&out);
    return found;
}

static void what_a_dead_dispatcher_held_is_due_once_before_its_lease_passes(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery in = a_delivery("d", "{}");
    bool fresh = false;
    size_t count = 9;
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
    assert_true(take_as(store, "one", 2000));
    NEEDS(store_deliveries_let_go(store, "other", 2100, &count, &err), &err);
    assert_int_equal(count, 0);
    assert_false(take_as(store, "other", 2100));
    NEEDS(store_deliveries_let_go(store, "one", 2100, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_true(take_as(store, "one", 2100));
    NEEDS(store_deliveries_let_go(store, "one", 2200, &count, &err), &err); /* the delivery may have killed it */
    assert_int_equal(count, 0);
    assert_false(take_as(store, "one", 2599));
    assert_true(take_as(store, "one", 2600));
}

static void deliveries_are_taken_oldest_first_and_a_deferred_one_waits(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    bool yes = false;
    const char *const ids[] = {"first", "second", "third"};
    for (size_t i = 0; i < 3; i++) {
        struct delivery in = a_delivery(ids[i], "{}");
        NEEDS(store_delivery_add(store, &in, &yes, &err), &err);
    }
    struct delivery out = {0};
    NEEDS(store_delivery_take(store, "dispatcher", 2000, 500, &out, &yes, &err), &err);
    assert_string_equal(out.id, "first");
    NEEDS(store_delivery_defer(store, &out, 5000, "GitHub answered 503", &err), &err);
    delivery_release(&out);
    NEEDS(store_delivery_take(store, "dispatcher", 2000, 500, &out, &yes, &err), &err);
    assert_string_equal(out.id, "second");
    delivery_release(&out);
    NEEDS(store_delivery_take(store, "dispatcher", 5000, 500, &out, &yes, &err), &err);
    assert_string_equal(out.id, "first");
    assert_int_equal(out.attempts, 2);
    delivery_release(&out);
}

static void expect_dead(struct store *store, int64_t dead)
{
    struct error err = {0};
    json_auto_t *status = store_status(store, &err);
    assert_non_null(status);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "deliveries"), "dead")), dead);
}

static void a_delivery_is_dead_after_its_last_attempt(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery in = a_delivery("d", "{}");
    bool yes = false;
    NEEDS(store_delivery_add(store, &in, &yes, &err), &err);
    for (int i = 1; i <= DELIVERY_ATTEMPTS; i++) {
        struct delivery out = {0};
        expect_dead(store, 0);
        NEEDS(store_delivery_take(store, "dispatcher", i * 1000, 10, &out, &yes, &err), &err);
        assert_true(yes);
        NEEDS(store_delivery_defer(store, &out, i * 1000 + 10, "no luck", &err), &err);
        delivery_release(&out);
    }
    expect_dead(store, 1);
    NEEDS(store_delivery_take(store, "dispatcher", 1000000, 10, &in, &yes, &err), &err);
    assert_false(yes);
}

static void a_delivery_that_crashes_its_taker_every_time_is_dead_in_the_end(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery in = a_delivery("poison", "{}");
    bool yes = false;
    int taken = 0;
    NEEDS(store_delivery_add(store, &in, &yes, &err), &err);
    for (int64_t now = 2000; now < 2000 + 100 * 20; now += 100) {
        struct delivery out = {0};
        NEEDS(store_delivery_take(store, "dispatcher", now, 50, &out, &yes, &err), &err);
        taken += yes;
        delivery_release(&out);
    }
    assert_int_equal(taken, DELIVERY_ATTEMPTS);
    expect_dead(store, 1);
}

static void a_payload_of_25_mib_fits(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    size_t len = MiB(25);
    char *bytes = malloc(len);
    memset(bytes, 'x', len);
    struct delivery in = a_delivery("big", "");
    in.payload = bytes;
    in.payload_len = len;
    struct delivery out = {0};
    bool yes = false;
    NEEDS(store_delivery_add(store, &in, &yes, &err), &err);
    NEEDS(store_delivery_take(store, "dispatcher", 2000, 10, &out, &yes, &err), &err);
    assert_int_equal(out.payload_len, len);
    assert_memory_equal(out.payload, bytes, len);
    delivery_release(&out);
    free(bytes);
}

static void deliveries_of_one_batch_are_stored_together_or_not_at_all(void **state)
{
    struct store *store = store_of(state);
    struct error err = {0};
    struct delivery batch[] = {a_delivery("d1", "{}"), a_delivery("d2", "{\"a\": 1}"), a_delivery("d1", "{}")};
    bool fresh[3] = {false, false, true};
    NEEDS(store_deliveries_add(store, batch, 3, fresh, &err), &err);
    assert_true(fresh[0] && fresh[1] && !fresh[2]);
    struct delivery broken[] = {a_delivery("d3", "{}"), a_delivery("d4", "{}")};
    broken[1].event = NULL; /* the schema refuses it */
    assert_int_equal(store_deliveries_add(store, broken, 2, fresh, &err), -1);
    assert_non_null(strstr(err.message, "d4"));
    json_auto_t *status = store_status(store, &err);
    assert_int_equal(json_int_at(status, "deliveries.waiting", 0), 2);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_delivery_comes_back_byte_for_byte),
        STORE_TEST(deliveries_are_taken_together_and_each_ends_in_its_own_way),
        STORE_TEST(deliveries_of_a_batch_that_crashed_come_again_one_by_one),
        STORE_TEST(a_delivery_id_is_stored_once_for_each_forge),
        STORE_TEST(a_delivery_leased_is_not_taken_by_another_until_the_lease_passes),
        STORE_TEST(what_a_dead_dispatcher_held_is_due_once_before_its_lease_passes),
        STORE_TEST(deliveries_are_taken_oldest_first_and_a_deferred_one_waits),
        STORE_TEST(a_delivery_is_dead_after_its_last_attempt),
        STORE_TEST(a_delivery_that_crashes_its_taker_every_time_is_dead_in_the_end),
        STORE_TEST(a_payload_of_25_mib_fits),
        STORE_TEST(deliveries_of_one_batch_are_stored_together_or_not_at_all),
    };
    return RUN_ON_BOTH(tests);
}
