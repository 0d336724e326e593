/* assay jobs, show, cancel, retry: what the store knows, for people and programs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/effect_view.h"
#include "app/job_view.h"
#include "app/store.h"
#include "app/table.h"

enum { FAILED_MAX = 10000 };

static struct store *open_store(const char *config_path, struct config *config, struct error *err)
{
    if (config_load(config_path, 0, config, err) < 0)
        return NULL;
    struct store *store = store_open(config->database, err);
    if (!store)
        config_release(config);
    return store;
}

static void close_store(struct store *store, struct config *config)
{
    store_close(store);
    config_release(config);
}

/* A whole number above zero, with nothing behind it. */
static int read_number(const char *command, const char *what, const char *text, int64_t *out, struct error *err)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1)
        return error_set(err, ERROR_USAGE, "%s: %s is not %s; `assay jobs` lists jobs with theirs", command, text,
                         what);
    *out = value;
    return 0;
}

/* ---- jobs ---- */

struct list_options {
    const char *config, *state, *repo, *limit;
    bool json;
};

/* Fills the filter; `owner` is the heap text that its repository's owner points to. */
static int make_filter(const struct list_options *options, struct job_filter *filter, char **owner, struct error *err)
{
    filter->state = options->state ? job_state_find(options->state) : -1;
    if (options->state && filter->state < 0)
        return error_set(err, ERROR_USAGE, "jobs: there is no state %s; see `assay jobs --help`", options->state);
    int64_t limit = 0;
    if (options->limit && read_number("jobs", "a number of jobs", options->limit, &limit, err) < 0)
        return -1;
    filter->limit = (size_t)limit;
    if (!options->repo)
        return 0;
    const char *slash = strchr(options->repo, '/');
    if (!slash || slash == options->repo || !slash[1] || strchr(slash + 1, '/'))
        return error_set(err, ERROR_USAGE, "jobs: --repo %s is not OWNER/NAME", options->repo);
    *owner = strndup(options->repo, (size_t)(slash - options->repo));
    filter->owner = *owner;
    filter->repo = slash + 1;
    return 0;
}

static void print_list(const struct job *jobs, size_t count)
{
    static const char *const titles[] = {"ID",   "STATE",   "OUTCOME", "REPOSITORY", "NUMBER",
                                         "KIND", "CREATED", "COST",    "TITLE",      "WHY"};
    struct screen screen = screen_of(stdout);
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; table && i < count; i++)
        job_view_row(table, &jobs[i]);
    if (table)
        table_print(table, &screen, stdout);
    if (!count && screen.terminal)
        printf("There are no such jobs.\n");
    table_free(table);
}

static int print_jobs(const struct job *jobs, size_t count, bool json, struct error *err)
{
    if (!json) {
        print_list(jobs, count);
        return 0;
    }
    json_auto_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, job_view_json(&jobs[i]));
    return cli_print_json(list, stdout, err);
}

