/* What went wrong in an attempt: the line for people, and whether another try makes sense. */
#include <ctype.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "pipeline/model_internal.h"

void model_quote(const struct models *models, const char *text, size_t len, struct buf *out)
{
    AUTO_BUF struct buf clean = BUF_INIT(KiB(8));
    buf_add(&clean, text, len < KiB(4) ? len : KiB(4));
    secrets_redact(models->secrets, &clean);
    for (const char *at = buf_text(&clean); *at && out->len < MODEL_QUOTE_MAX; at++) {
        bool blank = (unsigned char)*at <= ' ';
        if (!blank)
            buf_putc(out, *at);
        else if (out->len > 0 && out->data[out->len - 1] != ' ')
            buf_putc(out, ' ');
    }
}

void model_quote_body(const struct models *models, const struct buf *body, const json_t *value, struct buf *out)
{
    const char *message = json_text_at(value, "error.message", json_text_at(value, "error", NULL));
    if (!message)
        message = json_text_at(value, "message", json_text_at(value, "detail", NULL));
    if (message)
        model_quote(models, message, strlen(message), out);
    else
        model_quote(models, buf_text(body), body->len, out);
    if (out->len == 0)
        buf_puts(out, "no explanation");
}

static const struct {
    long status;
    enum attempt_end end;
    enum error_code code;
    const char *meaning;
} statuses[] = {
    {401, ATTEMPT_FAILED, ERROR_DENIED, "it does not accept the key: check api_key"},
    {402, ATTEMPT_NEXT, ERROR_MODEL, "the account has no credit left"},
    {403, ATTEMPT_FAILED, ERROR_DENIED, "the key may not use this model: check api_key and model"},
    {404, ATTEMPT_FAILED, ERROR_MODEL, "there is no such model or address: check model and base_url"},
    {408, ATTEMPT_AGAIN, ERROR_MODEL, "it took too long"},
    {429, ATTEMPT_AGAIN, ERROR_MODEL, "the rate limit is reached"},
    {501, ATTEMPT_FAILED, ERROR_MODEL, "it cannot do this: check kind and base_url"},
    {503, ATTEMPT_AGAIN, ERROR_MODEL, "it is not available now"},
    {529, ATTEMPT_AGAIN, ERROR_MODEL, "it is overloaded"},
};

/* True when the error body is about this key of the request. */
static bool is_about(const json_t *body, const char *key)
{
    const char *param = json_text_at(body, "error.param", NULL);
    const char *message = json_text_at(body, "error.message", json_text_at(body, "error", ""));
    size_t len = strlen(key);
    if (param)
        return strcmp(param, key) == 0;
    for (const char *at = message; (at = strstr(at, key)); at += len)
        if ((at == message || strchr(" `'\"", at[-1])) && !isalnum((unsigned char)at[len]) && at[len] != '_')
            return true;
    return false;
}

/* The words of OpenAI and those who follow it, llama.cpp, vLLM and Anthropic. */
static bool is_too_long(const json_t *body)
{
    static const char *const words[] = {"maximum context length", "context window", "prompt is too long"};
    const char *message = json_text_at(body, "error.message", json_text_at(body, "error", ""));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(message, words[i]))
            return true;
    return strcmp(json_text_at(body, "error.code", ""), "context_length_exceeded") == 0 ||
           strcmp(json_text_at(body, "error.type", ""), "exceed_context_size_error") == 0;
}

/* Notes an optional part of the request that this model refuses; true when the call is worth repeating without it. */
static bool adapt(struct attempt *attempt, const json_t *body)
{
    struct model_entry *entry = attempt->entry;
    const struct model_option *options = entry->provider->options;
    for (unsigned i = 0; options[i].key; i++) {
        if (entry->refused & (1u << i) || !is_about(body, options[i].key))
            continue;
        entry->refused |= 1u << i;
        if (attempt->models->log)
            log_info(attempt->models->log, "model %s refuses \"%s\": asked again %s%s", entry->config->name,
                     options[i].key, options[i].replacement ? "with " : "without it",
                     options[i].replacement ? options[i].replacement : "");
        return true;
    }
    return false;
}

enum attempt_end attempt_judge_status(struct attempt *attempt, const struct http_response *response, struct error *err)
{
    AUTO_BUF struct buf said = BUF_INIT(MODEL_QUOTE_MAX + 8);
    json_auto_t *body = json_read(buf_text(&response->body), response->body.len, JSON_LIMITS_MODEL, NULL);
    enum attempt_end end = response->status >= 500 ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    enum error_code code = ERROR_MODEL;
    const char *meaning = response->status >= 500 ? "it failed" : "it refused the request";
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status != response->status)
            continue;
        end = statuses[i].end;
        code = statuses[i].code;
        meaning = statuses[i].meaning;
    }
    model_quote_body(attempt->models, &response->body, body, &said);
    if ((response->status == 400 || response->status == 422) && adapt(attempt, body))
        end = ATTEMPT_ADAPTED;
    if (strcmp(json_text_at(body, "error.code", ""), "insufficient_quota") == 0)
        end = ATTEMPT_NEXT; /* OpenAI's 429 for an account without credit */
    if (response->status == 413 || (response->status == 400 && end == ATTEMPT_FAILED && is_too_long(body))) {
        end = ATTEMPT_NEXT; /* which may read more */
        code = ERROR_LIMIT;
        meaning = "the prompt is longer than it reads: say how much that is, as its context_tokens";
    }
    error_set(err, code, "HTTP %ld, %s (%s)", response->status, meaning, buf_text(&said));
    if (end != ATTEMPT_FAILED && code != ERROR_LIMIT)
        error_retry(err, http_retry_after_ms(response));
    return end;
}

enum attempt_end attempt_fail(enum attempt_end end, struct error *err, const char *what, const char *detail)
{
    error_set(err, ERROR_MODEL, "%s%s", what, detail);
    if (end != ATTEMPT_FAILED)
        error_retry(err, 0);
    return end;
}

/* The transfer itself failed, or we ended it. */
enum attempt_end attempt_judge_transfer(const struct attempt *attempt, struct error *err)
{
    if (attempt->broken) {
        *err = attempt->trouble;
        if (attempt->reply.permanent || err->code == ERROR_LIMIT)
            return ATTEMPT_FAILED;
        err->code = ERROR_MODEL;
        error_retry(err, 0);
        return ATTEMPT_AGAIN;
    }
    switch (err->code) {
    case ERROR_TIMEOUT: /* past the deadline there is no time for another try; a silent server may get one */
        return clock_monotonic_ms() >= attempt->deadline ? ATTEMPT_NEXT : ATTEMPT_AGAIN;
    case ERROR_IO:
        return err->retryable ? ATTEMPT_AGAIN : ATTEMPT_NEXT;
    default:
        return ATTEMPT_FAILED;
    }
}
