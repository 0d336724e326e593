/* The configuration: assay.yml, or Probot's environment variables when there is no file (design 1.3). */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/yaml.h"
#include "forge/forge.h"
#include "pipeline/model.h"
#include "pipeline/pipeline.h"
#include "sandbox/sandbox.h"

struct limits_config {
    int64_t repair_rounds;       /* default 3 */
    int64_t context_tokens;      /* default 12000 */
    int64_t samples;             /* independent implementations before the tests are locked, default 5 */
    double cost_per_job;         /* USD, default 2.00 */
    double cost_per_month;       /* USD, default 200.00 */
    int64_t jobs_per_repository; /* at once, default 2 */
    int64_t job_timeout_ms;      /* `job_timeout`, wall time of one attempt, default 2 h */
};

/* What webhooks have not told: how often the forges are asked (app/catch_up.h). */
struct catch_up_config {
    int64_t deliveries_ms;   /* `deliveries`, default 10 min; 0: never */
    int64_t repositories_ms; /* `repositories`, default 1 h; 0: never */
    bool everywhere;         /* `everywhere`: also where nothing was ever heard of, with a token for the list */
    int64_t back_ms;         /* `back`, default 72 h */
};

/* How long things are kept; 0: for good (app/housekeeping.h). */
struct retention_config {
    int64_t deliveries_ms;  /* `deliveries`, default 30 d: longer than a forge sends one again */
    int64_t journal_ms;     /* `journal`, default 90 d: what a retry goes on from, deliveries that came to nothing */
    int64_t artifacts_ms;   /* `artifacts`, default 90 d */
    int64_t evaluations_ms; /* `evaluations`, default 365 d */
    int64_t mirrors_ms;     /* `mirrors`, default 30 d without use */
    int64_t mirrors_size;   /* `mirrors_size`, bytes, default 20 GiB; 0: no bound */
};

struct config {
    char *file; /* where it was read from; "the environment" without a file */
    struct {
        char *listen;     /* host:port, default 127.0.0.1:3000 */
        char *public_url; /* for links in comments; "" when not set */
    } server;
    char *database;  /* sqlite:///PATH or postgresql://…, without a password; default <state_dir>/assay.db */
    char *state_dir; /* default: $XDG_STATE_HOME/assay, else ~/.local/state/assay */
    int64_t workers; /* jobs at once, default 4 */
    struct yaml_objects forges; /* of struct forge_config */
    struct yaml_objects models; /* of struct model_config */
    struct model_routes routes; /* roles left out take the models in the order in which they stand (embed: none) */
    struct sandbox_config sandbox;
    struct limits_config limits;
    struct thresholds thresholds; /* a repository may ask for others (app/policy.h) */
    struct catch_up_config catch_up;
    struct retention_config retention;
    char *label; /* default "assay" */
};

/* What a command needs; the rest may be missing. */
enum config_need {
    CONFIG_NEEDS_MODELS = 1, /* at least one model, every route named resolves */
    CONFIG_NEEDS_FORGES = 2, /* at least one forge with credentials and webhook secret */
};

/* Reads the file at `path`; NULL: ./assay.yml, /etc/assay/assay.yml, else the environment. Checks everything that can
 * be checked without the network: types, unknown keys, duplicate names, routes that name no model, secrets that cannot
 * be read (only of the parts that `needs` names). ERROR_CONFIG as "assay.yml:12: forges[0].private_key: …". */
int config_load(const char *path, unsigned needs, struct config *out, struct error *err);
void config_release(struct config *config);

const struct forge_config *config_forge(const struct config *config, const char *name); /* NULL when unknown */

/* The folder of pinned tools: $ASSAY_TOOLS, <state_dir>/tools, the XDG state directory's assay/tools,
 * /usr/lib/assay/tools; heap; NULL with ERROR_CONFIG and the command that installs them. It holds one folder for each
 * tool family: python/bin/…  */
char *config_tools_dir(const struct config *config, struct error *err);

/* Every key with its help and default, as YAML comments, for `assay config`-like output and the manual. */
int config_describe(struct buf *out, struct error *err);

#endif
