#include "pipeline/edit_splice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/symbols_scan.h"

static int add_splice(struct splices *splices, struct splice splice, struct error *err)
{
    if (!splice.text || scan_grow(&splices->items, splices->count, &splices->size, sizeof *splices->items, err) < 0) {
        free(splice.text);
        return error_system(err, ENOMEM, "apply an edit");
    }
    splice.order = splices->count;
    splices->items[splices->count++] = splice;
    return 0;
}

int splices_replace(struct splices *splices, size_t start, size_t end, char *text, struct error *err)
{
    return add_splice(splices, (struct splice){.start = start, .end = end, .text = text}, err);
}

int splices_insert(struct splices *splices, struct splice insertion, struct error *err)
{
    insertion.end = insertion.start;
    return add_splice(splices, insertion, err);
}

static int by_place(const void *a, const void *b)
{
    const struct splice *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    bool left_inserts = left->start == left->end, right_inserts = right->start == right->end;
    if (left_inserts != right_inserts)
        return left_inserts ? -1 : 1;
    return left->order < right->order ? -1 : 1;
}

/* Blank lines directly before a line's beginning; SIZE_MAX at the text's beginning, where none are wanted. */
static size_t blank_lines_before(const char *text, size_t at)
{
    size_t ends = 0;
    while (at > 0 && strchr(" \t\r\n\f", text[at - 1]) && text[at - 1])
        ends += text[--at] == '\n';
    return at == 0 || (at == 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) ? SIZE_MAX : ends ? ends - 1 : 0;
}

static size_t blank_lines_after(const char *text, size_t len, size_t at)
{
    size_t ends = 0;
    for (; at < len && text[at] && strchr(" \t\r\n\f", text[at]); at++)
        ends += text[at] == '\n';
    return at == len ? SIZE_MAX : ends;
}

static void add_blanks(struct buf *out, size_t wanted, size_t present, const char *eol)
{
    for (; wanted > present; wanted--)
        buf_puts(out, eol);
}

/* Blank lines between two insertions at one place. */
static size_t gap(const struct splice *above, const struct splice *below)
{
    if (above->group != GROUP_NONE && above->group == below->group)
        return 0;
    return above->blanks_after > below->blanks_before ? above->blanks_after : below->blanks_before;
}

/* Writes the insertions items[0..count) that share one place. */
static void apply_insertions(const struct splice *items, size_t count, const char *text, size_t len, const char *eol,
                             struct buf *out)
{
    size_t at = items[0].start;
    if (at > 0 && text[at - 1] != '\n' && blank_lines_before(text, at) != SIZE_MAX)
        buf_puts(out, eol); /* the file's last line had no end */
    add_blanks(out, items[0].blanks_before, blank_lines_before(text, at), eol);
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, items[i].text);
        buf_puts(out, eol);
        if (i + 1 < count)
            add_blanks(out, gap(&items[i], &items[i + 1]), 0, eol);
        else
            add_blanks(out, items[i].blanks_after, blank_lines_after(text, len, at), eol);
    }
}

int splices_apply(struct splices *splices, const char *text, size_t len, const char *eol, struct buf *out,
                  struct error *err)
{
    size_t at = 0;
    if (splices->count)
        qsort(splices->items, splices->count, sizeof *splices->items, by_place);
    for (size_t i = 0; i < splices->count;) {
        const struct splice *splice = &splices->items[i++];
        if (splice->start < at)
            continue;
        buf_add(out, text + at, splice->start - at);
        at = splice->end;
        if (splice->start < splice->end) {
            buf_puts(out, splice->text);
            continue;
        }
        size_t count = 1;
        for (; i < splices->count && splices->items[i].start == at && splices->items[i].end == at; i++)
            count++;
        apply_insertions(splice, count, text, len, eol, out);
    }
    buf_add(out, text + at, len - at);
    return buf_check(out, "the edited file", err);
}

void splices_release(struct splices *splices)
{
    for (size_t i = 0; i < splices->count; i++)
        free(splices->items[i].text);
    free(splices->items);
    *splices = (struct splices){0};
}
