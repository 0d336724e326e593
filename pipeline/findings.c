#include "pipeline/findings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"

enum { MAX_FINDINGS = 2000, MAX_MESSAGE = 400 };

static void finding_release(struct finding *finding)
{
    free(finding->tool);
    free(finding->path);
    free(finding->code);
    free(finding->message);
}

void findings_release(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        finding_release(&findings->items[i]);
    free(findings->items);
    *findings = (struct findings){0};
}

struct span {
    const char *text;
    size_t len;
};

/* Tools run at the top of the workspace, but some print whole paths. */
static struct span relative(struct span path)
{
    static const char top[] = "/workspace/";
    if (path.len > sizeof top - 1 && memcmp(path.text, top, sizeof top - 1) == 0)
        path = (struct span){path.text + sizeof top - 1, path.len - (sizeof top - 1)};
    if (path.len > 2 && memcmp(path.text, "./", 2) == 0)
        path = (struct span){path.text + 2, path.len - 2};
    return path;
}

static int add(struct findings *out, const char *tool, struct span path, long line, struct span code,
               struct span message, struct error *err)
{
    if (out->count == MAX_FINDINGS)
        return 0;
    struct finding *grown = realloc(out->items, (out->count + 1) * sizeof *grown);
    if (!grown)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    out->items = grown;
    path = relative(path);
    message.len = message.len > MAX_MESSAGE ? MAX_MESSAGE : message.len;
    struct finding finding = {strdup(tool), strndup(path.text, path.len), (int)line, strndup(code.text, code.len),
                              strndup(message.text, message.len)};
    if (!finding.tool || !finding.path || !finding.code || !finding.message) {
        finding_release(&finding);
        return error_set(err, ERROR_INTERNAL, "out of memory");
    }
    for (char *at = finding.message; *at; at++)
        *at = *at == '\n' || *at == '\r' ? ' ' : *at;
    out->items[out->count++] = finding;
    return 0;
}

static struct span all_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static int read_ruff(const char *tool, const char *text, size_t len, struct findings *out, struct error *err)
{
    json_auto_t *list = json_read(text, len, JSON_LIMITS_MODEL, err);
    if (!list)
        return error_wrap(err, "%s", tool);
    if (!json_is_array(list))
        return error_set(err, ERROR_INPUT, "%s: expected a list of findings", tool);
    size_t index;
    json_t *item;
    json_array_foreach (list, index, item) {
        if (add(out, "ruff", all_of(json_text_at(item, "filename", "")), (long)json_int_at(item, "location.row", 0),
                all_of(json_text_at(item, "code", "syntax-error")), all_of(json_text_at(item, "message", "")), err) < 0)
            return -1;
    }
    return 0;
}

/* "path:line[:column]: severity: message"; false when the line is not of that form. */
struct located {
    struct span path, severity, message;
    long line;
};

static bool read_located(struct span text, struct located *out)
{
    const char *end = text.text + text.len;
    const char *colon = memchr(text.text, ':', text.len);
    if (!colon || colon == text.text || colon + 1 == end || !isdigit((unsigned char)colon[1]))
        return false;
    out->path = (struct span){text.text, (size_t)(colon - text.text)};
    char *rest = NULL;
    out->line = strtol(colon + 1, &rest, 10);
    if (rest < end && *rest == ':' && rest + 1 < end && isdigit((unsigned char)rest[1]))
        strtol(rest + 1, &rest, 10);
    if (rest + 2 >= end || rest[0] != ':' || rest[1] != ' ')
        return false;
    const char *severity = rest + 2, *after = memchr(severity, ':', (size_t)(end - severity));
    if (!after || after + 2 > end)
        return false;
    out->severity = (struct span){severity, (size_t)(after - severity)};
    const char *message = after + 1;
    while (message < end && *message == ' ')
        message++;
    out->message = (struct span){message, (size_t)(end - message)};
    return true;
}

static bool is(struct span span, const char *word)
{
    return span.len == strlen(word) && memcmp(span.text, word, span.len) == 0;
}

/* Takes a trailing "[code]" off the message. */
static struct span take_code(struct span *message)
{
    if (!message->len || message->text[message->len - 1] != ']')
        return (struct span){"", 0};
    const char *open = memrchr(message->text, '[', message->len);
    if (!open)
        return (struct span){"", 0};
    struct span code = {open + 1, (size_t)(message->text + message->len - 1 - (open + 1))};
    message->len = (size_t)(open - message->text);
    while (message->len && message->text[message->len - 1] == ' ')
        message->len--;
    return code;
}

static int read_lines(const char *tool, const char *text, size_t len, struct findings *out, struct error *err)
{
    for (const char *line = text, *end = text + len; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        struct span span = {line, (size_t)((stop ? stop : end) - line)};
        struct located located;
        line = stop ? stop + 1 : end;
        if (!read_located(span, &located) || !(is(located.severity, "error") || is(located.severity, "warning")))
            continue;
        struct span code = take_code(&located.message);
        if (add(out, tool, located.path, located.line, code, located.message, err) < 0)
            return -1;
    }
    return 0;
}

static const struct format {
    const char *name;
    int (*read)(const char *tool, const char *text, size_t len, struct findings *out, struct error *err);
} formats[] = {
    {"ruff-json", read_ruff},
    {"mypy", read_lines},
    {"gcc", read_lines},
};

int findings_read(const char *format, const char *tool, const char *text, size_t len, struct findings *out,
                  struct error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, format) == 0)
            return formats[i].read(tool, text, len, out, err);
    return error_set(err, ERROR_CONFIG, "%s: no reader for the format \"%s\"", tool, format);
}

static bool same(const struct finding *a, const struct finding *b)
{
    return strcmp(a->tool, b->tool) == 0 && strcmp(a->path, b->path) == 0 && strcmp(a->code, b->code) == 0 &&
           strcmp(a->message, b->message) == 0;
}

void findings_subtract(struct findings *after, const struct findings *before)
{
    for (size_t i = 0; i < before->count; i++) {
        for (size_t k = 0; k < after->count; k++) {
            if (!same(&before->items[i], &after->items[k]))
                continue;
            finding_release(&after->items[k]);
            memmove(&after->items[k], &after->items[k + 1], (after->count - k - 1) * sizeof *after->items);
            after->count--;
            break;
        }
    }
}

json_t *findings_to_json(const struct findings *findings)
{
    json_t *out = json_array();
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:i, s:s, s:s}", "tool", finding->tool, "path", finding->path,
                                        "line", finding->line, "code", finding->code, "message", finding->message));
    }
    return out;
}
