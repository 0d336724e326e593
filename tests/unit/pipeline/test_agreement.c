/* Which implementations and tests agree: cases small enough to work out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/agreement.h"

enum { MAX_TESTS = 8 };

/* Rows are witnesses; a letter is a test: T an example that passes, t one that fails, + and - for a model's test. */
static const struct {
    const char *name;
    const char *rows[6];
    struct agreement expected; /* chosen, members, rivals, trusted, others */
    const char *contradicted;  /* for each test: x or . */
} cases[] = {
    {"one witness that passes all", {"TT++"}, {0, 1, 0, 2, 2}, "...."},
    {"most agree against a test", {"T++-", "T++-", "T+++", "T++-"}, {0, 3, 1, 1, 2}, "...x"},
    {"examples come before numbers", {"tT++", "tT++", "tT++", "TT--"}, {3, 1, 0, 2, 0}, "..xx"},
    {"a larger agreement beats more tests", {"T+--", "T+--", "T+--", "T+++"}, {0, 3, 1, 1, 1}, "..xx"},
    {"more tests beat one more voice", {"T---", "T---", "T+++"}, {2, 1, 2, 1, 3}, "...."},
    {"all differ: what most pass stays", {"T++-", "T+-+", "T-++"}, {0, 1, 2, 1, 2}, "...."},
    {"all differ: what most fail goes", {"T++-", "T+--", "T-+-"}, {0, 1, 2, 1, 2}, "...x"},
    {"the earliest of equals is chosen", {"T-", "T+", "T+"}, {1, 2, 1, 1, 1}, ".."},
};

static size_t fill(const char *const rows[], bool *passed, bool *trusted)
{
    size_t count = 0, tests = strlen(rows[0]);
    for (; rows[count]; count++)
        for (size_t i = 0; i < tests; i++) {
            passed[count * tests + i] = rows[count][i] == 'T' || rows[count][i] == '+';
            trusted[i] = rows[count][i] == 'T' || rows[count][i] == 't';
        }
    return count;
}

static void the_largest_agreement_wins(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        bool passed[6 * MAX_TESTS], trusted[MAX_TESTS];
        const size_t alike[6 * 6] = {0};
        size_t count = fill(cases[c].rows, passed, trusted);
        struct agreement_view view = {count, strlen(cases[c].rows[0]), 0, passed, trusted, alike};
        struct agreement found = agreement_find(&view);
        const struct agreement *expected = &cases[c].expected;
        if (memcmp(&found, expected, sizeof found) != 0)
            fail_msg("%s: chosen %zu, members %zu, rivals %zu, trusted %zu, others %zu", cases[c].name, found.chosen,
                     found.members, found.rivals, found.trusted_passed, found.others_passed);
        for (size_t i = 0; i < view.tests; i++)
            if (agreement_contradicts(&view, &found, i) != (cases[c].contradicted[i] == 'x'))
                fail_msg("%s: test %zu", cases[c].name, i);
    }
}

static void another_behaviour_is_another_group(void **state)
{
    (void)state;
    const bool passed[] = {true, true, true}, trusted[] = {true};
    const size_t alike[] = {10, 8, 7, 8, 10, 9, 7, 9, 10};
    struct agreement_view view = {3, 1, 10, passed, trusted, alike};
    struct agreement found = agreement_find(&view);
    assert_int_equal(found.chosen, 1);
    assert_int_equal(found.members, 2);
    assert_int_equal(found.rivals, 1);
    assert_true(agreement_is_clear(&found, 3));
    assert_false(agreement_is_clear(&found, 4));
    assert_false(agreement_is_clear(&(struct agreement){.members = 1}, 1));
}

/* No two are the same: the second does most often what another does, though the first passes more of a model's tests;
 * and the third, which the others like best, breaks an example. */
static void what_most_do_on_most_inputs_wins_over_tests(void **state)
{
    (void)state;
    const bool passed[] = {true, true, true, true, false, false, false, true, true}, trusted[] = {true, false, false};
    const size_t alike[] = {10, 5, 4, 5, 10, 8, 4, 8, 10};
    struct agreement_view view = {3, 3, 10, passed, trusted, alike};
    struct agreement found = agreement_find(&view);
    assert_int_equal(found.chosen, 1);
    assert_int_equal(found.members, 1);
    assert_int_equal(found.rivals, 1);
    assert_int_equal(found.others_passed, 0);
    assert_false(agreement_is_clear(&found, 3));
}

/* What one of them did could not be seen: it is like itself alone. */
static void who_was_not_seen_agrees_with_nobody(void **state)
{
    (void)state;
    const bool passed[] = {true, true, true}, trusted[] = {true};
    const size_t alike[] = {0, 0, 0, 0, 10, 10, 0, 10, 10};
    struct agreement_view view = {3, 1, 10, passed, trusted, alike};
    struct agreement found = agreement_find(&view);
    assert_int_equal(found.chosen, 1);
    assert_int_equal(found.members, 2);
    assert_int_equal(found.rivals, 1);
    assert_true(agreement_same(&view, 0, 0));
}

static void a_test_that_nobody_passes_who_counts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *rows[6];
        bool nobody; /* of the last test */
    } tests[] = {
        {"three who keep the examples fail it", {"TT-", "TT-", "TT-"}, true},
        {"so do three, and who breaks one passes it", {"TT-", "tT+", "TT-", "TT-"}, true},
        {"two are too few to overrule who passes it", {"TT-", "tT+", "TT-"}, false},
        {"nobody at all of three", {"TT-", "tT-", "Tt-"}, true},
        {"nobody of two", {"TT-", "tT-"}, false},
        {"one who keeps them passes it", {"TT-", "TT-", "TT+", "TT-"}, false},
        {"nobody keeps them", {"tT-", "Tt-", "tt-"}, false},
        {"one example is too little", {"T--", "T--", "T--"}, false},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        bool passed[6 * MAX_TESTS], trusted[MAX_TESTS];
        const size_t alike[6 * 6] = {0};
        size_t count = fill(tests[i].rows, passed, trusted);
        struct agreement_view view = {count, 3, 0, passed, trusted, alike};
        if (agreement_nobody_passes(&view, 2) != tests[i].nobody)
            fail_msg("%s", tests[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_agreement_wins),
        cmocka_unit_test(another_behaviour_is_another_group),
        cmocka_unit_test(what_most_do_on_most_inputs_wins_over_tests),
        cmocka_unit_test(who_was_not_seen_agrees_with_nobody),
        cmocka_unit_test(a_test_that_nobody_passes_who_counts),
    };
    return cmocka_run_group_tests_name("agreement", tests, NULL, NULL);
}