int cli_jobs(int argc, char **argv, struct error *err)
{
    struct list_options given = {0};
    const struct cli_option options[] = {{"config", NULL, &given.config}, {"state", NULL, &given.state},
                                         {"repo", NULL, &given.repo},     {"limit", NULL, &given.limit},
                                         {"json", &given.json, NULL},     {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    struct config config;
    struct job_filter filter = {0};
    AUTO_FREE char *owner = NULL;
    if (cli_options(argc, argv, options, NULL, 0, err) < 0 || make_filter(&given, &filter, &owner, err) < 0)
        return -1;
    struct store *store = open_store(given.config, &config, err);
    if (!store)
        return -1;
    struct job *jobs = NULL;
    size_t count = 0;
    int status = store_jobs(store, &filter, &jobs, &count, err);
    if (status == 0)
        status = print_jobs(jobs, count, given.json, err);
    jobs_free(jobs, count);
    close_store(store, &config);
    return status;
}

/* ---- show ---- */

/* All that is known of one job. */
struct whole {
    struct job job;
    struct stage_row *stages;
    struct effect_row *effects;
    size_t stage_count, effect_count;
    json_t *calls;
};

static void whole_release(struct whole *whole)
{
    job_release(&whole->job);
    stages_free(whole->stages, whole->stage_count);
    effect_rows_free(whole->effects, whole->effect_count);
    json_decref(whole->calls);
}

static int read_whole(struct store *store, int64_t id, struct whole *whole, struct error *err)
{
    if (store_job_get(store, id, &whole->job, err) < 0 ||
        store_stages(store, id, false, &whole->stages, &whole->stage_count, err) < 0 ||
        store_effects(store, id, &whole->effects, &whole->effect_count, err) < 0)
        return -1;
    whole->calls = store_calls(store, id, err);
    return whole->calls ? 0 : -1;
}

static int show(struct store *store, const struct config *config, int64_t id, bool json, struct error *err)
{
    struct whole whole = {0};
    int status = read_whole(store, id, &whole, err);
    if (status == 0 && json) {
        json_auto_t *view = job_view_whole(&whole.job, whole.stages, whole.stage_count, whole.calls);
        json_object_set_new(view, "effects", effect_view_json(whole.effects, whole.effect_count));
        status = cli_print_json(view, stdout, err);
    } else if (status == 0) {
        job_view_print(&whole.job, whole.stages, whole.stage_count, whole.calls, config_forge(config, whole.job.forge),
                       stdout);
        effect_view_print(whole.effects, whole.effect_count, stdout);
    }
    whole_release(&whole);
    return status;
}

/* Options and the id of a command about one job, and its open store; NULL with an error. */
static struct store *open_for_job(int argc, char **argv, const struct cli_option *options, const char **config_path,
                                  struct config *config, int64_t *id, struct error *err)
{
    const char *text = NULL;
    if (cli_options(argc, argv, options, &text, 1, err) < 0 || read_number(argv[0], "a job's id", text, id, err) < 0)
        return NULL;
    return open_store(*config_path, config, err);
}

int cli_show(int argc, char **argv, struct error *err)
{
    bool json = false;
    const char *config_path = NULL;
    const struct cli_option options[] = {{"config", NULL, &config_path}, {"json", &json, NULL}, {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    struct config config;
    int64_t id = 0;
    struct store *store = open_for_job(argc, argv, options, &config_path, &config, &id, err);
    if (!store)
        return -1;
    int status = show(store, &config, id, json, err);
    close_store(store, &config);
    return status;
}

/* ---- cancel and retry ---- */

int cli_cancel(int argc, char **argv, struct error *err)
{
    const char *config_path = NULL;
    const struct cli_option options[] = {{"config", NULL, &config_path}, {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    struct config config;
    int64_t id = 0;
    bool was_running = false;
    struct store *store = open_for_job(argc, argv, options, &config_path, &config, &id, err);
    if (!store)
        return -1;
    int status = store_job_cancel(store, id, &was_running, err);
    if (status == 0)
        printf("job %lld %s\n", (long long)id, was_running ? "was asked to stop" : "is cancelled");
    close_store(store, &config);
    return status;
}

/* What ended without an outcome (or waits for its time) goes on where it stood, when that is known still (`retention`);
 * what has one would only come to it again. */
static int run_again(struct store *store, int64_t id, bool fresh, struct error *err)
{
    struct job job;
    json_auto_t *snapshot = NULL;
    if (store_last_snapshot(store, id, &snapshot, err) < 0 || store_job_get(store, id, &job, err) < 0)
        return -1;
    fresh = fresh || !snapshot || job.state == JOB_DONE || job.state == JOB_QUESTION;
    job_release(&job);
    if (store_job_again(store, id, NULL, fresh, err) < 0)
        return -1;
    printf("job %lld is queued again and %s\n", (long long)id, fresh ? "starts afresh" : "goes on where it stood");
    return 0;
}

/* After an outage: all that was given up. */
static int run_failed_again(struct store *store, bool fresh, struct error *err)
{
    struct job_filter filter = {.state = JOB_FAILED, .limit = FAILED_MAX};
    struct job *jobs = NULL;
    size_t count = 0;
    if (store_jobs(store, &filter, &jobs, &count, err) < 0)
        return -1;
    int status = 0;
    for (size_t i = count; status == 0 && i-- > 0;) /* oldest first */
        status = run_again(store, jobs[i].id, fresh, err);
    jobs_free(jobs, count);
    if (status == 0 && count == 0)
        printf("no job has failed\n");
    return status;
}

int cli_retry(int argc, char **argv, struct error *err)
{
    bool fresh = false;
    const char *config_path = NULL;
    const char *text = NULL;
    const struct cli_option options[] = {{"config", NULL, &config_path}, {"fresh", &fresh, NULL}, {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    struct config config;
    int64_t id = 0;
    if (cli_options(argc, argv, options, &text, 1, err) < 0)
        return -1;
    bool failed = strcmp(text, "failed") == 0;
    if (!failed && read_number(argv[0], "a job's id, or the word failed", text, &id, err) < 0)
        return -1;
    struct store *store = open_store(config_path, &config, err);
    if (!store)
        return -1;
    int status = failed ? run_failed_again(store, fresh, err) : run_again(store, id, fresh, err);
    close_store(store, &config);
    return status;
}
