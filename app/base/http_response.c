/* What is read from a response, and the escaping of addresses: the parts of http.h that do no network. */
#include "app/base/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"

enum { RETRY_AFTER_MAX_S = 24 * 60 * 60 };

void http_response_release(struct http_response *response)
{
    buf_release(&response->body);
    buf_release(&response->headers);
}

const char *http_header(const struct http_response *response, const char *name, char *value, size_t size)
{
    size_t name_len = strlen(name);
    for (const char *line = buf_text(&response->headers); *line; line += strspn(line, "\n")) {
        size_t len = strcspn(line, "\n");
        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            const char *start = line + name_len + 1;
            start += strspn(start, " \t");
            snprintf(value, size, "%.*s", (int)(line + len - start), start);
            return value;
        }
        line += len;
    }
    return NULL;
}

int64_t http_retry_after_ms(const struct http_response *response)
{
    char text[64];
    if (!http_header(response, "Retry-After", text, sizeof text))
        return 0;
    char *end = text;
    long long seconds = strtoll(text, &end, 10);
    if (end == text || *end) {
        time_t date = curl_getdate(text, NULL);
        seconds = date < 0 ? 0 : date - clock_wall_ms() / 1000;
    }
    if (seconds < 0)
        seconds = 0;
    return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * 1000;
}

char *http_escape(const char *text)
{
    struct buf out = BUF_INIT(strlen(text) * 3 + 1);
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
        if (plain)
            buf_putc(&out, *at);
        else
            buf_printf(&out, "%%%02X", (unsigned)c);
    }
    return buf_steal(&out, NULL);
}
