/* Deliveries that came to nothing: they are listed, and get their tries again when a person says so. */
#include "store_fixture.h"

static void add(struct store *store, const char *id)
{
    struct error err = {0};
    bool fresh;
    struct delivery in = a_delivery(id, "{\"a\": 1}");
    NEEDS(store_delivery_add(store, &in, &fresh, &err), &err);
}

static struct delivery take(struct store *store, int64_t now)
{
    struct error err = {0};
    struct delivery out = {0};
    bool found = false;
    NEEDS(store_delivery_take(store, "dispatcher", now, 1000, &out, &found, &err), &err);
    assert_true(found);
    return out;
}

static void end(struct store *store, const char *note)
{
    struct error err = {0};
    struct delivery taken = take(store, 2000);
    NEEDS(store_delivery_done(store, &taken, note, &err), &err);
    delivery_release(&taken);
}

static void use_up_tries(struct store *store)
{
    struct error err = {0};
    for (int i = 0; i < DELIVERY_ATTEMPTS; i++) {
        struct delivery taken = take(store, 2000);
        NEEDS(store_delivery_defer(store, &taken, 0, "the forge is down", &err), &err);
        delivery_release(&taken);
    }
}

/* The ids of what came to nothing, newest first, each with a blank behind it. Heap. */
static char *lost(struct store *store)
{
    struct error err = {0};
    struct delivery_row *rows = NULL;
    size_t count = 0;
    AUTO_BUF struct buf ids = BUF_INIT(KiB(1));
    NEEDS(store_deliveries(store, &(struct delivery_filter){.lost = true}, &rows, &count, &err), &err);
    buf_puts(&ids, "");
    for (size_t i = 0; i < count; i++)
        buf_printf(&ids, "%s ", rows[i].id);
    delivery_rows_free(rows, count);
    return strdup(buf_text(&ids));
}

static void what_came_to_nothing_is_listed_and_the_rest_is_not(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    add(store, "given-up");
    use_up_tries(store);
    add(store, "wrong");
    end(store, "failed: it is no JSON");
    add(store, "fine");
    end(store, "job 1");
    add(store, "waits");
    AUTO_FREE char *ids = lost(store);
    assert_string_equal(ids, "wrong given-up ");
}

static void one_that_came_to_nothing_is_dispatched_again_with_all_its_tries(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    add(store, "given-up");
    use_up_tries(store);
    NEEDS(store_delivery_retry(store, "given-up", &err), &err);
    struct delivery again = take(store, 2000);
    assert_string_equal(again.id, "given-up");
    assert_string_equal(again.payload, "{\"a\": 1}");
    assert_int_equal(again.attempts, 1);
    NEEDS(store_delivery_done(store, &again, "job 1", &err), &err);
    delivery_release(&again);
    AUTO_FREE char *ids = lost(store);
    assert_string_equal(ids, "");
}

static void what_went_well_or_is_not_there_is_refused(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    add(store, "fine");
    end(store, "job 1");
    add(store, "waits");
    assert_int_equal(store_delivery_retry(store, "fine", &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "fine is done"));
    assert_int_equal(store_delivery_retry(store, "waits", &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(store_delivery_retry(store, "unheard-of", &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_came_to_nothing_is_listed_and_the_rest_is_not, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(one_that_came_to_nothing_is_dispatched_again_with_all_its_tries, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_went_well_or_is_not_there_is_refused, fixture_setup, fixture_teardown),
    };
    return RUN_ON_BOTH(tests);
}
