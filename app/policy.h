/* A repository's own settings, .github/assay.yml, read from its default branch only (design 1.3). */
#ifndef APP_POLICY_H
#define APP_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/base/yaml.h"
#include "pipeline/pipeline.h"

#define POLICY_PATH ".github/assay.yml"
enum { POLICY_MAX_BYTES = 64 * 1024 };

struct repo_policy {
    char *label;
    struct yaml_texts languages;
    struct yaml_texts setup; /* argv, as is the next */
    struct yaml_texts test;
    struct yaml_texts allowed_imports;
    struct yaml_texts forbidden_paths;
    struct thresholds thresholds; /* negative: not said */
    struct yaml_map route;        /* role → names of configured models */
    struct yaml_texts review;
};

/* `file` names it in errors: ".github/assay.yml:3: …". On failure nothing is left to release. */
int policy_read(const char *text, size_t len, const char *file, struct repo_policy *out, struct error *err);
void policy_release(struct repo_policy *policy);

/* What of it a run obeys; borrows from `policy`. */
struct policy policy_for_run(const struct repo_policy *policy);

/* Replaces the thresholds that the repository sets. */
void policy_set_thresholds(const struct repo_policy *policy, struct thresholds *thresholds);

/* Appends the names of keys that are set but have no effect in this version, ", " between them; so that nobody believes
 * in a rule that is not kept. */
void policy_add_unused(const struct repo_policy *policy, struct buf *names);

/* Every key with its help, as YAML comments. */
void policy_describe(struct buf *out);

#endif
