#include "pipeline/symbols_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"

enum { ERROR_SYMBOL = (TSSymbol)-1, CLOCK_EVERY = 4096 };

struct frame {
    unsigned flags;
    bool error;
    uint32_t start;
    TSPoint point;
    size_t definition; /* index, or NO_OWNER */
    bool has_column;   /* statements inside have begun lines, in this column */
    size_t column;
};

struct walk {
    struct scan *scan;
    struct frame *frames;
    size_t depth, size;
    size_t next_definition;
    size_t inside_imports; /* open import statements */
    struct error *err;
};

int scan_grow(void *items, size_t count, size_t *size, size_t item_size, struct error *err)
{
    size_t wanted = *size ? *size * 2 : 32;
    void *old, *grown;
    memcpy(&old, items, sizeof old);
    if (old && count < *size)
        return 0;
    grown = reallocarray(old, wanted, item_size);
    if (!grown)
        return error_system(err, ENOMEM, "read the source's symbols");
    memcpy(items, &grown, sizeof grown);
    *size = wanted;
    return 0;
}

/* ---- lines ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\r';
}

size_t scan_text_start(const struct scan *scan)
{
    return scan->len >= 3 && memcmp(scan->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

size_t scan_line_start(const struct scan *scan, size_t at)
{
    size_t first = scan_text_start(scan);
    while (at > first && scan->text[at - 1] != '\n')
        at--;
    return at;
}

size_t scan_line_end(const struct scan *scan, size_t at)
{
    const char *end = at < scan->len ? memchr(scan->text + at, '\n', scan->len - at) : NULL;
    return end ? (size_t)(end - scan->text) + 1 : scan->len;
}

size_t scan_back_to_line(const struct scan *scan, size_t at)
{
    size_t first = scan_text_start(scan), start = at;
    while (start > first && is_space(scan->text[start - 1]))
        start--;
    return start <= first || scan->text[start - 1] == '\n' ? start : at;
}

size_t scan_on_to_line(const struct scan *scan, size_t at)
{
    const char *comment = scan->language->comment;
    size_t i = at, comment_len = strlen(comment);
    while (i < scan->len && (is_space(scan->text[i]) || scan->text[i] == ';'))
        i++;
    bool ends = i == scan->len || scan->text[i] == '\n' ||
                (scan->len - i >= comment_len && memcmp(scan->text + i, comment, comment_len) == 0);
    return ends ? scan_line_end(scan, i) : at;
}

/* ---- definitions, by the queries ---- */

struct collect {
    struct scan *scan;
    struct error *err;
};

static int collect_definition(void *context, const struct grammar_capture *captures, size_t count)
{
    struct collect *collect = context;
    struct scan *scan = collect->scan;
    const struct grammar_capture *definition = NULL, *name = NULL, *reference = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(captures[i].name, "definition", 10) == 0)
            definition = &captures[i];
        else if (strncmp(captures[i].name, "reference", 9) == 0)
            reference = &captures[i];
        else if (strcmp(captures[i].name, "name") == 0)
            name = &captures[i];
    }
    if (name && reference) {
        if (scan_grow(&scan->names, scan->name_count, &scan->name_size, sizeof *scan->names, collect->err) < 0)
            return -1;
        uint32_t start = ts_node_start_byte(name->node);
        scan->names[scan->name_count++] = (struct scan_name){start, ts_node_end_byte(name->node) - start};
    }
    /* Where the text is broken the parser makes up names that are empty. */
    if (!name || !definition || ts_node_start_byte(name->node) == ts_node_end_byte(name->node))
        return 0;
    if (scan_grow(&scan->definitions, scan->definition_count, &scan->definition_size, sizeof *scan->definitions,
                  collect->err) < 0)
        return -1;
    scan->definitions[scan->definition_count++] =
        (struct scan_definition){.node = definition->node, .name = name->node, .owner = NO_OWNER};
    return 0;
}

static int by_start(const void *a, const void *b)
{
    uint32_t left = ts_node_start_byte(((const struct scan_definition *)a)->node);
    uint32_t right = ts_node_start_byte(((const struct scan_definition *)b)->node);
    return (left > right) - (left < right);
}

