/* One attempt at one job, in a process of its own: clone, pipeline, publish. Straight-line and blocking; a crash costs
 * this attempt and nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/attempt.h"
#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/engine.h"
#include "app/publish.h"
#include "app/question.h"
#include "app/source.h"
#include "app/worker.h"
#include "pipeline/pipeline.h"

/* ---- what attempt.h promises ---- */

int attempt_note(struct attempt *attempt, const char *key, json_t *value, struct error *err)
{
    json_auto_t *fact = value;
    if (!fact)
        return error_set(err, ERROR_INTERNAL, "note \"%s\": out of memory", key);
    if (json_equal(json_object_get(attempt->job.published, key), fact))
        return 0;
    if (store_job_publish(attempt->store, attempt->job.id, key, fact, err) < 0)
        return -1;
    json_object_set(attempt->job.published, key, fact);
    return 0;
}

bool attempt_is_stopped(void *context)
{
    struct attempt *attempt = context;
    return stop_wait(&attempt->stop, 0);
}

char *attempt_details_url(const struct attempt *attempt)
{
    const char *url = attempt->config.server.public_url;
    return url && *url ? text_format("%s/jobs/%lld", url, (long long)attempt->job.id) : NULL;
}

/* ---- the journal ---- */

static int journal_begin(void *context, const char *stage, int round, const char *input_digest, int64_t *id,
                         struct error *err)
{
    struct attempt *attempt = context;
    if (store_stage_begin(attempt->store, attempt->job.id, attempt->number, round, stage, input_digest, id, err) < 0)
        return -1;
    log_info(&attempt->log, "stage %s, round %d", stage, round);
    progress_show(&attempt->progress);
    return 0;
}

/* The answers count as given only once a snapshot knows them: a crash before it must not lose them. */
static int journal_end(void *context, int64_t id, const char *status, const char *detail, const json_t *snapshot,
                       struct error *err)
{
    struct attempt *attempt = context;
    if (store_stage_end(attempt->store, id, status, detail, snapshot, err) < 0)
        return -1;
    log_info(&attempt->log, "%s: %s", status, detail);
    if (snapshot && attempt_note(attempt, "answers", json_integer((json_int_t)attempt->answers), err) < 0)
        return -1;
    progress_show(&attempt->progress);
    return 0;
}

static void journal_call(void *context, int64_t stage_id, const struct model_call *call)
{
    struct attempt *attempt = context;
    struct error err = {0};
    struct call_row row = {
        .job = attempt->job.id,
        .stage = stage_id,
        .name = call->name,
        .model = call->model,
        .role = model_role_name(call->role),
        .template_path = call->template_path,
        .template_digest = call->template_digest,
        .request_digest = call->request_digest,
        .error = call->error,
        .tokens_in = call->tokens_in,
        .tokens_out = call->tokens_out,
        .tokens_cached = call->tokens_cached,
        .elapsed_ms = call->elapsed_ms,
        .cost_usd = call->cost_usd,
    };
    if (store_call_add(attempt->store, &row, &err) < 0)
        log_error(&attempt->log, "note a model's call: %s", err.message);
}

static bool journal_cancelled(void *context)
{
    struct attempt *attempt = context;
    progress_tick(&attempt->progress);
    return attempt_is_stopped(attempt);
}

/* ---- money ---- */

static int64_t start_of_month(int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) * 1000;
}

/* The configured bound and what people have added to it with /continue; 0: none. */
static double bound_of(const struct attempt *attempt)
{
    double bound = attempt->config.limits.cost_per_job;
    size_t i;
    json_t *raise;
    if (bound > 0)
        json_array_foreach (json_object_get(attempt->job.request, "raises"), i, raise)
            bound += json_number_value(json_object_get(raise, "usd"));
    return bound;
}

