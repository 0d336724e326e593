#include "pipeline/edit_code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/symbols_scan.h"

/* ---- statements and strings ---- */

static int add_statement(struct source *source, TSNode node, struct error *err)
{
    unsigned flags = grammar_flags(source->language->parser, node);
    if (flags & NODE_COMMENT || !ts_node_is_named(node))
        return 0;
    if (scan_grow(&source->statements, source->statement_count, &source->statement_size, sizeof *source->statements,
                  err) < 0)
        return -1;
    bool string = (flags & NODE_STATEMENT) && ts_node_child_count(node) == 1 &&
                  (grammar_flags(source->language->parser, ts_node_child(node, 0)) & NODE_STRING);
    source->statements[source->statement_count++] = (struct statement){
        .start = ts_node_start_byte(node),
        .end = ts_node_end_byte(node),
        .row = ts_node_start_point(node).row,
        .flags = flags,
        .documentation = string,
    };
    return 0;
}

static int add_string(struct source *source, TSNode node, bool documentation, struct error *err)
{
    uint32_t first = ts_node_start_point(node).row, last = ts_node_end_point(node).row;
    if (first == last)
        return 0;
    if (scan_grow(&source->strings, source->string_count, &source->string_size, sizeof *source->strings, err) < 0)
        return -1;
    source->strings[source->string_count++] = (struct string_rows){first + 1, last, documentation};
    return 0;
}

static int read_outline(struct source *source, TSNode root, struct error *err)
{
    TSTreeCursor cursor = ts_tree_cursor_new(root);
    int failed = 0;
    size_t depth = 0;
    bool statement = false; /* the node above is a statement of one expression */
    for (bool more = true; more && !failed;) {
        TSNode node = ts_tree_cursor_current_node(&cursor);
        unsigned flags = grammar_flags(source->language->parser, node);
        if (depth == 1)
            failed = add_statement(source, node, err);
        if (!failed && (flags & NODE_STRING))
            failed = add_string(source, node, statement && ts_node_is_null(ts_node_next_sibling(node)), err);
        statement = flags & NODE_STATEMENT;
        if (!(flags & NODE_STRING) && ts_tree_cursor_goto_first_child(&cursor)) {
            depth++;
            continue;
        }
        statement = false;
        while (!(more = ts_tree_cursor_goto_next_sibling(&cursor)) && ts_tree_cursor_goto_parent(&cursor))
            depth--;
    }
    ts_tree_cursor_delete(&cursor);
    return failed;
}

static int read_source(struct source *source, struct error *err)
{
    if (symbols_parse(source->language, source->text, source->len, &source->symbols, err) < 0)
        return -1;
    AUTO_TREE TSTree *tree = grammar_parse(source->language->parser, source->text, source->len, err);
    return tree ? read_outline(source, ts_tree_root_node(tree), err) : -1;
}

int source_read_file(const struct language *language, const char *text, size_t len, struct source *out,
                     struct error *err)
{
    struct source source = {.language = language, .len = len};
    source.text = calloc(len + 1, 1);
    if (!source.text)
        return error_system(err, ENOMEM, "read the file to edit");
    memcpy(source.text, text, len);
    if (read_source(&source, err) < 0) {
        source_release(&source);
        return -1;
    }
    *out = source;
    return 0;
}

void source_release(struct source *source)
{
    symbols_release(&source->symbols);
    free(source->text);
    free(source->statements);
    free(source->strings);
    free(source->original);
    free(source->rows);
    free(source->origin);
    *source = (struct source){0};
}

/* ---- code as models write it ---- */

const char *source_eol(const char *text, size_t len)
{
    const char *end = text ? memchr(text, '\n', len) : NULL;
    return end && end > text && end[-1] == '\r' ? "\r\n" : "\n";
}

