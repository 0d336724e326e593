#include "pipeline/example.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/context.h"
#include "pipeline/symbols.h"

enum { MAX_DOC_LINES = 24, MAX_FUNCTION_BYTES = 64 * 1024 };

/* An array with the text's lines; blank ones are left out. */
static json_t *lines_of(const char *text, size_t max)
{
    json_t *lines = json_array();
    for (const char *line = text ? text : ""; *line && json_array_size(lines) < max;) {
        size_t len = strcspn(line, "\r\n");
        if (strspn(line, " \t") < len)
            json_array_append_new(lines, json_from_text(line, len));
        line += len;
        line += strspn(line, "\r\n");
    }
    return lines;
}

/* A JSON string is a string literal in every language of templates/languages; it keeps to one line. */
static char *quoted(const char *text)
{
    json_auto_t *value = json_from_text(text, strlen(text));
    return json_dumps(value, JSON_ENCODE_ANY);
}

/* What stands beside an operator gets parentheses where it needs them. */
static char *operand(const struct language *language, const char *text)
{
    return symbols_is_simple(language, text) ? strdup(text) : text_format("(%s)", text);
}

static const char *form_of(const struct language *language, const struct example *example)
{
    switch (example->kind) {
    case EXAMPLE_RAISES:
        return language->tests.example_raises;
    case EXAMPLE_OUTPUT:
        return language->tests.example_output;
    default:
        return symbols_is_approximable(language, example->expected) ? language->tests.example_approx
                                                                    : language->tests.example_equal;
    }
}

static char *without_end(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    return strndup(text, len);
}

static json_t *view_of(const struct language *language, const struct example *example, size_t number)
{
    const char *prefix = language->tests.function_prefix ? language->tests.function_prefix : "test_";
    AUTO_FREE char *name = text_format("%sexample_%zu", prefix, number);
    AUTO_FREE char *call = operand(language, example->call);
    AUTO_FREE char *value = operand(language, example->expected);
    AUTO_FREE char *bare = without_end(example->expected);
    AUTO_FREE char *text = bare ? quoted(bare) : NULL;
    AUTO_FREE char *source = context_clean_text(example->source ? example->source : "");
    if (!name || !call || !value || !text || !source)
        return NULL;
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o}", "name", name, "call", call, "expected", value, "expected_text",
                     text, "exception", example->expected, "setup", lines_of(example->setup, SIZE_MAX), "docs",
                     lines_of(source, MAX_DOC_LINES));
}

/* Nothing in an example may reach beyond its function. */
static int check_function(const struct language *language, const struct buf *code, const struct example *example,
                          struct error *err)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, buf_text(code), code->len, &symbols, err) < 0)
        return -1;
    bool sound = symbols.error_line == 0 && symbols.count == 1 && symbols.items[0].kind == SYMBOL_FUNCTION &&
                 symbols.items[0].end == code->len;
    symbols_release(&symbols);
    return sound ? 0 : error_set(err, ERROR_INPUT, "the example %s does not make a test function", example->call);
}

int example_render(const struct language *language, const struct example *example, size_t number, struct buf *out,
                   struct error *err)
{
    const char *form = form_of(language, example);
    if (!form)
        return error_set(err, ERROR_CONFIG, "languages/%s.yml: tests has no form for an example", language->name);
    if (!symbols_is_expression(language, example->call))
        return error_set(err, ERROR_INPUT, "the example's call is not one expression: %s", example->call);
    if (example->kind != EXAMPLE_OUTPUT && !symbols_is_expression(language, example->expected))
        return error_set(err, ERROR_INPUT, "the example's value is not one expression: %s", example->expected);
    json_auto_t *view = view_of(language, example, number);
    if (!view)
        return error_set(err, ERROR_INPUT, "the example is not UTF-8 text");
    AUTO_BUF struct buf code = BUF_INIT(MAX_FUNCTION_BYTES);
    struct template_source source = {"example", form, strlen(form)};
    if (template_render(source, TEMPLATE_PLAIN, view, NULL, NULL, &code, err) < 0 ||
        buf_check(&code, "an example's test", err) < 0 || check_function(language, &code, example, err) < 0)
        return -1;
    buf_add(out, buf_text(&code), code.len);
    return buf_check(out, "the test file", err);
}

int example_header_render(const struct language *language, const char *module, const struct yaml_texts *symbols,
                          struct buf *out, struct error *err)
{
    const char *form = language->tests.header;
    json_auto_t *names = json_array();
    for (size_t i = 0; i < symbols->count; i++) {
        AUTO_FREE char *owner = strndup(symbols->items[i], strcspn(symbols->items[i], "."));
        bool known = false;
        for (size_t j = 0; owner && j < json_array_size(names) && !known; j++)
            known = strcmp(json_text_at(json_array_get(names, j), "name", ""), owner) == 0;
        if (owner && *owner && !known)
            json_array_append_new(names, json_pack("{s:s}", "name", owner));
    }
    json_auto_t *view = json_pack("{s:s,s:O}", "module", module, "symbols", names);
    if (!form || !view)
        return error_set(err, ERROR_CONFIG, "languages/%s.yml: tests.header is needed", language->name);
    return template_render((struct template_source){"header", form, strlen(form)}, TEMPLATE_PLAIN, view, NULL, NULL,
                           out, err);
}
