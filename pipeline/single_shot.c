/* The baseline that the pipeline is measured against: what the model says at first. */
#include "app/base/clock.h"
#include "app/base/template.h"
#include "pipeline/stage.h"

enum { ANSWER_TOKENS = 600, PROMPT_MAX = 256 * 1024 };

static int ask(struct pipeline *pipeline, const struct run *run, const char *source, struct model_answer *answer,
               struct error *err)
{
    static const char path[] = "prompts/single-shot.mustache";
    const struct template_file *file = template_find(path);
    AUTO_BUF struct buf prompt = BUF_INIT(PROMPT_MAX);
    json_auto_t *view = json_pack("{s:s, s:s, s:o*}", "language", run->spec.language, "task", run->spec.text,
                                  "completion", source ? stage_completion_view(source) : NULL);
    if (!file || template_render_file(path, view, &prompt, err) < 0)
        return file ? -1 : error_set(err, ERROR_INTERNAL, "there is no template %s", path);
    struct model_request request = {.role = ROLE_IMPLEMENT,
                                    .prompt = buf_text(&prompt),
                                    .template_path = path,
                                    .template_digest = file->digest,
                                    .seed = 0,
                                    .max_tokens = ANSWER_TOKENS};
    return models_ask(pipeline->models, &request, answer, err);
}

static int take(struct pipeline *pipeline, struct run *run, const struct model_answer *answer)
{
    struct error problem = {0};
    if (stage_apply_answer(pipeline, run, answer->text, answer->name, &problem) == 0)
        run_stop(run, OUTCOME_UNPROVEN, "one answer, untested");
    else
        run_stop(run, OUTCOME_REJECTED, "%s", problem.message);
    return 0;
}

int pipeline_single_shot(struct pipeline *pipeline, struct run *run, const char *source, struct error *err)
{
    struct stage_hooks hooks = {pipeline, run};
    struct model_answer answer = {0};
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    if (!run->spec.file || !run->spec.signature || !spec_set_signature(&run->spec, language, run->spec.signature))
        return error_set(err, ERROR_INPUT, "the task names no signature or no file");
    int64_t started = clock_monotonic_ms();
    stage_hook_models(&hooks);
    int status = ask(pipeline, run, source, &answer, err);
    stage_unhook_models(&hooks);
    run->elapsed_ms += clock_monotonic_ms() - started;
    if (status == 0)
        status = take(pipeline, run, &answer);
    model_answer_release(&answer);
    return status;
}