/* The tighter of the job's bound and what the month has left; a bound of 0 is none. */
static int set_budget(struct attempt *attempt, struct models *models, struct error *err)
{
    const struct limits_config *limits = &attempt->config.limits;
    double month = 0;
    double bound = bound_of(attempt);
    if (store_cost_since(attempt->store, start_of_month(clock_wall_ms()), &month, err) < 0)
        return -1;
    if (limits->cost_per_month > 0) {
        double left = limits->cost_per_month - month;
        if (left <= 0)
            return error_set(err, ERROR_BUDGET, "this month's %.2f USD are used up; raise limits.cost_per_month",
                             limits->cost_per_month);
        if (bound <= 0 || attempt->job.cost_usd + left < bound)
            bound = attempt->job.cost_usd + left;
    }
    models_set_budget(models, bound, attempt->job.cost_usd);
    return 0;
}

/* ---- the run ---- */

static bool has_ended(const struct run *run)
{
    return run->next_stage && !*run->next_stage;
}

/* The last snapshot goes on, unless answers have come that it does not know. */
static int resume(struct attempt *attempt, struct run *run, bool *resumed, struct error *err)
{
    json_auto_t *snapshot = NULL;
    size_t known = (size_t)json_int_at(attempt->job.published, "answers", 0);
    attempt->answers = json_array_size(json_object_get(attempt->job.request, "answers"));
    *resumed = false;
    if (store_last_snapshot(attempt->store, attempt->job.id, &snapshot, err) < 0)
        return -1;
    if (!snapshot || attempt->answers > known)
        return 0;
    *resumed = true;
    return run_from_json(snapshot, run, err);
}

static int start(struct attempt *attempt, const struct languages *languages, struct run *run, struct error *err)
{
    AUTO_FREE char *text = question_request_text(attempt->job.request, err);
    if (!text)
        return -1;
    run_release(run);
    return run_init(run, languages, json_text_at(attempt->job.request, "title", ""), text, err);
}

static int run_pipeline(struct attempt *attempt, struct engine *engine, bool resumed, struct run *run,
                        struct error *err)
{
    if (set_budget(attempt, engine->models, err) < 0)
        return -1;
    if (!resumed && start(attempt, engine->languages, run, err) < 0)
        return -1;
    struct pipeline pipeline = engine_pipeline(engine, attempt->tree, &attempt->log);
    pipeline.policy = policy_for_run(&attempt->policy);
    policy_set_thresholds(&attempt->policy, &pipeline.thresholds);
    pipeline.journal = (struct journal){
        .context = attempt,
        .stage_begin = journal_begin,
        .stage_end = journal_end,
        .model_call = journal_call,
        .cancelled = journal_cancelled,
    };
    return pipeline_run(&pipeline, run, err);
}

static int run_to_outcome(struct attempt *attempt, struct run *run, struct error *err)
{
    bool resumed;
    struct engine engine = {0};
    if (resume(attempt, run, &resumed, err) < 0)
        return -1;
    bool ended = resumed && has_ended(run);
    if (source_prepare(attempt, &resumed, !ended, err) < 0)
        return -1;
    if (ended && resumed)
        return 0;
    if (ended && source_prepare(attempt, &resumed, true, err) < 0) /* its base is gone: from the start */
        return -1;
    if (engine_init(&engine, &attempt->config, attempt->secrets, &attempt->log, err) < 0)
        return -1;
    int status = run_pipeline(attempt, &engine, resumed, run, err);
    engine_release(&engine);
    return status;
}

/* A forge that stumbles for a moment is not worth another attempt: everything in it may be done again. */
static int publish_patiently(struct attempt *attempt, const struct run *run, struct error *err)
{
    static const int64_t pauses_ms[] = {1000, 4000};
    for (size_t i = 0;; i++) {
        struct error failure = {0};
        if (publish_outcome(attempt, run, &failure) == 0)
            return 0;
        bool is_ours = failure.code == ERROR_STORE || failure.code == ERROR_FULL;
        bool again = failure.retryable && !is_ours && i < sizeof pauses_ms / sizeof pauses_ms[0] &&
                     failure.retry_after_ms <= pauses_ms[i];
        if (!again || stop_wait(&attempt->stop, pauses_ms[i]))
            return *err = failure, -1;
        log_warn(&attempt->log, "once more: %s", failure.message);
    }
}

static int carry_out(struct attempt *attempt, struct error *err)
{
    struct run run = {0};
    progress_show(&attempt->progress);
    int status = run_to_outcome(attempt, &run, err);
    if (status == 0 && attempt_is_stopped(attempt))
        status = error_set(err, ERROR_CANCELLED, "stopped before publishing");
    if (status == 0)
        status = publish_patiently(attempt, &run, err);
    run_release(&run);
    return status;
}

