#include "pipeline/symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/symbols_scan.h"

enum { MAX_SIGNATURE = 4096, MAX_VALUE_SIGNATURE = 200, MAX_ERROR_TEXT = 120, MAX_DOCUMENTATION = 16 * 1024 };

/* ---- texts ---- */

/* How much of the text fits in `max` bytes without cutting a UTF-8 character. */
static size_t cut_at_character(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static bool ends_inside_bracket(const struct buf *out)
{
    return out->len && scan_is(out->data[out->len - 1], "([{");
}

/* Adds one token of a signature. Line breaks (and comments) before it become one space, or none inside brackets. */
static void add_token(struct buf *out, const struct scan *scan, size_t gap_start, size_t start, size_t end)
{
    bool line_break = gap_start < start && memchr(scan->text + gap_start, '\n', start - gap_start);
    bool closes = start < end && scan_is(scan->text[start], ")]}");
    if (line_break ? !closes && !ends_inside_bracket(out) : gap_start < start)
        buf_putc(out, ' ');
    buf_add(out, scan->text + start, end - start);
}

/* The tokens of a node up to `limit`, on one line; at most `max` bytes. Strings stand as they are. */
static char *one_line(const struct scan *scan, TSNode node, size_t limit, size_t max)
{
    AUTO_BUF struct buf out = BUF_INIT(GRAMMAR_MAX_BYTES);
    TSTreeCursor cursor = ts_tree_cursor_new(node);
    size_t last = ts_node_start_byte(node);
    for (bool more = true; more && out.len <= max;) {
        TSNode at = ts_tree_cursor_current_node(&cursor);
        size_t start = ts_node_start_byte(at), end = ts_node_end_byte(at);
        unsigned flags = grammar_flags(scan->grammar, at);
        if (start >= limit)
            break;
        if (!(flags & (NODE_STRING | NODE_COMMENT)) && ts_tree_cursor_goto_first_child(&cursor))
            continue;
        if (!(flags & NODE_COMMENT) && start < end) {
            add_token(&out, scan, last, start, end < limit ? end : limit);
            last = end;
        }
        while (!(more = ts_tree_cursor_goto_next_sibling(&cursor)) && ts_tree_cursor_goto_parent(&cursor))
            ;
    }
    ts_tree_cursor_delete(&cursor);
    return strndup(buf_text(&out), cut_at_character(buf_text(&out), out.len, max));
}

/* ---- symbols ---- */

struct listing {
    struct scan *scan;
    size_t *symbols; /* for each definition: its index in out->items, or NO_OWNER */
    struct symbols *out;
    bool failed;
};

/* The comment that stands alone on a row; NULL when there is none. */
static const struct scan_comment *comment_on_row(const struct scan *scan, uint32_t row)
{
    size_t low = 0, high = scan->comment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scan->comments[middle].row == row)
            return scan->comments[middle].alone ? &scan->comments[middle] : NULL;
        if (scan->comments[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_file_comment(const struct scan *scan, const struct scan_comment *comment)
{
    return comment->row <= 1 && grammar_matches(scan->grammar, PATTERN_FILE_COMMENT, scan->text + comment->start,
                                                comment->end - comment->start);
}

/* Where the comment lines that touch a definition from above begin. */
static size_t comments_start(const struct scan *scan, const struct scan_definition *definition, size_t code_start)
{
    size_t start = code_start;
    for (uint32_t row = definition->outer.row; row > 0; row--) {
        const struct scan_comment *comment = comment_on_row(scan, row - 1);
        if (!comment || comment->column != definition->outer.column || is_file_comment(scan, comment))
            break;
        start = scan_back_to_line(scan, comment->start);
    }
    return start;
}

static bool is_empty_statement(const struct scan *scan, TSNode statement)
{
    unsigned flags = grammar_flags(scan->grammar, statement);
    if (flags & (NODE_PLACEHOLDER | NODE_COMMENT))
        return true;
    if (!(flags & NODE_STATEMENT) || ts_node_child_count(statement) != 1)
        return false;
    return grammar_flags(scan->grammar, ts_node_child(statement, 0)) & (NODE_PLACEHOLDER | NODE_STRING);
}

static bool is_placeholder(const struct scan *scan, TSNode body)
{
    bool empty = true;
    TSTreeCursor cursor = ts_tree_cursor_new(body);
    for (bool more = ts_tree_cursor_goto_first_child(&cursor); more && empty;
         more = ts_tree_cursor_goto_next_sibling(&cursor)) {
        TSNode child = ts_tree_cursor_current_node(&cursor);
        empty = !ts_node_is_named(child) || is_empty_statement(scan, child);
    }
    ts_tree_cursor_delete(&cursor);
    return empty;
}

/* Where the header (everything before the body's first comment or statement) ends. */
static size_t header_end(const struct scan *scan, TSNode node, TSNode body)
{
    size_t end = ts_node_start_byte(node), body_start = ts_node_start_byte(body);
    TSTreeCursor cursor = ts_tree_cursor_new(node);
    for (bool more = ts_tree_cursor_goto_first_child(&cursor); more; more = ts_tree_cursor_goto_next_sibling(&cursor)) {
        TSNode child = ts_tree_cursor_current_node(&cursor);
        if (ts_node_eq(child, body) || ts_node_start_byte(child) > body_start)
            break;
        if (!(grammar_flags(scan->grammar, child) & NODE_COMMENT))
            end = ts_node_end_byte(child);
    }
    ts_tree_cursor_delete(&cursor);
    return end;
}

static void fill_body(const struct scan *scan, TSNode node, struct symbol *symbol)
{
    TSNode body = ts_node_child_by_field_name(node, "body", 4);
    if (symbol->kind == SYMBOL_VALUE || ts_node_is_null(body)) {
        symbol->body_start = symbol->body_end = symbol->end;
        symbol->signature = one_line(scan, node, ts_node_end_byte(node), MAX_VALUE_SIGNATURE);
        return;
    }
    size_t header = header_end(scan, node, body);
    size_t line_end = scan_line_end(scan, header), start = ts_node_start_byte(body);
    symbol->body_start = line_end <= start ? line_end : start;
    if (symbol->body_start > symbol->end)
        symbol->body_start = symbol->end; /* in a broken text */
    symbol->body_end = symbol->end;
    symbol->placeholder = is_placeholder(scan, body);
    symbol->signature = one_line(scan, node, header, MAX_SIGNATURE);
}

/* Decorators like @overload or @total.setter say that the name has another definition. */
static bool has_further_decorator(const struct scan *scan, const struct symbol *symbol)
{
    for (size_t at = symbol->code_start; at < symbol->head_start; at = scan_line_end(scan, at)) {
        size_t end = scan_line_end(scan, at), start = at;
        while (start < end && scan_is(scan->text[start], " \t"))
            start++;
        while (end > start && scan_is(scan->text[end - 1], " \t\r\n"))
            end--;
        if (grammar_matches(scan->grammar, PATTERN_FURTHER, scan->text + start, end - start))
            return true;
    }
    return false;
}

static enum symbol_kind kind_of(const struct scan *scan, const struct scan_definition *definition)
{
    unsigned flags = grammar_flags(scan->grammar, definition->node);
    if (flags & NODE_CLASS)
        return SYMBOL_CLASS;
    if (!(flags & NODE_FUNCTION))
        return SYMBOL_VALUE;
    return definition->owner == NO_OWNER ? SYMBOL_FUNCTION : SYMBOL_METHOD;
}

static char *qualified_name(const struct listing *listing, const struct scan_definition *definition)
{
    const struct scan *scan = listing->scan;
    uint32_t start = ts_node_start_byte(definition->name);
    int len = (int)(ts_node_end_byte(definition->name) - start);
    if (definition->owner == NO_OWNER)
        return strndup(scan->text + start, (size_t)len);
    const struct symbol *owner = &listing->out->items[listing->symbols[definition->owner]];
    return text_format("%s.%.*s", owner->name, len, scan->text + start);
}

static void list_definition(struct listing *listing, const struct scan_definition *definition)
{
    const struct scan *scan = listing->scan;
    size_t head = ts_node_start_byte(definition->node);
    struct symbol symbol = {.kind = kind_of(scan, definition), .name = qualified_name(listing, definition)};
    symbol.head_start = scan_back_to_line(scan, head);
    symbol.code_start = scan_back_to_line(scan, definition->outer_start);
    symbol.start = comments_start(scan, definition, symbol.code_start);
    symbol.end = scan_on_to_line(scan, ts_node_end_byte(definition->node));
    symbol.indent = head - symbol.head_start;
    symbol.last_line = ts_node_end_point(definition->node).row + 1;
    symbol.first_line = definition->outer.row + 1;
    for (size_t i = symbol.start; i < symbol.code_start; i++)
        symbol.first_line -= scan->text[i] == '\n';
    fill_body(scan, definition->node, &symbol);
    symbol.further = has_further_decorator(scan, &symbol);
    listing->failed = listing->failed || !symbol.name || !symbol.signature;
    listing->out->items[listing->out->count++] = symbol;
}

int symbols_list(struct scan *scan, struct symbols *out, struct error *err)
{
    struct listing listing = {.scan = scan, .out = out};
    listing.symbols = calloc(scan->definition_count + 1, sizeof *listing.symbols);
    out->items = calloc(scan->definition_count + 1, sizeof *out->items);
    listing.failed = !listing.symbols || !out->items;
    for (size_t i = 0; !listing.failed && i < scan->definition_count; i++) {
        listing.symbols[i] = scan->definitions[i].listed ? out->count : NO_OWNER;
        if (scan->definitions[i].listed)
            list_definition(&listing, &scan->definitions[i]);
    }
    free(listing.symbols);
    return listing.failed ? error_system(err, ENOMEM, "read the source's symbols") : 0;
}

/* ---- documentation ---- */

struct documenting {
    const struct scan *scan;
    struct symbols *out;
};

/* The string's text: quotes and prefix off, the lines' common indentation off. */
static char *plain_documentation(const char *text, size_t len)
{
    size_t start = 0, quotes = 0;
    while (start < len && !scan_is(text[start], "\"'"))
        start++;
    while (start + quotes < len && quotes < 3 && text[start + quotes] == text[start])
        quotes++;
    quotes = quotes == 3 ? 3 : 1;
    if (len < start + 2 * quotes)
        return NULL;
    text += start + quotes;
    len -= start + 2 * quotes;
    size_t common = SIZE_MAX;
    for (const char *line = memchr(text, '\n', len); line; line = memchr(line, '\n', len - (size_t)(line - text))) {
        size_t left = len - (size_t)(++line - text), indent = 0;
        while (indent < left && scan_is(line[indent], " \t"))
            indent++;
        if (indent < left && line[indent] != '\n' && indent < common)
            common = indent;
    }
    AUTO_BUF struct buf out = BUF_INIT(GRAMMAR_MAX_BYTES);
    for (size_t at = 0, skip = 0; at < len; at++) {
        if (skip > 0 && scan_is(text[at], " \t")) {
            skip--;
            continue;
        }
        skip = text[at] == '\n' && common != SIZE_MAX ? common : 0;
        if (text[at] != '\r' && (out.len || !scan_is(text[at], " \t\n")))
            buf_putc(&out, text[at]);
    }
    while (out.len && scan_is(out.data[out.len - 1], " \t\n"))
        out.data[--out.len] = '\0';
    return strndup(buf_text(&out), cut_at_character(buf_text(&out), out.len, MAX_DOCUMENTATION));
}

static struct symbol *symbol_with_head(const struct symbols *symbols, const struct scan *scan, TSNode definition)
{
    size_t head = scan_back_to_line(scan, ts_node_start_byte(definition));
    size_t low = 0, high = symbols->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->items[middle].head_start == head)
            return &symbols->items[middle];
        if (symbols->items[middle].head_start < head)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int document(void *context, const struct grammar_capture *captures, size_t count)
{
    struct documenting *documenting = context;
    const TSNode *definition = NULL, *documentation = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(captures[i].name, "definition") == 0)
            definition = &captures[i].node;
        else if (strcmp(captures[i].name, "documentation") == 0)
            documentation = &captures[i].node;
    if (!definition || !documentation)
        return 0;
    struct symbol *symbol = symbol_with_head(documenting->out, documenting->scan, *definition);
    if (symbol && !symbol->documentation) {
        uint32_t start = ts_node_start_byte(*documentation);
        symbol->documentation_start = start;
        symbol->documentation_end = ts_node_end_byte(*documentation);
        symbol->documentation =
            plain_documentation(documenting->scan->text + start, ts_node_end_byte(*documentation) - start);
    }
    return 0;
}

/* ---- references and errors ---- */

struct reference {
    const char *text;
    size_t len;
};

static int by_text(const void *a, const void *b)
{
    const struct reference *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->text, right->text, len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static int list_references(const struct scan *scan, struct symbols *out, struct error *err)
{
    AUTO_FREE struct reference *names = calloc(scan->name_count + 1, sizeof *names);
    out->references = calloc(scan->name_count + 1, sizeof *out->references);
    if (!names || !out->references)
        return error_system(err, ENOMEM, "read the source's names");
    for (size_t i = 0; i < scan->name_count; i++)
        names[i] = (struct reference){scan->text + scan->names[i].start, scan->names[i].len};
    qsort(names, scan->name_count, sizeof *names, by_text);
    for (size_t i = 0; i < scan->name_count; i++) {
        if (i > 0 && by_text(&names[i - 1], &names[i]) == 0)
            continue;
        if (!(out->references[out->reference_count] = strndup(names[i].text, names[i].len)))
            return error_system(err, ENOMEM, "read the source's names");
        out->reference_count++;
    }
    return 0;
}

static int describe_error(const struct scan *scan, struct symbols *out, struct error *err)
{
    if (!scan->broken)
        return 0;
    size_t start = scan_line_start(scan, scan->error_byte), end = scan_line_end(scan, scan->error_byte);
    while (end > start && scan_is(scan->text[end - 1], "\r\n"))
        end--;
    out->error_line = 1;
    for (size_t i = 0; i < start; i++)
        out->error_line += scan->text[i] == '\n';
    out->error_text = strndup(scan->text + start, cut_at_character(scan->text + start, end - start, MAX_ERROR_TEXT));
    return out->error_text ? 0 : error_system(err, ENOMEM, "describe a syntax error");
}

/* ---- the whole ---- */

int symbols_parse(const struct language *language, const char *text, size_t len, struct symbols *out, struct error *err)
{
    AUTO_TREE TSTree *tree = grammar_parse(language->parser, text, len, err);
    if (!tree)
        return -1;
    struct scan scan = {
        .language = language, .grammar = language->parser, .text = text, .len = len, .root = ts_tree_root_node(tree)};
    struct symbols symbols = {0};
    struct documenting documenting = {&scan, &symbols};
    int failed = scan_tree(&scan, err) < 0 || symbols_list(&scan, &symbols, err) < 0 ||
                 symbols_list_imports(&scan, &symbols, err) < 0 || list_references(&scan, &symbols, err) < 0 ||
                 describe_error(&scan, &symbols, err) < 0 ||
                 grammar_query(scan.grammar, QUERY_DOCUMENTATION, scan.root, text, document, &documenting, err) < 0;
    if (!failed)
        symbols.import_end = symbols_import_end(&scan);
    scan_release(&scan);
    if (failed) {
        symbols_release(&symbols);
        return -1;
    }
    *out = symbols;
    return 0;
}

void symbols_release(struct symbols *symbols)
{
    for (size_t i = 0; i < symbols->count; i++) {
        free(symbols->items[i].name);
        free(symbols->items[i].signature);
        free(symbols->items[i].documentation);
    }
    for (size_t i = 0; i < symbols->import_count; i++) {
        struct source_import *import = &symbols->imports[i];
        for (size_t j = 0; j < import->name_count; j++) {
            free(import->names[j]);
            free(import->aliases[j]);
        }
        free(import->module);
        free(import->alias);
        free(import->names);
        free(import->aliases);
    }
    for (size_t i = 0; i < symbols->reference_count; i++)
        free(symbols->references[i]);
    free(symbols->items);
    free(symbols->imports);
    free(symbols->references);
    free(symbols->error_text);
    *symbols = (struct symbols){0};
}

const struct symbol *symbols_find(const struct symbols *symbols, const char *name)
{
    const struct symbol *found = NULL;
    for (size_t i = 0; i < symbols->count; i++)
        if (strcmp(symbols->items[i].name, name) == 0 && (!found || found->further || !symbols->items[i].further))
            found = &symbols->items[i];
    return found;
}

bool symbols_is_unwritten(const struct language *language, const char *text, const struct symbol *symbol)
{
    AUTO_FREE char *failing = language_failing_body(language);
    bool documented = symbol->documentation_end > symbol->documentation_start;
    size_t start = documented ? symbol->documentation_end : symbol->body_start;
    AUTO_FREE char *body = symbol->body_end > start ? strndup(text + start, symbol->body_end - start) : NULL;
    if (symbol->placeholder || !failing || !body)
        return symbol->placeholder;
    const char *line = body + strspn(body, " \t\r\n");
    const char *rest = line + strcspn(line, "\r\n");
    return strncmp(line, failing, strlen(failing)) == 0 && !rest[strspn(rest, " \t\r\n")];
}