static int collect_definitions(struct scan *scan, struct error *err)
{
    struct collect collect = {scan, err};
    if (grammar_query(scan->grammar, QUERY_TAGS, scan->root, scan->text, collect_definition, &collect, err) != 0 ||
        grammar_query(scan->grammar, QUERY_DEFINITIONS, scan->root, scan->text, collect_definition, &collect, err) != 0)
        return -1;
    if (scan->definition_count)
        qsort(scan->definitions, scan->definition_count, sizeof *scan->definitions, by_start);
    size_t kept = 0; /* a node that two patterns name is one definition */
    for (size_t i = 0; i < scan->definition_count; i++)
        if (!kept || by_start(&scan->definitions[kept - 1], &scan->definitions[i]) != 0)
            scan->definitions[kept++] = scan->definitions[i];
    scan->definition_count = kept;
    return 0;
}

struct scan_definition *scan_definition_at(const struct scan *scan, uint32_t start)
{
    size_t low = 0, high = scan->definition_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t at = ts_node_start_byte(scan->definitions[middle].node);
        if (at == start)
            return &scan->definitions[middle];
        if (at < start)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- the walk ---- */

/* Where a definition stands: at the file's top level, or in the body of a class that is listed itself. */
static void place_definition(struct walk *walk, struct scan_definition *definition, TSNode node)
{
    definition->outer_start = ts_node_start_byte(node);
    definition->outer = ts_node_start_point(node);
    size_t i = walk->depth;
    for (; i > 1; i--) {
        const struct frame *above = &walk->frames[i - 1];
        if (!above->error && !(above->flags & (NODE_WRAPPER | NODE_STATEMENT)))
            break;
        if (!above->error) {
            definition->outer_start = above->start;
            definition->outer = above->point;
        }
    }
    definition->listed = i <= 1;
    if (i < 3 || !(walk->frames[i - 1].flags & NODE_HOIST) || !(walk->frames[i - 2].flags & NODE_CLASS))
        return;
    definition->owner = walk->frames[i - 2].definition;
    definition->listed = definition->owner != NO_OWNER && walk->scan->definitions[definition->owner].listed;
}

static size_t definition_index(struct walk *walk, TSNode node)
{
    struct scan *scan = walk->scan;
    uint32_t start = ts_node_start_byte(node);
    while (walk->next_definition < scan->definition_count &&
           ts_node_start_byte(scan->definitions[walk->next_definition].node) < start)
        walk->next_definition++;
    if (walk->next_definition == scan->definition_count ||
        !ts_node_eq(scan->definitions[walk->next_definition].node, node))
        return NO_OWNER;
    return walk->next_definition;
}

static void note_error(struct scan *scan, uint32_t byte)
{
    if (!scan->broken || byte < scan->error_byte)
        scan->error_byte = byte;
    scan->broken = true;
}

static int note_comment(struct walk *walk, TSNode node)
{
    struct scan *scan = walk->scan;
    if (scan_grow(&scan->comments, scan->comment_count, &scan->comment_size, sizeof *scan->comments, walk->err) < 0)
        return -1;
    TSPoint point = ts_node_start_point(node);
    uint32_t start = ts_node_start_byte(node);
    size_t line = scan_back_to_line(scan, start);
    bool alone = line <= scan_text_start(scan) || scan->text[line - 1] == '\n';
    scan->comments[scan->comment_count++] =
        (struct scan_comment){start, ts_node_end_byte(node), point.row, point.column, alone};
    return 0;
}

static int note_name(struct walk *walk, TSNode node)
{
    struct scan *scan = walk->scan;
    const struct frame *above = walk->depth ? &walk->frames[walk->depth - 1] : NULL;
    uint32_t start = ts_node_start_byte(node);
    if (walk->inside_imports ||
        (above && above->definition != NO_OWNER && ts_node_eq(scan->definitions[above->definition].name, node)))
        return 0;
    if (scan_grow(&scan->names, scan->name_count, &scan->name_size, sizeof *scan->names, walk->err) < 0)
        return -1;
    scan->names[scan->name_count++] = (struct scan_name){start, ts_node_end_byte(node) - start};
    return 0;
}

static int note_import(struct walk *walk, TSNode node)
{
    struct scan *scan = walk->scan;
    if (scan_grow(&scan->imports, scan->import_count, &scan->import_size, sizeof *scan->imports, walk->err) < 0)
        return -1;
    scan->imports[scan->import_count++] = ts_node_start_byte(node);
    return 0;
}

/* Where layout is syntax, the statements of one body begin in one column; the grammar is more generous. */
static void check_column(struct walk *walk, unsigned flags, uint32_t start)
{
    const struct scan *scan = walk->scan;
    struct frame *above = walk->depth ? &walk->frames[walk->depth - 1] : NULL;
    if (!scan->language->layout.aligned || !above || (flags & NODE_COMMENT) ||
        !(above->flags & (NODE_HOIST | NODE_WRAPPER) || walk->depth == 1))
        return;
    size_t line = scan_back_to_line(scan, start);
    if (line > scan_text_start(scan) && scan->text[line - 1] != '\n')
        return;
    size_t column = 0;
    for (size_t i = line; i < start; i++)
        column = scan->text[i] == '\f' ? 0 : column + 1;
    if (column != (walk->depth == 1 ? 0 : above->has_column ? above->column : column))
        note_error(walk->scan, start);
    above->has_column = true;
    above->column = column;
}

static int visit(struct walk *walk, TSNode node)
{
    unsigned flags = grammar_flags(walk->scan->grammar, node);
    uint32_t start = ts_node_start_byte(node);
    bool error = ts_node_symbol(node) == (TSSymbol)ERROR_SYMBOL;
    bool empty_body = (flags & NODE_HOIST) && start == ts_node_end_byte(node);
    if (error || empty_body || ts_node_is_missing(node))
        note_error(walk->scan, start);
    else if (ts_node_is_named(node))
        check_column(walk, flags, start);
    size_t definition = definition_index(walk, node);
    if (definition != NO_OWNER)
        place_definition(walk, &walk->scan->definitions[definition], node);
    if (((flags & NODE_COMMENT) && note_comment(walk, node) < 0) ||
        ((flags & NODE_NAME) && note_name(walk, node) < 0) ||
        ((flags & NODE_IMPORT) && walk->depth == 1 && note_import(walk, node) < 0) ||
        scan_grow(&walk->frames, walk->depth, &walk->size, sizeof *walk->frames, walk->err) < 0 || !walk->frames)
        return -1;
    if (flags & NODE_IMPORT)
        walk->inside_imports++;
    walk->frames[walk->depth++] = (struct frame){
        .flags = flags, .error = error, .start = start, .point = ts_node_start_point(node), .definition = definition};
    return 0;
}

static void leave(struct walk *walk)
{
    if (walk->frames[--walk->depth].flags & NODE_IMPORT)
        walk->inside_imports--;
}

static int walk_nodes(struct walk *walk, TSTreeCursor *cursor)
{
    int64_t deadline = clock_monotonic_ms() + GRAMMAR_TIMEOUT_MS;
    for (size_t visited = 1;; visited++) {
        if (visited % CLOCK_EVERY == 0 && clock_monotonic_ms() > deadline)
            return error_set(walk->err, ERROR_TIMEOUT, "the source takes too long to read");
        if (visit(walk, ts_tree_cursor_current_node(cursor)) < 0)
            return -1;
        if (ts_tree_cursor_goto_first_child(cursor))
            continue;
        leave(walk);
        while (!ts_tree_cursor_goto_next_sibling(cursor)) {
            if (!ts_tree_cursor_goto_parent(cursor))
                return 0;
            leave(walk);
        }
    }
}

int scan_tree(struct scan *scan, struct error *err)
{
    if (collect_definitions(scan, err) < 0)
        return -1;
    struct walk walk = {.scan = scan, .err = err};
    TSTreeCursor cursor = ts_tree_cursor_new(scan->root);
    int result = walk_nodes(&walk, &cursor);
    ts_tree_cursor_delete(&cursor);
    free(walk.frames);
    return result;
}

void scan_release(struct scan *scan)
{
    free(scan->definitions);
    free(scan->comments);
    free(scan->names);
    free(scan->imports);
}