/* ---- how it ends ---- */

static int end_cancelled(struct attempt *attempt, struct error *err)
{
    struct job job;
    if (store_job_get(attempt->store, attempt->job.id, &job, err) < 0)
        return -1;
    char reason[96];
    bool asked = job.cancel_requested;
    worker_cancel_reason(&job, reason);
    job_release(&job);
    return asked ? publish_end(attempt, JOB_CANCELLED, "", reason, err) : JOB_EXIT_STOPPED;
}

static int end_outside(struct attempt *attempt, const struct error *failure, struct error *err)
{
    AUTO_BUF struct buf clean = BUF_INIT(KiB(4));
    buf_puts(&clean, failure->message);
    secrets_redact(attempt->secrets, &clean);
    log_warn(&attempt->log, "will be tried again: %s", buf_text(&clean));
    progress_close(&attempt->progress, JOB_QUEUED, "", buf_text(&clean));
    json_t *value = json_pack("{s:o, s:I, s:i}", "message", json_from_text(buf_text(&clean), clean.len),
                              "retry_after_ms", (json_int_t)failure->retry_after_ms, "attempt", attempt->number);
    return attempt_note(attempt, "error", value, err) < 0 ? -1 : JOB_EXIT_OUTSIDE;
}

/* What each kind of failure leads to. The rest is for good: nobody gains from trying again. */
static int end_failed(struct attempt *attempt, const struct error *failure, struct error *err)
{
    switch (failure->code) {
    case ERROR_CANCELLED:
        return end_cancelled(attempt, err);
    case ERROR_BUDGET:
    case ERROR_CONFIG:
    case ERROR_INPUT:
        return publish_end(attempt, JOB_DONE, outcome_name(OUTCOME_NEEDS_HUMAN), failure->message, err);
    case ERROR_TIMEOUT:
    case ERROR_STORE:
    case ERROR_CONFLICT: /* perhaps the job is another worker's now: ours finds out */
        return end_outside(attempt, failure, err);
    default:
        if (failure->retryable)
            return end_outside(attempt, failure, err);
        log_error(&attempt->log, "%s", failure->message);
        return publish_end(attempt, JOB_FAILED, "", failure->message, err);
    }
}

static int attempt_run(struct attempt *attempt, struct error *err)
{
    struct error failure = {0};
    if (carry_out(attempt, &failure) == 0)
        return JOB_EXIT_ENDED;
    return end_failed(attempt, &failure, err);
}

/* ---- the process ---- */

struct arguments {
    int64_t job;
    int attempt;
    int64_t claim; /* the one that began it */
    const char *config_path;
    const char *bury; /* the reason for which the worker gives the job up */
    enum job_state state;
};

static int read_state(const char *text, enum job_state *state, struct error *err)
{
    static const struct {
        const char *name;
        enum job_state state;
    } ends[] = {{"needs-human", JOB_DONE}, {"failed", JOB_FAILED}, {"cancelled", JOB_CANCELLED}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(ends[i].name, text) == 0)
            return *state = ends[i].state, 0;
    return error_set(err, ERROR_USAGE, "job: --as needs-human, failed or cancelled, not \"%s\"", text);
}

static int read_number(const char *text, int64_t *number, struct error *err)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value <= 0)
        return error_set(err, ERROR_USAGE, "job: \"%s\" is no number of a job, an attempt or a claim", text);
    *number = value;
    return 0;
}

static int read_arguments(int argc, char **argv, struct arguments *arguments, struct error *err)
{
    const char *job = NULL, *attempt = NULL, *claim = NULL, *as = NULL;
    int64_t number = 0;
    *arguments = (struct arguments){.state = JOB_DONE};
    const struct cli_option options[] = {
        {"config", NULL, &arguments->config_path}, {"attempt", NULL, &attempt}, {"claim", NULL, &claim},
        {"bury", NULL, &arguments->bury},          {"as", NULL, &as},           {0},
    };
    if (cli_options(argc, argv, options, &job, 1, err) < 0)
        return -1;
    if (!attempt || !claim)
        return error_set(err, ERROR_USAGE, "job: name one job, its --attempt and its --claim");
    if (read_number(attempt, &number, err) < 0 || read_number(claim, &arguments->claim, err) < 0 ||
        (as && read_state(as, &arguments->state, err) < 0))
        return -1;
    arguments->attempt = (int)number;
    return read_number(job, &arguments->job, err);
}

