/* One attempt at one model: the request, the stream, what went wrong, what it cost.
 *
 * A server that was asked to stream may answer with one JSON value all the same; the first byte tells. When the server
 * reports no usage, or the attempt breaks off after the model began to work, tokens are estimated from bytes and the
 * report says so.
 */
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "pipeline/model_circle.h"
#include "pipeline/model_internal.h"

enum {
    RESPONSE_MAX = 64 * 1024 * 1024, /* bytes of a stream; each token is wrapped in some 200 */
    EVENT_MAX = 1024 * 1024,
    ANSWER_MAX = 4 * 1024 * 1024,
    BYTES_PER_TOKEN_MAX = 16, /* more than any answer's average: past it the server ignores max_tokens */
    ANSWER_SLACK = 64 * 1024,
    VERSION_MAX = 120,
    PROBLEM_MAX = 2048,  /* more than is quoted, so that a secret in it is seen whole and hidden */
    AFTER_DONE_MS = 500, /* a stream that said it ends may close for so long */
    TOKENS_MAX = 1000 * 1000 * 1000,
    CIRCLE_STEP = 128, /* bytes between two looks for repetition */
};

/* ---- helpers for providers ---- */

json_t *model_text(const char *text)
{
    return json_from_text(text ? text : "", text ? strlen(text) : 0);
}

static void add_turn(json_t *list, const char *role, const char *text)
{
    json_array_append_new(list, json_pack("{s:s, s:o}", "role", role, "content", model_text(text)));
}

void model_add_turns(json_t *list, const struct model_request *request)
{
    if (request->worked.ask) {
        add_turn(list, "user", request->worked.ask);
        add_turn(list, "assistant", request->worked.answer);
    }
    add_turn(list, "user", request->prompt);
}

int64_t model_tokens(const json_t *value, const char *path, int64_t fallback)
{
    json_int_t count = json_int_at(value, path, fallback);
    return count < 0 ? 0 : count > TOKENS_MAX ? TOKENS_MAX : count;
}

void model_append(struct buf *out, const json_t *value)
{
    if (json_is_string(value))
        buf_add(out, json_string_value(value), json_string_length(value));
}

void model_reply_version(struct model_reply *reply, const json_t *value)
{
    const char *name = json_string_value(value);
    size_t len = 0;
    while (name && len < VERSION_MAX && (unsigned char)name[len] > ' ' && name[len] != 0x7f)
        len++;
    if (!reply->version && len > 0)
        reply->version = strndup(name, len);
}

/* Kinds of error that stay, whatever one does; the numbers are HTTP's. */
static bool is_permanent(const json_t *error)
{
    static const char *const types[] = {"invalid_request_error", "authentication_error", "permission_error",
                                        "not_found_error",       "billing_error",        "request_too_large"};
    const char *type = json_text_at(error, "type", "");
    json_int_t code = json_int_at(error, "code", 0);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return code >= 400 && code < 500 && code != 408 && code != 429;
}

bool model_reply_problem(struct model_reply *reply, const json_t *value)
{
    const json_t *error = json_object_get(value, "error");
    if (!json_is_object(error) && !json_is_string(error))
        return false;
    const char *message = json_is_string(error) ? json_string_value(error) : json_text_at(error, "message", "");
    const char *type = json_text_at(error, "type", "");
    if (reply->problem.len == 0)
        buf_printf(&reply->problem, "%.*s%s%.*s", 60, type, *type && *message ? ": " : "", PROBLEM_MAX, message);
    if (reply->problem.len == 0)
        buf_puts(&reply->problem, "an error without a message");
    reply->permanent = is_permanent(error);
    return true;
}

int64_t model_max_tokens(const struct model_entry *entry, const struct model_request *request)
{
    bool smaller = request->max_tokens > 0 && request->max_tokens < entry->max_tokens;
    return smaller ? request->max_tokens : entry->max_tokens;
}

bool model_is_structured(const struct model_entry *entry, const struct model_request *request)
{
    return request->schema && entry->config->format == MODEL_JSON_SCHEMA;
}

bool model_option_refused(const struct model_entry *entry, const char *key)
{
    const struct model_option *options = entry->provider->options;
    for (unsigned i = 0; options[i].key; i++)
        if (strcmp(options[i].key, key) == 0)
            return entry->refused & (1u << i);
    return false;
}

/* ---- what arrives ---- */

static int give_up(struct attempt *attempt)
{
    attempt->broken = true;
    return 1;
}

