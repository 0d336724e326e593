#include "pipeline/spec_bindings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/symbols.h"

enum { MAX_PARAMETERS = 16, MAX_CALL = 8192 };

struct parameter {
    const char *name; /* borrowed from the signature */
    size_t len;
    bool has_default;
};

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Where the piece ends that begins at `at`: a comma, or the closing bracket, outside inner brackets and quotes. */
static const char *end_of_piece(const char *at)
{
    int depth = 0;
    char quote = 0;
    for (; *at; at++) {
        if (quote) {
            quote = *at == quote ? 0 : quote;
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if (strchr("([{", *at)) {
            depth++;
        } else if (strchr(")]}", *at) && depth-- == 0) {
            break;
        } else if (*at == ',' && depth == 0) {
            break;
        }
    }
    return at;
}

static bool is_receiver(const struct language *language, const struct parameter *parameter)
{
    for (size_t i = 0; i < language->layout.receivers.count; i++) {
        const char *receiver = language->layout.receivers.items[i];
        if (strlen(receiver) == parameter->len && strncmp(receiver, parameter->name, parameter->len) == 0)
            return true;
    }
    return false;
}

static size_t read_parameters(const struct spec *spec, const struct language *language,
                              struct parameter out[static MAX_PARAMETERS])
{
    const char *at = spec->signature ? strchr(spec->signature, '(') : NULL;
    size_t count = 0;
    while (at && *at && *at != ')' && count < MAX_PARAMETERS) {
        at += 1 + strspn(at + 1, " \t\n");
        const char *end = end_of_piece(at);
        struct parameter parameter = {.name = at};
        while (is_name_byte(at[parameter.len]))
            parameter.len++;
        parameter.has_default = memchr(at, '=', (size_t)(end - at)) != NULL;
        if (parameter.len && !is_receiver(language, &parameter))
            out[count++] = parameter;
        at = end;
    }
    return count;
}

/* The literal that begins at `at`: the shortest one behind which the sentence goes on. Heap; NULL when there is none.
 */
static char *literal_at(const struct language *language, const char *at)
{
    for (const char *end = at; *end; end++) {
        bool ends = !end[1] || strchr(" ,;:)\t", end[1]) || (end[1] == '.' && (!end[2] || end[2] == ' '));
        AUTO_FREE char *text = ends ? strndup(at, (size_t)(end + 1 - at)) : NULL;
        if (text && symbols_is_literal(language, text))
            return STEAL(text);
    }
    return NULL;
}

/* The "name = literal" of a parameter in the line; *rest moves behind it when that is further. */
static char *value_of(const struct language *language, const struct parameter *parameter, const char *line,
                      const char **rest)
{
    for (const char *at = line; (at = strchr(at, '=')); at++) {
        const char *end = at;
        while (end > line && (end[-1] == ' ' || end[-1] == '`'))
            end--;
        const char *start = end;
        while (start > line && is_name_byte(start[-1]))
            start--;
        if ((size_t)(end - start) != parameter->len || strncmp(start, parameter->name, parameter->len) != 0)
            continue;
        const char *value = at + 1 + strspn(at + 1, " `");
        char *literal = literal_at(language, value);
        if (!literal)
            return NULL;
        if (value + strlen(literal) > *rest)
            *rest = value + strlen(literal);
        return literal;
    }
    return NULL;
}

char *spec_bound_call(const struct spec *spec, const struct language *language, const char *line, const char **rest)
{
    struct parameter parameters[MAX_PARAMETERS];
    size_t count = read_parameters(spec, language, parameters), given = 0;
    AUTO_BUF struct buf call = BUF_INIT(MAX_CALL);
    const char *end = line;
    buf_printf(&call, "%s(", spec->symbol ? spec->symbol : "");
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *value = value_of(language, &parameters[i], line, &end);
        if (!value && !parameters[i].has_default)
            return NULL;
        if (!value)
            continue;
        buf_printf(&call, "%s%.*s=%s", given++ ? ", " : "", (int)parameters[i].len, parameters[i].name, value);
    }
    buf_putc(&call, ')');
    if (!given || buf_check(&call, "an example", NULL) < 0)
        return NULL;
    *rest = end;
    return buf_steal(&call, NULL);
}
