/* The examples of a spec, exactly as given: `f(2) -> 4`, doctests, tables, fenced input and output.
 *
 * They become tests as they stand, so a line is an example only when its call parses as a call of the language and its
 * result as a value; everything else stays prose. */
#include "pipeline/spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "pipeline/markdown.h"
#include "pipeline/spec_bindings.h"
#include "pipeline/spec_scan.h"
#include "pipeline/symbols.h"

enum { MAX_SPANS = 16, MAX_EXAMPLE_BYTES = 8192 };

struct code_span {
    const char *start, *end; /* inside the backticks */
    const char *before;      /* where the text before the opening backtick begins */
};

static size_t code_spans(const char *line, struct code_span spans[static MAX_SPANS])
{
    size_t count = 0;
    const char *before = line;
    for (const char *at = line; (at = strchr(at, '`')) && count < MAX_SPANS;) {
        size_t ticks = strspn(at, "`");
        const char *start = at + ticks, *end = start;
        while ((end = strchr(end, '`')) && strspn(end, "`") != ticks)
            end += strspn(end, "`");
        if (!end)
            break;
        spans[count++] = (struct code_span){start, end, before};
        before = at = end + ticks;
    }
    return count;
}

/* "`f(2)` returns `4`", "`f(2) -> 4` and `f(3) -> 9`" */
static void scan_code_spans(struct scan *scan, const char *line)
{
    struct code_span spans[MAX_SPANS];
    size_t count = code_spans(line, spans);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *code = strndup(spans[i].start, (size_t)(spans[i].end - spans[i].start));
        if (!code || split_pair(scan, code, line))
            continue;
        bool raises = false;
        if (i + 1 < count && connects(spans[i + 1].before, spans[i + 1].start - 1, &raises)) {
            AUTO_FREE char *result = strndup(spans[i + 1].start, (size_t)(spans[i + 1].end - spans[i + 1].start));
            if (result && take_pair(scan, code, result, raises, line))
                i++;
        } else if (i + 1 == count) {
            const char *rest = spans[i].end + strspn(spans[i].end, "`");
            AUTO_FREE char *tail = text_format("%s%s", code, rest);
            if (tail)
                split_pair(scan, tail, line); /* "`f(2)` -> 4" */
        }
    }
}

static void scan_prose(struct scan *scan, const struct markdown *reader)
{
    AUTO_FREE char *line = markdown_plain(reader->line, reader->len);
    AUTO_FREE char *raw = strndup(reader->line, reader->len);
    if (!line || !raw || (strchr(line, '=') && scan_bindings(scan, line)) || !strchr(line, '('))
        return;
    if (!reader->fenced && strchr(raw, '`'))
        scan_code_spans(scan, raw);
    else
        split_pair(scan, line, line);
}

/* ---- doctests ---- */

static void finish_doctest(struct scan *scan)
{
    const char *call = buf_text(&scan->call), *expected = buf_text(&scan->expected), *setup = buf_text(&scan->setup);
    bool shown = scan->expected.len > 0;
    if (scan->doctest == NO_DOCTEST || !scan->call.len) {
        scan->doctest = NO_DOCTEST;
        return;
    }
    AUTO_FREE char *exception = strncmp(expected, "Traceback (", 11) == 0
                                    ? exception_in(strrchr(expected, '\n') ? strrchr(expected, '\n') : "")
                                    : NULL;
    if (!symbols_is_expression(scan->language, call) || (!shown && !split_pair(scan, call, buf_text(&scan->source))))
        buf_printf(&scan->setup, "%s\n", call); /* a statement that later calls need */
    else if (exception)
        add_example(scan, EXAMPLE_RAISES, setup, call, exception, buf_text(&scan->source));
    else if (shown) {
        bool word = is_word(expected) && !symbols_is_literal(scan->language, expected);
        bool value = symbols_is_expression(scan->language, expected) && !word;
        add_example(scan, value ? EXAMPLE_EQUAL : EXAMPLE_OUTPUT, setup, call, expected, buf_text(&scan->source));
    }
    buf_clear(&scan->call);
    buf_clear(&scan->expected);
    buf_clear(&scan->source);
    scan->doctest = NO_DOCTEST;
}

