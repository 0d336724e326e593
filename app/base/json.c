#include "app/base/json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"

/* True when brackets outside strings never nest deeper than allowed. It looks at bytes only: whether the
 * text is JSON at all is the parser's business, which must not recurse before this has passed. */
static bool depth_fits(const char *text, size_t len, size_t max)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{') && ++depth > max)
            return false;
        else if (!in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return true;
}

json_t *json_read(const char *text, size_t len, struct json_limits limits, struct error *err)
{
    if (len > limits.bytes) {
        error_set(err, ERROR_LIMIT, "the JSON has %zu bytes, more than the %zu allowed", len, limits.bytes);
        return NULL;
    }
    if (!depth_fits(text, len, limits.depth)) {
        error_set(err, ERROR_LIMIT, "the JSON is nested deeper than the %zu levels allowed", limits.depth);
        return NULL;
    }
    json_error_t problem;
    json_t *value = json_loadb(len ? text : "", len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!value)
        error_set(err, ERROR_INPUT, "not valid JSON: line %d, column %d: %s", problem.line, problem.column,
                  problem.text);
    return value;
}

char *json_write(const json_t *value, struct error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    if (!text)
        error_set(err, ERROR_INTERNAL, "cannot write JSON: %s", value ? "out of memory" : "there is no value");
    return text;
}

json_t *json_at(const json_t *root, const char *path)
{
    const json_t *at = root;
    while (at && *path) {
        size_t len = strcspn(path, ".");
        at = json_object_getn(at, path, len);
        path += len + (path[len] == '.');
    }
    return (json_t *)at;
}

const char *json_text_at(const json_t *root, const char *path, const char *fallback)
{
    const char *text = json_string_value(json_at(root, path));
    return text ? text : fallback;
}

json_int_t json_int_at(const json_t *root, const char *path, json_int_t fallback)
{
    const json_t *value = json_at(root, path);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_true_at(const json_t *root, const char *path)
{
    return json_is_true(json_at(root, path));
}

/* The length of the UTF-8 sequence at `at` (Unicode table 3-7), or 0 when the bytes there are not one. */
static size_t utf8_len(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max;
        size_t len;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (at[0] < forms[i].first_min || at[0] > forms[i].first_max)
            continue;
        if (left < forms[i].len)
            return 0;
        for (size_t n = 1; n < forms[i].len; n++)
            if (at[n] < (n == 1 ? forms[i].second_min : 0x80) || at[n] > (n == 1 ? forms[i].second_max : 0xbf))
                return 0;
        return forms[i].len;
    }
    return 0;
}

json_t *json_from_text(const char *text, size_t len)
{
    json_t *value = memchr(text, '\0', len) ? NULL : json_stringn(text, len);
    if (value)
        return value;
    AUTO_BUF struct buf clean = BUF_INIT(len * 3);
    for (size_t i = 0; i < len;) {
        size_t step = utf8_len((const unsigned char *)text + i, len - i);
        if (step)
            buf_add(&clean, text + i, step);
        else
            buf_puts(&clean, "\xef\xbf\xbd");
        i += step ? step : 1;
    }
    return clean.failed ? NULL : json_stringn_nocheck(buf_text(&clean), clean.len);
}

void json_append_text(json_t *array, const char *format, ...)
{
    AUTO_FREE char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len >= 0)
        json_array_append_new(array, json_from_text(text, (size_t)len));
}
