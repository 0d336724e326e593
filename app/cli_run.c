/* assay run: the whole pipeline in a checkout, without a forge. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/checkout.h"
#include "app/cli.h"
#include "app/commits.h"
#include "app/engine.h"
#include "app/progress.h"
#include "app/stop.h"

enum { SPEC_MAX = 256 * 1024, DIFF_MAX = 16 * 1024 * 1024, MAX_BRANCHES = 100 };

enum output { OUTPUT_BRANCH, OUTPUT_DIFF, OUTPUT_JSON };

struct options {
    const char *spec, *repo, *base, *config;
    enum output output;
};

static int read_output(const char *name, enum output *out, struct error *err)
{
    static const char *const names[] = {[OUTPUT_BRANCH] = "branch", [OUTPUT_DIFF] = "diff", [OUTPUT_JSON] = "json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum output)i;
            return 0;
        }
    return error_set(err, ERROR_USAGE, "run: --output %s is unknown: use branch, diff or json", name);
}

static int read_options(int argc, char **argv, struct options *out, struct error *err)
{
    struct options options = {.repo = ".", .output = OUTPUT_BRANCH};
    const char *output = NULL;
    bool json = false;
    const struct cli_option table[] = {
        {"repo", NULL, &options.repo},     {"base", NULL, &options.base}, {"output", NULL, &output},
        {"config", NULL, &options.config}, {"json", &json, NULL},         {0},
    };
    if (cli_options(argc, argv, table, &options.spec, 1, err) < 0 ||
        (output && read_output(output, &options.output, err) < 0))
        return -1;
    if (json)
        options.output = OUTPUT_JSON;
    *out = options;
    return 0;
}

/* ---- the spec file ---- */

static int read_stdin(struct buf *out, struct error *err)
{
    char piece[4096];
    for (ssize_t got; (got = read(0, piece, sizeof piece)) != 0;) {
        if (got < 0 && errno != EINTR)
            return error_system(err, errno, "read the spec from standard input");
        if (got > 0)
            buf_add(out, piece, (size_t)got);
    }
    return buf_check(out, "the spec", err);
}

/* The title is a first-level heading at the top, else the file's name without its ending. Heap. */
static char *take_title(const char *path, const char **text)
{
    const char *at = *text + strspn(*text, " \t\r\n");
    if (at[0] == '#' && at[1] == ' ') {
        size_t len = strcspn(at, "\r\n");
        *text = at + len;
        return strndup(at + 2, len - 2);
    }
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t len = strcspn(name, ".");
    return strcmp(path, "-") == 0 ? strdup("Standard input") : strndup(name, len ? len : strlen(name));
}

/* ---- the journal of a run without a store ---- */

struct watch {
    json_t *stages; /* {stage, round, status, detail, seconds, model_calls} as in design 1.4 */
    int64_t started_ms;
    bool terminal;
    struct stop stop;
};

static void print_line(const struct watch *watch, const json_t *row, bool running)
{
    AUTO_BUF struct buf line = BUF_INIT(KiB(4));
    double seconds = json_number_value(json_object_get(row, "seconds"));
    progress_line(&line, json_text_at(row, "stage", ""), (int)json_int_at(row, "round", 0),
                  json_text_at(row, "status", ""), json_text_at(row, "detail", ""), (int64_t)(seconds * 1000));
    /* On a terminal the running line is written over by what came of it. */
    if (watch->terminal)
        fprintf(stderr, "\r\033[K%s%s", buf_text(&line), running ? "" : "\n");
    else if (!running)
        fprintf(stderr, "%s\n", buf_text(&line));
}

static int on_begin(void *context, const char *stage, int round, const char *input_digest, int64_t *id,
                    struct error *err)
{
    struct watch *watch = context;
    json_t *row = json_pack("{s:s, s:i, s:s, s:s, s:f, s:s, s:[]}", "stage", stage, "round", round, "status", "running",
                            "detail", "", "seconds", 0.0, "input_digest", input_digest, "model_calls");
    if (json_array_append_new(watch->stages, row) < 0)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    watch->started_ms = clock_monotonic_ms();
    *id = (int64_t)json_array_size(watch->stages);
    print_line(watch, row, true);
    return 0;
}

