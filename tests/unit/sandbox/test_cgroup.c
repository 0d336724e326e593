/* What the kernel's control files say, in both versions: on folders of plain files that look like them, because a
 * machine has only one of the two. The real ones are read in every run of the other tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "sandbox/cgroup.h"

struct fixture {
    char *folder;
    struct cgroups v1, v2;
};

static void put(const struct fixture *fixture, const char *path, const char *text)
{
    struct error err = {0};
    if (fs_write_beneath(fixture->folder, path, text, strlen(text), false, &err) < 0)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->folder = fs_make_temp_dir("/tmp", "assay-cgroup-", NULL);
    assert_non_null(fixture->folder);
    fixture->v1 = (struct cgroups){.version = 1, .limits_swap = true, .parent = "/assay", .count = 3};
    fixture->v2 = (struct cgroups){.version = 2, .limits_swap = true, .parent = "/a/service", .count = 1};
    static const char *const folders[] = {"memory", "pids", "cpu"};
    static const unsigned controllers[] = {CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU};
    for (size_t i = 0; i < 3; i++) {
        struct cgroup_hierarchy *one = &fixture->v1.hierarchies[i];
        snprintf(one->mount, sizeof one->mount, "%s/%s", fixture->folder, folders[i]);
        one->controllers = controllers[i];
    }
    snprintf(fixture->v2.hierarchies[0].mount, CGROUP_PATH_MAX, "%s/unified", fixture->folder);
    fixture->v2.hierarchies[0].controllers = CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fs_remove_tree(fixture->folder, NULL);
    free(fixture->folder);
    free(fixture);
    return 0;
}

static void test_readings_of_version_1(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "memory/assay/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    put(fixture, "memory/assay/x/memory.max_usage_in_bytes", "123456\n");
    put(fixture, "pids/assay/x/pids.events", "max 7\n");
    struct cgroup_readings readings = cgroup_read(&fixture->v1, "x");
    assert_int_equal(readings.oom_kills, 3);
    assert_int_equal(readings.pids_refused, 7);
    assert_int_equal(readings.memory_peak, 123456);
}

static void test_readings_of_version_2(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "unified/a/service/x/memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n");
    put(fixture, "unified/a/service/x/memory.peak", "777\n");
    put(fixture, "unified/a/service/x/pids.events", "max 1\n");
    struct cgroup_readings readings = cgroup_read(&fixture->v2, "x");
    assert_int_equal(readings.oom_kills, 1); /* not "oom", which counts what was solved without a kill */
    assert_int_equal(readings.pids_refused, 1);
    assert_int_equal(readings.memory_peak, 777);
}

static void test_what_cannot_be_read_counts_as_nothing(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "unified/a/service/x/memory.events", "");
    put(fixture, "unified/a/service/x/pids.events", "max \n");
    struct cgroup_readings readings = cgroup_read(&fixture->v2, "x");
    assert_int_equal(readings.oom_kills + readings.pids_refused + readings.memory_peak, 0);
}

static void test_a_group_inside_is_read_as_well(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "pids/assay/x/pids.events", "max 0\n");
    put(fixture, "pids/assay/x/guest/pids.events", "max 5\n");
    assert_int_equal(cgroup_read(&fixture->v1, "x").pids_refused, 5);
}

static const struct cgroup_limits limits = {.memory = 1000000, .pids = 50, .cpus = 2};

static void put_limits_v2(const struct fixture *fixture, const char *memory, const char *swap, const char *pids,
                          const char *cpu)
{
    put(fixture, "unified/a/service/x/memory.max", memory);
    put(fixture, "unified/a/service/x/memory.swap.max", swap);
    put(fixture, "unified/a/service/x/pids.max", pids);
    put(fixture, "unified/a/service/x/cpu.max", cpu);
}

static void test_limits_are_found_or_the_missing_one_is_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *memory, *swap, *pids, *cpu, *missing;
    } cases[] = {
        {"999424\n", "0\n", "50\n", "200000 100000\n", NULL}, /* the kernel rounds memory down to pages */
        {"max\n", "0\n", "50\n", "200000 100000\n", "memory.max"},
        {"1000001\n", "0\n", "50\n", "200000 100000\n", "memory.max"},
        {"999424\n", "max\n", "50\n", "200000 100000\n", "memory.swap.max"},
        {"999424\n", "0\n", "max\n", "200000 100000\n", "pids.max"},
        {"999424\n", "0\n", "50\n", "max 100000\n", "cpu.max"},
        {"", "0\n", "50\n", "200000 100000\n", "memory.max"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        put_limits_v2(fixture, cases[i].memory, cases[i].swap, cases[i].pids, cases[i].cpu);
        int found = cgroup_check_limits(&fixture->v2, "x", &limits, &err);
        assert_int_equal(found, cases[i].missing ? -1 : 0);
        if (!cases[i].missing)
            continue;
        assert_int_equal(err.code, ERROR_SANDBOX);
        assert_non_null(strstr(err.message, cases[i].missing));
    }
}

static void test_a_group_that_is_not_there_has_no_limits(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    assert_int_equal(cgroup_check_limits(&fixture->v1, "none", &limits, &err), -1);
    assert_int_equal(err.code, ERROR_SANDBOX);
    assert_int_equal(cgroup_check_limits(&fixture->v2, "none", &limits, &err), -1);
}

static void test_limits_of_our_own_are_written_in_both_versions(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    static const char *const files[] = {"memory/assay/x/memory.limit_in_bytes",
                                        "memory/assay/x/memory.memsw.limit_in_bytes", "pids/assay/x/pids.max",
                                        "cpu/assay/x/cpu.cfs_quota_us"};
    assert_int_equal(cgroup_make(&fixture->v1, "x", &limits, &err), -1); /* there is nothing to write to */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put(fixture, files[i], "");
    put_limits_v2(fixture, "", "", "", "");
    struct cgroups *const versions[] = {&fixture->v1, &fixture->v2};
    for (size_t i = 0; i < 2; i++) {
        if (cgroup_make(versions[i], "x", &limits, &err) < 0 ||
            cgroup_check_limits(versions[i], "x", &limits, &err) < 0)
            fail_msg("%s", err.message);
    }
    AUTO_FREE char *leaf = text_format("%s/unified/a/service/x/runtime", fixture->folder);
    assert_true(fs_exists(leaf));
    AUTO_FREE char *path = cgroup_inner_path(&fixture->v2, "x");
    assert_string_equal(path, "/a/service/x/guest");
}

static void test_removal_of_a_group_that_is_gone_succeeds(void **state)
{
    struct fixture *fixture = *state;
    assert_true(cgroup_remove(&fixture->v1, "none"));
    AUTO_FREE char *group = text_format("%s/unified/a/service/y/guest", fixture->folder);
    assert_int_equal(fs_make_dirs(group, 0755, NULL), 0);
    assert_true(cgroup_remove(&fixture->v2, "y"));
    *strrchr(group, '/') = '\0';
    assert_false(fs_exists(group));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_readings_of_version_1),
        TEST(test_readings_of_version_2),
        TEST(test_what_cannot_be_read_counts_as_nothing),
        TEST(test_a_group_inside_is_read_as_well),
        TEST(test_limits_are_found_or_the_missing_one_is_named),
        TEST(test_a_group_that_is_not_there_has_no_limits),
        TEST(test_limits_of_our_own_are_written_in_both_versions),
        TEST(test_removal_of_a_group_that_is_gone_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
