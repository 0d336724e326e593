/* assay eval: measures a model with the whole pipeline on tasks with hidden tests. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/eval.h"

enum { MAX_FAILURES = 3, MAX_ROUNDS = 20, MAX_JOBS = 64 };

struct options {
    bool single_shot, json, compare, summary;
    const char *config, *sample, *seed, *model, *out, *without, *rounds, *jobs;
    const char *files[2];
};

static bool has_argument(int argc, char **argv, const char *wanted)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], wanted) == 0)
            return true;
    return false;
}

static int read_options(int argc, char **argv, struct options *out, struct error *err)
{
    struct options options = {0};
    const struct cli_option table[] = {{"sample", NULL, &options.sample},
                                       {"seed", NULL, &options.seed},
                                       {"single-shot", &options.single_shot, NULL},
                                       {"model", NULL, &options.model},
                                       {"out", NULL, &options.out},
                                       {"without", NULL, &options.without},
                                       {"repair-rounds", NULL, &options.rounds},
                                       {"jobs", NULL, &options.jobs},
                                       {"compare", &options.compare, NULL},
                                       {"summary", &options.summary, NULL},
                                       {"config", NULL, &options.config},
                                       {"json", &options.json, NULL},
                                       {0}};
    size_t count = has_argument(argc, argv, "--compare") ? 2 : 1;
    if (cli_options(argc, argv, table, options.files, count, err) < 0)
        return -1;
    *out = options;
    return 0;
}

/* ---- what is asked for ---- */

static int read_number(const char *text, const char *option, int64_t min, int64_t max, int64_t *out, struct error *err)
{
    char *end = NULL;
    errno = 0;
    intmax_t value = text ? strtoimax(text, &end, 10) : 0;
    if (text && (errno || end == text || *end || value < min || value > max))
        return error_set(err, ERROR_USAGE, "eval: --%s takes a number from %" PRId64 " to %" PRId64, option, min, max);
    if (text)
        *out = value;
    return 0;
}

static int no_mean(const char *name, size_t len, struct error *err)
{
    AUTO_BUF struct buf known = BUF_INIT(KiB(4));
    const char *help, *each;
    for (enum mean mean = 0; (each = pipeline_mean(mean, &help)); mean++)
        buf_printf(&known, "%s %s (%s)", mean ? "," : "", each, help);
    return error_set(err, ERROR_USAGE, "eval: --without: there is no mean \"%.*s\"; there are:%s", (int)len, name,
                     buf_text(&known));
}

static int read_means(const char *list, unsigned *without, struct error *err)
{
    for (const char *at = list; at && *at;) {
        size_t len = strcspn(at, ",");
        const char *name = NULL, *help;
        enum mean mean = 0;
        while ((name = pipeline_mean(mean, &help)) && (strlen(name) != len || strncmp(name, at, len) != 0))
            mean++;
        if (!name)
            return no_mean(at, len, err);
        *without |= 1u << mean;
        at += len + (at[len] == ',');
    }
    return 0;
}

static int set_route(struct yaml_texts *route, const char *name, struct error *err)
{
    char **items = calloc(1, sizeof *items);
    if (!items || !(items[0] = strdup(name))) {
        free(items);
        return error_set(err, ERROR_INTERNAL, "no memory");
    }
    for (size_t i = 0; i < route->count; i++)
        free(route->items[i]);
    free(route->items);
    *route = (struct yaml_texts){items, 1};
    return 0;
}

/* One model for all roles. */
static int choose_model(struct config *config, const char *name, struct error *err)
{
    const struct model_config *models = config->models.items;
    size_t n = 0;
    while (name && n < config->models.count && strcmp(models[n].name, name) != 0)
        n++;
    if (name && n == config->models.count)
        return error_set(err, ERROR_USAGE, "eval: --model %s: the configuration has no model of this name", name);
    for (enum model_role role = ROLE_TESTS; name && role <= ROLE_REPAIR; role++)
        if (set_route(&config->routes.roles[role], name, err) < 0)
            return -1;
    return 0;
}

/* ---- progress ---- */

struct progress {
    size_t total, done, fresh; /* fresh: run now, not found in the file */
    int64_t began;
    json_t *lines;        /* of the chosen tasks */
    struct error failure; /* the first task that gave no result */
    size_t failures, in_a_row;
};

