/* The first half of symbols_parse(): one walk over the tree, which notes what the rest is made of. Private to
 * pipeline/symbols*.c. */
#ifndef PIPELINE_SYMBOLS_SCAN_H
#define PIPELINE_SYMBOLS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "app/base/error.h"
#include "pipeline/grammar.h"
#include "pipeline/symbols.h"

#define NO_OWNER SIZE_MAX

struct scan_definition {
    TSNode node, name;
    TSPoint outer;        /* where its outermost wrapper begins: decorators */
    uint32_t outer_start; /* the same in bytes */
    bool listed;          /* top-level or a member of a listed class */
    size_t owner;         /* index of the class's definition, or NO_OWNER */
};

struct scan_comment {
    uint32_t start, end, row, column;
    bool alone; /* nothing else stands on its line */
};

struct scan_name {
    uint32_t start, len;
};

struct scan {
    const struct language *language;
    const struct grammar *grammar;
    const char *text;
    size_t len;
    TSNode root;
    struct scan_definition *definitions; /* by position */
    size_t definition_count, definition_size;
    struct scan_comment *comments; /* by position */
    size_t comment_count, comment_size;
    struct scan_name *names; /* every use of a name */
    size_t name_count, name_size;
    uint32_t *imports; /* where import statements of the file's top level begin, by position */
    size_t import_count, import_size;
    bool broken; /* there is a syntax error */
    uint32_t error_byte;
};

/* Fills everything from `definitions` on; the members before it are set by the caller. */
int scan_tree(struct scan *scan, struct error *err);
void scan_release(struct scan *scan);

/* The definition whose node begins at this byte; NULL when there is none. */
struct scan_definition *scan_definition_at(const struct scan *scan, uint32_t start);

/* Makes room for one more item; -1 without memory. */
int scan_grow(void *items, size_t count, size_t *size, size_t item_size, struct error *err);

/* Is the character one of the set? A NUL, which untrusted text may hold, never is. */
static inline bool scan_is(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Lines. A byte order mark belongs to no line. */
size_t scan_text_start(const struct scan *scan);
size_t scan_line_start(const struct scan *scan, size_t at);
size_t scan_line_end(const struct scan *scan, size_t at); /* after the line end */
/* `at`, or its line's start when only space stands before it. */
size_t scan_back_to_line(const struct scan *scan, size_t at);
/* `at`, or after its line's end when only space, ";" or a comment follow. */
size_t scan_on_to_line(const struct scan *scan, size_t at);

/* The second half. */
int symbols_list(struct scan *scan, struct symbols *out, struct error *err);
int symbols_list_imports(struct scan *scan, struct symbols *out, struct error *err);
size_t symbols_import_end(const struct scan *scan);

#endif