static int on_end(void *context, int64_t id, const char *status, const char *detail, const json_t *snapshot,
                  struct error *err)
{
    struct watch *watch = context;
    json_t *row = json_array_get(watch->stages, (size_t)id - 1);
    (void)snapshot;
    (void)err;
    json_object_set_new(row, "status", json_string(status));
    json_object_set_new(row, "detail", json_string(detail));
    json_object_set_new(row, "seconds", json_real((double)(clock_monotonic_ms() - watch->started_ms) / 1000.0));
    print_line(watch, row, false);
    return 0;
}

static void on_call(void *context, int64_t id, const struct model_call *call)
{
    const struct watch *watch = context;
    json_t *calls = json_object_get(json_array_get(watch->stages, (size_t)id - 1), "model_calls");
    json_array_append_new(calls,
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:s*}", "name", call->name, "model",
                                    call->model, "role", model_role_name(call->role), "template", call->template_path,
                                    "template_digest", call->template_digest, "tokens_in", (json_int_t)call->tokens_in,
                                    "tokens_out", (json_int_t)call->tokens_out, "cost_usd", call->cost_usd, "seconds",
                                    (double)call->elapsed_ms / 1000.0, "error", call->error));
}

static bool on_cancelled(void *context)
{
    return stop_wait(&((struct watch *)context)->stop, 0);
}

/* ---- what comes out ---- */

static int set_branch(struct repo *repo, const struct run *run, const char *commit, char **branch, struct error *err)
{
    AUTO_FREE char *slug = commits_slug(run->spec.title);
    for (int i = 1; slug && i <= MAX_BRANCHES; i++) {
        AUTO_FREE char *name = i == 1 ? text_format("assay/%s", slug) : text_format("assay/%s-%d", slug, i);
        struct error taken = {0};
        if (name && repo_branch_set(repo, name, commit, NULL, &taken) == 0) {
            *branch = STEAL(name);
            return 0;
        }
        if (taken.code != ERROR_CONFLICT) {
            *err = taken;
            return -1;
        }
    }
    return error_set(err, ERROR_CONFLICT, "all branches assay/%s to assay/%s-%d are taken", slug, slug, MAX_BRANCHES);
}

struct commits {
    char tests[REPO_ID_SIZE], code[REPO_ID_SIZE];
    struct buf diff;
};

static int make_commits(struct checkout *checkout, const struct run *run, struct commits *out, struct error *err)
{
    if (!run->change.count)
        return 0;
    struct repo_person author = {"Assay", "assay@localhost"};
    struct commits_request request = {
        .repo = checkout->repo, .base = checkout->base, .run = run, .author = &author, .when_ms = clock_wall_ms()};
    if (commits_make(&request, out->tests, out->code, err) < 0)
        return -1;
    return repo_diff(checkout->repo, checkout->base, out->code, &out->diff, err);
}

static bool is_success(const struct run *run)
{
    return run->outcome == OUTCOME_PROVEN || run->outcome == OUTCOME_UNPROVEN;
}

static int print_json(const struct run *run, const struct commits *commits, const struct watch *watch,
                      struct error *err)
{
    json_auto_t *view = run_to_view(run);
    if (!view)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    json_object_set_new(view, "diff", json_stringn(buf_text(&commits->diff), commits->diff.len));
    json_object_set(view, "stages", watch->stages);
    return cli_print_json(view, stdout, err);
}

