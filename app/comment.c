#include "app/comment.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"

enum { COMMENT_MAX = 1 << 20 };

/* Walks over the lines of a comment and knows what each is part of. */
struct reader {
    const char *at;  /* the next line */
    struct buf line; /* the current one, HTML comments taken out */
    bool in_html;    /* an HTML comment is open */
    char fence;      /* '`' or '~' while a code block is open, else 0 */
    size_t fence_len;
    bool quoted; /* the line before was a quote with text: the next line of text runs on from it */
    bool plain;  /* the current line is neither code nor quote */
};

/* Spaces at the start; a tab goes to the next multiple of four. */
static size_t indent_of(const char *line, const char **text)
{
    size_t columns = 0;
    for (; *line == ' ' || *line == '\t'; line++)
        columns += *line == ' ' ? 1 : 4 - columns % 4;
    *text = line;
    return columns;
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == '\0';
}

/* Copies one raw line without its HTML comments. One that is never closed is text, unless a line starts with it. */
static void take_line(struct reader *reader, const char *line, size_t len)
{
    const char *end = line + len;
    buf_clear(&reader->line);
    for (const char *at = line; at < end;) {
        const char *close = reader->in_html ? memmem(at, (size_t)(end - at), "-->", 3) : NULL;
        if (reader->in_html) {
            reader->in_html = !close;
            at = close ? close + 3 : end;
        } else if (end - at >= 4 && memcmp(at, "<!--", 4) == 0 &&
                   (is_blank(buf_text(&reader->line)) || strstr(at + 4, "-->"))) {
            reader->in_html = true;
            at += 4;
        } else {
            buf_putc(&reader->line, *at++);
        }
    }
}

/* Opens or closes a code block; true when the line is a fence. */
static bool take_fence(struct reader *reader, const char *text)
{
    size_t run = *text ? strspn(text, (char[]){*text, '\0'}) : 0;
    bool is_fence = run >= 3 && (*text == '`' || *text == '~');
    if (reader->fence) {
        bool closes = is_fence && *text == reader->fence && run >= reader->fence_len && is_blank(text + run);
        if (closes)
            reader->fence = '\0';
        return closes;
    }
    if (!is_fence || (*text == '`' && strchr(text + run, '`')))
        return false;
    reader->fence = *text;
    reader->fence_len = run;
    return true;
}

static int start(struct reader *reader, const char *body, struct error *err)
{
    if (strnlen(body, COMMENT_MAX) == COMMENT_MAX)
        return error_set(err, ERROR_LIMIT, "a comment of more than %d bytes is not read", COMMENT_MAX);
    *reader = (struct reader){.at = body, .line = BUF_INIT(COMMENT_MAX)};
    return 0;
}

static bool next_line(struct reader *reader)
{
    if (!*reader->at)
        return false;
    size_t len = strcspn(reader->at, "\n");
    const char *line = reader->at;
    reader->at += len + (reader->at[len] == '\n');
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (reader->fence) {
        buf_clear(&reader->line);
        buf_add(&reader->line, line, len);
    } else {
        take_line(reader, line, len);
    }
    const char *text;
    bool indented = indent_of(buf_text(&reader->line), &text) > 3;
    bool in_code = reader->fence != '\0';
    bool is_fence = !indented && take_fence(reader, text);
    bool starts_quote = !in_code && !indented && *text == '>';
    bool runs_on = reader->quoted && !is_fence && !is_blank(text);
    if (!in_code)
        reader->quoted = starts_quote ? !is_blank(text + strspn(text, "> \t")) : runs_on;
    reader->plain = !in_code && !is_fence && !indented && !starts_quote && !runs_on;
    return true;
}

