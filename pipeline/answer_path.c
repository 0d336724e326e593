/* Which file a code block is for: what the fence's info string, the line before it or its first comment say. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "pipeline/answer_internal.h"

enum {
    PATH_BYTES_MAX = 200,
    EXTENSION_MAX = 4, /* of a bare file name that nothing else marks as a path */
};

/* ---- paths ---- */

static bool is_path_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_./-+@", c));
}

static bool all_path_chars(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_path_char(text[i]))
            return false;
    return len > 0 && len <= PATH_BYTES_MAX;
}

/* A word that can hardly be anything but a path: it has a folder, or a short extension. */
static bool looks_like_path(const char *text, size_t len)
{
    if (!all_path_chars(text, len) || text[len - 1] == '/')
        return false;
    const char *dot = memrchr(text, '.', len);
    size_t extension = dot ? (size_t)(text + len - dot - 1) : 0;
    bool has_extension = extension > 0 && isalpha((unsigned char)dot[1]) && dot > text;
    if (memchr(text, '/', len))
        return true;
    return has_extension && extension <= EXTENSION_MAX;
}

static char *copy_path(const char *text, size_t len)
{
    if (len > 2 && text[0] == '.' && text[1] == '/') {
        text += 2;
        len -= 2;
    }
    return strndup(text, len);
}

/* Takes "File:" and its like off; true when there was one. */
static bool take_label(struct line *line)
{
    static const char *const labels[] = {"file:", "filename:", "file name:", "path:", "file path:", "filepath:"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        size_t len = strlen(labels[i]);
        if (line->len > len && strncasecmp(line->start, labels[i], len) == 0) {
            line->start += len;
            line->len -= len;
            return true;
        }
    }
    return false;
}

/* A line that is nothing but a path, whatever marks it: heading, list, bold, backticks, "File:". */
char *answer_path_of_line(struct line line)
{
    static const char front[] = " \t#*`\"'", back[] = " \t*`\"':";
    line = line_trim(line, front, back);
    size_t marker = list_marker(line.start, line.len);
    line = line_trim((struct line){line.start + marker, line.len - marker}, front, back);
    bool labelled = take_label(&line);
    line = line_trim(line, front, back);
    if (labelled ? all_path_chars(line.start, line.len) : looks_like_path(line.start, line.len))
        return copy_path(line.start, line.len);
    return NULL;
}

char *answer_path_of_comment(const char *code)
{
    static const char *const openers[] = {"#", "//", "--", "/*", "<!--", ";", "%"};
    struct line line;
    line_next(code, &line);
    line = line_trim(line, " \t", " \t");
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) {
        size_t len = strlen(openers[i]);
        if (line.len <= len || strncmp(line.start, openers[i], len) != 0)
            continue;
        return answer_path_of_line(line_trim((struct line){line.start + len, line.len - len}, " \t", " \t*/->"));
    }
    return NULL;
}

/* ---- the info string ---- */

static char *lower(const char *text, size_t len)
{
    char *copy = strndup(text, len);
    for (char *at = copy; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

/* path=…, title="…" and so on; the value may hold blanks in quotes. */
static char *path_of_attribute(const char *word, size_t len)
{
    static const char *const keys[] = {"path=", "file=", "filename=", "title=", "name=", "src=", "filepath="};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        size_t key_len = strlen(keys[i]);
        if (len <= key_len || strncasecmp(word, keys[i], key_len) != 0)
            continue;
        struct line value = line_trim((struct line){word + key_len, len - key_len}, "\"'", "\"'},");
        return all_path_chars(value.start, value.len) ? copy_path(value.start, value.len) : NULL;
    }
    return NULL;
}

/* One word of the info string, quotes kept together; returns where the next may begin. */
static size_t info_word(const struct line *info, size_t at, struct line *word)
{
    char quote = 0;
    while (at < info->len && is_blank(info->start[at]))
        at++;
    size_t from = at;
    for (; at < info->len && (quote || !is_blank(info->start[at])); at++) {
        char c = info->start[at];
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
    }
    *word = (struct line){info->start + from, at - from};
    return at;
}

/* "python:src/x.py", "src/x.py", "{.python", "python". */
static void read_first_word(struct line word, struct answer_block *block)
{
    word = line_trim(word, "{.", "},");
    const char *colon = memchr(word.start, ':', word.len);
    size_t before = colon ? (size_t)(colon - word.start) : word.len;
    if (colon && looks_like_path(colon + 1, word.len - before - 1))
        block->path = copy_path(colon + 1, word.len - before - 1);
    else if (!colon)
        block->path = path_of_attribute(word.start, word.len);
    if (!block->path && looks_like_path(word.start, word.len))
        block->path = copy_path(word.start, word.len);
    bool is_language = !block->path || block->path[0] == '\0' || colon;
    block->language = lower(word.start, is_language ? before : 0);
}

void answer_read_info(const struct line *info, struct answer_block *block)
{
    struct line word;
    size_t at = info_word(info, 0, &word);
    read_first_word(word, block);
    while (!block->path && at < info->len) {
        at = info_word(info, at, &word);
        struct line bare = line_trim(word, "({\"'", ")}\"',");
        block->path = path_of_attribute(word.start, word.len);
        if (!block->path && looks_like_path(bare.start, bare.len))
            block->path = copy_path(bare.start, bare.len);
    }
}
