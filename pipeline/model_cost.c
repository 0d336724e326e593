/* Tokens and money: what a call may cost at most, what an attempt did cost. */
#include <string.h>

#include "app/base/clock.h"
#include "pipeline/model_internal.h"

size_t model_estimate_tokens(const char *text)
{
    return (strlen(text) * 2 + 6) / 7;
}

static size_t prompt_bytes(const struct model_request *request)
{
    size_t schema = request->schema ? json_dumpb(request->schema, NULL, 0, JSON_COMPACT) : 0;
    size_t worked = request->worked.ask ? strlen(request->worked.ask) + strlen(request->worked.answer) : 0;
    return strlen(request->prompt) + (request->system ? strlen(request->system) : 0) + worked + schema;
}

size_t model_prompt_tokens(const struct model_request *request)
{
    return prompt_bytes(request) * 2 / 7 + 1;
}

/* A token has two bytes at least in any text worth sending; the model may write all it is allowed to. */
double model_upper_cost(const struct model_entry *entry, const struct model_request *request)
{
    double in = (double)prompt_bytes(request) / 2 + 100;
    return (in * entry->config->price.input * entry->provider->write_factor +
            (double)model_max_tokens(entry, request) * entry->config->price.output) /
           1e6;
}

static double cost_of(const struct model_entry *entry, const struct model_usage *usage)
{
    double input = entry->config->price.input;
    double cached = entry->config->price.cached_input > 0 ? entry->config->price.cached_input : input;
    double plain = (double)(usage->in - usage->cached - usage->written);
    return (plain * input + (double)usage->cached * cached +
            (double)usage->written * input * entry->provider->write_factor +
            (double)usage->out * entry->config->price.output) /
           1e6;
}

/* Fills in what the server left out; true when something had to be estimated. */
static bool settle_usage(const struct attempt *attempt, bool worked, struct model_usage *usage)
{
    bool estimated = false;
    *usage = attempt->reply.usage;
    if (!worked)
        return false;
    if (!usage->known) {
        *usage = (struct model_usage){.in = (int64_t)model_prompt_tokens(attempt->request)};
        estimated = true;
    }
    if (!attempt->reply.finished || usage->out == 0) {
        int64_t seen = (int64_t)(attempt->received * 2 / 7 + (attempt->received > 0));
        estimated = estimated || usage->out < seen;
        usage->out = usage->out < seen ? seen : usage->out;
    }
    if (usage->cached > usage->in)
        usage->cached = usage->in;
    if (usage->written > usage->in - usage->cached)
        usage->written = usage->in - usage->cached;
    return estimated;
}

void attempt_report(const struct attempt *attempt, enum attempt_end end, const struct error *err)
{
    struct models *models = attempt->models;
    const struct model_request *request = attempt->request;
    struct model_usage usage;
    /* A server that went silent, or that we left, may have worked all the same: better counted than not. */
    bool worked = attempt->form != FORM_UNKNOWN || err->code == ERROR_TIMEOUT || err->code == ERROR_CANCELLED;
    bool estimated = settle_usage(attempt, worked, &usage);
    const char *version = attempt->reply.version;
    struct model_call call = {
        .name = attempt->entry->config->name,
        .model = version ? version : attempt->entry->config->model,
        .role = request->role,
        .template_path = request->template_path,
        .template_digest = request->template_digest,
        .request_digest = attempt->digest,
        .tokens_in = usage.in,
        .tokens_out = usage.out,
        .tokens_cached = usage.cached,
        .tokens_estimated = estimated,
        .cost_usd = cost_of(attempt->entry, &usage),
        .elapsed_ms = clock_monotonic_ms() - attempt->began,
        .error = end == ATTEMPT_ANSWERED ? NULL : err->message,
    };
    models->spent_usd += call.cost_usd;
    if (models->log && end == ATTEMPT_ANSWERED && estimated)
        log_info(models->log, "model %s does not report its tokens: counted as about %lld in, %lld out", call.name,
                 (long long)call.tokens_in, (long long)call.tokens_out);
    if (models->on_call)
        models->on_call(models->context, &call);
}
