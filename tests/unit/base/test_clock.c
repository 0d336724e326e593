/* Times: reading, writing, durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/clock.h"

static const struct {
    const char *text;
    int64_t ms;
} times[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2026-11-21T07:40:00Z", 1795246800000},
    {"2026-11-21T08:40:00+01:00", 1795246800000},
    {"2026-11-21T01:40:00-06:00", 1795246800000},
    {"2026-11-21T07:40:00.25Z", 1795246800250},
    {"2026-11-21T07:40:00.123456789Z", 1795246800123},
    {"2026-11-21t07:40:00z", 1795246800000},
    {"2024-02-29T00:00:00Z", 1709164800000},
    {"2000-02-29T00:00:00Z", 951782400000},
    {"1969-12-31T23:59:59Z", -1000},
    {"2016-12-31T23:59:60Z", 1483228800000},
    {"9999-12-31T23:59:59Z", 253402300799000},
};

static void test_reads_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct error err = {0};
        int64_t ms = 7;
        if (clock_parse_rfc3339(times[i].text, &ms, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(ms, times[i].ms);
    }
}

static void test_refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "2026-11-21",
        "2026-11-21T07:40Z",
        "2026-11-21T07:40:00",
        "2026-11-21T07:40:00Zx",
        "2026-11-21T07:40:00.Z",
        "2026-11-21T07:40:00+1:00",
        "2026-11-21T07:40:00+01",
        "2026-11-21T24:00:00Z",
        "2026-11-21T07:60:00Z",
        "2026-13-21T07:40:00Z",
        "2026-00-21T07:40:00Z",
        "2026-11-31T07:40:00Z",
        "2026-02-29T07:40:00Z",
        "1900-02-29T07:40:00Z",
        "2026-11-00T07:40:00Z",
        "20261121T074000Z",
        "2026/11/21T07:40:00Z",
        "2026-11-21X07:40:00Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error err = {0};
        int64_t ms = 7;
        if (clock_parse_rfc3339(texts[i], &ms, &err) == 0)
            fail_msg("accepted %s", texts[i]);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_int_equal(ms, 7);
    }
}

static void test_writes_what_it_reads(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {999, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {1795246800999, "2026-11-21T07:40:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CLOCK_TEXT_SIZE];
        assert_string_equal(clock_rfc3339(cases[i].ms, text), cases[i].text);
    }
}

static void test_durations_read_well(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {-5, "0.0 s"},          {0, "0.0 s"},
        {400, "0.4 s"},         {9949, "9.9 s"},
        {9950, "10 s"},         {12000, "12 s"},
        {59499, "59 s"},        {59500, "1 min 0 s"},
        {200000, "3 min 20 s"}, {3599499, "59 min 59 s"},
        {3600000, "1 h 0 min"}, {7500000, "2 h 5 min"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CLOCK_TEXT_SIZE];
        assert_string_equal(clock_duration(cases[i].ms, text), cases[i].text);
    }
}

static void test_sleeping_takes_its_time(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_ms();
    clock_sleep_ms(30);
    clock_sleep_ms(-1);
    assert_in_range(clock_monotonic_ms() - before, 29, 5000);
    assert_true(clock_wall_ms() > 1577836800000); /* 2020 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_times),
        cmocka_unit_test(test_refuses_what_is_no_time),
        cmocka_unit_test(test_writes_what_it_reads),
        cmocka_unit_test(test_durations_read_well),
        cmocka_unit_test(test_sleeping_takes_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
