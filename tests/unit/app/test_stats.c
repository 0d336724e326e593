/* Intervals and tests against published values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/stats.h"

static void assert_near(double value, double wanted, double tolerance)
{
    if (fabs(value - wanted) > tolerance)
        fail_msg("%.6f is not %.6f", value, wanted);
}

/* Newcombe, Two-sided confidence intervals for the single proportion (Statistics in Medicine 17, 1998), table I,
 * method 3: Wilson's score interval without continuity correction. */
static void wilson_gives_newcombes_values(void **state)
{
    (void)state;
    static const struct {
        size_t passed, of;
        double low, high;
    } rows[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0000, 0.1611}, {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct interval interval = stats_wilson(rows[i].passed, rows[i].of);
        assert_near(interval.low, rows[i].low, 0.00006);
        assert_near(interval.high, rows[i].high, 0.00006);
    }
}

static void an_interval_stays_between_none_and_all(void **state)
{
    (void)state;
    struct interval all = stats_wilson(20, 20), nothing = stats_wilson(0, 0);
    assert_near(all.high, 1, 1e-12);
    assert_near(all.low, 1 - 0.1611, 0.00006); /* the mirror of 0 of 20 */
    assert_near(nothing.low, 0, 0);
    assert_near(nothing.high, 1, 0);
}

/* Two-sided binomial test at one half: 2 * (1 + 10 + 45) / 1024 for a split of 2 and 8, and so on. */
static void mcnemar_is_the_exact_binomial_test(void **state)
{
    (void)state;
    assert_near(stats_mcnemar(0, 0), 1, 0);
    assert_near(stats_mcnemar(2, 8), 0.109375, 1e-9);
    assert_near(stats_mcnemar(8, 2), 0.109375, 1e-9);
    assert_near(stats_mcnemar(0, 6), 0.03125, 1e-9);
    assert_near(stats_mcnemar(5, 5), 1, 0);
    assert_near(stats_mcnemar(1, 9), 0.021484375, 1e-9);
    /* Agresti, Categorical Data Analysis, the Prime Minister's approval: 86 and 150 of 1,600 changed sides, z = 4.17 */
    assert_true(stats_mcnemar(86, 150) > 1e-5 && stats_mcnemar(86, 150) < 1e-4);
    assert_near(stats_mcnemar(2000, 2000), 1, 0);
}

static void a_quantile_lies_between_its_neighbours(void **state)
{
    (void)state;
    double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2}, ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    assert_near(stats_quantile(odd, 3, 0.5), 5, 0);
    assert_near(stats_quantile(even, 4, 0.5), 2.5, 1e-12);
    assert_near(stats_quantile(ten, 11, 0.9), 10, 1e-12);
    assert_near(stats_quantile(NULL, 0, 0.5), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_gives_newcombes_values),
        cmocka_unit_test(an_interval_stays_between_none_and_all),
        cmocka_unit_test(mcnemar_is_the_exact_binomial_test),
        cmocka_unit_test(a_quantile_lies_between_its_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
