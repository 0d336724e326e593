/* The two sides of an edit: the file as it is, and code as a model wrote it. Private to pipeline/edit*.c.
 *
 * Code may come indented, with other line ends, or inside a fence. It is parsed without its indentation, but pieces are
 * taken from the text as it was written, so that a piece that fits its place is not touched at all. */
#ifndef PIPELINE_EDIT_CODE_H
#define PIPELINE_EDIT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "pipeline/grammar.h"
#include "pipeline/language.h"
#include "pipeline/symbols.h"

enum { EDIT_MAX_BYTES = GRAMMAR_MAX_BYTES };

/* One statement of the top level; comments are none. */
struct statement {
    size_t start, end; /* without the line end */
    uint32_t row;
    unsigned flags; /* enum node_flag */
    bool documentation;
};

/* Rows that a string spans after its first one: their indentation is data, or cosmetic in documentation. */
struct string_rows {
    uint32_t first, last;
    bool documentation;
};

struct source {
    const struct language *language;
    char *text; /* what the ranges of symbols and statements refer to; owned */
    size_t len;
    struct symbols symbols;
    struct statement *statements;
    size_t statement_count, statement_size;
    struct string_rows *strings;
    size_t string_count, string_size;
    /* Only for code: the same text with its common indentation. */
    char *original;
    size_t *rows;   /* where each row of `text` begins */
    size_t *origin; /* where it begins in `original` */
    size_t row_count;
};

/* A file: the text is copied. */
int source_read_file(const struct language *language, const char *text, size_t len, struct source *out,
                     struct error *err);
/* Code for a file whose line ends are `eol`. ERROR_INPUT with a sentence for the model when it does not parse. */
int source_read_code(const struct language *language, const char *code, const char *eol, struct source *out,
                     struct error *err);
void source_release(struct source *source);

/* "\n" or "\r\n", by the text's first line end. */
const char *source_eol(const char *text, size_t len);

/* Appends the range of code as it was written, moved from column `from` (the definition's own, in `text`) to the
 * indentation `to`. The last line end is left off. */
int source_add_piece(const struct source *code, size_t start, size_t end, size_t from, const char *to, size_t to_len,
                     struct buf *out);

/* The symbols directly inside `parent` (NULL: the top level); heap array ending in NULL. */
const struct symbol **source_members(const struct source *source, const struct symbol *parent);
/* The name's last step. */
const char *symbol_last_name(const struct symbol *symbol);

#endif
