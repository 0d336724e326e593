#include "app/policy.h"

#include <stddef.h>

#define THRESHOLD(member) (offsetof(struct thresholds, member))

static const struct yaml_field threshold_fields[] = {
    YAML_FIELD("coverage", YAML_NUMBER, THRESHOLD(coverage),
               "least share of changed lines and branches that tests run, 0 to 1", .max = 1),
    YAML_FIELD("mutation", YAML_NUMBER, THRESHOLD(mutation), "least share of mutants that tests find, 0 to 1",
               .max = 1),
    {0},
};

#define AT(member) offsetof(struct repo_policy, member)

static const struct yaml_field fields[] = {
    YAML_FIELD("label", YAML_TEXT, AT(label), "the label that starts a job here"),
    YAML_FIELD("languages", YAML_TEXTS, AT(languages), "languages that may be written here"),
    YAML_FIELD("setup", YAML_TEXTS, AT(setup), "command that prepares the tree, as a list of arguments"),
    YAML_FIELD("test", YAML_TEXTS, AT(test), "command that runs tests, as a list of arguments"),
    YAML_FIELD("allowed_imports", YAML_TEXTS, AT(allowed_imports), "modules that new code may import undeclared"),
    YAML_FIELD("forbidden_paths", YAML_TEXTS, AT(forbidden_paths), "globs of files that must not be written"),
    YAML_FIELD("thresholds", YAML_OBJECT, AT(thresholds), "how much evidence is enough", .fields = threshold_fields),
    YAML_FIELD("route", YAML_MAP, AT(route), "models for each role, by the names in assay.yml"),
    YAML_FIELD("review", YAML_TEXTS, AT(review), "rules that reviews hold a change to"),
    {0},
};

int policy_read(const char *text, size_t len, const char *file, struct repo_policy *out, struct error *err)
{
    struct repo_policy policy = {.thresholds = {-1, -1}};
    if (yaml_read(text, len, file, fields, &policy, err) < 0) {
        policy_release(&policy);
        return -1;
    }
    *out = policy;
    return 0;
}

void policy_release(struct repo_policy *policy)
{
    yaml_release(fields, policy);
}

struct policy policy_for_run(const struct repo_policy *policy)
{
    return (struct policy){
        .allowed_imports = policy->allowed_imports,
        .forbidden_paths = policy->forbidden_paths,
        .test_command = policy->test,
    };
}

void policy_set_thresholds(const struct repo_policy *policy, struct thresholds *thresholds)
{
    if (policy->thresholds.coverage >= 0)
        thresholds->coverage = policy->thresholds.coverage;
    if (policy->thresholds.mutation >= 0)
        thresholds->mutation = policy->thresholds.mutation;
}

void policy_add_unused(const struct repo_policy *policy, struct buf *names)
{
    const struct {
        const char *key;
        bool set;
    } unused[] = {
        {"label", policy->label != NULL},     {"languages", policy->languages.count > 0},
        {"setup", policy->setup.count > 0},   {"route", policy->route.count > 0},
        {"review", policy->review.count > 0},
    };
    for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++)
        if (unused[i].set)
            buf_printf(names, "%s%s", names->len ? ", " : "", unused[i].key);
}

void policy_describe(struct buf *out)
{
    for (const struct yaml_field *field = fields; field->key; field++)
        buf_printf(out, "# %s: %s\n", field->key, field->help);
}
