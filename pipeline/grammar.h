/* A language's tree-sitter grammar, made ready once: node types as flags, queries and patterns compiled.
 *
 * Nothing in it changes after grammar_new(), so one grammar serves many threads. Parsing and querying are bounded in
 * time and size, and never recurse on the depth of the text.
 */
#ifndef PIPELINE_GRAMMAR_H
#define PIPELINE_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tree_sitter/api.h>

#include "app/base/error.h"
#include "pipeline/language.h"

/* What a node's type is, by the lists in the language table's `nodes`. */
enum node_flag {
    NODE_FUNCTION = 1 << 0,
    NODE_CLASS = 1 << 1,
    NODE_IMPORT = 1 << 2,
    NODE_FIRST_IMPORT = 1 << 3,
    NODE_WRAPPER = 1 << 4,
    NODE_HOIST = 1 << 5,
    NODE_NAME = 1 << 6,
    NODE_COMMENT = 1 << 7,
    NODE_STRING = 1 << 8,
    NODE_STATEMENT = 1 << 9,
    NODE_CALL = 1 << 10,
    NODE_CHAIN = 1 << 11,
    NODE_LITERAL = 1 << 12,
    NODE_FLOAT = 1 << 13,
    NODE_SEQUENCE = 1 << 14,
    NODE_REFUSED = 1 << 15,
    NODE_PLACEHOLDER = 1 << 16,
    NODE_ONLY_INSIDE = 1 << 17,
    NODE_CHECK = 1 << 18,
};

enum grammar_query {
    QUERY_TAGS,
    QUERY_DEFINITIONS,
    QUERY_IMPORTS,
    QUERY_GUARDS,
    QUERY_DOCUMENTATION,
    QUERY_MUTANTS,
    QUERY_COUNT
};

/* The regular expressions of the language table's `layout`. */
enum grammar_pattern { PATTERN_FILE_COMMENT, PATTERN_FURTHER, PATTERN_ELISION, PATTERN_COUNT };

/* tree-sitter before 0.20.8 counts a node's children in 16 bits and frees the wrong memory when a text makes one with
 * more (a long run of errors or comments). No node has more children than the text has tokens. */
enum { GRAMMAR_MAX_BYTES = 4 << 20, GRAMMAR_MAX_TOKENS = 65000, GRAMMAR_MAX_ERROR = 4096, GRAMMAR_TIMEOUT_MS = 5000 };

/* Compiles; a query or pattern that is wrong is ERROR_CONFIG with the place. */
struct grammar *grammar_new(const struct language *language, struct error *err);
void grammar_free(struct grammar *grammar);

unsigned grammar_flags(const struct grammar *grammar, TSNode node);

/* Searches `len` bytes that hold no line end. */
bool grammar_matches(const struct grammar *grammar, enum grammar_pattern which, const char *text, size_t len);

/* The text's tree; free with ts_tree_delete(). NULL with ERROR_LIMIT or ERROR_TIMEOUT. */
TSTree *grammar_parse(const struct grammar *grammar, const char *text, size_t len, struct error *err);

struct grammar_capture {
    const char *name; /* "definition.function" */
    TSNode node;
};

/* Calls `each` with every match below root whose predicates (#eq?, #not-eq?, #match?, #any-of?) hold; it ends the
 * search by returning non-zero, which is returned. ERROR_TIMEOUT after GRAMMAR_TIMEOUT_MS. */
typedef int grammar_match(void *context, const struct grammar_capture *captures, size_t count);
int grammar_query(const struct grammar *grammar, enum grammar_query which, TSNode root, const char *text,
                  grammar_match *each, void *context, struct error *err);

#define AUTO_TREE __attribute__((cleanup(auto_tree)))
void auto_tree(TSTree **tree);

#endif