static void print_share(const json_t *rates, const char *name)
{
    const json_t *rate = json_object_get(json_object_get(rates, name), "rate");
    if (json_is_number(rate))
        fprintf(stderr, " · %s %.0f %%", name, 100 * json_number_value(rate));
}

static void print_progress(const struct progress *progress, const json_t *line)
{
    json_auto_t *summary = eval_summary(progress->lines);
    const json_t *rates = json_object_get(json_array_get(json_object_get(summary, "runs"), 0), "rates");
    char spent[CLOCK_TEXT_SIZE], left[CLOCK_TEXT_SIZE];
    int64_t each = progress->fresh ? (clock_monotonic_ms() - progress->began) / (int64_t)progress->fresh : 0;
    fprintf(stderr, "%zu/%zu %s: %s, hidden test %s, %s", progress->done, progress->total,
            json_text_at(line, "task_id", ""), json_text_at(line, "status", ""), json_text_at(line, "hidden_end", ""),
            clock_duration((int64_t)(1000 * json_number_value(json_object_get(line, "seconds"))), spent));
    static const char *const shown[] = {"first_try", "after_repair", "hidden", "precision"};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        print_share(rates, shown[i]);
    if (progress->done < progress->total)
        fprintf(stderr, " · about %s left", clock_duration(each * (int64_t)(progress->total - progress->done), left));
    fputc('\n', stderr);
}

/* ---- the run ---- */

/* A task whose run failed from outside is no result. When several in a row do, the trouble is not the task's. */
static int note_failure(struct progress *progress, const struct error *failure, struct error *err)
{
    if (failure->code != ERROR_CANCELLED)
        fprintf(stderr, "assay: %s\n", failure->message);
    if (!progress->failures++)
        progress->failure = *failure;
    if (failure->code != ERROR_CANCELLED && ++progress->in_a_row < MAX_FAILURES)
        return 0;
    if (err)
        *err = *failure;
    return -1;
}

struct evaluation {
    const struct eval_tasks *tasks;
    struct eval_results results;
    struct progress progress;
};

static int on_result(void *context, size_t index, json_t *line, const struct error *failure, struct error *err)
{
    struct evaluation *evaluation = context;
    struct progress *progress = &evaluation->progress;
    (void)index;
    progress->fresh++;
    if (!line)
        return note_failure(progress, failure, err);
    progress->in_a_row = 0;
    progress->done++;
    json_array_append(progress->lines, line);
    if (eval_results_add(&evaluation->results, line, err) < 0)
        return -1;
    print_progress(progress, line);
    return 0;
}

/* The indexes of the tasks without a result; those with one count as done. */
static size_t left_to_do(const struct eval_setup *setup, struct evaluation *evaluation, size_t *indexes)
{
    size_t count = 0;
    for (size_t i = 0; i < evaluation->tasks->count; i++) {
        json_t *known = eval_results_find(&evaluation->results, setup->identity, evaluation->tasks->items[i].id);
        if (!known)
            indexes[count++] = i;
        else if (json_array_append(evaluation->progress.lines, known) == 0) {
            evaluation->progress.done++;
            eval_results_copy(&evaluation->results, known);
        }
    }
    return count;
}

static int print_summary(const json_t *lines, bool json, FILE *out, struct error *err)
{
    json_auto_t *summary = eval_summary(lines);
    if (json)
        return cli_print_json(summary, out, err);
    eval_summary_print(summary, out);
    return 0;
}

static int run_all(const struct eval_setup *setup, const struct eval_tasks *tasks, const struct options *options,
                   struct error *err)
{
    struct evaluation evaluation = {
        .tasks = tasks, .progress = {.total = tasks->count, .began = clock_monotonic_ms(), .lines = json_array()}};
    struct progress *progress = &evaluation.progress;
    size_t *indexes = calloc(tasks->count + 1, sizeof *indexes);
    int status = -1;
    if (!indexes || !progress->lines)
        error_set(err, ERROR_INTERNAL, "no memory");
    else if ((status = eval_results_open(options->out, &evaluation.results, err)) == 0) {
        eval_results_keep(&evaluation.results, setup->config->database, options->files[0], options->out,
                          setup->identity, setup->log);
        size_t count = left_to_do(setup, &evaluation, indexes);
        status = eval_run_all(setup, tasks, indexes, count, &(struct eval_sink){on_result, &evaluation}, err);
        int printed =
            print_summary(progress->lines, options->json, options->out ? stdout : stderr, status == 0 ? err : NULL);
        status = status == 0 ? printed : status;
        eval_results_close(&evaluation.results);
    }
    if (status == 0 && progress->failures) {
        if (err)
            *err = progress->failure;
        status = error_wrap(err, "%zu of %zu tasks have no result, first", progress->failures, progress->total);
    }
    json_decref(progress->lines);
    free(indexes);
    return status;
}

