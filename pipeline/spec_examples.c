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
#include "pipeline/symbols.h"

enum { MAX_EXAMPLES = 64, MAX_SPANS = 16, MAX_EXAMPLE_BYTES = 8192 };

struct scan {
    struct spec *spec;
    const struct language *language;
    struct buf setup, call, expected, source; /* of the doctest being read */
    enum { NO_DOCTEST, IN_CALL, IN_EXPECTED } doctest;
    struct markdown_cell columns[MARKDOWN_MAX_CELLS]; /* of the table being read */
    size_t column_count;
    char label;             /* 'i' or 'o' when the last words were "input:" or "output:", else 0 */
    struct buf fence_input; /* of a fenced input that waits for its output */
    struct buf fence_text;
};

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++) {
        bool starts = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        bool ends = !(isalnum((unsigned char)at[len]) || at[len] == '_');
        if (starts && ends)
            return true;
    }
    return false;
}

static bool is_word(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_' && *text != '.')
            return false;
    return true;
}

static bool ends_with(const char *text, const char *tail)
{
    size_t len = strlen(text), tail_len = strlen(tail);
    return len >= tail_len && strcmp(text + len - tail_len, tail) == 0;
}

static bool is_exception_name(const char *text)
{
    const char *dot = strrchr(text, '.'), *name = dot ? dot + 1 : text;
    return is_word(text) && isupper((unsigned char)*name) && (ends_with(name, "Error") || ends_with(name, "Exception"));
}

static bool is_known(const struct spec *spec, const char *setup, const char *call, const char *expected)
{
    for (size_t i = 0; i < spec->example_count; i++) {
        const struct example *other = &spec->examples[i];
        if (!strcmp(other->setup, setup) && !strcmp(other->call, call) && !strcmp(other->expected, expected))
            return true;
    }
    return false;
}

static bool is_call_of_symbol(const struct scan *scan, const char *setup, const char *call)
{
    AUTO_FREE char *callee = symbols_callee(scan->language, call);
    if (!symbols_is_expression(scan->language, call) || (!callee && !*setup))
        return false;
    const char *symbol = scan->spec->symbol;
    if (!symbol)
        return callee != NULL;
    AUTO_FREE char *outer = strndup(symbol, strcspn(symbol, "."));
    return outer && (has_word(call, outer) || has_word(setup, outer));
}

static bool add_example(struct scan *scan, enum example_kind kind, const char *setup, const char *call,
                        const char *expected, const char *source)
{
    struct spec *spec = scan->spec;
    if (!is_call_of_symbol(scan, setup, call) || spec->example_count == MAX_EXAMPLES)
        return false;
    if (is_known(spec, setup, call, expected))
        return true;
    struct example *grown = realloc(spec->examples, (spec->example_count + 1) * sizeof *grown);
    if (!grown)
        return false;
    spec->examples = grown;
    grown[spec->example_count++] =
        (struct example){kind, strdup(setup), strdup(call), strdup(expected), strdup(source)};
    return true;
}

/* A result in prose may be followed by a remark: "4.", "4 (rounded)", "4  # even". The longest start that is a value
 * counts. */
static char *value_of(const struct scan *scan, const char *text)
{
    static const char *const remarks[] = {"",          " #",      " //", " (", ", ", " - ", " \xe2\x80\x94 ",
                                          " because ", " since ", "; "};
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++) {
        const char *cut = *remarks[i] ? strstr(text, remarks[i]) : text + strlen(text);
        if (!cut)
            continue;
        AUTO_FREE char *value = markdown_plain(text, (size_t)(cut - text));
        size_t len = value ? strlen(value) : 0;
        for (int with_stop = 1; len && with_stop >= 0; with_stop--) {
            if (!with_stop && strchr(".;,", value[len - 1]))
                value[len - 1] = '\0';
            bool bare_word = is_word(value) && !symbols_is_literal(scan->language, value);
            if (symbols_is_expression(scan->language, value) && !bare_word)
                return STEAL(value);
        }
    }
    return NULL;
}

/* The exception in "raises ValueError", "a `ValueError`", "ValueError: must be positive"; NULL when it names none. */
static char *exception_in(const char *text)
{
    for (const char *at = text; *at;) {
        size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
        while (len && at[len - 1] == '.')
            len--;
        AUTO_FREE char *word = strndup(at, len);
        if (word && len && is_exception_name(word))
            return STEAL(word);
        at += len ? len : 1;
    }
    return NULL;
}

