/* Which definitions of a repository help with a request. Private to pipeline/context*.c. */
#ifndef PIPELINE_CONTEXT_PIECES_H
#define PIPELINE_CONTEXT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "pipeline/context.h"
#include "pipeline/context_tree.h"
#include "pipeline/symbols.h"

/* The words of a request, in lower case; `named`: written as code somewhere (`f`, f(…), snake_case, CamelCase). */
struct word {
    char *text; /* as it stands */
    char *lower;
    bool named;
};

struct words {
    struct word *items; /* each once */
    size_t count, size;
};

int words_read(const char *text, struct words *out, struct error *err);
void words_release(struct words *words);
const struct word *words_find(const struct words *words, const char *text, size_t len); /* exact */
/* Points for the parts ("tax", "rate" of tax_rate) that a name shares with the words and with another name. */
unsigned words_kinship(const struct words *words, const char *other, const char *name);

/* One definition that may be shown. */
struct piece {
    char *path, *symbol, *why, *text, *brief; /* brief: signature and documentation only */
    uint32_t first_line, last_line;
    unsigned score;
    bool shown_whole; /* set by the caller */
};

struct pieces {
    struct piece *items; /* best first */
    size_t count, size;
};

struct piece_request {
    const struct context_request *request;
    const struct words *words;
    const struct symbols *target; /* of the target file; NULL when it does not exist */
    const char *target_text;
    const struct tree_file *target_file; /* NULL when it does not exist */
};

int pieces_find(struct tree *tree, const struct piece_request *request, struct pieces *out, struct error *err);
void pieces_release(struct pieces *pieces);

/* The definition without its body: signature, and in comments which lines it has and the documentation's first one.
 * It is code that leaves the definition alone when an answer hands it back. Appended. */
void symbol_add_brief(const struct language *language, const struct symbol *symbol, struct buf *out);

#endif
