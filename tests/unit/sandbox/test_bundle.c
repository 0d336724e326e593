/* What config.json says, for runtimes that read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/json.h"
#include "sandbox/bundle.h"

static const struct bundle example = {
    .argv = (const char *const[]){"pytest", "-q", NULL},
    .search_path = "/tools/bin:/usr/bin",
    .directory = "src",
    .uid = 65532,
    .gid = 65532,
    .limits = {.memory = 1 << 30, .pids = 100, .cpus = 1.5},
    .limits_swap = true,
    .disk = 1 << 20,
    .cgroup = "/assay/run",
};

static json_t *make(const struct bundle *bundle)
{
    struct error err = {0};
    json_t *config = bundle_config(bundle, &err);
    if (!config)
        fail_msg("%s", err.message);
    return config;
}

static void test_the_command_its_place_and_user(void **state)
{
    (void)state;
    json_auto_t *config = make(&example);
    json_auto_t *args = json_pack("[s, s]", "pytest", "-q");
    assert_true(json_equal(json_at(config, "process.args"), args));
    assert_string_equal(json_text_at(config, "process.cwd", ""), "/workspace/src");
    assert_int_equal(json_int_at(config, "process.user.uid", 0), 65532);
    assert_int_equal(json_int_at(config, "process.user.gid", 0), 65532);
    assert_string_equal(json_text_at(config, "root.path", ""), "rootfs");
}

static void test_what_must_never_be_missing(void **state)
{
    (void)state;
    json_auto_t *config = make(&example);
    static const char *const sets[] = {"bounding", "effective", "inheritable", "permitted", "ambient"};
    static const char *const namespaces[] = {"pid", "network", "ipc", "uts", "mount"};
    assert_true(json_true_at(config, "process.noNewPrivileges"));
    assert_true(json_true_at(config, "root.readonly"));
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        json_t *set = json_object_get(json_at(config, "process.capabilities"), sets[i]);
        assert_true(json_is_array(set));
        assert_int_equal(json_array_size(set), 0);
    }
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
        json_auto_t *fresh = json_pack("{s:s}", "type", namespaces[i]); /* no path: a new one */
        size_t k, found = 0;
        json_t *one;
        json_array_foreach (json_at(config, "linux.namespaces"), k, one)
            found += json_equal(one, fresh) ? 1 : 0;
        assert_int_equal(found, 1);
    }
    assert_string_equal(json_text_at(config, "linux.seccomp.defaultAction", ""), "SCMP_ACT_ERRNO");
}

static void test_limits_in_the_runtime_s_units(void **state)
{
    (void)state;
    json_auto_t *config = make(&example);
    assert_string_equal(json_text_at(config, "linux.cgroupsPath", ""), "/assay/run");
    assert_int_equal(json_int_at(config, "linux.resources.memory.limit", 0), 1 << 30);
    assert_int_equal(json_int_at(config, "linux.resources.memory.swap", 0), 1 << 30);
    assert_int_equal(json_int_at(config, "linux.resources.pids.limit", 0), 100);
    assert_int_equal(json_int_at(config, "linux.resources.cpu.quota", 0), 150000);
    assert_int_equal(json_int_at(config, "linux.resources.cpu.period", 0), 100000);
    struct bundle without = example;
    without.limits_swap = false;
    json_auto_t *other = make(&without);
    assert_null(json_at(other, "linux.resources.memory.swap"));
}

static void test_the_environment_has_three_defaults_that_can_be_replaced(void **state)
{
    (void)state;
    struct bundle bundle = example;
    bundle.environment = (const char *const[]){"LANG=de_DE.UTF-8", "PATHS=x", NULL};
    json_auto_t *config = make(&bundle);
    json_auto_t *expected =
        json_pack("[s, s, s, s]", "PATH=/tools/bin:/usr/bin", "HOME=/tmp", "LANG=de_DE.UTF-8", "PATHS=x");
    assert_true(json_equal(json_at(config, "process.env"), expected));
}

/* Calls that would reach outside are in no list of allowed ones, or only with the argument that keeps them inside. */
static void test_dangerous_calls_are_not_allowed(void **state)
{
    (void)state;
    json_auto_t *config = make(&example);
    static const char *const never[] = {"mount",  "umount2",    "ptrace",         "bpf",    "keyctl",      "unshare",
                                        "setns",  "reboot",     "io_uring_setup", "chroot", "init_module", "clone3",
                                        "fsopen", "userfaultfd"};
    size_t i;
    json_t *rule;
    json_array_foreach (json_at(config, "linux.seccomp.syscalls"), i, rule) {
        bool allows = strcmp(json_text_at(rule, "action", ""), "SCMP_ACT_ALLOW") == 0;
        size_t k;
        json_t *name;
        json_array_foreach (json_at(rule, "names"), k, name) {
            const char *call = json_string_value(name);
            for (size_t n = 0; allows && n < sizeof never / sizeof *never; n++)
                assert_string_not_equal(call, never[n]);
            if (strcmp(call, "clone") == 0 || strcmp(call, "socket") == 0)
                assert_int_equal(json_array_size(json_at(rule, "args")), 1);
        }
    }
}

static void test_what_is_not_text_is_refused(void **state)
{
    (void)state;
    struct bundle bundles[] = {example, example, example};
    bundles[0].argv = (const char *const[]){"\xc3(", NULL};
    bundles[1].environment = (const char *const[]){"A=\xff", NULL};
    bundles[2].environment = (const char *const[]){"A", NULL};
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
        struct error err = {0};
        assert_null(bundle_config(&bundles[i], &err));
        assert_int_equal(err.code, ERROR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_command_its_place_and_user),
        cmocka_unit_test(test_what_must_never_be_missing),
        cmocka_unit_test(test_limits_in_the_runtime_s_units),
        cmocka_unit_test(test_the_environment_has_three_defaults_that_can_be_replaced),
        cmocka_unit_test(test_dangerous_calls_are_not_allowed),
        cmocka_unit_test(test_what_is_not_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
