#include "app/base/markdown.h"

#include <stdbool.h>
#include <string.h>

#define ZERO_WIDTH_SPACE "&#8203;"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes above ASCII count as letters: they are parts of words in other scripts. */
static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* A text, with '\0' on both sides of it. */
struct reader {
    const char *text;
    size_t len;
};

static char at(const struct reader *in, size_t i)
{
    return i < in->len ? in->text[i] : '\0';
}

/* "GH-12" ends its "GH-" at `i`. */
static bool ends_gh(const struct reader *in, size_t i)
{
    return i >= 2 && strncasecmp(in->text + i - 2, "gh", 2) == 0 && (i == 2 || !is_word(in->text[i - 3]));
}

static void add_char(struct buf *out, const struct reader *in, size_t i)
{
    char c = in->text[i];
    char next = at(in, i + 1);
    if ((unsigned char)c < ' ' || c == 0x7f)
        c = ' ';
    if (c == '<')
        buf_puts(out, "&lt;");
    else if (c == '&' && (next == '#' || is_word(next)))
        buf_puts(out, "&amp;");
    else if (strchr("\\`*[]|~", c) || (c == '_' && !(i > 0 && is_word(in->text[i - 1]) && is_word(next))))
        buf_printf(out, "\\%c", c);
    else
        buf_putc(out, c);
    if ((c == '@' && is_word(next)) || (c == '#' && is_digit(next)) || (c == '-' && is_digit(next) && ends_gh(in, i)))
        buf_puts(out, ZERO_WIDTH_SPACE);
}

/* "12. " or "12) " at the start would be a numbered list; gives the index of its mark, or 0. */
static size_t list_mark(const struct reader *in)
{
    size_t i = 0;
    while (is_digit(at(in, i)))
        i++;
    char after = at(in, i + 1);
    bool mark = i > 0 && (at(in, i) == '.' || at(in, i) == ')') && ((unsigned char)after <= ' ');
    return mark ? i : 0;
}

int markdown_text(struct buf *out, const char *text, size_t len)
{
    while (len > 0 && (unsigned char)*text <= ' ') {
        text++;
        len--;
    }
    struct reader in = {text, len};
    size_t mark = list_mark(&in);
    for (size_t i = 0; i < len && !out->failed; i++) {
        if ((i == 0 && strchr("#>+-=/", text[0])) || (mark && i == mark))
            buf_putc(out, '\\');
        add_char(out, &in, i);
    }
    return out->failed ? -1 : 0;
}

/* The longest run of backticks in the text. */
static size_t longest_run(const char *text)
{
    size_t longest = 0;
    for (size_t run; *text; text += run + (text[run] != '\0')) {
        run = strspn(text, "`");
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void add_fence(struct buf *out, size_t count)
{
    while (count-- > 0)
        buf_putc(out, '`');
}

int markdown_code(struct buf *out, const char *text)
{
    size_t fence = longest_run(text) + 1;
    size_t len = strlen(text);
    if (len == 0)
        return 0;
    /* One space on each side is dropped again by the renderer. */
    bool pad = text[0] == '`' || text[len - 1] == '`' || (text[0] == ' ' && text[len - 1] == ' ');
    add_fence(out, fence);
    if (pad)
        buf_putc(out, ' ');
    for (; *text; text++)
        buf_putc(out, (unsigned char)*text < ' ' ? ' ' : *text);
    if (pad)
        buf_putc(out, ' ');
    add_fence(out, fence);
    return out->failed ? -1 : 0;
}

int markdown_block(struct buf *out, const char *info, const char *text)
{
    size_t longest = longest_run(text);
    size_t fence = longest < 3 ? 3 : longest + 1;
    size_t len = strlen(text);
    if (out->len && out->data[out->len - 1] != '\n')
        buf_putc(out, '\n');
    add_fence(out, fence);
    buf_printf(out, "%s\n%s%s", info, text, len && text[len - 1] != '\n' ? "\n" : "");
    add_fence(out, fence);
    buf_putc(out, '\n');
    return out->failed ? -1 : 0;
}
