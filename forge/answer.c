#include "forge/answer.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/json.h"

#define MINUTE_MS 60000

static bool number_header(const struct http_response *response, const char *name, int64_t *number)
{
    char text[32], *end;
    if (!http_header(response, name, text, sizeof text))
        return false;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0 || value > INT64_MAX / 1000)
        return false;
    *number = value;
    return true;
}

static int64_t until_reset_ms(const struct http_response *response)
{
    int64_t reset = 0;
    if (!number_header(response, "x-ratelimit-reset", &reset))
        return 0;
    int64_t left = reset * 1000 - clock_wall_ms() - answer_clock_skew_ms(response);
    return left > 0 ? left + 1000 : 1000; /* the header counts whole seconds */
}

int64_t answer_exhausted_ms(const struct http_response *response)
{
    int64_t remaining = 1;
    return number_header(response, "x-ratelimit-remaining", &remaining) && !remaining ? until_reset_ms(response) : 0;
}

int64_t answer_limit_ms(const struct http_response *response, const json_t *json, int attempt)
{
    if (response->status != 403 && response->status != 429)
        return 0;
    int64_t wait = http_retry_after_ms(response);
    if (wait)
        return wait;
    wait = answer_exhausted_ms(response);
    if (wait)
        return wait;
    bool said = strcasestr(json_text_at(json, "message", ""), "rate limit");
    return said || response->status == 429 ? (int64_t)MINUTE_MS << (attempt < 6 ? attempt : 6) : 0;
}

int64_t answer_clock_skew_ms(const struct http_response *response)
{
    char text[64];
    if (!http_header(response, "date", text, sizeof text))
        return 0;
    time_t theirs = curl_getdate(text, NULL);
    int64_t skew = theirs < 0 ? 0 : (int64_t)theirs * 1000 - clock_wall_ms();
    return llabs(skew) > MINUTE_MS / 2 ? skew : 0;
}

/* One link of the header, "<url>; rel=\"next\"": true when its relation is `next`. */
static bool is_next(const char *parameters, size_t len)
{
    const char *rel = memmem(parameters, len, "rel=", 4);
    if (!rel)
        return false;
    rel += 4;
    rel += *rel == '"';
    return !strncmp(rel, "next", 4) && (rel[4] == '"' || rel[4] == ';' || rel[4] == ',' || !rel[4]);
}

char *answer_next(const struct http_response *response, const char *api_url)
{
    char links[4096];
    size_t base = strlen(api_url);
    while (base > 0 && api_url[base - 1] == '/')
        base--;
    if (!http_header(response, "link", links, sizeof links))
        return NULL;
    for (const char *at = strchr(links, '<'); at; at = strchr(at, '<')) {
        const char *url = at + 1, *end = strchr(url, '>');
        if (!end)
            return NULL;
        at = strchr(end, '<');
        size_t rest = at ? (size_t)(at - end) : strlen(end);
        if (is_next(end, rest))
            return !strncmp(url, api_url, base) && url[base] == '/' ? strndup(url + base, (size_t)(end - url) - base)
                                                                    : NULL;
        if (!at)
            return NULL;
    }
    return NULL;
}

/* Outside text for one line of an error: no line ends or other control characters, not too long. */
static void add_words(struct buf *out, const char *text)
{
    for (size_t i = 0; text[i] && i < 300; i++)
        buf_putc(out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
}

/* GitHub's first reason: a text, {message}, or {resource, field, code}. */
static void add_first_reason(struct buf *out, const json_t *json)
{
    const json_t *reason = json_array_get(json_at(json, "errors"), 0);
    const char *message = json_is_string(reason) ? json_string_value(reason) : json_text_at(reason, "message", NULL);
    if (!reason)
        return;
    buf_puts(out, ": ");
    if (message) {
        add_words(out, message);
        return;
    }
    add_words(out, json_text_at(reason, "resource", "request"));
    buf_putc(out, '.');
    add_words(out, json_text_at(reason, "field", "?"));
    buf_putc(out, ' ');
    add_words(out, json_text_at(reason, "code", "is refused"));
}

static void add_hint(struct buf *out, const struct http_response *response, const json_t *json)
{
    char text[200];
    if (response->status == 401)
        buf_puts(out, "; check the credentials of this forge");
    else if (response->status == 403 && http_header(response, "x-accepted-github-permissions", text, sizeof text)) {
        buf_puts(out, "; it wants the permission ");
        add_words(out, text);
    } else if (!json && response->body.len)
        buf_puts(out, "; the answer is no JSON: is api_url right?");
}

static enum error_code code_of(long status)
{
    static const struct {
        long status;
        enum error_code code;
    } codes[] = {
        {400, ERROR_INPUT},     {401, ERROR_DENIED},    {403, ERROR_DENIED},
        {404, ERROR_NOT_FOUND}, {405, ERROR_NOT_FOUND}, {409, ERROR_CONFLICT},
        {410, ERROR_NOT_FOUND}, {422, ERROR_INPUT},     {501, ERROR_NOT_FOUND},
    };
    if (status >= 200 && status < 300)
        return ERROR_NOT_FOUND; /* a page for people: the call is not there */
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return ERROR_FORGE;
}

int answer_error(const struct http_response *response, const json_t *json, const char *server, struct error *err)
{
    AUTO_BUF struct buf words = BUF_INIT(KiB(2));
    add_words(&words, json_text_at(json, "message", "no reason given"));
    add_first_reason(&words, json);
    buf_putc(&words, ')');
    add_hint(&words, response, json);
    error_set(err, code_of(response->status), "%s answered %ld (%s", server, response->status, buf_text(&words));
    return response->status >= 500 && response->status != 501 ? error_retry(err, http_retry_after_ms(response)) : -1;
}