static int on_event(void *context, const struct sse_event *event)
{
    struct attempt *attempt = context;
    struct model_reply *reply = &attempt->reply;
    if (event->len == 0 || reply->done)
        return 0;
    if (strcmp(event->data, "[DONE]") == 0) {
        reply->done = true;
    } else {
        json_auto_t *value = json_read(event->data, event->len, JSON_LIMITS_MODEL, &attempt->trouble);
        if (!value) {
            error_wrap(&attempt->trouble, "the stream is broken");
            return give_up(attempt);
        }
        attempt->entry->provider->on_event(reply, value);
        if (strcmp(event->name, "error") == 0 && reply->problem.len == 0)
            buf_printf(&reply->problem, "%.*s", PROBLEM_MAX, event->data);
    }
    if (reply->problem.len > 0) {
        AUTO_BUF struct buf said = BUF_INIT(MODEL_QUOTE_MAX + 8);
        model_quote(attempt->models, buf_text(&reply->problem), reply->problem.len, &said);
        error_set(&attempt->trouble, ERROR_MODEL, "the server broke off: %s", buf_text(&said));
        return give_up(attempt);
    }
    if (reply->done)
        attempt->done_at = clock_monotonic_ms();
    if (reply->text.len >= reply->looked + CIRCLE_STEP) {
        reply->looked = reply->text.len;
        if (model_turns_in_circles(buf_text(&reply->text), reply->text.len)) {
            reply->cut = reply->done = true; /* what it said before may do */
            return give_up(attempt);
        }
    }
    if (buf_check(&reply->text, "the answer", &attempt->trouble) < 0 ||
        buf_check(&reply->refusal, "the answer", &attempt->trouble) < 0)
        return give_up(attempt);
    return 0;
}

static enum form form_of(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", data[i]))
            return data[i] == '{' || data[i] == '[' || data[i] == '<' ? FORM_WHOLE : FORM_STREAM;
    return FORM_UNKNOWN;
}

static int on_data(void *context, const char *data, size_t len)
{
    struct attempt *attempt = context;
    if (attempt->form == FORM_UNKNOWN)
        attempt->form = form_of(data, len);
    if (attempt->form == FORM_STREAM) {
        size_t room = attempt->head.max - attempt->head.len;
        buf_add(&attempt->head, data, len < room ? len : room);
        if (sse_feed(&attempt->sse, data, len, on_event, attempt, &attempt->trouble) == 0)
            return 0;
        return give_up(attempt);
    }
    if (attempt->form == FORM_WHOLE && buf_add(&attempt->whole, data, len) < 0) {
        buf_check(&attempt->whole, "the answer", &attempt->trouble);
        return give_up(attempt);
    }
    return 0;
}

/* A whole stream whose connection stays open is not waited for. */
static bool must_stop(void *context)
{
    struct attempt *attempt = context;
    struct models *models = attempt->models;
    if (attempt->done_at && clock_monotonic_ms() - attempt->done_at > AFTER_DONE_MS)
        return true;
    return models->cancelled && models->cancelled(models->context);
}

static enum attempt_end judge_whole(struct attempt *attempt, struct error *err)
{
    AUTO_BUF struct buf said = BUF_INIT(MODEL_QUOTE_MAX + 8);
    json_auto_t *value = json_read(buf_text(&attempt->whole), attempt->whole.len, JSON_LIMITS_MODEL, NULL);
    if (value)
        attempt->entry->provider->on_whole(&attempt->reply, value);
    if (attempt->reply.finished)
        return ATTEMPT_ANSWERED;
    model_quote_body(attempt->models, &attempt->whole, value, &said);
    return attempt_fail(attempt->reply.permanent ? ATTEMPT_FAILED : ATTEMPT_AGAIN, err,
                        "the server sent no answer: ", buf_text(&said));
}

static enum attempt_end judge_stream(struct attempt *attempt, struct error *err)
{
    struct model_reply *reply = &attempt->reply;
    AUTO_BUF struct buf said = BUF_INIT(MODEL_QUOTE_MAX + 8);
    if (!attempt->broken)
        sse_end(&attempt->sse, on_event, attempt, &attempt->trouble);
    if (reply->finished || reply->done)
        return ATTEMPT_ANSWERED;
    if (attempt->broken)
        return attempt_judge_transfer(attempt, err);
    if (reply->text.len || reply->reasoning || reply->version)
        return attempt_fail(ATTEMPT_AGAIN, err, "the stream ended before the answer was whole", "");
    model_quote(attempt->models, buf_text(&attempt->head), attempt->head.len, &said);
    return attempt_fail(ATTEMPT_AGAIN, err,
                        "the server sent no answer: ", said.len ? buf_text(&said) : "an empty body");
}

/* ---- the attempt ---- */

static enum attempt_end send(struct attempt *attempt, const char *const *headers, const char *body, struct error *err)
{
    struct http_response response = {0};
    int64_t left = attempt->deadline - clock_monotonic_ms();
    struct http_request request = {
        .method = "POST",
        .url = attempt->entry->url,
        .headers = headers,
        .body = body,
        .body_len = strlen(body),
        .timeout_ms = left > 1 ? left : 1,
        .idle_timeout_ms = attempt->entry->stall_ms,
        .response_max = RESPONSE_MAX,
        .on_data = on_data,
        .data_context = attempt,
        .cancelled = must_stop,
        .cancel_context = attempt,
    };
    enum attempt_end end;
    int result = http_send(attempt->models->http, &request, &response, err);
    if (attempt->reply.done || (result < 0 && attempt->reply.finished && err->code != ERROR_CANCELLED))
        end = ATTEMPT_ANSWERED; /* the answer is whole, whatever became of the connection */
    else if (result < 0)
        end = attempt_judge_transfer(attempt, err);
    else if (response.status < 200 || response.status > 299)
        end = attempt_judge_status(attempt, &response, err);
    else
        end = attempt->form == FORM_WHOLE ? judge_whole(attempt, err) : judge_stream(attempt, err);
    http_response_release(&response);
    return end;
}

