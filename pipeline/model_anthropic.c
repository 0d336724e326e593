#include "pipeline/model_anthropic.h"

#include <string.h>

#include "app/base/json.h"

static const char *tool_name(const struct model_request *request)
{
    return request->schema_name ? request->schema_name : "answer";
}

static json_t *body(const struct model_entry *entry, const struct model_request *request)
{
    json_t *talk = json_array();
    json_t *out = json_pack("{s:o, s:I, s:b, s:o}", "model", model_text(entry->config->model), "max_tokens",
                            (json_int_t)model_max_tokens(entry, request), "stream", 1, "messages", talk);
    if (!out)
        return NULL;
    model_add_turns(talk, request);
    if (request->system && *request->system)
        json_object_set_new(out, "system",
                            json_pack("[{s:s, s:o, s:{s:s}}]", "type", "text", "text", model_text(request->system),
                                      "cache_control", "type", "ephemeral"));
    if (!model_option_refused(entry, "temperature"))
        json_object_set_new(out, "temperature", json_real(request->temperature < 1 ? request->temperature : 1));
    if (!model_is_structured(entry, request))
        return out;
    json_object_set_new(out, "tools",
                        json_pack("[{s:s, s:s, s:O}]", "name", tool_name(request), "description",
                                  "Gives the answer. Call it once, with the whole answer.", "input_schema",
                                  request->schema));
    json_object_set_new(out, "tool_choice", json_pack("{s:s, s:s}", "type", "tool", "name", tool_name(request)));
    return out;
}

/* The numbers come in pieces (message_start, message_delta), each a total so far; input is counted apart from what
 * went through the cache. */
static void take_usage(struct model_usage *usage, const json_t *value)
{
    if (!json_is_object(value))
        return;
    int64_t read = model_tokens(value, "cache_read_input_tokens", usage->cached);
    int64_t written = model_tokens(value, "cache_creation_input_tokens", usage->written);
    int64_t plain = model_tokens(value, "input_tokens", usage->in - usage->cached - usage->written);
    usage->in = plain + read + written;
    usage->cached = read;
    usage->written = written;
    usage->out = model_tokens(value, "output_tokens", usage->out);
    usage->known = usage->in > 0;
}

/* Text beside a tool call is chatter: the call is the answer. */
static void begin_tool(struct model_reply *reply)
{
    buf_clear(&reply->text);
    reply->structured = true;
}

static void take_stop(struct model_reply *reply, const char *reason)
{
    if (!*reason)
        return;
    reply->finished = true;
    reply->cut = strcmp(reason, "max_tokens") == 0 || strcmp(reason, "model_context_window_exceeded") == 0;
    if (strcmp(reason, "refusal") == 0)
        buf_puts(&reply->refusal, "the provider's safety filter stopped it");
    if (reply->structured && reply->text.len == 0 && !reply->cut)
        buf_puts(&reply->text, "{}"); /* a call without arguments sends none */
}

static void take_delta(struct model_reply *reply, const json_t *delta)
{
    const char *type = json_text_at(delta, "type", "");
    if (strcmp(type, "text_delta") == 0 && !reply->structured)
        model_append(&reply->text, json_object_get(delta, "text"));
    else if (strcmp(type, "input_json_delta") == 0)
        model_append(&reply->text, json_object_get(delta, "partial_json"));
    else if (strcmp(type, "thinking_delta") == 0)
        reply->reasoning += json_string_length(json_object_get(delta, "thinking"));
}

static void on_event(struct model_reply *reply, const json_t *event)
{
    const char *type = json_text_at(event, "type", "");
    if (model_reply_problem(reply, event))
        return;
    if (strcmp(type, "message_start") == 0) {
        model_reply_version(reply, json_at(event, "message.model"));
        take_usage(&reply->usage, json_at(event, "message.usage"));
    } else if (strcmp(type, "content_block_start") == 0) {
        if (strcmp(json_text_at(event, "content_block.type", ""), "tool_use") == 0)
            begin_tool(reply);
    } else if (strcmp(type, "content_block_delta") == 0) {
        take_delta(reply, json_object_get(event, "delta"));
    } else if (strcmp(type, "message_delta") == 0) {
        take_usage(&reply->usage, json_object_get(event, "usage"));
        take_stop(reply, json_text_at(event, "delta.stop_reason", ""));
    } else if (strcmp(type, "message_stop") == 0) {
        reply->finished = reply->done = true;
    }
}

static void take_block(struct model_reply *reply, const json_t *block)
{
    const char *type = json_text_at(block, "type", "");
    if (strcmp(type, "text") == 0 && !reply->structured)
        model_append(&reply->text, json_object_get(block, "text"));
    if (strcmp(type, "tool_use") == 0) {
        AUTO_FREE char *arguments = json_dumps(json_object_get(block, "input"), JSON_COMPACT);
        begin_tool(reply);
        buf_puts(&reply->text, arguments ? arguments : "{}");
    }
}

static void on_whole(struct model_reply *reply, const json_t *answer)
{
    size_t i;
    json_t *block;
    if (model_reply_problem(reply, answer))
        return;
    model_reply_version(reply, json_object_get(answer, "model"));
    json_array_foreach (json_object_get(answer, "content"), i, block)
        take_block(reply, block);
    take_usage(&reply->usage, json_object_get(answer, "usage"));
    take_stop(reply, json_text_at(answer, "stop_reason", ""));
}

static const struct model_option options[] = {
    {"temperature", NULL}, /* some models accept no other than their own */
    {NULL, NULL},
};

static const char *const headers[] = {"anthropic-version: 2023-06-01", NULL};

const struct model_provider model_anthropic = {
    .base_url = "https://api.anthropic.com",
    .path = "/v1/messages",
    .tail = "/v1",
    .key_prefix = "x-api-key: ",
    .headers = headers,
    .write_factor = 1.25,
    .options = options,
    .body = body,
    .on_event = on_event,
    .on_whole = on_whole,
};
