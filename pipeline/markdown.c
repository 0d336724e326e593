#include "pipeline/markdown.h"

#include <ctype.h>
#include <string.h>

struct markdown markdown_start(const char *text)
{
    return (struct markdown){.at = text};
}

static size_t indent_of(const struct markdown *reader)
{
    size_t indent = 0;
    while (indent < reader->len && reader->line[indent] == ' ')
        indent++;
    return indent;
}

/* A fence may be indented, as it is inside list items. */
static size_t fence_run(const struct markdown *reader, char *mark)
{
    size_t start = indent_of(reader), end = start;
    if (start == reader->len || (reader->line[start] != '`' && reader->line[start] != '~'))
        return 0;
    while (end < reader->len && reader->line[end] == reader->line[start])
        end++;
    *mark = reader->line[start];
    return end - start >= 3 ? end - start : 0;
}

static void track_fence(struct markdown *reader)
{
    char mark = 0;
    size_t run = fence_run(reader, &mark);
    reader->fence_line = false;
    if (!reader->fence_char) {
        reader->fenced = false;
        if (!run)
            return;
        size_t start = indent_of(reader) + run;
        reader->fence_line = true;
        reader->fence_char = mark;
        reader->fence_len = run;
        reader->info = reader->line + start;
        reader->info_len = reader->len - start;
        return;
    }
    size_t tail = indent_of(reader) + run;
    while (tail < reader->len && isspace((unsigned char)reader->line[tail]))
        tail++;
    bool closes = run >= reader->fence_len && mark == reader->fence_char && tail == reader->len;
    reader->fence_line = closes;
    reader->fenced = !closes;
    if (closes)
        reader->fence_char = 0;
}

bool markdown_next(struct markdown *reader)
{
    if (!*reader->at)
        return false;
    reader->line = reader->at;
    reader->len = strcspn(reader->at, "\n");
    reader->at += reader->len + (reader->at[reader->len] == '\n');
    if (reader->len && reader->line[reader->len - 1] == '\r')
        reader->len--;
    track_fence(reader);
    return true;
}

static bool is_decoration(char c)
{
    return isspace((unsigned char)c) || c == '#' || c == '*' || c == '_' || c == ':';
}

int markdown_heading(const struct markdown *reader, const char **text, size_t *len)
{
    if (reader->fenced || reader->fence_line)
        return 0;
    size_t start = indent_of(reader), level = 0;
    while (start + level < reader->len && reader->line[start + level] == '#')
        level++;
    if (start > 3 || level < 1 || level > 6)
        return 0;
    size_t begin = start + level, end = reader->len;
    if (begin < end && !isspace((unsigned char)reader->line[begin]))
        return 0;
    while (begin < end && is_decoration(reader->line[begin]))
        begin++;
    while (end > begin && is_decoration(reader->line[end - 1]))
        end--;
    *text = reader->line + begin;
    *len = end - begin;
    return (int)level;
}

static struct markdown_cell trimmed(const char *start, const char *end)
{
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    return (struct markdown_cell){start, (size_t)(end - start)};
}

size_t markdown_cells(const struct markdown *reader, struct markdown_cell cells[static MARKDOWN_MAX_CELLS])
{
    struct markdown_cell row = trimmed(reader->line, reader->line + reader->len);
    if (reader->fenced || row.len < 3 || row.text[0] != '|')
        return 0;
    const char *start = row.text + 1, *end = row.text + row.len;
    size_t count = 0;
    bool in_code = false;
    for (const char *at = start; at <= end && count < MARKDOWN_MAX_CELLS; at++) {
        if (at < end && *at == '`')
            in_code = !in_code;
        bool ends = at == end || (*at == '|' && at[-1] != '\\' && !in_code);
        if (!ends)
            continue;
        if (at < end || trimmed(start, at).len)
            cells[count++] = trimmed(start, at);
        start = at + 1;
    }
    return count;
}

bool markdown_is_rule_row(const struct markdown_cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!cells[i].len || strspn(cells[i].text, "-: ") < cells[i].len)
            return false;
    return count > 0;
}

static struct markdown_cell without_list_mark(struct markdown_cell text)
{
    size_t at = 0;
    while (at < text.len && isdigit((unsigned char)text.text[at]))
        at++;
    bool numbered = at > 0 && at < text.len && (text.text[at] == '.' || text.text[at] == ')');
    bool bullet = at == 0 && text.len && strchr("-*+", text.text[0]);
    if ((!numbered && !bullet) || at + 1 >= text.len || text.text[at + 1] != ' ')
        return text;
    struct markdown_cell rest = trimmed(text.text + at + 1, text.text + text.len);
    if (rest.len > 4 && rest.text[0] == '[' && rest.text[2] == ']') /* a task list's box */
        rest = trimmed(rest.text + 3, rest.text + rest.len);
    return rest;
}

char *markdown_plain(const char *text, size_t len)
{
    struct markdown_cell span = without_list_mark(trimmed(text, text + len));
    size_t ticks = 0;
    while (ticks < span.len && span.text[ticks] == '`')
        ticks++;
    if (ticks && span.len > 2 * ticks && span.text[span.len - 1] == '`' &&
        !memchr(span.text + ticks, '`', span.len - 2 * ticks))
        span = trimmed(span.text + ticks, span.text + span.len - ticks);
    return strndup(span.text, span.len);
}