/* The word behind a slash at the start of a line; false when there is none. */
static bool command_word(const struct reader *reader, char word[static COMMENT_WORD_MAX + 1], const char **rest)
{
    const char *text;
    if (!reader->plain || indent_of(buf_text(&reader->line), &text) > 3 || *text++ != '/')
        return false;
    size_t len = strcspn(text, " \t");
    if (!isalpha((unsigned char)*text) || len > COMMENT_WORD_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        word[i] = (char)tolower((unsigned char)text[i]);
    word[len] = '\0';
    *rest = text + len + strspn(text + len, " \t");
    return true;
}

/* Surrounding line ends and blanks go away. */
static char *trimmed(const struct buf *text)
{
    const char *start = buf_text(text);
    const char *end = start + text->len;
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    return strndup(start, (size_t)(end - start));
}

static int end_command(struct comment_commands *commands, struct buf *text, struct error *err)
{
    if (commands->count == 0)
        return 0; /* what stands before the first one is kept for it */
    struct comment_command *command = &commands->items[commands->count - 1];
    command->text = trimmed(text);
    buf_clear(text);
    return command->text ? 0 : error_set(err, ERROR_INTERNAL, "read a comment: out of memory");
}

static int read_commands(struct reader *reader, bool (*begins)(const char *word), struct comment_commands *commands,
                         struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(2 * COMMENT_MAX);
    char word[COMMENT_WORD_MAX + 1];
    const char *rest;
    while (next_line(reader)) {
        if (!command_word(reader, word, &rest) || !begins(word)) {
            buf_printf(&text, "%s\n", buf_text(&reader->line));
            continue;
        }
        if (end_command(commands, &text, err) < 0)
            return -1;
        commands->more = commands->count == COMMENT_COMMANDS_MAX;
        if (commands->more)
            return 0;
        commands->items[commands->count].word = strdup(word);
        if (!commands->items[commands->count++].word)
            return error_set(err, ERROR_INTERNAL, "read a comment: out of memory");
        buf_printf(&text, "%s\n", rest);
    }
    return end_command(commands, &text, err) < 0 ? -1 : buf_check(&text, "comment", err);
}

int comment_read_commands(const char *body, bool (*begins)(const char *word), struct comment_commands *out,
                          struct error *err)
{
    struct reader reader = {.at = ""};
    struct comment_commands commands = {0};
    if (start(&reader, body, err) < 0)
        return -1;
    int status = read_commands(&reader, begins, &commands, err);
    buf_release(&reader.line);
    if (status < 0) {
        comment_commands_release(&commands);
        return -1;
    }
    *out = commands;
    return 0;
}

void comment_commands_release(struct comment_commands *commands)
{
    for (size_t i = 0; i < commands->count; i++) {
        free(commands->items[i].word);
        free(commands->items[i].text);
    }
    *commands = (struct comment_commands){0};
}

/* "- [x] text" in any of its forms; NULL when the line is none. */
static const char *box_text(const char *line, bool *ticked)
{
    line += strspn(line, " \t");
    if (!*line || !strchr("-*+", *line++) || (*line != ' ' && *line != '\t'))
        return NULL;
    line += strspn(line, " \t");
    if (line[0] != '[' || !line[1] || !strchr(" xX", line[1]) || line[2] != ']' || (line[3] != ' ' && line[3] != '\t'))
        return NULL;
    *ticked = line[1] != ' ';
    return line + 4 + strspn(line + 4, " \t");
}

static int add_box(struct comment_box **boxes, size_t *count, const char *text, bool ticked)
{
    struct comment_box *grown = reallocarray(*boxes, *count + 1, sizeof **boxes);
    if (!grown)
        return -1;
    *boxes = grown;
    grown[*count] = (struct comment_box){.text = strdup(text), .ticked = ticked};
    return grown[(*count)++].text ? 0 : -1;
}

int comment_read_boxes(const char *body, struct comment_box **boxes, size_t *count, struct error *err)
{
    struct reader reader = {.at = ""};
    struct comment_box *found = NULL;
    size_t found_count = 0;
    int status = 0;
    if (start(&reader, body, err) < 0)
        return -1;
    while (status == 0 && next_line(&reader)) {
        bool ticked;
        const char *text = reader.plain ? box_text(buf_text(&reader.line), &ticked) : NULL;
        if (text)
            status = add_box(&found, &found_count, text, ticked);
    }
    buf_release(&reader.line);
    if (status < 0) {
        comment_boxes_free(found, found_count);
        return error_set(err, ERROR_INTERNAL, "read a comment: out of memory");
    }
    *boxes = found;
    *count = found_count;
    return 0;
}

void comment_boxes_free(struct comment_box *boxes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(boxes[i].text);
    free(boxes);
}

bool comment_is_typo_of(const char *word, const char *meant)
{
    size_t same = 0;
    while (word[same] && word[same] == meant[same])
        same++;
    const char *a = word + same;
    const char *b = meant + same;
    if (!*a && !*b)
        return false;
    bool too_many = *a && strcmp(a + 1, b) == 0;
    bool too_few = *b && strcmp(a, b + 1) == 0;
    bool wrong = *a && *b && strcmp(a + 1, b + 1) == 0;
    bool swapped = *a && *b && a[0] == b[1] && a[1] == b[0] && strcmp(a + 2, b + 2) == 0;
    return too_many || too_few || wrong || swapped;
}