static enum attempt_end send_with_headers(struct attempt *attempt, const char *body, struct error *err)
{
    const struct model_provider *provider = attempt->entry->provider;
    const struct secret *key = &attempt->entry->key;
    const char *headers[8] = {"Content-Type: application/json", "Accept: text/event-stream, application/json"};
    size_t count = 2;
    char *authorization = key->value ? text_format("%s%s", provider->key_prefix, key->value) : NULL;
    if (key->value && !authorization) {
        error_set(err, ERROR_INTERNAL, "no memory");
        return ATTEMPT_FAILED;
    }
    if (authorization)
        headers[count++] = authorization;
    for (size_t i = 0; provider->headers && provider->headers[i]; i++)
        headers[count++] = provider->headers[i];
    enum attempt_end end = send(attempt, headers, body, err);
    if (authorization)
        explicit_bzero(authorization, strlen(authorization));
    free(authorization);
    return end;
}

/* Hands the text over, or says why there is none. */
static enum attempt_end take_answer(struct attempt *attempt, struct model_answer *answer, struct error *err)
{
    struct model_reply *reply = &attempt->reply;
    const struct model_config *config = attempt->entry->config;
    if (reply->refusal.len > 0 && reply->text.len == 0) {
        AUTO_BUF struct buf said = BUF_INIT(MODEL_QUOTE_MAX + 8);
        model_quote(attempt->models, buf_text(&reply->refusal), reply->refusal.len, &said);
        return attempt_fail(ATTEMPT_FAILED, err, "the model refused: ", buf_text(&said));
    }
    if (buf_text(&reply->text)[strspn(buf_text(&reply->text), " \t\r\n")] == '\0') {
        attempt_fail(ATTEMPT_EMPTY, err, "the answer is empty",
                     reply->cut ? ": it used all of max_tokens before it began; raise max_tokens" : "");
        error_retry(err, 0); /* the caller may ask in other words, or warmer */
        return reply->cut ? ATTEMPT_FAILED : ATTEMPT_EMPTY;
    }
    struct model_answer got = {
        .text = buf_steal(&reply->text, NULL),
        .name = strdup(config->name),
        .model = strdup(reply->version ? reply->version : config->model),
        .structured = reply->structured ||
                      (config->kind == MODEL_OPENAI && model_is_structured(attempt->entry, attempt->request)),
        .cut = reply->cut,
    };
    if (!got.text || !got.name || !got.model) {
        model_answer_release(&got);
        error_set(err, ERROR_INTERNAL, "no memory");
        return ATTEMPT_FAILED;
    }
    *answer = got;
    return ATTEMPT_ANSWERED;
}

static size_t answer_cap(int64_t max_tokens)
{
    size_t cap = (size_t)max_tokens * BYTES_PER_TOKEN_MAX + ANSWER_SLACK;
    return cap < ANSWER_MAX ? cap : ANSWER_MAX;
}

static void attempt_release(struct attempt *attempt)
{
    buf_release(&attempt->reply.text);
    buf_release(&attempt->reply.refusal);
    buf_release(&attempt->reply.problem);
    free(attempt->reply.version);
    sse_release(&attempt->sse);
    buf_release(&attempt->whole);
    buf_release(&attempt->head);
}

enum attempt_end model_attempt(struct models *models, struct model_entry *entry, const struct model_request *request,
                               int64_t deadline, struct model_answer *answer, struct error *err)
{
    json_auto_t *body = entry->provider->body(entry, request);
    AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL; /* unsorted: a schema's order matters */
    size_t cap = answer_cap(model_max_tokens(entry, request));
    struct attempt attempt = {
        .models = models,
        .entry = entry,
        .request = request,
        .reply = {.text = BUF_INIT(cap), .refusal = BUF_INIT(cap), .problem = BUF_INIT(KiB(4))},
        .sse = SSE_INIT(EVENT_MAX),
        .whole = BUF_INIT(ANSWER_MAX),
        .head = BUF_INIT(KiB(1)),
        .began = clock_monotonic_ms(),
        .deadline = deadline,
    };
    if (!text) {
        error_set(err, ERROR_INTERNAL, "the request to model %s cannot be written", entry->config->name);
        return ATTEMPT_FAILED;
    }
    digest_sha256(text, strlen(text), attempt.digest);
    enum attempt_end end = send_with_headers(&attempt, text, err);
    attempt.received = attempt.reply.text.len + attempt.reply.refusal.len + attempt.reply.reasoning;
    if (end == ATTEMPT_ANSWERED)
        end = take_answer(&attempt, answer, err);
    attempt_report(&attempt, end, err);
    attempt_release(&attempt);
    return end;
}
