/* A call and its result in one piece of text: "f(2) -> 4", "f(0) raises ValueError". */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "pipeline/markdown.h"
#include "pipeline/spec_bindings.h"
#include "pipeline/spec_scan.h"
#include "pipeline/symbols.h"

enum { MAX_EXAMPLES = 64 };

const char *find_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++) {
        bool starts = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        bool ends = !(isalnum((unsigned char)at[len]) || at[len] == '_');
        if (starts && ends)
            return at;
    }
    return NULL;
}

bool is_word(const char *text)
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

/* "[part.cents for part in split(money, 3)]" calls it, too. */
static bool calls(const char *expression, const char *name)
{
    for (const char *at = expression; (at = find_word(at, name)); at++)
        if (at[strlen(name)] == '(')
            return true;
    return false;
}

static bool is_call_of_symbol(const struct scan *scan, const char *setup, const char *call)
{
    const char *symbol = scan->spec->symbol;
    AUTO_FREE char *callee = symbols_callee(scan->language, call);
    AUTO_FREE char *outer = symbol ? strndup(symbol, strcspn(symbol, ".")) : NULL;
    if (!symbols_is_expression(scan->language, call) || (!callee && !*setup && !(outer && calls(call, outer))))
        return false;
    return outer ? find_word(call, outer) || find_word(setup, outer) : callee != NULL;
}

/* A result that calls the very thing ("f(n) = f(n - 1) + 1") says how it is defined, and is no example. */
bool add_example(struct scan *scan, enum example_kind kind, const char *setup, const char *call, const char *expected,
                 const char *source)
{
    struct spec *spec = scan->spec;
    bool defines = kind == EXAMPLE_EQUAL && spec->symbol && find_word(expected, spec->symbol);
    if (!is_call_of_symbol(scan, setup, call) || defines || spec->example_count == MAX_EXAMPLES)
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

/* "true" where the language writes True; NULL for any other word. */
static const char *literal_word(const struct language *language, const char *word)
{
    const struct yaml_map *words = &language->literal_words;
    for (size_t i = 0; i < words->count; i++)
        if (strcasecmp(words->keys[i], word) == 0 && words->values[i].count == 1)
            return words->values[i].items[0];
    return NULL;
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
        /* "3." at the end of a sentence is 3; other marks may belong to the value. */
        for (int with_stop = len && value[len - 1] != '.'; len && with_stop >= 0; with_stop--) {
            if (!with_stop && strchr(".;,", value[len - 1]))
                value[len - 1] = '\0';
            bool bare_word = is_word(value) && !symbols_is_literal(scan->language, value);
            if (symbols_is_expression(scan->language, value) && !bare_word)
                return STEAL(value);
            const char *meant = bare_word ? literal_word(scan->language, value) : NULL;
            if (meant)
                return strdup(meant);
        }
    }
    return NULL;
}

char *exception_in(const char *text)
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
    {"---->", false, true},         {"==>", false, true},
    {"-->", false, true},           {"->", false, true},
    {"\xe2\x86\x92", false, true},  {"\xe2\x87\x92", false, true},
    {"\xe2\x9e\x9e", false, true},  {"=>", false, true},
    {" == ", false, true},          {" should return ", false, true},
    {" should raise ", true, true}, {" returns ", false, true},
    {" return ", false, true},      {" raises ", true, true},
    {" throws ", true, true},       {" gives ", false, true},
    {" should be ", false, true},   {" = ", false, true},
    {" is ", false, false},
};

/* The call without the words before it: "for f(2)" gives "f(2)". Heap. */
static char *call_in(const struct scan *scan, const char *text)
{
    AUTO_FREE char *plain = markdown_plain(text, strlen(text));
    const char *symbol = scan->spec->symbol, *at = plain && symbol ? find_word(plain, symbol) : NULL;
    if (at && at > plain && at[-1] == ' ' && !symbols_is_expression(scan->language, plain))
        return strdup(at);
    return STEAL(plain);
}

bool take_pair(struct scan *scan, const char *call, const char *result, bool raises, const char *source)
{
    AUTO_FREE char *plain_call = call_in(scan, call);
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

bool split_pair(struct scan *scan, const char *text, const char *source)
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

bool connects(const char *start, const char *end, bool *raises)
{
    AUTO_FREE char *between = text_format(" %.*s ", (int)(end - start), start);
    for (size_t i = 0; between && end - start < 48 && i < sizeof connectors / sizeof connectors[0]; i++)
        if (strstr(between, connectors[i].mark)) {
            *raises = connectors[i].raises || strcasestr(between, "raise");
            return true;
        }
    return false;
}

bool scan_bindings(struct scan *scan, const char *line)
{
    const char *rest = NULL;
    AUTO_FREE char *call = spec_bound_call(scan->spec, scan->language, line, &rest);
    size_t near = call ? strnlen(rest, 48) : 0;
    for (size_t skip = 0; skip < near; skip++)
        for (size_t i = 0; i < sizeof connectors / sizeof connectors[0]; i++) {
            size_t len = strlen(connectors[i].mark);
            if (strncmp(rest + skip, connectors[i].mark, len) == 0)
                return take_pair(scan, call, rest + skip + len, connectors[i].raises, line);
        }
    return false;
}
