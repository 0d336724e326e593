/* Merges code into a file, symbol by symbol. Private to pipeline/edit*.c. */
#ifndef PIPELINE_EDIT_MERGE_H
#define PIPELINE_EDIT_MERGE_H

#include "pipeline/edit_code.h"
#include "pipeline/edit_splice.h"

struct merge {
    const struct language *language;
    struct source file, code;
    struct splices splices;
    const char *eol;
    const char *target;  /* the one symbol that is asked for, or NULL; it is replaced whole and may become a stub */
    const char *after;   /* an added target goes after this symbol of the file; or NULL */
    struct buf *skipped; /* a line for each statement left out; or NULL */
    struct error *err;
};

/* Symbols on both sides that stand for the same thing, and where additions go. */
struct pairing {
    const struct symbol *owner;  /* the class of the file; NULL for the top level */
    const struct symbol **codes; /* the code's symbols here, in order; ends in NULL */
    const struct symbol **files; /* the file's */
    const struct symbol **pairs; /* for each of the code's: the file's, or NULL */
    bool *dropped;               /* for each of the code's: left out */
    bool *taken;                 /* for each of the file's: paired */
};

/* Fills pairs, dropped and taken. */
void pairing_fill(struct merge *merge, struct pairing *pairing);

size_t symbols_count(const struct symbol *const *symbols); /* of an array that ends in NULL */

/* Collects the splices for everything in the code. */
int merge_code(struct merge *merge);
int merge_imports(struct merge *merge); /* its part for imports */
bool merge_is_guarded_import(const struct merge *merge, const struct statement *statement);
void merge_release(struct merge *merge);

/* The class of the file that a bare method of the code belongs to; NULL for a function. */
const struct symbol *merge_class_of(const struct merge *merge, const struct symbol *method);

/* The number of blank lines wanted between a new top-level line and what follows at this place. */
size_t merge_blanks_after(const struct merge *merge, size_t at);

/* Notes that something of the code (a range) was left out. */
void merge_skip(struct merge *merge, size_t start, size_t end, const char *reason);

/* Two ranges that differ in space only? */
bool merge_same_words(const char *a, size_t a_len, const char *b, size_t b_len);

/* Does the file hold a statement of its top level with this text? */
bool merge_file_has(const struct merge *merge, const struct statement *statement);

#endif