/* What stands between a call and its result. `raises` needs an exception behind it. Longer marks come first. */
static const struct connector {
    const char *mark;
    bool raises, in_code; /* in_code: also splits inside one code span or a line without code spans */
} connectors[] = {
    {"---->", false, true},
    {"-->", false, true},
    {"->", false, true},
    {"\xe2\x86\x92", false, true},
    {"\xe2\x87\x92", false, true},
    {"\xe2\x9e\x9e", false, true},
    {"=>", false, true},
    {" == ", false, true},
    {" should return ", false, true},
    {" should raise ", true, true},
    {" returns ", false, true},
    {" raises ", true, true},
    {" throws ", true, true},
    {" gives ", false, true},
    {" should be ", false, true},
    {" = ", false, true},
    {" is ", false, false},
};

static bool take_pair(struct scan *scan, const char *call, const char *result, bool raises, const char *source)
{
    AUTO_FREE char *plain_call = markdown_plain(call, strlen(call));
    if (!plain_call || !*plain_call)
        return false;
    result += strspn(result, " \t");
    bool says_raises = raises || strcasestr(result, "raise") || strcasestr(result, "throw");
    AUTO_FREE char *first = markdown_plain(result, strcspn(result, " (:,"));
    if (says_raises || (first && is_exception_name(first))) {
        AUTO_FREE char *exception = exception_in(result);
        return exception && add_example(scan, EXAMPLE_RAISES, "", plain_call, exception, source);
    }
    AUTO_FREE char *value = value_of(scan, result);
    return value && add_example(scan, EXAMPLE_EQUAL, "", plain_call, value, source);
}

static bool split_pair(struct scan *scan, const char *text, const char *source)
{
    for (size_t i = 0; i < sizeof connectors / sizeof connectors[0]; i++) {
        const struct connector *connector = &connectors[i];
        for (const char *at = text; connector->in_code && (at = strstr(at, connector->mark)); at++) {
            AUTO_FREE char *call = strndup(text, (size_t)(at - text));
            if (call && take_pair(scan, call, at + strlen(connector->mark), connector->raises, source))
                return true;
        }
    }
    return false;
}

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

static bool connects(const char *start, const char *end, bool *raises)
{
    AUTO_FREE char *between = text_format(" %.*s ", (int)(end - start), start);
    for (size_t i = 0; between && end - start < 48 && i < sizeof connectors / sizeof connectors[0]; i++)
        if (strstr(between, connectors[i].mark)) {
            *raises = connectors[i].raises || strcasestr(between, "raise");
            return true;
        }
    return false;
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
    if (!line || !raw || !strchr(line, '('))
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
    if (exception)
        add_example(scan, EXAMPLE_RAISES, setup, call, exception, buf_text(&scan->source));
    else if (shown) {
        bool word = is_word(expected) && !symbols_is_literal(scan->language, expected);
        bool value = symbols_is_expression(scan->language, expected) && !word;
        add_example(scan, value ? EXAMPLE_EQUAL : EXAMPLE_OUTPUT, setup, call, expected, buf_text(&scan->source));
    } else
        buf_printf(&scan->setup, "%s\n", call); /* a statement that later calls need */
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

/* ---- fenced input and output ---- */

static char label_of(const char *text, size_t len)
{
    AUTO_FREE char *plain = markdown_plain(text, len);
    if (!plain || strlen(plain) > 40)
        return 0;
    return strcasestr(plain, "input") ? 'i' : strcasestr(plain, "output") || strcasestr(plain, "result") ? 'o' : 0;
}

static void finish_fence(struct scan *scan)
{
    AUTO_FREE char *text = markdown_plain(buf_text(&scan->fence_text), scan->fence_text.len);
    if (text && scan->label == 'i') {
        buf_clear(&scan->fence_input);
        buf_puts(&scan->fence_input, text);
    } else if (text && scan->label == 'o' && scan->fence_input.len && scan->spec->symbol) {
        const char *input = buf_text(&scan->fence_input);
        AUTO_FREE char *callee = symbols_callee(scan->language, input);
        AUTO_FREE char *call = callee ? strdup(input) : text_format("%s(%s)", scan->spec->symbol, input);
        AUTO_FREE char *source = text_format("%s\n%s", input, text);
        if (call && source)
            take_pair(scan, call, text, false, source);
        buf_clear(&scan->fence_input);
    }
    buf_clear(&scan->fence_text);
    scan->label = 0;
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
    if (!scan_table(scan, reader))
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
                        .fence_input = BUF_INIT(MAX_EXAMPLE_BYTES),
                        .fence_text = BUF_INIT(MAX_EXAMPLE_BYTES)};
    struct markdown reader = markdown_start(spec->text);
    while (markdown_next(&reader))
        scan_line(&scan, &reader);
    end_doctest_block(&scan);
    int result = 0;
    struct buf *const all[] = {&scan.setup,  &scan.call,        &scan.expected,
                               &scan.source, &scan.fence_input, &scan.fence_text};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (buf_check(all[i], "an example in the spec", err) < 0)
            result = -1;
        buf_release(all[i]);
    }
    return result;
}
