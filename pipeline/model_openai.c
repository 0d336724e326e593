#include "pipeline/model_openai.h"

#include <string.h>

#include "app/base/json.h"

static json_t *messages(const struct model_request *request)
{
    json_t *list = json_array();
    if (request->system && *request->system)
        json_array_append_new(list, json_pack("{s:s, s:o}", "role", "system", "content", model_text(request->system)));
    model_add_turns(list, request);
    return list;
}

/* OpenAI's own newer models know only max_completion_tokens, most other servers only max_tokens. */
static const char *max_tokens_key(const struct model_entry *entry)
{
    bool own = !entry->config->base_url || !*entry->config->base_url;
    if (model_option_refused(entry, own ? "max_completion_tokens" : "max_tokens"))
        own = !own;
    return own ? "max_completion_tokens" : "max_tokens";
}

static json_t *response_format(const struct model_request *request)
{
    return json_pack("{s:s, s:{s:s, s:b, s:O}}", "type", "json_schema", "json_schema", "name",
                     request->schema_name ? request->schema_name : "answer", "strict", 1, "schema", request->schema);
}

static json_t *body(const struct model_entry *entry, const struct model_request *request)
{
    json_t *out =
        json_pack("{s:o, s:o, s:I, s:b}", "model", model_text(entry->config->model), "messages", messages(request),
                  max_tokens_key(entry), (json_int_t)model_max_tokens(entry, request), "stream", 1);
    if (!out)
        return NULL;
    if (!model_option_refused(entry, "stream_options"))
        json_object_set_new(out, "stream_options", json_pack("{s:b}", "include_usage", 1));
    if (!model_option_refused(entry, "temperature"))
        json_object_set_new(out, "temperature", json_real(request->temperature));
    if (request->seed >= 0 && !model_option_refused(entry, "seed"))
        json_object_set_new(out, "seed", json_integer(request->seed));
    if (model_is_structured(entry, request))
        json_object_set_new(out, "response_format", response_format(request));
    return out;
}

/* DeepSeek names its cache hits differently. */
static void take_usage(struct model_usage *usage, const json_t *value)
{
    int64_t in = model_tokens(value, "prompt_tokens", 0);
    if (in == 0)
        return;
    usage->known = true;
    usage->in = in;
    usage->out = model_tokens(value, "completion_tokens", 0);
    usage->cached =
        model_tokens(value, "prompt_tokens_details.cached_tokens", model_tokens(value, "prompt_cache_hit_tokens", 0));
}

/* `content` is a text; some servers send a list of parts, of which the text parts count. */
static void append_content(struct model_reply *reply, const json_t *content)
{
    size_t i;
    json_t *part;
    model_append(&reply->text, content);
    json_array_foreach (content, i, part) {
        if (strcmp(json_text_at(part, "type", ""), "text") == 0)
            model_append(&reply->text, json_object_get(part, "text"));
    }
}

static void take_message(struct model_reply *reply, const json_t *message)
{
    append_content(reply, json_object_get(message, "content"));
    model_append(&reply->refusal, json_object_get(message, "refusal"));
    reply->reasoning += json_string_length(json_object_get(message, "reasoning_content"));
    reply->reasoning += json_string_length(json_object_get(message, "reasoning"));
}

static void take_finish(struct model_reply *reply, const char *reason)
{
    if (!*reason)
        return;
    reply->finished = true;
    reply->cut = strcmp(reason, "length") == 0;
    if (strcmp(reason, "content_filter") == 0 && reply->refusal.len == 0)
        buf_puts(&reply->refusal, "the provider's content filter stopped it");
}

static void take(struct model_reply *reply, const json_t *value, const char *message_key)
{
    if (model_reply_problem(reply, value))
        return;
    const json_t *choice = json_array_get(json_object_get(value, "choices"), 0);
    model_reply_version(reply, json_object_get(value, "model"));
    take_usage(&reply->usage, json_object_get(value, "usage"));
    take_message(reply, json_object_get(choice, message_key));
    take_finish(reply, json_text_at(choice, "finish_reason", ""));
}

static void on_event(struct model_reply *reply, const json_t *event)
{
    take(reply, event, "delta");
}

static void on_whole(struct model_reply *reply, const json_t *answer)
{
    take(reply, answer, "message");
    if (json_array_size(json_object_get(answer, "choices")) > 0)
        reply->finished = true;
}

static const struct model_option options[] = {
    {"temperature", NULL}, /* reasoning models accept no other than their own */
    {"seed", NULL},
    {"stream_options", NULL}, /* older servers */
    {"max_tokens", "max_completion_tokens"},
    {"max_completion_tokens", "max_tokens"},
    {NULL, NULL},
};

const struct model_provider model_openai = {
    .base_url = "https://api.openai.com/v1",
    .path = "/chat/completions",
    .tail = "/chat/completions",
    .key_prefix = "Authorization: Bearer ",
    .write_factor = 1.0,
    .options = options,
    .body = body,
    .on_event = on_event,
    .on_whole = on_whole,
};