static void end_doctest_block(struct scan *scan)
{
    finish_doctest(scan);
    buf_clear(&scan->setup);
}

static void add_line(struct buf *text, const char *line, size_t len)
{
    if (text->len)
        buf_putc(text, '\n');
    buf_add(text, line, len);
}

/* True when the line belongs to a doctest. */
static bool scan_doctest(struct scan *scan, const struct markdown *reader)
{
    const char *line = reader->line;
    size_t len = reader->len;
    while (len && isspace((unsigned char)*line)) {
        line++;
        len--;
    }
    bool prompt = len > 4 && strncmp(line, ">>> ", 4) == 0, more = len > 3 && strncmp(line, "... ", 4) == 0;
    if (prompt) {
        finish_doctest(scan);
        scan->doctest = IN_CALL;
        add_line(&scan->call, line + 4, len - 4);
    } else if (scan->doctest == IN_CALL && more) {
        add_line(&scan->call, line + 4, len - 4);
    } else if (scan->doctest != NO_DOCTEST && len && strncmp(line, "\"\"\"", 3) != 0 && !reader->fence_line) {
        scan->doctest = IN_EXPECTED;
        add_line(&scan->expected, line, len);
    } else {
        if (scan->doctest != NO_DOCTEST)
            finish_doctest(scan);
        return false;
    }
    add_line(&scan->source, line, len);
    return true;
}

/* ---- tables ---- */

static bool cell_is(struct markdown_cell cell, const char *const *names)
{
    AUTO_FREE char *text = markdown_plain(cell.text, cell.len);
    for (; text && *names; names++)
        if (strcasecmp(text, *names) == 0)
            return true;
    return false;
}

static const char *const result_columns[] = {"output",          "result",          "expected", "returns", "return",
                                             "expected output", "expected result", "value",    NULL};

static void table_row(struct scan *scan, const struct markdown_cell *cells, size_t count)
{
    size_t result = 0;
    while (result < scan->column_count && !cell_is(scan->columns[result], result_columns))
        result++;
    if (result == 0 || result >= count)
        return;
    AUTO_BUF struct buf arguments = BUF_INIT(MAX_EXAMPLE_BYTES);
    for (size_t i = 0; i < result; i++) {
        AUTO_FREE char *cell = markdown_plain(cells[i].text, cells[i].len);
        buf_printf(&arguments, "%s%s", i ? ", " : "", cell ? cell : "");
    }
    AUTO_FREE char *expected = markdown_plain(cells[result].text, cells[result].len);
    AUTO_FREE char *source =
        strndup(cells[0].text, (size_t)(cells[count - 1].text + cells[count - 1].len - cells[0].text));
    AUTO_FREE char *call = NULL;
    AUTO_FREE char *callee = symbols_callee(scan->language, buf_text(&arguments));
    if (callee && result == 1)
        call = strdup(buf_text(&arguments));
    else if (scan->spec->symbol)
        call = text_format("%s(%s)", scan->spec->symbol, buf_text(&arguments));
    if (call && expected && source)
        take_pair(scan, call, expected, false, source);
}

static bool scan_table(struct scan *scan, const struct markdown *reader)
{
    struct markdown_cell cells[MARKDOWN_MAX_CELLS];
    size_t count = markdown_cells(reader, cells);
    if (count < 2) {
        scan->column_count = 0;
        return false;
    }
    if (!scan->column_count) {
        memcpy(scan->columns, cells, count * sizeof *cells);
        scan->column_count = count;
    } else if (!markdown_is_rule_row(cells, count))
        table_row(scan, cells, count);
    return true;
}

/* ---- input and output, fenced or on a line each ---- */

static char label_of(const char *text, size_t len)
{
    AUTO_FREE char *plain = markdown_plain(text, len);
    if (!plain || strlen(plain) > 40)
        return 0;
    return strcasestr(plain, "input") ? 'i' : strcasestr(plain, "output") || strcasestr(plain, "result") ? 'o' : 0;
}

