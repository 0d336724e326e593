/* Edits by symbol: everything outside the symbols that are named stays byte for byte. */
#ifndef PIPELINE_EDIT_H
#define PIPELINE_EDIT_H

#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "pipeline/language.h"

enum edit_kind {
    EDIT_CREATE,  /* a new file with this text */
    EDIT_REPLACE, /* the symbol's definition is replaced */
    EDIT_ADD,     /* a definition is added: after the symbol `after`, or at the end of the file (of the class for
                     "Cart.total") */
    EDIT_IMPORT,  /* one import statement is added, if the file has not got it */
    EDIT_REMOVE,  /* the symbol's definition is removed */
};

struct edit {
    enum edit_kind kind;
    char *path;
    char *symbol; /* qualified; NULL for create and import */
    char *after;  /* or NULL */
    char *code;   /* NULL for remove; indentation is adapted to the place */
};

void edit_release(struct edit *edit);

/* Applies one edit to a file's text (`text` NULL: the file does not exist) and appends the result to `out`. ERROR_INPUT
 * with a sentence for the model: unknown symbol, code that does not parse, code that does not define the symbol. The
 * result must parse. */
int edit_apply(const struct language *language, const char *text, size_t len, const struct edit *edit, struct buf *out,
               struct error *err);

/* Applies a whole code block, as models like to write it: each top-level definition replaces the one of that name or is
 * added in order, a class that exists is merged member by member (members it does not mention stay), each import is
 * added once, top-level values replace the assignment of that name or are added after the imports; other statements (a
 * main guard, prints, calls) are ignored unless the file is new. `text` NULL: the block becomes the file. `skipped`
 * (may be NULL) gets a line for each statement left out. */
int edit_apply_block(const struct language *language, const char *text, size_t len, const char *code, struct buf *out,
                     struct buf *skipped, struct error *err);

#endif