static int print_text(struct checkout *checkout, const struct run *run, const struct commits *commits, bool diff_only,
                      struct error *err)
{
    if (diff_only) {
        fprintf(stderr, "%s: %s\n", outcome_name(run->outcome), run->reason);
        return is_success(run) && fputs(buf_text(&commits->diff), stdout) == EOF
                   ? error_set(err, ERROR_IO, "standard output does not take the diff")
                   : 0;
    }
    json_auto_t *extra = json_object();
    AUTO_FREE char *branch = NULL;
    if (is_success(run)) {
        if (checkout->is_mirror)
            return error_set(err, ERROR_USAGE,
                             "run: a branch can be made in a checkout only; with a URL use --output diff or json");
        if (set_branch(checkout->repo, run, commits->code, &branch, err) < 0)
            return -1;
        json_object_set_new(extra, "branch", json_string(branch));
    }
    AUTO_FREE char *text =
        pipeline_describe(run, is_success(run) ? "replies/pull.mustache" : "replies/outcome.mustache", extra, err);
    if (!text)
        return -1;
    printf("%s: %s\n\n%s\n", outcome_name(run->outcome), run->reason, text);
    if (branch)
        printf("\nBranch %s: %.10s (tests, red), %.10s (code, green). Check it: assay verify %.10s..%s\n", branch,
               commits->tests, commits->code, checkout->base, branch);
    return 0;
}

static int finish(struct checkout *checkout, const struct run *run, const struct watch *watch, enum output output,
                  struct error *err)
{
    struct commits commits = {.diff = BUF_INIT(DIFF_MAX)};
    int status = make_commits(checkout, run, &commits, err);
    if (status == 0)
        status = output == OUTPUT_JSON ? print_json(run, &commits, watch, err)
                                       : print_text(checkout, run, &commits, output == OUTPUT_DIFF, err);
    buf_release(&commits.diff);
    return status < 0 ? -1 : is_success(run) ? 0 : 1;
}

/* ---- the command ---- */

static int run_here(const struct options *options, const struct config *config, struct checkout *checkout,
                    struct engine *engine, const struct log *log, struct error *err)
{
    AUTO_BUF struct buf spec = BUF_INIT(SPEC_MAX);
    bool is_stdin = strcmp(options->spec, "-") == 0;
    if ((is_stdin ? read_stdin(&spec, err) : fs_read(options->spec, &spec, err)) < 0)
        return err->code == ERROR_NOT_FOUND
                   ? error_set(err, ERROR_USAGE, "run: there is no spec file %s", options->spec)
                   : -1;
    const char *text = buf_text(&spec);
    AUTO_FREE char *title = take_title(options->spec, &text);
    AUTO_FREE char *tree = checkout_tree(checkout, checkout->base, "tree", err);
    struct watch watch = {.stages = json_array(), .terminal = isatty(2) == 1};
    struct run run = {0};
    if (!title || !tree || stop_watch(&watch.stop, err) < 0) {
        json_decref(watch.stages);
        return -1;
    }
    struct pipeline pipeline = engine_pipeline(engine, tree, log);
    pipeline.journal = (struct journal){&watch, on_begin, on_end, on_call, on_cancelled};
    models_set_budget(engine->models, config->limits.cost_per_job, 0);
    int status = run_init(&run, engine->languages, title, text, err);
    if (status == 0)
        status = pipeline_run(&pipeline, &run, err);
    if (status == 0)
        status = finish(checkout, &run, &watch, options->output, err);
    run_release(&run);
    stop_release(&watch.stop);
    json_decref(watch.stages);
    return status;
}

int cli_run(int argc, char **argv, struct error *err)
{
    struct options options = {.spec = "-"};
    struct config config = {0};
    struct checkout checkout = {0};
    struct engine engine = {0};
    if (cli_wants_help(argc, argv))
        return 0;
    if (read_options(argc, argv, &options, err) < 0 ||
        config_load(options.config, CONFIG_NEEDS_MODELS, &config, err) < 0)
        return -1;
    struct secrets *secrets = secrets_new();
    struct log log = log_open("run");
    log.secrets = secrets;
    int status = secrets ? repo_library_start(err) : error_set(err, ERROR_INTERNAL, "out of memory");
    if (status == 0) {
        status = checkout_open(&checkout, &config, options.repo, options.base, err);
        if (status == 0)
            status = engine_init(&engine, &config, secrets, &log, err);
        if (status == 0)
            status = run_here(&options, &config, &checkout, &engine, &log, err);
        engine_release(&engine);
        checkout_close(&checkout);
        repo_library_stop();
    }
    secrets_free(secrets);
    config_release(&config);
    return status;
}
