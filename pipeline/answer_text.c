/* An answer's text as a whole: its reasoning, its lines, code that stands without fences, words for languages. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "pipeline/answer_internal.h"

/* ---- lines ---- */

const char *line_next(const char *at, struct line *line)
{
    size_t len = strcspn(at, "\n");
    line->start = at;
    line->len = len > 0 && at[len - 1] == '\r' ? len - 1 : len;
    return at + len + (at[len] == '\n');
}

struct line line_trim(struct line line, const char *front, const char *back)
{
    while (line.len > 0 && strchr(front, line.start[0])) {
        line.start++;
        line.len--;
    }
    while (line.len > 0 && strchr(back, line.start[line.len - 1]))
        line.len--;
    return line;
}

bool line_is_empty(struct line line)
{
    return line_trim(line, " \t", " \t").len == 0;
}

size_t list_marker(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && isdigit((unsigned char)text[i]))
        i++;
    if (i > 0 ? i < len && (text[i] == '.' || text[i] == ')') : len > 0 && strchr("-*+", text[0]))
        i++;
    else
        return 0;
    return i < len && is_blank(text[i]) ? i + 1 : 0;
}

/* The code without the fence's own indentation and with plain line ends. */
char *answer_copy_code(const char *from, const char *end, size_t indent)
{
    struct buf code = BUF_INIT((size_t)(end - from) + 1);
    struct line line;
    for (const char *at = from; at < end;) {
        const char *next = line_next(at, &line);
        size_t cut = 0, room = (size_t)(end - at);
        line.len = line.len < room ? line.len : room;
        while (cut < indent && cut < line.len && is_blank(line.start[cut]))
            cut++;
        buf_add(&code, line.start + cut, line.len - cut);
        buf_putc(&code, '\n');
        at = next;
    }
    return buf_steal(&code, NULL);
}

/* ---- reasoning ---- */

static const struct {
    const char *open, *close;
    bool alone; /* some servers send the closing tag only, the prompt having opened it */
} tags[] = {
    {"<think>", "</think>", true},
    {"<thinking>", "</thinking>", true},
    {"<thought>", "</thought>", false},
    {"<reasoning>", "</reasoning>", false},
};
enum { TAGS = sizeof tags / sizeof tags[0] };

static const char *skip_blank(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* What follows a leading tag and its content: "" when it never ends, NULL when there is none. */
static const char *after_leading(const char *text)
{
    for (size_t i = 0; i < TAGS; i++) {
        if (strncasecmp(text, tags[i].open, strlen(tags[i].open)) != 0)
            continue;
        const char *end = strcasestr(text, tags[i].close);
        return end ? end + strlen(tags[i].close) : "";
    }
    return NULL;
}

/* What follows the first line that is nothing but a closing tag, or NULL. */
static const char *after_alone(const char *text)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        const char *tag = line + strspn(line, " \t");
        for (size_t i = 0; i < TAGS; i++) {
            size_t tag_len = strlen(tags[i].close);
            if (tags[i].alone && strncasecmp(tag, tags[i].close, tag_len) == 0 &&
                strspn(tag + tag_len, " \t\r") == (size_t)(line + len - tag) - tag_len)
                return line + len;
        }
        line += len + (line[len] == '\n');
    }
    return NULL;
}

/* Borrowed from the text. */
static const char *skip_thinking(const char *text)
{
    const char *at = skip_blank(text), *next = after_leading(at);
    if (!next)
        next = after_alone(text);
    if (!next)
        return text;
    for (at = skip_blank(next); (next = after_leading(at)); at = skip_blank(next))
        ;
    return at;
}

char *answer_without_thinking(const char *text)
{
    return strdup(skip_thinking(text));
}

/* ---- names of languages ---- */

static bool same_letters(const char *a, const char *b, size_t len)
{
    return strncasecmp(a, b, len) == 0;
}

/* What is left of the words without their common start and end has to be one slip: a letter too many, too few, wrong,
 * or in the wrong place ("pyhton", "phyton"). */
bool answer_language_is(const char *word, const char *name)
{
    size_t a = strlen(word), b = strlen(name);
    bool may_slip = b >= 5;
    for (; a > 0 && b > 0 && same_letters(word, name, 1); a--, b--) {
        word++;
        name++;
    }
    while (a > 0 && b > 0 && same_letters(word + a - 1, name + b - 1, 1)) {
        a--;
        b--;
    }
    if (a == 0 && b == 0)
        return true;
    bool moved = a == b && ((same_letters(word, name + 1, a - 1) && same_letters(word + a - 1, name, 1)) ||
                            (same_letters(word + 1, name, a - 1) && same_letters(word, name + a - 1, 1)));
    return may_slip && ((a <= 1 && b <= 1) || moved);
}

/* ---- code without fences ---- */

/* A paragraph for people: it begins with a capital letter, has several words and ends like a sentence. */
static bool is_prose(const char *from, const char *end)
{
    while (end > from && strchr(" \t\r\n*", end[-1]))
        end--;
    while (from < end && strchr("*#> ", *from))
        from++;
    if (end - from < 4 || !isupper((unsigned char)*from) || !strchr(".:!?", end[-1]))
        return false;
    size_t words = 0;
    for (const char *at = from; at < end; at++)
        words += *at == ' ';
    return words >= 1;
}

/* The end of the paragraph that begins here (at its blank line or the text's end). */
static const char *paragraph_end(const char *at, const char *end)
{
    struct line line;
    while (at < end) {
        const char *next = line_next(at, &line);
        if (line_is_empty(line))
            return at;
        at = next;
    }
    return end;
}

static const char *last_paragraph(const char *from, const char *end)
{
    const char *last = from;
    for (const char *at = from; at < end;) {
        last = at;
        at = skip_blank(paragraph_end(at, end));
    }
    return last;
}

char *answer_bare_code(const char *text)
{
    const char *from = skip_blank(skip_thinking(text));
    const char *end = from + strlen(from);
    const char *all_from = from, *all_end = end;
    while (from < end && is_prose(from, paragraph_end(from, end)))
        from = skip_blank(paragraph_end(from, end));
    for (const char *last; from < end && (last = last_paragraph(from, end)) && is_prose(last, end);)
        end = last;
    if (from >= end) {
        from = all_from;
        end = all_end;
    }
    while (end > from && strchr(" \t\r\n", end[-1]))
        end--;
    return answer_copy_code(from, end, 0);
}