/* The call that an input means: itself, the parameters by name, or the arguments. Heap. */
static char *call_of_input(const struct scan *scan, const char *input)
{
    const char *rest = NULL;
    AUTO_FREE char *callee = symbols_callee(scan->language, input);
    char *bound = callee ? NULL : spec_bound_call(scan->spec, scan->language, input, &rest);
    return callee ? strdup(input) : bound ? bound : text_format("%s(%s)", scan->spec->symbol, input);
}

static void take_labelled(struct scan *scan, char label, const char *text)
{
    if (label == 'i') {
        buf_clear(&scan->input);
        buf_puts(&scan->input, text);
    } else if (label == 'o' && scan->input.len && scan->spec->symbol) {
        const char *input = buf_text(&scan->input);
        AUTO_FREE char *call = call_of_input(scan, input);
        AUTO_FREE char *source = text_format("%s\n%s", input, text);
        if (call && source)
            take_pair(scan, call, text, false, source);
        buf_clear(&scan->input);
    }
}

static void finish_fence(struct scan *scan)
{
    AUTO_FREE char *text = markdown_plain(buf_text(&scan->fence_text), scan->fence_text.len);
    if (text)
        take_labelled(scan, scan->label, text);
    buf_clear(&scan->fence_text);
    scan->label = 0;
}

/* "Input: [1, 2]", and "Output: 3" on a later line. */
static bool scan_labelled_line(struct scan *scan, const struct markdown *reader)
{
    AUTO_FREE char *line = markdown_plain(reader->line, reader->len);
    const char *colon = line ? strchr(line, ':') : NULL;
    char label = colon && colon - line <= 16 ? label_of(line, (size_t)(colon - line)) : 0;
    const char *text = label ? colon + 1 + strspn(colon + 1, " \t*") : "";
    if (!*text)
        return false;
    AUTO_FREE char *plain = markdown_plain(text, strlen(text));
    if (plain)
        take_labelled(scan, label, plain);
    return true;
}

static void scan_line(struct scan *scan, const struct markdown *reader)
{
    if (reader->fence_line && reader->fence_char && reader->info_len) {
        char label = label_of(reader->info, reader->info_len);
        scan->label = label ? label : scan->label;
    }
    if (reader->fence_line && !reader->fence_char)
        finish_fence(scan);
    if (scan_doctest(scan, reader))
        return;
    if (reader->fence_line || markdown_heading(reader, &(const char *){NULL}, &(size_t){0}))
        end_doctest_block(scan);
    if (reader->fence_line)
        return;
    if (reader->fenced && scan->label)
        add_line(&scan->fence_text, reader->line, reader->len);
    else if (!reader->fenced && reader->len)
        scan->label = label_of(reader->line, reader->len);
    if (!scan_table(scan, reader) && !scan_labelled_line(scan, reader))
        scan_prose(scan, reader);
}

int spec_read_examples(struct spec *spec, const struct language *language, struct error *err)
{
    struct scan scan = {.spec = spec,
                        .language = language,
                        .setup = BUF_INIT(MAX_EXAMPLE_BYTES),
                        .call = BUF_INIT(MAX_EXAMPLE_BYTES),
                        .expected = BUF_INIT(MAX_EXAMPLE_BYTES),
                        .source = BUF_INIT(MAX_EXAMPLE_BYTES),
                        .input = BUF_INIT(MAX_EXAMPLE_BYTES),
                        .fence_text = BUF_INIT(MAX_EXAMPLE_BYTES)};
    struct markdown reader = markdown_start(spec->text);
    while (markdown_next(&reader))
        scan_line(&scan, &reader);
    end_doctest_block(&scan);
    int result = 0;
    struct buf *const all[] = {&scan.setup, &scan.call, &scan.expected, &scan.source, &scan.input, &scan.fence_text};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (buf_check(all[i], "an example in the spec", err) < 0)
            result = -1;
        buf_release(all[i]);
    }
    return result;
}
