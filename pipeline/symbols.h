/* What a source file defines and imports, by tree-sitter.
 *
 * Byte ranges are into the parsed text; a definition's range includes its decorators and the comment lines that
 * touch it from above, and ends after its last line's line end.
 */
#ifndef PIPELINE_SYMBOLS_H
#define PIPELINE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "pipeline/language.h"

enum symbol_kind { SYMBOL_FUNCTION, SYMBOL_CLASS, SYMBOL_METHOD, SYMBOL_VALUE };

struct symbol {
    enum symbol_kind kind;
    char *name;      /* qualified below the file: "slugify", "Cart.total" */
    char *signature; /* the definition without its body, on one line: "def total(self, vat: float = 0.2) -> float:" */
    char *documentation;                           /* its docstring's text, or NULL */
    size_t documentation_start, documentation_end; /* the docstring with its quotes; equal when there is none */
    size_t start, end;              /* the whole definition, with comments and decorators, in whole lines */
    size_t code_start;              /* after the comments: where decorators, or the definition's line, begin */
    size_t head_start;              /* after the decorators: where the definition's own line begins */
    bool further;                   /* an overload's or accessor's definition of a name that has another one */
    bool placeholder;               /* its body does nothing (pass, ...) */
    size_t body_start, body_end;    /* the body's block; equal for values */
    size_t indent;                  /* columns before it */
    uint32_t first_line, last_line; /* from 1 */
};

/* `import a, b` gives two with the same range. */
struct source_import {
    char *module;   /* "os.path", "" for `from . import x` */
    int level;      /* dots of a relative import */
    char *alias;    /* the name a plain import is bound to, or NULL */
    char **names;   /* names taken from it ("*" for all); none for a plain import */
    char **aliases; /* for each name: what it is bound to, or NULL: itself */
    size_t name_count;
    size_t start, end;
    uint32_t line;
    bool top_level; /* not inside a function, if or try */
    bool guarded;   /* inside a try that catches ImportError, or TYPE_CHECKING */
};

struct symbols {
    struct symbol *items; /* by position: top-level ones and members of classes, not what is inside functions or ifs */
    size_t count;
    struct source_import *imports;
    size_t import_count;
    size_t
        import_end; /* where a new import line goes: after the last top-level import, or after docstring and comments */
    uint32_t error_line; /* first line with a syntax error; 0 when the text parses */
    char *error_text;    /* that line, cut to 120 bytes; NULL when it parses */
    char **references;   /* names that are called or used anywhere, each once, sorted */
    size_t reference_count;
};

/* Parses; a text with syntax errors is not a failure (see error_line). Texts over 4 MiB or 65,000 tokens are
 * ERROR_LIMIT. Bounded in time. */
int symbols_parse(const struct language *language, const char *text, size_t len, struct symbols *out,
                  struct error *err);
void symbols_release(struct symbols *symbols);
/* The definition of a qualified name that counts: the last one, overloads and accessors aside. NULL when missing. */
const struct symbol *symbols_find(const struct symbols *symbols, const char *name);

/* True when the definition, one of `text`, is there to be written: its body does nothing, or only fails as the
 * language's stub does. */
bool symbols_is_unwritten(const struct language *language, const char *text, const struct symbol *symbol);

/* True when `text` is one expression of the language (an example's call or expected value). */
bool symbols_is_expression(const struct language *language, const char *text);
/* True when it is a literal built of constants only (numbers, strings, tuples, lists, dicts, sets, unary minus). */
bool symbols_is_literal(const struct language *language, const char *text);
/* True when it needs no parentheses beside an operator: a call, a member, a name, a literal. */
bool symbols_is_simple(const struct language *language, const char *text);
/* True when it is a literal that can be compared with a tolerance: a float, or a flat sequence that holds one. */
bool symbols_is_approximable(const struct language *language, const char *text);
/* True when it contains a float literal. */
bool symbols_has_float(const struct language *language, const char *text);
/* The function called at the top of a call expression ("f(2)" → "f", "Cart().total(3)" → "Cart"), heap; NULL when it is
 * no call. */
char *symbols_callee(const struct language *language, const char *expression);

#endif
