/* Takes out of a text what people do not see when they read it (context.h). */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/context.h"

/* Characters without a picture: zero-width, direction, tags, selectors that can carry data. */
static const struct {
    uint32_t first, last;
} invisible[] = {
    {0x00, 0x08},     {0x0b, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x34f, 0x34f},     {0x61c, 0x61c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
    {0x3164, 0x3164}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_invisible(uint32_t character)
{
    for (size_t i = 0; i < sizeof invisible / sizeof invisible[0]; i++)
        if (character >= invisible[i].first && character <= invisible[i].last)
            return true;
    return false;
}

/* Reads one UTF-8 character; 0 bytes when there is none that is well formed. */
static size_t read_character(const unsigned char *text, uint32_t *character)
{
    static const struct {
        unsigned char mask, lead;
        size_t len;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if ((text[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t value = text[0] & (unsigned char)~forms[i].mask;
        for (size_t j = 1; j < forms[i].len; j++) {
            if ((text[j] & 0xc0) != 0x80) /* the NUL at the end stops here, too */
                return 0;
            value = value << 6 | (text[j] & 0x3f);
        }
        *character = value;
        return value < forms[i].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) ? 0 : forms[i].len;
    }
    return 0;
}

/* Where an HTML comment that begins here ends. One that is never closed hides everything below it when it begins a
 * line, and is plain text otherwise (NULL). */
static const char *comment_end(const char *text, const char *comment, bool *none_closes)
{
    const char *close = *none_closes ? NULL : strstr(comment + 4, "-->");
    if (close)
        return close + 3;
    *none_closes = true; /* nor will a later one: the text is searched once */
    const char *line = comment;
    while (line > text && line[-1] == ' ')
        line--;
    return line == text || line[-1] == '\n' ? comment + strlen(comment) : NULL;
}

char *context_clean_text(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    AUTO_BUF struct buf out = BUF_INIT(SIZE_MAX / 4);
    bool none_closes = false;
    for (const char *at = text; *at;) {
        const char *end = strncmp(at, "<!--", 4) == 0 ? comment_end(text, at, &none_closes) : NULL;
        if (end) {
            at = end;
            continue;
        }
        uint32_t character = 0;
        size_t len = read_character((const unsigned char *)at, &character);
        if (len == 0)
            buf_puts(&out, replacement);
        else if (!is_invisible(character))
            buf_add(&out, at, len);
        at += len ? len : 1;
    }
    return out.failed ? NULL : buf_steal(&out, NULL);
}
