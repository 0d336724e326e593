/* Single expressions: the calls and values of examples (symbols.h). */
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/grammar.h"
#include "pipeline/symbols.h"

enum { MAX_EXPRESSION = 64 * 1024 };

/* What the nodes of an expression are, taken together. */
struct census {
    bool broken, refused;
    bool only_literals;
    bool has_float;
    unsigned sequence_depth; /* how deep sequences nest */
};

static void count_node(const struct grammar *grammar, TSNode node, struct census *census)
{
    unsigned flags = grammar_flags(grammar, node);
    if (ts_node_is_missing(node) || strcmp(ts_node_type(node), "ERROR") == 0)
        census->broken = true;
    if (flags & NODE_REFUSED)
        census->refused = true;
    if (flags & NODE_FLOAT)
        census->has_float = true;
    if (ts_node_is_named(node) && !(flags & (NODE_LITERAL | NODE_STATEMENT)))
        census->only_literals = false;
}

static struct census take_census(const struct grammar *grammar, TSNode root)
{
    struct census census = {.only_literals = true};
    TSTreeCursor cursor = ts_tree_cursor_new(root);
    unsigned open_sequences = 0;
    for (bool more = true; more;) {
        TSNode node = ts_tree_cursor_current_node(&cursor);
        count_node(grammar, node, &census);
        if (grammar_flags(grammar, node) & NODE_SEQUENCE)
            open_sequences++;
        if (open_sequences > census.sequence_depth)
            census.sequence_depth = open_sequences;
        if (ts_tree_cursor_goto_first_child(&cursor))
            continue;
        do {
            if (grammar_flags(grammar, ts_tree_cursor_current_node(&cursor)) & NODE_SEQUENCE)
                open_sequences--;
            more = ts_tree_cursor_goto_next_sibling(&cursor);
        } while (!more && ts_tree_cursor_goto_parent(&cursor));
    }
    ts_tree_cursor_delete(&cursor);
    return census;
}

/* A statement that is one expression and nothing more. Some expressions (*a) are none when they stand alone. */
static bool is_one_expression(const struct grammar *grammar, TSNode statement)
{
    if (!(grammar_flags(grammar, statement) & NODE_STATEMENT))
        return false;
    for (uint32_t i = 0; i < ts_node_named_child_count(statement); i++)
        if (grammar_flags(grammar, ts_node_named_child(statement, i)) & NODE_ONLY_INSIDE)
            return false;
    return true;
}

/* The text as a tree that holds one such statement, without comments around it; NULL otherwise. */
static TSTree *parse_expression(const struct language *language, const char *text, TSNode *expression,
                                struct census *census)
{
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    if (len == 0 || len > MAX_EXPRESSION)
        return NULL;
    AUTO_TREE TSTree *tree = grammar_parse(language->parser, text, len, NULL);
    if (!tree)
        return NULL;
    TSNode root = ts_tree_root_node(tree);
    TSNode statement = ts_node_child(root, 0);
    if (ts_node_child_count(root) != 1 || !is_one_expression(language->parser, statement) ||
        ts_node_start_byte(statement) != strspn(text, " \t") || ts_node_end_byte(statement) != len)
        return NULL;
    *census = take_census(language->parser, statement);
    if (census->broken || census->refused)
        return NULL;
    *expression = statement;
    return STEAL(tree);
}

bool symbols_is_expression(const struct language *language, const char *text)
{
    TSNode node;
    struct census census;
    AUTO_TREE TSTree *tree = parse_expression(language, text, &node, &census);
    return tree != NULL;
}

bool symbols_is_literal(const struct language *language, const char *text)
{
    TSNode node;
    struct census census;
    AUTO_TREE TSTree *tree = parse_expression(language, text, &node, &census);
    return tree && census.only_literals;
}

bool symbols_has_float(const struct language *language, const char *text)
{
    TSNode node;
    struct census census;
    AUTO_TREE TSTree *tree = parse_expression(language, text, &node, &census);
    return tree && census.has_float;
}

bool symbols_is_simple(const struct language *language, const char *text)
{
    TSNode node;
    struct census census;
    AUTO_TREE TSTree *tree = parse_expression(language, text, &node, &census);
    return tree && ts_node_child_count(node) == 1 &&
           (grammar_flags(language->parser, ts_node_child(node, 0)) &
            (NODE_CALL | NODE_CHAIN | NODE_NAME | NODE_LITERAL));
}

bool symbols_is_approximable(const struct language *language, const char *text)
{
    TSNode node;
    struct census census;
    AUTO_TREE TSTree *tree = parse_expression(language, text, &node, &census);
    if (!tree || !census.only_literals || !census.has_float)
        return false;
    if (ts_node_named_child_count(node) > 1) /* a tuple without parentheses */
        return census.sequence_depth == 0;
    const unsigned ends = NODE_FLOAT | NODE_SEQUENCE;
    while (!(grammar_flags(language->parser, node) & ends) && ts_node_named_child_count(node) == 1)
        node = ts_node_named_child(node, 0); /* a sign or parentheses */
    return (grammar_flags(language->parser, node) & ends) && census.sequence_depth <= 1;
}

char *symbols_callee(const struct language *language, const char *expression)
{
    TSNode node;
    struct census census;
    AUTO_TREE TSTree *tree = parse_expression(language, expression, &node, &census);
    if (!tree || ts_node_named_child_count(node) != 1)
        return NULL;
    bool called = false;
    node = ts_node_named_child(node, 0);
    while (grammar_flags(language->parser, node) & (NODE_CALL | NODE_CHAIN)) {
        called = called || (grammar_flags(language->parser, node) & NODE_CALL);
        node = ts_node_named_child(node, 0);
    }
    if (!called || !(grammar_flags(language->parser, node) & NODE_NAME))
        return NULL;
    uint32_t start = ts_node_start_byte(node);
    return strndup(expression + start, ts_node_end_byte(node) - start);
}
