#include "pipeline/sse.h"

#include <string.h>

static int dispatch(struct sse *sse, sse_each *each, void *context)
{
    int result = 0;
    if (sse->has_data) {
        struct sse_event event = {.name = buf_text(&sse->name), .data = buf_text(&sse->data), .len = sse->data.len};
        result = each(context, &event);
    }
    sse->has_data = false;
    buf_clear(&sse->name);
    buf_clear(&sse->data);
    return result;
}

static bool field_is(const char *line, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(line, name, len) == 0;
}

/* llama.cpp's server has written errors as a field of their own ("error: {…}"): taken as an event of that name. */
static void take_field(struct sse *sse, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    if (*value == ' ')
        value++;
    size_t value_len = (size_t)(line + len - value);
    bool is_error = field_is(line, name_len, "error");
    if (is_error || field_is(line, name_len, "event")) {
        buf_clear(&sse->name);
        buf_add(&sse->name, is_error ? "error" : value, is_error ? strlen("error") : value_len);
    }
    if (is_error || field_is(line, name_len, "data")) {
        if (sse->has_data)
            buf_putc(&sse->data, '\n');
        sse->has_data = true;
        buf_add(&sse->data, value, value_len);
    }
}

static int end_line(struct sse *sse, sse_each *each, void *context, struct error *err)
{
    if (sse->line.len == 0)
        return dispatch(sse, each, context);
    const char *line = buf_text(&sse->line);
    size_t len = sse->line.len;
    if (!sse->started && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        len -= 3;
    }
    sse->started = true;
    take_field(sse, line, len);
    buf_clear(&sse->line);
    return buf_check(&sse->data, "an event of the stream", err);
}

int sse_feed(struct sse *sse, const char *data, size_t len, sse_each *each, void *context, struct error *err)
{
    size_t i = sse->after_cr && len > 0 && data[0] == '\n' ? 1 : 0;
    if (len > 0)
        sse->after_cr = false;
    while (i < len) {
        size_t text = 0;
        while (i + text < len && data[i + text] != '\n' && data[i + text] != '\r')
            text++;
        if (buf_add(&sse->line, data + i, text) < 0)
            return buf_check(&sse->line, "a line of the stream", err);
        i += text;
        if (i == len)
            break;
        bool is_cr = data[i++] == '\r';
        if (is_cr && i < len && data[i] == '\n')
            i++;
        else
            sse->after_cr = is_cr && i == len;
        int result = end_line(sse, each, context, err);
        if (result != 0)
            return result;
    }
    return 0;
}

int sse_end(struct sse *sse, sse_each *each, void *context, struct error *err)
{
    if (sse->line.len > 0) {
        int result = end_line(sse, each, context, err);
        if (result != 0)
            return result;
    }
    return dispatch(sse, each, context);
}

void sse_release(struct sse *sse)
{
    buf_release(&sse->line);
    buf_release(&sse->name);
    buf_release(&sse->data);
}