static int prepare(const struct options *options, struct config *config, struct eval_setup *setup,
                   struct eval_tasks *tasks, struct error *err)
{
    int64_t sample = 0, seed = 0, rounds = config->limits.repair_rounds, jobs = get_nprocs();
    if (read_number(options->sample, "sample", 1, INT32_MAX, &sample, err) < 0 ||
        read_number(options->seed, "seed", 0, INT64_MAX, &seed, err) < 0 ||
        read_number(options->rounds, "repair-rounds", 0, MAX_ROUNDS, &rounds, err) < 0 ||
        read_number(options->jobs, "jobs", 1, MAX_JOBS, &jobs, err) < 0 ||
        read_means(options->without, &setup->without, err) < 0 ||
        eval_tasks_read(options->files[0], setup->engine->languages, tasks, err) < 0)
        return -1;
    if (options->sample)
        eval_tasks_sample(tasks, (size_t)sample, seed);
    setup->single_shot = options->single_shot;
    setup->repair_rounds = rounds;
    setup->jobs = jobs < MAX_JOBS ? (size_t)jobs : MAX_JOBS;
    setup->config = config;
    setup->identity = eval_identity(setup);
    return setup->identity ? 0 : error_set(err, ERROR_INTERNAL, "no memory");
}

static int evaluate(const struct options *options, struct config *config, struct error *err)
{
    struct secrets *secrets = secrets_new();
    struct log log = log_open("eval");
    struct engine engine = {0};
    struct stop stop = {0};
    struct eval_tasks tasks = {0};
    struct eval_setup setup = {.engine = &engine, .secrets = secrets, .log = &log, .stop = &stop};
    log.secrets = secrets;
    int status = secrets ? stop_watch(&stop, err) : error_set(err, ERROR_INTERNAL, "no memory");
    if (status == 0) {
        status = engine_init(&engine, config, secrets, &log, err);
        if (status == 0)
            status = prepare(options, config, &setup, &tasks, err);
        if (status == 0)
            status = run_all(&setup, &tasks, options, err);
        stop_release(&stop);
    }
    json_decref(setup.identity);
    eval_tasks_release(&tasks);
    engine_release(&engine);
    secrets_free(secrets);
    return status;
}

/* Of a file that is there, whichever prompts it was made with. */
static int summarise(const struct options *options, struct error *err)
{
    json_auto_t *lines = eval_results_read(options->files[0], err);
    if (!lines)
        return -1;
    return print_summary(lines, options->json, stdout, err);
}

static int compare(const struct options *options, struct error *err)
{
    json_auto_t *a = eval_results_read(options->files[0], err);
    json_auto_t *b = a ? eval_results_read(options->files[1], err) : NULL;
    json_auto_t *comparison = b ? eval_compare(a, b, err) : NULL;
    if (!comparison)
        return -1;
    if (options->json)
        return cli_print_json(comparison, stdout, err);
    eval_compare_print(comparison, stdout);
    return 0;
}

int cli_eval(int argc, char **argv, struct error *err)
{
    struct options options = {0};
    struct config config = {0};
    if (cli_wants_help(argc, argv))
        return 0;
    if (read_options(argc, argv, &options, err) < 0)
        return -1;
    if (options.compare)
        return compare(&options, err);
    if (options.summary)
        return summarise(&options, err);
    if (config_load(options.config, CONFIG_NEEDS_MODELS, &config, err) < 0)
        return -1;
    int status = choose_model(&config, options.model, err);
    if (status == 0)
        status = evaluate(&options, &config, err);
    config_release(&config);
    return status;
}
