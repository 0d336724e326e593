#include "pipeline/findings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"

enum { FINDINGS_MAX = 20000, MESSAGE_MAX = 400, LINE_NUMBER_MAX = 100 * 1000 * 1000 };

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
    if (out->count == FINDINGS_MAX) /* leaving some out could hide new ones */
        return error_set(err, ERROR_LIMIT, "%s: more than %d findings", tool, FINDINGS_MAX);
    if ((out->count & (out->count - 1)) == 0) { /* full: the array has room for the next power of two */
        size_t room = out->count ? out->count * 2 : 1;
        struct finding *grown = reallocarray(out->items, room, sizeof *grown);
        if (!grown)
            return error_set(err, ERROR_INTERNAL, "out of memory");
        out->items = grown;
    }
    path = relative(path);
    message.len = message.len > MESSAGE_MAX ? MESSAGE_MAX : message.len;
    struct finding finding = {
        .tool = strdup(tool),
        .path = strndup(path.text, path.len),
        .line = line > 0 && line < LINE_NUMBER_MAX ? (int)line : 0,
        .code = strndup(code.text, code.len),
        .message = strndup(message.text, message.len),
    };
    if (!finding.tool || !finding.path || !finding.code || !finding.message) {
        finding_release(&finding);
        return error_set(err, ERROR_INTERNAL, "out of memory");
    }
    for (char *at = finding.message; *at; at++)
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at;
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

struct located {
    struct span path, severity, message;
    long line;
};

static bool starts_with(struct span text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.text, start, len) == 0;
}

static void skip(struct span *text, size_t len)
{
    text->text += len;
    text->len -= len;
}

/* Takes ":<digits>" off; false when the text begins otherwise. */
static bool take_number(struct span *text, long *number)
{
    size_t len = 1;
    long value = 0;
    if (text->len < 2 || text->text[0] != ':' || !isdigit((unsigned char)text->text[1]))
        return false;
    for (; len < text->len && isdigit((unsigned char)text->text[len]); len++)
        value = value < LINE_NUMBER_MAX ? value * 10 + (text->text[len] - '0') : value;
    skip(text, len);
    *number = value;
    return true;
}

/* Takes "path:line[:column]: severity: message" apart; false when the line is not of that form. */
static bool read_located(struct span text, struct located *out)
{
    const char *colon = memchr(text.text, ':', text.len);
    long column;
    if (!colon || colon == text.text)
        return false;
    out->path = (struct span){text.text, (size_t)(colon - text.text)};
    skip(&text, out->path.len);
    if (!take_number(&text, &out->line))
        return false;
    take_number(&text, &column);
    if (!starts_with(text, ": "))
        return false;
    skip(&text, 2);
    const char *after = memchr(text.text, ':', text.len);
    if (!after)
        return false;
    out->severity = (struct span){text.text, (size_t)(after - text.text)};
    skip(&text, out->severity.len + 1);
    while (text.len && text.text[0] == ' ')
        skip(&text, 1);
    while (text.len && isspace((unsigned char)text.text[text.len - 1]))
        text.len--;
    out->message = text;
    return true;
}

static bool is(struct span span, const char *word)
{
    return span.len == strlen(word) && memcmp(span.text, word, span.len) == 0;
}

/* Notes only explain the finding above them. */
static bool counts(struct span severity)
{
    return is(severity, "error") || is(severity, "warning") || is(severity, "fatal error");
}

/* Takes a trailing " [code]" off the message. */
static struct span take_code(struct span *message)
{
    if (!message->len || message->text[message->len - 1] != ']')
        return (struct span){"", 0};
    const char *open = memrchr(message->text, '[', message->len);
    if (!open || open == message->text || open[-1] != ' ')
        return (struct span){"", 0}; /* "List[int]" is a part of the message */
    struct span code = {open + 1, (size_t)(message->text + message->len - 1 - (open + 1))};
    if (memchr(code.text, ' ', code.len))
        return (struct span){"", 0};
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
        if (!read_located(span, &located) || !counts(located.severity))
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

/* ---- what is new ---- */

/* Everything but line numbers, in the message too ("already defined on line 3"): code above may have moved. */
static char *identity(const struct finding *finding)
{
    static const char word[] = "line ";
    AUTO_BUF struct buf name = BUF_INIT(KiB(64));
    buf_printf(&name, "%s\x1f%s\x1f%s\x1f", finding->tool, finding->path, finding->code);
    const char *at = finding->message;
    for (const char *line; (line = strstr(at, word)); at = line + strspn(line, "0123456789")) {
        line += sizeof word - 1;
        buf_add(&name, at, (size_t)(line - at));
    }
    buf_puts(&name, at);
    return name.failed ? NULL : buf_steal(&name, NULL);
}

/* How many findings there are of each identity. */
static json_t *count_all(const struct findings *findings)
{
    json_t *counts = json_object();
    for (size_t i = 0; i < findings->count; i++) {
        AUTO_FREE char *name = identity(&findings->items[i]);
        if (name)
            json_object_set_new_nocheck(counts, name,
                                        json_integer(json_integer_value(json_object_get(counts, name)) + 1));
    }
    return counts;
}

void findings_subtract(struct findings *after, const struct findings *before)
{
    json_auto_t *known = count_all(before);
    size_t kept = 0;
    for (size_t i = 0; i < after->count; i++) {
        AUTO_FREE char *name = identity(&after->items[i]);
        json_t *left = name ? json_object_get(known, name) : NULL;
        if (json_integer_value(left) > 0) {
            json_integer_set(left, json_integer_value(left) - 1);
            finding_release(&after->items[i]);
        } else {
            after->items[kept++] = after->items[i];
        }
    }
    after->count = kept;
}

static json_t *text_of(const char *text)
{
    return json_from_text(text, strlen(text));
}

json_t *findings_to_json(const struct findings *findings)
{
    json_t *out = json_array();
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        json_array_append_new(out, json_pack("{s:o, s:o, s:i, s:o, s:o}", "tool", text_of(finding->tool), "path",
                                             text_of(finding->path), "line", finding->line, "code",
                                             text_of(finding->code), "message", text_of(finding->message)));
    }
    return out;
}
