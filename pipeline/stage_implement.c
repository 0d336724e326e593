/* implement: asks for the code and puts it in by symbol. An answer that cannot be read is told back once. */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"

enum { ASKS = 2 };

/* The implementation that most of the witnesses agree on was written before the tests were locked, without sight of
 * them; so it need not be asked for again. */
static int take_witness(struct pipeline *pipeline, struct run *run, const json_t *kept, struct stage_result *result,
                        struct error *err)
{
    long long agree = (long long)json_int_at(kept, "agree", 0), of = (long long)json_int_at(kept, "of", 0);
    if (stage_take_code(pipeline, run, kept, err) < 0)
        return -1;
    json_object_del(run->scratch, "implementation");
    return stage_end(result, VERDICT_PASSED, "the one that %lld of %lld independent implementations agree on", agree,
                     of);
}

int stage_implement(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const json_t *kept = json_object_get(run->scratch, "implementation");
    if (kept)
        return take_witness(pipeline, run, kept, result, err);
    json_auto_t *schema = stage_code_schema();
    struct error problem = {0};
    for (int i = 0; i < ASKS; i++) {
        json_auto_t *extra = json_pack("{s:s*}", "problem", *problem.message ? problem.message : NULL);
        struct stage_question question = {.role = ROLE_IMPLEMENT,
                                          .template_path = "prompts/implement.mustache",
                                          .completes = true,
                                          .extra = extra,
                                          .temperature = i ? 0.4 : 0.0,
                                          .seed = i + 1,
                                          .schema = schema,
                                          .schema_name = "code"};
        struct model_answer answer = {0};
        if (stage_ask(pipeline, run, &question, &answer, err) < 0)
            return error_wrap(err, "ask for the code");
        int applied = stage_apply_answer(pipeline, run, answer.text, answer.name, &problem);
        if (applied == 0)
            stage_take_remarks(run, answer.text);
        model_answer_release(&answer);
        if (applied == 0)
            return stage_end(result, VERDICT_PASSED, "%zu files written", json_object_size(run->files_by));
        if (problem.code == ERROR_DENIED) {
            run_stop(run, OUTCOME_REJECTED, "%s", problem.message);
            return stage_end(result, VERDICT_STOPPED, "%s", problem.message);
        }
    }
    json_object_clear(run->feedback);
    json_object_update_new(run->feedback, json_pack("{s:s, s:[{s:s, s:s, s:s}]}", "kind", "answer", "items", "test",
                                                    "the answer", "message", problem.message, "details", ""));
    return stage_end(result, VERDICT_FAILED, "no usable code: %s", problem.message);
}
