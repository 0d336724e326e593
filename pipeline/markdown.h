/* Just enough Markdown to read a spec: lines, fences, headings, tables.
 *
 * A reader walks over borrowed text line by line and knows whether a line is inside a fenced code block.
 */
#ifndef PIPELINE_MARKDOWN_H
#define PIPELINE_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>

struct markdown {
    const char *at;   /* the next line */
    const char *line; /* the current line, without its end; not NUL-terminated */
    size_t len;
    bool fenced;     /* the current line is inside a fence (the fence lines themselves are not) */
    bool fence_line; /* the current line opens or closes a fence */
    char fence_char; /* of the open fence */
    size_t fence_len;
    const char *info; /* the open fence's info string, borrowed, and its length */
    size_t info_len;
};

struct markdown markdown_start(const char *text);
bool markdown_next(struct markdown *reader); /* false at the end */

/* The level (1 to 6) of an ATX heading on the current line, and its text trimmed of marks, emphasis and a colon; 0 when
 * it is none. `text` points into the line. */
int markdown_heading(const struct markdown *reader, const char **text, size_t *len);

/* Splits a table row "| a | b |" into trimmed cells (escaped \| stay inside); 0 when the line is no row. */
enum { MARKDOWN_MAX_CELLS = 16 };
struct markdown_cell {
    const char *text;
    size_t len;
};
size_t markdown_cells(const struct markdown *reader, struct markdown_cell cells[static MARKDOWN_MAX_CELLS]);
bool markdown_is_rule_row(const struct markdown_cell *cells, size_t count); /* |---|:-:| */

/* A heap copy of a span without surrounding blanks, list marks, and one pair of backticks around the whole. */
char *markdown_plain(const char *text, size_t len);

#endif