static int open_forge(struct attempt *attempt, struct error *err)
{
    const struct job *job = &attempt->job;
    attempt->forge_config = config_forge(&attempt->config, job->forge);
    if (!attempt->forge_config)
        return error_set(err, ERROR_CONFIG, "forge \"%s\" is not in the configuration any more", job->forge);
    attempt->forge = forge_new(attempt->forge_config, attempt->secrets, &attempt->log, err);
    if (!attempt->forge)
        return -1;
    attempt->repo = (struct forge_repo){job->owner, job->repo, job->installation};
    attempt->effects = (struct effects){
        .store = attempt->store,
        .forge = attempt->forge,
        .forge_name = job->forge,
        .repo = &attempt->repo,
        .log = &attempt->log,
        .job = job->id,
    };
    attempt->progress = (struct progress){
        .config = &attempt->config,
        .effects = &attempt->effects,
        .number = job->number,
        .comment_id = json_int_at(job->published, "comment_id", 0),
    };
    return 0;
}

static int open_workspace(struct attempt *attempt, struct error *err)
{
    AUTO_FREE char *work = source_work_dir(&attempt->config);
    attempt->workspace = text_format("%s/%lld-%d", work, (long long)attempt->job.id, attempt->number);
    attempt->tree = text_format("%s/tree", attempt->workspace);
    return attempt->tree ? 0 : error_set(err, ERROR_INTERNAL, "start an attempt: out of memory");
}

static int attempt_open(struct attempt *attempt, const struct arguments *arguments, struct error *err)
{
    unsigned needs = CONFIG_NEEDS_FORGES | (arguments->bury ? 0 : CONFIG_NEEDS_MODELS);
    if (config_load(arguments->config_path, needs, &attempt->config, err) < 0 || stop_watch(&attempt->stop, err) < 0)
        return -1;
    attempt->number = arguments->attempt;
    attempt->secrets = secrets_new();
    attempt->log.secrets = attempt->secrets;
    attempt->store = store_open(attempt->config.database, err);
    if (!attempt->store || store_fence(attempt->store, arguments->job, arguments->claim, err) < 0 ||
        store_job_get(attempt->store, arguments->job, &attempt->job, err) < 0)
        return -1;
    attempt->log.job = attempt->job.id;
    return open_workspace(attempt, err) < 0 ? -1 : open_forge(attempt, err);
}

static void attempt_close(struct attempt *attempt)
{
    struct error err = {0};
    if (attempt->workspace && fs_remove_tree(attempt->workspace, &err) < 0)
        log_warn(&attempt->log, "%s", err.message);
    free(attempt->workspace);
    free(attempt->tree);
    free(attempt->branch);
    policy_release(&attempt->policy);
    if (attempt->forge)
        forge_free(attempt->forge);
    job_release(&attempt->job);
    if (attempt->store)
        store_close(attempt->store);
    stop_release(&attempt->stop);
    secrets_free(attempt->secrets);
    config_release(&attempt->config);
}

int cli_job(int argc, char **argv, struct error *err)
{
    struct arguments arguments;
    if (cli_wants_help(argc, argv))
        return 0;
    if (read_arguments(argc, argv, &arguments, err) < 0 || repo_library_start(err) < 0)
        return -1;
    struct attempt attempt = {.log = log_open("job"), .stop = {.fd = -1}};
    int status = attempt_open(&attempt, &arguments, err);
    if (status == 0) {
        const char *outcome = arguments.state == JOB_DONE ? outcome_name(OUTCOME_NEEDS_HUMAN) : "";
        status = arguments.bury ? publish_end(&attempt, arguments.state, outcome, arguments.bury, err)
                                : attempt_run(&attempt, err);
    }
    attempt_close(&attempt);
    repo_library_stop();
    return status;
}
