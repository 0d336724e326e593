#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "app/eval.h"
#include "pipeline/mined.h"

enum { PROPERTY_SEED = 20260101 }; /* the same inputs in every evaluation */

/* ---- what tells evaluations apart ---- */

/* One digest over all text that can be in a prompt: results with another one were asked in another way. */
static void digest_of_templates(bool single_shot, char hex[static DIGEST_HEX_SIZE])
{
    size_t count = 0;
    const struct template_file *files = template_files(&count);
    AUTO_BUF struct buf all = BUF_INIT(MiB(1));
    for (size_t i = 0; i < count; i++) {
        const char *path = files[i].path;
        bool baseline = strcmp(path, "prompts/single-shot.mustache") == 0;
        bool used = strncmp(path, "prompts/", 8) == 0 || strncmp(path, "languages/", 10) == 0;
        if (single_shot ? baseline : used && !baseline)
            buf_printf(&all, "%s  %s\n", files[i].digest, path);
    }
    digest_sha256(buf_text(&all), all.len, hex);
}

static void add_route(struct buf *out, const struct config *config, enum model_role role)
{
    const struct yaml_texts *names = &config->routes.roles[role];
    const struct model_config *models = config->models.items;
    for (size_t i = 0; i < names->count; i++)
        for (size_t m = 0; m < config->models.count; m++)
            if (strcmp(models[m].name, names->items[i]) == 0)
                buf_printf(out, "%s%s=%s", i ? " > " : "", models[m].name, models[m].model);
}

/* "local=qwen2.5-coder:7b" when all roles take the same route. Heap. */
static char *configured(const struct eval_setup *setup)
{
    AUTO_BUF struct buf all = BUF_INIT(KiB(64)), first = BUF_INIT(KiB(16));
    bool same = true;
    add_route(&first, setup->config, ROLE_IMPLEMENT);
    for (enum model_role role = ROLE_TESTS; role <= ROLE_REPAIR; role++) {
        AUTO_BUF struct buf one = BUF_INIT(KiB(16));
        add_route(&one, setup->config, role);
        same = same && strcmp(buf_text(&one), buf_text(&first)) == 0;
        buf_printf(&all, "%s%s: %s", role == ROLE_TESTS ? "" : "; ", model_role_name(role), buf_text(&one));
    }
    return strdup(buf_text(setup->single_shot || same ? &first : &all));
}

json_t *eval_identity(const struct eval_setup *setup)
{
    char digest[DIGEST_HEX_SIZE];
    AUTO_FREE char *models = configured(setup);
    json_t *without = json_array();
    const char *help, *name;
    digest_of_templates(setup->single_shot, digest);
    for (enum mean mean = 0; (name = pipeline_mean(mean, &help)); mean++)
        if (setup->without & (1u << mean))
            json_array_append_new(without, json_string(name));
    bool single = setup->single_shot;
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:s}", "mode", single ? "single-shot" : "pipeline", "configured",
                     models ? models : "", "without", without, "samples",
                     (json_int_t)(single ? 1 : setup->config->limits.samples), "repair_rounds",
                     (json_int_t)(single ? 0 : setup->repair_rounds), "templates", digest);
}

/* ---- what is seen of a run ---- */

enum met { NOT_YET, PASSED, FAILED };

struct watch {
    const struct eval_setup *setup;
    const char *stage; /* that runs now */
    int round;
    enum met static_first, green_first;
    json_t *versions; /* of the models that answered */
};

static int on_begin(void *context, const char *stage, int round, const char *input_digest, int64_t *id,
                    struct error *err)
{
    struct watch *watch = context;
    (void)input_digest;
    (void)err;
    watch->stage = stage;
    watch->round = round;
    *id = 0;
    return 0;
}

/* What the first implementation met: it is over with the first repair round. */
static int on_end(void *context, int64_t id, const char *status, const char *detail, const json_t *snapshot,
                  struct error *err)
{
    struct watch *watch = context;
    (void)id;
    (void)detail;
    (void)snapshot;
    (void)err;
    bool is_static = strcmp(watch->stage, "static") == 0, is_green = strcmp(watch->stage, "green") == 0;
    enum met met = strcmp(status, "passed") == 0 ? PASSED : FAILED;
    if (watch->round == 0 && is_static && watch->static_first == NOT_YET)
        watch->static_first = met;
    if (watch->round == 0 && is_green && watch->green_first == NOT_YET)
        watch->green_first = met;
    return 0;
}

static void on_call(void *context, int64_t id, const struct model_call *call)
{
    struct watch *watch = context;
    (void)id;
    if (!call->error)
        json_object_set_new(watch->versions, call->model, json_true());
}

static bool on_cancelled(void *context)
{
    return stop_wait(((struct watch *)context)->setup->stop, 0);
}

