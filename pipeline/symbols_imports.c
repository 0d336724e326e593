/* The imports of a source file, and where a new one goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/symbols_scan.h"

/* The captures of the imports query become events; in the order of the text they read like a sentence: "from", a
 * module, its names, each perhaps with an alias. */
enum event_kind { EVENT_LEVEL, EVENT_MODULE, EVENT_SUBMODULE, EVENT_NAME, EVENT_ALIAS, EVENT_COUNT };

static const char *const event_names[EVENT_COUNT] = {"level", "module", "submodule", "name", "alias"};

struct event {
    enum event_kind kind;
    TSNode node, statement;
};

struct range {
    uint32_t start, end;
};

struct importing {
    struct scan *scan;
    struct event *events;
    size_t event_count, event_size;
    struct range *guards;
    size_t guard_count, guard_size;
    struct error *err;
};

static int add_event(struct importing *importing, enum event_kind kind, TSNode node, TSNode statement)
{
    if (scan_grow(&importing->events, importing->event_count, &importing->event_size, sizeof *importing->events,
                  importing->err) < 0)
        return -1;
    importing->events[importing->event_count++] = (struct event){kind, node, statement};
    return 0;
}

static int take_captures(void *context, const struct grammar_capture *captures, size_t count)
{
    const TSNode *statement = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(captures[i].name, "import") == 0)
            statement = &captures[i].node;
    for (size_t i = 0; statement && i < count; i++)
        for (int kind = 0; kind < EVENT_COUNT; kind++)
            if (strcmp(captures[i].name, event_names[kind]) == 0 &&
                add_event(context, (enum event_kind)kind, captures[i].node, *statement) < 0)
                return -1;
    return 0;
}

static int take_guard(void *context, const struct grammar_capture *captures, size_t count)
{
    struct importing *importing = context;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(captures[i].name, "guarded") != 0)
            continue;
        if (scan_grow(&importing->guards, importing->guard_count, &importing->guard_size, sizeof *importing->guards,
                      importing->err) < 0)
            return -1;
        importing->guards[importing->guard_count++] =
            (struct range){ts_node_start_byte(captures[i].node), ts_node_end_byte(captures[i].node)};
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct event *left = a, *right = b;
    uint32_t left_start = ts_node_start_byte(left->node), right_start = ts_node_start_byte(right->node);
    if (left_start != right_start)
        return left_start < right_start ? -1 : 1;
    return (int)left->kind - (int)right->kind;
}

