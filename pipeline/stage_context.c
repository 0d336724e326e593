/* context: what the models get to see of the repository, under the token budget. */
#include "pipeline/stage.h"

#include "app/base/json.h"
#include "pipeline/context.h"

int stage_context(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    if (!language)
        return -1;
    /* Without the headings of the form, and the path and language that stand below them: no word of those says what is
     * related. */
    AUTO_FREE char *told = spec_told(&run->spec);
    AUTO_FREE char *text = text_format("%s\n%s\n", told ? told : "", run->spec.signature ? run->spec.signature : "");
    struct context_request request = {.tree = pipeline->tree,
                                      .language = language,
                                      .target = run->spec.file,
                                      .symbol = run->spec.symbol,
                                      .text = text,
                                      .budget_tokens = (size_t)pipeline->context_tokens};
    json_t *context = context_gather(&request, err);
    if (!context)
        return error_wrap(err, "gather context");
    json_decref(run->context);
    run->context = context;
    return stage_end(result, VERDICT_PASSED, "%lld tokens of context, %zu related definitions",
                     (long long)json_int_at(context, "tokens", 0), json_array_size(json_object_get(context, "pieces")));
}