static bool is_blank_line(const char *line)
{
    return line[strspn(line, " \t\r\f")] == '\n' || line[strspn(line, " \t\r\f")] == '\0';
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* Copies the code without a fence around it and without blank lines at its ends. */
static char *without_fence(const char *code)
{
    while (*code && is_blank_line(code))
        code = next_line(code);
    size_t len = strlen(code);
    while (len > 0 && strchr(" \t\r\n", code[len - 1]))
        len--;
    if (len > 6 && strncmp(code, "```", 3) == 0 && strncmp(code + len - 3, "```", 3) == 0) {
        size_t opening = (size_t)(next_line(code) - code);
        code += opening < len ? opening : len;
        len -= opening < len ? opening + 3 : len;
    }
    len += strspn(code + len, " \t"); /* space at the end of the last line is the author's */
    return strndup(code, len);
}

/* Line ends become the file's, unless the code mixes them: then somebody means it. */
static char *with_line_ends(const char *code, const char *eol)
{
    AUTO_BUF struct buf out = BUF_INIT(EDIT_MAX_BYTES);
    size_t all = 0, with_return = 0;
    for (const char *at = code; *at; at++) {
        all += *at == '\n';
        with_return += *at == '\n' && at > code && at[-1] == '\r';
    }
    if (with_return > 0 && with_return < all)
        return strdup(code);
    for (const char *line = code; *line; line = next_line(line)) {
        const char *next = next_line(line);
        size_t len = (size_t)(next - line);
        while (len > 0 && strchr("\r\n", line[len - 1]))
            len--;
        buf_add(&out, line, len);
        buf_puts(&out, next[-1] == '\n' ? eol : "");
    }
    return out.failed ? NULL : buf_steal(&out, NULL);
}

/* A method whose first line has lost its indentation on the way: it gets what the shallowest other line has, when
 * that makes sense of it. */
static char *with_first_line_indented(const char *code)
{
    size_t least = SIZE_MAX;
    const char *shallowest = NULL;
    for (const char *line = next_line(code); *line; line = next_line(line)) {
        size_t indent = strspn(line, " \t");
        if (!is_blank_line(line) && indent < least) {
            least = indent;
            shallowest = line;
        }
    }
    return shallowest && least > 0 && strspn(code, " \t") == 0 ? text_format("%.*s%s", (int)least, shallowest, code)
                                                               : NULL;
}

/* Notes the rows and takes the first line's indentation off every line, as far as a line has it. */
static int take_indentation_off(struct source *source)
{
    size_t count = 1;
    for (const char *at = source->original; *at; at++)
        count += *at == '\n';
    source->rows = calloc(count + 1, sizeof *source->rows);
    source->origin = calloc(count + 1, sizeof *source->origin);
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    const char *first = source->original;
    while (*first && is_blank_line(first))
        first = next_line(first);
    size_t indent = strspn(first, " \t");
    if (!source->rows || !source->origin)
        return -1;
    for (const char *line = source->original; *line; line = next_line(line)) {
        size_t same = 0;
        while (same < indent && line[same] == first[same])
            same++;
        source->rows[source->row_count] = text.len;
        source->origin[source->row_count++] = (size_t)(line - source->original);
        buf_add(&text, line + same, (size_t)(next_line(line) - line) - same);
    }
    source->rows[source->row_count] = text.len;
    source->origin[source->row_count] = strlen(source->original);
    if (text.failed)
        return -1;
    source->text = buf_steal(&text, &source->len);
    return source->text ? 0 : -1;
}

/* Takes over `original`. */
static int try_code(const struct language *language, char *original, struct source *out, struct error *err)
{
    struct source source = {.language = language, .original = original};
    if (!original || take_indentation_off(&source) < 0) {
        source_release(&source);
        return error_set(err, ERROR_LIMIT, "the code is larger than the %d bytes allowed", EDIT_MAX_BYTES);
    }
    if (read_source(&source, err) < 0) {
        source_release(&source);
        return -1;
    }
    *out = source;
    return 0;
}

int source_read_code(const struct language *language, const char *code, const char *eol, struct source *out,
                     struct error *err)
{
    AUTO_FREE char *bare = without_fence(code);
    AUTO_FREE char *plain = bare ? with_line_ends(bare, eol) : NULL;
    struct source source = {0};
    if (try_code(language, plain ? strdup(plain) : NULL, &source, err) < 0)
        return -1;
    AUTO_FREE char *repaired = source.symbols.error_line ? with_first_line_indented(plain) : NULL;
    if (repaired) {
        struct source second = {0};
        if (try_code(language, strdup(repaired), &second, err) < 0) {
            source_release(&source);
            return -1;
        }
        struct source worse = second.symbols.error_line ? second : source;
        source = second.symbols.error_line ? source : second;
        source_release(&worse);
    }
    if (source.symbols.error_line) {
        error_set(err, ERROR_INPUT, "the code does not parse: line %u: %s", source.symbols.error_line,
                  source.symbols.error_text);
        source_release(&source);
        return -1;
    }
    *out = source;
    return 0;
}

/* ---- pieces ---- */

static size_t row_of(const struct source *code, size_t at)
{
    size_t low = 0, high = code->row_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (code->rows[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The same place in the text as it was written: a row's beginning is before its indentation. */
static size_t original_place(const struct source *code, size_t at)
{
    size_t row = row_of(code, at);
    if (at >= code->len)
        return strlen(code->original);
    if (at == code->rows[row])
        return code->origin[row];
    size_t taken = (code->origin[row + 1] - code->origin[row]) - (code->rows[row + 1] - code->rows[row]);
    return code->origin[row] + taken + (at - code->rows[row]);
}

/* Is this row inside a string whose lines must stay where they are? Documentation moves along when all of it can. */
static bool is_fixed_row(const struct source *code, size_t row, const char *from, size_t from_len)
{
    for (size_t i = 0; i < code->string_count; i++) {
        const struct string_rows *string = &code->strings[i];
        if (row < string->first || row > string->last)
            continue;
        for (uint32_t j = string->first; string->documentation && j <= string->last; j++) {
            const char *line = code->original + code->origin[j];
            if (!is_blank_line(line) && strncmp(line, from, from_len) != 0)
                return true;
        }
        return !string->documentation;
    }
    return false;
}

static void add_moved_line(const struct source *code, size_t row, const char *line, size_t len, const char *from,
                           size_t from_len, const char *to, size_t to_len, struct buf *out)
{
    size_t same = 0;
    if (is_blank_line(line) || is_fixed_row(code, row, from, from_len)) {
        buf_add(out, line, len);
        return;
    }
    while (same < from_len && same < len && line[same] == from[same])
        same++;
    buf_add(out, to, to_len);
    buf_add(out, line + same, len - same);
}

int source_add_piece(const struct source *code, size_t start, size_t end, size_t from, const char *to, size_t to_len,
                     struct buf *out)
{
    size_t begin = original_place(code, start), stop = original_place(code, end);
    while (stop > begin && strchr("\r\n", code->original[stop - 1]))
        stop--;
    size_t row = row_of(code, start);
    bool whole_line = start == code->rows[row];
    /* The definition's own indentation, as it was written: the first line's. */
    const char *from_text = code->original + code->origin[row];
    size_t from_len = strspn(from_text, " \t");
    size_t taken = (code->origin[row + 1] - code->origin[row]) - (code->rows[row + 1] - code->rows[row]);
    if (from_len > taken + from)
        from_len = taken + from;
    if (!whole_line)
        buf_add(out, to, to_len);
    if (!whole_line || (from_len == to_len && strncmp(from_text, to, to_len) == 0))
        return buf_add(out, code->original + begin, stop - begin);
    for (size_t at = begin; at < stop; row++) {
        size_t next = row + 1 < code->row_count ? code->origin[row + 1] : stop;
        size_t line_end = next < stop ? next : stop;
        add_moved_line(code, row, code->original + at, line_end - at, from_text, from_len, to, to_len, out);
        at = line_end;
    }
    return out->failed ? -1 : 0;
}

const struct symbol **source_members(const struct source *source, const struct symbol *parent)
{
    const struct symbol **members = calloc(source->symbols.count + 1, sizeof(struct symbol *));
    size_t prefix = parent ? strlen(parent->name) + 1 : 0, count = 0;
    for (size_t i = 0; members && i < source->symbols.count; i++) {
        const struct symbol *symbol = &source->symbols.items[i];
        if (parent && (symbol->start < parent->start || symbol->end > parent->end || symbol == parent ||
                       strncmp(symbol->name, parent->name, prefix - 1) != 0 || symbol->name[prefix - 1] != '.'))
            continue;
        if (!strchr(symbol->name + prefix, '.'))
            members[count++] = symbol;
    }
    return members;
}

const char *symbol_last_name(const struct symbol *symbol)
{
    const char *dot = strrchr(symbol->name, '.');
    return dot ? dot + 1 : symbol->name;
}