static int by_range(const void *a, const void *b)
{
    const struct range *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

/* A dotted name may be written with spaces and line breaks between its steps. */
static char *text_without_space(const struct scan *scan, TSNode node)
{
    uint32_t start = ts_node_start_byte(node), end = ts_node_end_byte(node);
    char *text = calloc(end - start + 1, 1);
    for (size_t len = 0; text && start < end; start++)
        if (!scan_is(scan->text[start], " \t\r\n\\"))
            text[len++] = scan->text[start];
    return text;
}

static bool begins_at_top(const struct scan *scan, uint32_t start)
{
    size_t low = 0, high = scan->import_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scan->imports[middle] == start)
            return true;
        if (scan->imports[middle] < start)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static struct source_import *begin_import(const struct importing *importing, const struct event *event,
                                          struct symbols *out)
{
    uint32_t start = ts_node_start_byte(event->statement);
    struct source_import *import = &out->imports[out->import_count++];
    *import = (struct source_import){.start = start,
                                     .end = ts_node_end_byte(event->statement),
                                     .line = ts_node_start_point(event->statement).row + 1,
                                     .top_level = begins_at_top(importing->scan, start)};
    return import;
}

static int add_name(struct source_import *import, char *name)
{
    char **names = reallocarray(import->names, import->name_count + 1, sizeof *names);
    if (names)
        import->names = names;
    char **aliases = reallocarray(import->aliases, import->name_count + 1, sizeof *aliases);
    if (aliases)
        import->aliases = aliases;
    if (!names || !aliases)
        return -1;
    names[import->name_count] = name;
    aliases[import->name_count++] = NULL;
    return 0;
}

/* Takes one event into the list. A module always begins an import; what follows belongs to it. */
static int take_event(const struct importing *importing, const struct event *event, struct symbols *out)
{
    struct source_import *import = out->import_count ? &out->imports[out->import_count - 1] : NULL;
    char *text = text_without_space(importing->scan, event->node);
    if (!text)
        return -1;
    if (event->kind == EVENT_LEVEL) {
        import = begin_import(importing, event, out);
        import->level = (int)strlen(text);
        free(text);
        return (import->module = strdup("")) ? 0 : -1;
    }
    if (event->kind == EVENT_MODULE) {
        begin_import(importing, event, out)->module = text;
        return 0;
    }
    char **place = NULL;
    if (!import || import->start != ts_node_start_byte(event->statement)) {
        free(text); /* a name without a module: only in a text with syntax errors */
        return 0;
    }
    if (event->kind == EVENT_SUBMODULE)
        place = &import->module;
    else if (event->kind == EVENT_ALIAS)
        place = import->name_count ? &import->aliases[import->name_count - 1] : &import->alias;
    if (place) {
        free(*place);
        *place = text;
        return 0;
    }
    if (add_name(import, text) == 0)
        return 0;
    free(text);
    return -1;
}

/* Guards nest, so a place is guarded when it lies before the farthest end of those that began earlier. */
static void mark_guarded(const struct importing *importing, struct symbols *out)
{
    uint32_t farthest = 0;
    for (size_t i = 0, next = 0; i < out->import_count; i++) {
        for (; next < importing->guard_count && importing->guards[next].start <= out->imports[i].start; next++)
            if (importing->guards[next].end > farthest)
                farthest = importing->guards[next].end;
        out->imports[i].guarded = out->imports[i].start < farthest;
    }
}

int symbols_list_imports(struct scan *scan, struct symbols *out, struct error *err)
{
    struct importing importing = {.scan = scan, .err = err};
    int failed = grammar_query(scan->grammar, QUERY_IMPORTS, scan->root, scan->text, take_captures, &importing, err) ||
                 grammar_query(scan->grammar, QUERY_GUARDS, scan->root, scan->text, take_guard, &importing, err);
    if (!failed && !(out->imports = calloc(importing.event_count + 1, sizeof *out->imports))) {
        error_system(err, ENOMEM, "read the source's imports");
        failed = 1;
    }
    if (!failed && importing.event_count)
        qsort(importing.events, importing.event_count, sizeof *importing.events, by_place);
    if (!failed && importing.guard_count)
        qsort(importing.guards, importing.guard_count, sizeof *importing.guards, by_range);
    for (size_t i = 0; !failed && i < importing.event_count; i++)
        if (take_event(&importing, &importing.events[i], out) < 0)
            failed = error_system(err, ENOMEM, "read the source's imports");
    if (!failed)
        mark_guarded(&importing, out);
    free(importing.events);
    free(importing.guards);
    return failed ? -1 : 0;
}

/* ---- where a new import goes ---- */

/* Where the first line that is no comment begins. */
static size_t first_code_line(const struct scan *scan)
{
    size_t start = scan->len;
    TSTreeCursor cursor = ts_tree_cursor_new(scan->root);
    for (bool more = ts_tree_cursor_goto_first_child(&cursor); more; more = ts_tree_cursor_goto_next_sibling(&cursor)) {
        TSNode child = ts_tree_cursor_current_node(&cursor);
        if (grammar_flags(scan->grammar, child) & NODE_COMMENT)
            continue;
        start = scan_back_to_line(scan, ts_node_start_byte(child));
        break;
    }
    ts_tree_cursor_delete(&cursor);
    return start;
}

/* After the comments at the file's top: those that say something of the file, and those that no code touches. */
static size_t comments_end(const struct scan *scan)
{
    size_t end = scan_text_start(scan), first_code = first_code_line(scan);
    for (size_t i = 0; i < scan->comment_count && scan->comments[i].start < first_code; i++) {
        const struct scan_comment *comment = &scan->comments[i];
        size_t after = scan_line_end(scan, comment->end);
        bool last_of_block = i + 1 == scan->comment_count || scan->comments[i + 1].start >= first_code ||
                             scan->comments[i + 1].row > comment->row + 1;
        bool file_comment =
            comment->row <= 1 && grammar_matches(scan->grammar, PATTERN_FILE_COMMENT, scan->text + comment->start,
                                                 comment->end - comment->start);
        if (file_comment || (last_of_block && after < first_code) || (last_of_block && first_code == scan->len))
            end = after;
    }
    return end;
}

static bool is_documentation(const struct scan *scan, TSNode statement)
{
    return (grammar_flags(scan->grammar, statement) & NODE_STATEMENT) && ts_node_child_count(statement) == 1 &&
           (grammar_flags(scan->grammar, ts_node_child(statement, 0)) & NODE_STRING);
}

size_t symbols_import_end(const struct scan *scan)
{
    size_t end = comments_end(scan);
    bool first = true, open = false; /* open: the statement at `end` shares its line with what follows */
    uint32_t open_row = 0;
    TSTreeCursor cursor = ts_tree_cursor_new(scan->root);
    for (bool more = ts_tree_cursor_goto_first_child(&cursor); more; more = ts_tree_cursor_goto_next_sibling(&cursor)) {
        TSNode child = ts_tree_cursor_current_node(&cursor);
        unsigned flags = grammar_flags(scan->grammar, child);
        bool same_line = open && ts_node_start_point(child).row == open_row;
        if (flags & (NODE_FUNCTION | NODE_CLASS | NODE_WRAPPER))
            break;
        open = same_line || (flags & NODE_IMPORT) || (first && is_documentation(scan, child));
        if (open) {
            end = scan_line_end(scan, ts_node_end_byte(child));
            open_row = ts_node_end_point(child).row;
        }
        first = first && (flags & NODE_COMMENT);
    }
    ts_tree_cursor_delete(&cursor);
    return end;
}
