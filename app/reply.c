#include "app/reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/template.h"

char *reply_render(const char *name, const json_t *view, struct error *err)
{
    AUTO_FREE char *path = text_format("replies/%s.mustache", name);
    AUTO_BUF struct buf text = BUF_INIT(MiB(1));
    if (!path || template_render_file(path, view, &text, err) < 0) {
        error_wrap(err, "write the reply \"%s\"", name);
        return NULL;
    }
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    return buf_steal(&text, NULL);
}

char *reply_job_marker(int64_t job, const char *what)
{
    return text_format(REPLY_MARK "job:%lld:%s -->", (long long)job, what);
}

char *reply_marker(const char *to)
{
    return text_format(REPLY_MARK "reply:%s -->", to);
}

/* Where a text of at most `max` bytes may end without cutting a character in two. */
static size_t cut_point(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static size_t cut_at_line(const char *body, size_t len)
{
    size_t end = cut_point(body, len, REPLY_MAX);
    const char *line_end = end < len ? memrchr(body, '\n', end) : NULL;
    return line_end ? (size_t)(line_end - body) : end;
}

int reply_put(const struct effects *effects, int64_t number, const char *marker, const char *body, int64_t *id,
              struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    size_t len = strlen(body);
    size_t end = cut_at_line(body, len);
    buf_add(&text, body, end);
    if (end < len)
        buf_puts(&text, "\n\n(The rest is too long for a comment.)");
    buf_printf(&text, "\n\n%s\n", marker);
    if (buf_check(&text, "comment", err) < 0)
        return -1;
    return effect_comment(effects, number, marker, buf_text(&text), id, err);
}

int reply_is_anothers(const struct effects *effects, int64_t number, int64_t comment_id, bool *anothers,
                      struct error *err)
{
    AUTO_FREE char *to = text_format("%lld", (long long)comment_id);
    AUTO_FREE char *marker = to ? reply_marker(to) : NULL;
    AUTO_FREE char *answer = marker ? effect_comment_key(number, marker) : NULL;
    AUTO_FREE char *reaction = effect_reaction_key(FORGE_ISSUE_COMMENT, comment_id, "eyes");
    bool answered = false;
    bool seen = false;
    if (!answer || !reaction)
        return error_set(err, ERROR_INTERNAL, "look for an answer: out of memory");
    if (effect_is_anothers(effects, EFFECT_REACTION, reaction, &seen, err) < 0 ||
        effect_is_anothers(effects, EFFECT_COMMENT, answer, &answered, err) < 0)
        return -1;
    *anothers = seen || answered;
    return 0;
}

char *reply_plain_line(const char *text, size_t max)
{
    AUTO_BUF struct buf line = BUF_INIT(KiB(8));
    bool gap = false;
    for (const char *at = text; *at && line.len <= max; at++) {
        bool space = (unsigned char)*at <= ' ' || *at == 0x7f;
        bool acts = *at == '@' || *at == '#'; /* a mention, a reference: "fixes #1" in a commit would close it */
        if (!space && !acts) {
            if (gap && line.len > 0)
                buf_putc(&line, ' ');
            buf_putc(&line, *at);
        }
        gap = space || (acts && gap);
    }
    size_t len = cut_point(buf_text(&line), line.len, max);
    while (len > 0 && buf_text(&line)[len - 1] == ' ')
        len--;
    return strndup(buf_text(&line), len);
}