/* The versions that answered, joined; what was configured when none did. Heap. */
static char *version_of(const struct watch *watch)
{
    AUTO_BUF struct buf out = BUF_INIT(KiB(16));
    const char *version;
    json_t *seen;
    json_object_foreach (watch->versions, version, seen)
        buf_printf(&out, "%s%s", out.len ? " + " : "", version);
    if (!out.len)
        buf_puts(&out, json_text_at(watch->setup->identity, "configured", ""));
    return strdup(buf_text(&out));
}

/* ---- one task ---- */

static json_t *line_of(const struct watch *watch, const struct eval_task *task, const struct run *run,
                       enum hidden_end hidden)
{
    bool passes = run->outcome == OUTCOME_PROVEN || run->outcome == OUTCOME_UNPROVEN;
    bool single = watch->setup->single_shot;
    AUTO_FREE char *version = version_of(watch);
    json_t *line = json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:b, s:i, s:f, s:I, s:I, s:f, s:s, s:s, s:s}", "task_id", task->id, "status",
        outcome_name(run->outcome), "first_try", single ? json_null() : json_boolean(watch->green_first == PASSED),
        "after_repair", single ? json_null() : json_boolean(passes), "static",
        single ? json_null() : json_boolean(watch->static_first == PASSED), "hidden", hidden == HIDDEN_PASSED, "rounds",
        run->round, "seconds", (double)run->elapsed_ms / 1000.0, "tokens_in", (json_int_t)run->tokens_in, "tokens_out",
        (json_int_t)run->tokens_out, "cost_usd", round(run->cost_usd * 1e9) / 1e9, "model", version ? version : "",
        "hidden_end", hidden_end_name(hidden), "reason", run->reason ? run->reason : "");
    /* What the outcome leans on: to find where it is wrong. */
    static const char *const kinds[] = {"witnesses", "coverage", "mutation", "properties"};
    for (size_t i = 0; line && i < sizeof kinds / sizeof kinds[0]; i++) {
        json_t *evidence = json_object_get(run->evidence, kinds[i]);
        if (evidence)
            json_object_set(line, kinds[i], evidence);
    }
    if (line)
        json_object_update(line, watch->setup->identity);
    return line;
}

static int test_hidden(struct pipeline *pipeline, const struct run *run, const struct eval_task *task,
                       const struct eval_question *question, enum hidden_end *end, struct error *err)
{
    if (question->origin)
        return mined_test(pipeline, run, question->origin, task->tests, end, err);
    return pipeline_hidden_test(pipeline, run, task->entry_point, task->test, end, err);
}

static json_t *run_in(const struct eval_setup *setup, const struct eval_task *task,
                      const struct eval_question *question, struct error *err)
{
    struct watch watch = {.setup = setup, .versions = json_object()};
    struct run run = {0};
    struct pipeline pipeline = engine_pipeline(setup->engine, question->tree, setup->log);
    enum hidden_end hidden = HIDDEN_NO_CODE;
    json_t *line = NULL;
    pipeline.journal = (struct journal){&watch, on_begin, on_end, on_call, on_cancelled};
    pipeline.repair_rounds = setup->repair_rounds;
    pipeline.without = setup->without;
    pipeline.seed = PROPERTY_SEED;
    models_set_budget(setup->engine->models, setup->config->limits.cost_per_job, 0);
    int64_t waited = models_waited_ms(setup->engine->models);
    int status = run_init(&run, setup->engine->languages, question->title, question->text, err);
    if (status == 0)
        spec_fill(&run.spec.language, languages_by_name(setup->engine->languages, task->language)->name);
    if (status == 0 && setup->single_shot)
        status = pipeline_single_shot(&pipeline, &run, *task->prompt ? task->prompt : NULL, err);
    else if (status == 0)
        status = pipeline_run(&pipeline, &run, err);
    run.elapsed_ms -= models_waited_ms(setup->engine->models) - waited; /* for other tasks' answers */
    if (status == 0 && test_hidden(&pipeline, &run, task, question, &hidden, err) == 0 &&
        !(line = line_of(&watch, task, &run, hidden)))
        error_set(err, ERROR_INTERNAL, "the result cannot be written as JSON");
    run_release(&run);
    json_decref(watch.versions);
    return line;
}

json_t *eval_run(const struct eval_setup *setup, const struct eval_tasks *tasks, const struct eval_task *task,
                 struct error *err)
{
    AUTO_FREE char *folder = fs_make_temp_dir(setup->folder, "task-", err);
    struct eval_question question = {0};
    json_t *line = NULL;
    if (!folder)
        return NULL;
    if (eval_task_prepare(tasks, task, setup->engine->languages, folder, &question, err) == 0 &&
        !(line = run_in(setup, task, &question, err)))
        error_wrap(err, "%s", task->id);
    eval_question_release(&question);
    fs_remove_tree(folder, NULL);
    return line;
}
