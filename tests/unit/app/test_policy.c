/* .github/assay.yml: what is read, what is refused with its line, and what is said to have no effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/policy.h"

static int read(const char *text, struct repo_policy *policy, struct error *err)
{
    return policy_read(text, strlen(text), ".github/assay.yml", policy, err);
}

static void settings_reach_the_run(void **state)
{
    (void)state;
    struct repo_policy policy;
    struct error err = {0};
    const char *text = "allowed_imports: [numpy, yaml]\nforbidden_paths: 'deploy/**'\ntest: [make, check]\n";
    assert_int_equal(read(text, &policy, &err), 0);
    struct policy run = policy_for_run(&policy);
    assert_int_equal(run.allowed_imports.count, 2);
    assert_string_equal(run.allowed_imports.items[1], "yaml");
    assert_int_equal(run.forbidden_paths.count, 1);
    assert_string_equal(run.forbidden_paths.items[0], "deploy/**");
    assert_string_equal(run.test_command.items[0], "make");
    AUTO_BUF struct buf unused = BUF_INIT(KiB(1));
    policy_add_unused(&policy, &unused);
    assert_string_equal(buf_text(&unused), "");
    policy_release(&policy);
}

static void settings_without_effect_are_named(void **state)
{
    (void)state;
    struct repo_policy policy;
    struct error err = {0};
    const char *text = "label: robot\nlanguages: python\nsetup: [make, deps]\nthresholds: {mutation: 0.8}\n"
                       "route: {tests: [sonnet]}\nreview: [no globals]\n";
    if (read(text, &policy, &err) < 0)
        fail_msg("%s", err.message);
    AUTO_BUF struct buf unused = BUF_INIT(KiB(1));
    policy_add_unused(&policy, &unused);
    assert_string_equal(buf_text(&unused), "label, languages, setup, route, review");
    policy_release(&policy);
}

static void thresholds_replace_those_of_the_installation(void **state)
{
    static const struct {
        const char *text;
        double coverage, mutation;
    } cases[] = {
        {"", 0.8, 0.7},
        {"label: robot\n", 0.8, 0.7},
        {"thresholds: {coverage: 0.95}\n", 0.95, 0.7},
        {"thresholds: {coverage: 0, mutation: 0.5}\n", 0, 0.5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct repo_policy policy;
        struct thresholds thresholds = {0.8, 0.7};
        struct error err = {0};
        assert_int_equal(read(cases[i].text, &policy, &err), 0);
        policy_set_thresholds(&policy, &thresholds);
        assert_float_equal(thresholds.coverage, cases[i].coverage, 1e-9);
        assert_float_equal(thresholds.mutation, cases[i].mutation, 1e-9);
        policy_release(&policy);
    }
}

static void an_empty_file_sets_nothing(void **state)
{
    (void)state;
    struct repo_policy policy;
    struct error err = {0};
    if (read("# nothing yet\n", &policy, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(policy_for_run(&policy).allowed_imports.count, 0);
    policy_release(&policy);
}

static void mistakes_are_named_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"label: a\nallowed_import: [x]\n", ".github/assay.yml:2: "},
        {"allowed_import: [x]\n", "allowed_imports"},
        {"thresholds: {mutation: 7}\n", ".github/assay.yml:1: thresholds.mutation"},
        {"forbidden_paths: {a: b}\n", "forbidden_paths"},
        {"label: [\n", ".github/assay.yml:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct repo_policy policy;
        struct error err = {0};
        assert_int_equal(read(cases[i].text, &policy, &err), -1);
        assert_int_equal(err.code, ERROR_CONFIG);
        if (!strstr(err.message, cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_reach_the_run),
        cmocka_unit_test(settings_without_effect_are_named),
        cmocka_unit_test(thresholds_replace_those_of_the_installation),
        cmocka_unit_test(an_empty_file_sets_nothing),
        cmocka_unit_test(mistakes_are_named_with_file_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
