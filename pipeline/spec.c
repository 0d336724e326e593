#include "pipeline/spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/context.h"
#include "pipeline/markdown.h"
#include "pipeline/symbols.h"

enum { SPEC_MAX_BYTES = 256 * 1024, SPEC_MAX_CRITERIA = 50 };

/* The headings of design 1.2. A field's offset is where its text goes; criteria and examples are read apart. */
enum section { SECTION_NONE, SECTION_FIELD, SECTION_CRITERIA, SECTION_EXAMPLES, SECTION_OTHER };

static const struct heading {
    const char *name;
    enum section section;
    size_t field;
} headings[] = {
    {"signature", SECTION_FIELD, offsetof(struct spec, signature)},
    {"behaviour", SECTION_FIELD, offsetof(struct spec, behaviour)},
    {"behavior", SECTION_FIELD, offsetof(struct spec, behaviour)},
    {"description", SECTION_FIELD, offsetof(struct spec, behaviour)},
    {"acceptance criteria", SECTION_CRITERIA, 0},
    {"acceptance criterion", SECTION_CRITERIA, 0},
    {"examples", SECTION_EXAMPLES, 0},
    {"example", SECTION_EXAMPLES, 0},
    {"file", SECTION_FIELD, offsetof(struct spec, file)},
    {"target", SECTION_FIELD, offsetof(struct spec, file)},
    {"language", SECTION_FIELD, offsetof(struct spec, language)},
    {"kind", SECTION_FIELD, offsetof(struct spec, kind)},
    {"pattern", SECTION_FIELD, offsetof(struct spec, pattern)},
    {"constraints", SECTION_FIELD, offsetof(struct spec, constraints)},
};

static const struct heading preamble_heading = {"", SECTION_FIELD, 0}, other_heading = {"", SECTION_OTHER, 0};

static char **field_at(struct spec *spec, size_t offset)
{
    return (char **)((char *)spec + offset);
}

static const struct heading *heading_find(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++)
        if (strlen(headings[i].name) == len && strncasecmp(headings[i].name, text, len) == 0)
            return &headings[i];
    return NULL;
}

/* GitHub's issue forms write this where a field was left empty. */
static bool is_blank(const char *text)
{
    AUTO_FREE char *plain = markdown_plain(text, strlen(text));
    return !plain || !*plain || strcasecmp(plain, "_No response_") == 0 || strcasecmp(plain, "n/a") == 0;
}

void spec_fill(char **field, const char *value)
{
    if (*field || !value || is_blank(value))
        return;
    while (isspace((unsigned char)*value))
        value++;
    size_t len = strlen(value);
    while (len && isspace((unsigned char)value[len - 1]))
        len--;
    *field = memchr(value, '\n', len) ? strndup(value, len) : markdown_plain(value, len);
}

static void add_criterion(struct spec *spec, const struct markdown *reader)
{
    AUTO_FREE char *text = markdown_plain(reader->line, reader->len);
    if (!text || !*text || is_blank(text) || spec->criteria_count == SPEC_MAX_CRITERIA)
        return;
    char **grown = realloc(spec->criteria, (spec->criteria_count + 1) * sizeof *grown);
    if (!grown)
        return;
    spec->criteria = grown;
    spec->criteria[spec->criteria_count++] = STEAL(text);
}

/* One of a few words or one path, whatever stands around it: "`src/x.py` (new)" gives "src/x.py". */
static void keep_first_word(char **field)
{
    char *text = *field;
    if (!text)
        return;
    while (*text == '`' || *text == '*' || isspace((unsigned char)*text))
        text++;
    size_t len = strcspn(text, "` *,;\t\n(");
    char *word = strndup(text, len);
    free(*field);
    *field = word;
    if (word && !*word) {
        free(word);
        *field = NULL;
    }
}

static void lower(char *text)
{
    for (; text && *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* Fence lines fall away, so that a signature in a code block is the signature. */
static void collect_line(const struct markdown *reader, enum section section, struct spec *spec, struct buf *text)
{
    if (section == SECTION_CRITERIA && !reader->fenced && !reader->fence_line)
        add_criterion(spec, reader);
    if (section == SECTION_FIELD && !reader->fence_line) {
        buf_add(text, reader->line, reader->len);
        buf_putc(text, '\n');
    }
}

/* What stands before the first heading is the behaviour, or comes before it. */
static void read_sections(struct spec *spec)
{
    AUTO_BUF struct buf section_text = BUF_INIT(SPEC_MAX_BYTES);
    AUTO_FREE char *preamble = NULL;
    const struct heading *current = &preamble_heading;
    bool before_first = true;
    struct markdown reader = markdown_start(spec->text);
    for (bool more = true; more;) {
        const char *title = NULL;
        size_t title_len = 0;
        more = markdown_next(&reader);
        int level = more ? markdown_heading(&reader, &title, &title_len) : 1;
        if (!level) {
            collect_line(&reader, current->section, spec, &section_text);
            continue;
        }
        if (before_first)
            spec_fill(&preamble, buf_text(&section_text));
        else if (current->section == SECTION_FIELD)
            spec_fill(field_at(spec, current->field), buf_text(&section_text));
        before_first = false;
        buf_clear(&section_text);
        const struct heading *found = more ? heading_find(title, title_len) : NULL;
        current = found ? found : &other_heading;
    }
    if (preamble && spec->behaviour) {
        char *both = text_format("%s\n\n%s", preamble, spec->behaviour);
        free(spec->behaviour);
        spec->behaviour = both;
    }
    spec_fill(&spec->behaviour, preamble);
}

bool spec_speaks_of_errors(const char *text)
{
    static const char *const words[] = {"rais", "throw", "error", "exception", "invalid", "refus", "reject", "illegal"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(text, words[i]))
            return true;
    return false;
}

static bool is_one_fact(const struct heading *heading)
{
    static const size_t facts[] = {offsetof(struct spec, signature), offsetof(struct spec, file),
                                   offsetof(struct spec, language), offsetof(struct spec, kind)};
    for (size_t i = 0; heading && heading->section == SECTION_FIELD && i < sizeof facts / sizeof facts[0]; i++)
        if (heading->field == facts[i])
            return true;
    return false;
}

char *spec_told(const struct spec *spec)
{
    AUTO_BUF struct buf told = BUF_INIT(SPEC_MAX_BYTES);
    bool skipped = false;
    struct markdown reader = markdown_start(spec->text);
    while (markdown_next(&reader)) {
        const char *title = NULL;
        size_t len = 0;
        int level = markdown_heading(&reader, &title, &len);
        const struct heading *heading = level ? heading_find(title, len) : NULL;
        if (level)
            skipped = is_one_fact(heading);
        bool is_behaviour =
            heading && heading->section == SECTION_FIELD && heading->field == offsetof(struct spec, behaviour);
        if (skipped || is_behaviour || (!told.len && !reader.len))
            continue;
        buf_add(&told, reader.line, reader.len);
        buf_putc(&told, '\n');
    }
    size_t len = 0;
    char *text = buf_steal(&told, &len);
    while (text && len && strchr(" \n", text[len - 1]))
        text[--len] = '\0';
    return text;
}

/* ---- signature ---- */

/* Does this text, with a body below it, define exactly one thing? Then the definition is its signature. */
static bool try_signature(struct spec *spec, const struct language *language, const char *definition)
{
    json_auto_t *view = json_pack("{s:s}", "signature", definition);
    AUTO_BUF struct buf source = BUF_INIT(KiB(64));
    struct error ignored = {0};
    if (!view || !language->stub ||
        template_render((struct template_source){"stub", language->stub, strlen(language->stub)}, TEMPLATE_PLAIN, view,
                        NULL, NULL, &source, &ignored) < 0)
        return false;
    struct symbols symbols = {0};
    if (symbols_parse(language, buf_text(&source), source.len, &symbols, &ignored) < 0)
        return false;
    bool defines = symbols.error_line == 0 && symbols.count >= 1 && symbols.items[0].kind != SYMBOL_VALUE;
    if (defines) {
        free(spec->signature);
        free(spec->symbol);
        spec->signature = strdup(symbols.items[0].signature);
        spec->symbol = strdup(symbols.items[0].name);
    }
    symbols_release(&symbols);
    return defines;
}

bool spec_set_signature(struct spec *spec, const struct language *language, const char *text)
{
    AUTO_FREE char *plain = markdown_plain(text, strlen(text));
    if (!plain || !*plain || strlen(plain) > 4096)
        return false;
    for (size_t i = 0; i < language->definitions.count; i++) {
        AUTO_BUF struct buf form = BUF_INIT(KiB(16));
        json_auto_t *view = json_pack("{s:s}", "text", plain);
        const char *source = language->definitions.items[i];
        if (template_render((struct template_source){"definition", source, strlen(source)}, TEMPLATE_PLAIN, view, NULL,
                            NULL, &form, NULL) == 0 &&
            try_signature(spec, language, buf_text(&form)))
            return true;
    }
    return false;
}

/* A definition inside a longer code block: the block's first one. */
static bool try_code_block(struct spec *spec, const struct language *language, const char *code, size_t len)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, code, len, &symbols, NULL) < 0)
        return false;
    bool found = false;
    for (size_t i = 0; i < symbols.count && !found; i++)
        if (symbols.items[i].kind == SYMBOL_FUNCTION || symbols.items[i].kind == SYMBOL_CLASS)
            found = spec_set_signature(spec, language, symbols.items[i].signature);
    symbols_release(&symbols);
    return found;
}

static bool try_code_span(struct spec *spec, const struct language *language, const char *text, size_t len)
{
    AUTO_FREE char *code = strndup(text, len);
    /* A call with literal arguments is an example; only what says that it defines something is a signature. */
    return code && strchr(code, '(') && !symbols_is_expression(language, code) && strncmp(code, ">>>", 3) != 0 &&
           spec_set_signature(spec, language, code);
}

bool spec_find_signature(struct spec *spec, const struct language *language)
{
    AUTO_BUF struct buf block = BUF_INIT(SPEC_MAX_BYTES);
    struct markdown reader = markdown_start(spec->text);
    while (markdown_next(&reader)) {
        if (reader.fenced) {
            buf_add(&block, reader.line, reader.len);
            buf_putc(&block, '\n');
        } else if (reader.fence_line && !reader.fence_char) {
            if (try_code_block(spec, language, buf_text(&block), block.len))
                return true;
            buf_clear(&block);
        }
        const char *end = reader.line + reader.len;
        for (const char *at = reader.line; !reader.fenced && !reader.fence_line && at < end;) {
            const char *open = memchr(at, '`', (size_t)(end - at));
            const char *close = open ? memchr(open + 1, '`', (size_t)(end - open - 1)) : NULL;
            if (!close)
                break;
            if (try_code_span(spec, language, open + 1, (size_t)(close - open - 1)))
                return true;
            at = close + 1;
        }
    }
    return false;
}

/* ---- the whole ---- */

int spec_read(const struct languages *languages, const char *title, const char *text, struct spec *out,
              struct error *err)
{
    if (strlen(text) > SPEC_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "the spec has %zu bytes; at most %d are read", strlen(text), SPEC_MAX_BYTES);
    struct spec spec = {.title = context_clean_text(title), .text = context_clean_text(text)};
    if (!spec.title || !spec.text) {
        spec_release(&spec);
        return error_set(err, ERROR_INTERNAL, "out of memory");
    }
    read_sections(&spec);
    keep_first_word(&spec.file);
    keep_first_word(&spec.language);
    keep_first_word(&spec.kind);
    lower(spec.kind);
    const struct language *language = spec.language ? languages_by_name(languages, spec.language) : NULL;
    if (spec.language && !language) {
        error_set(err, ERROR_INPUT, "the spec asks for the language \"%s\", which has no file in templates/languages",
                  spec.language);
        spec_release(&spec);
        return -1;
    }
    if (language) {
        free(spec.language);
        spec.language = strdup(language->name);
    }
    *out = spec;
    return 0;
}

static void example_release(struct example *example)
{
    free(example->setup);
    free(example->call);
    free(example->expected);
    free(example->source);
}

void spec_release(struct spec *spec)
{
    char *const texts[] = {spec->title,    spec->text, spec->signature, spec->behaviour,   spec->file,
                           spec->language, spec->kind, spec->pattern,   spec->constraints, spec->symbol};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < spec->criteria_count; i++)
        free(spec->criteria[i]);
    free(spec->criteria);
    for (size_t i = 0; i < spec->example_count; i++)
        example_release(&spec->examples[i]);
    free(spec->examples);
    *spec = (struct spec){0};
}

/* ---- JSON ---- */

static const char *const example_kinds[] = {
    [EXAMPLE_EQUAL] = "equal", [EXAMPLE_RAISES] = "raises", [EXAMPLE_OUTPUT] = "output"};

static const struct field {
    const char *name;
    size_t offset;
} fields[] = {
    {"title", offsetof(struct spec, title)},
    {"text", offsetof(struct spec, text)},
    {"signature", offsetof(struct spec, signature)},
    {"behaviour", offsetof(struct spec, behaviour)},
    {"file", offsetof(struct spec, file)},
    {"language", offsetof(struct spec, language)},
    {"kind", offsetof(struct spec, kind)},
    {"pattern", offsetof(struct spec, pattern)},
    {"constraints", offsetof(struct spec, constraints)},
    {"symbol", offsetof(struct spec, symbol)},
};

json_t *spec_to_json(const struct spec *spec)
{
    json_t *out = json_object(), *criteria = json_array(), *examples = json_array();
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *value = *(char *const *)((const char *)spec + fields[i].offset);
        if (value)
            json_object_set_new(out, fields[i].name, json_string(value));
    }
    for (size_t i = 0; i < spec->criteria_count; i++)
        json_array_append_new(criteria, json_string(spec->criteria[i]));
    for (size_t i = 0; i < spec->example_count; i++) {
        const struct example *example = &spec->examples[i];
        json_array_append_new(examples, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", example_kinds[example->kind],
                                                  "setup", example->setup, "call", example->call, "expected",
                                                  example->expected, "source", example->source));
    }
    json_object_set_new(out, "criteria", criteria);
    json_object_set_new(out, "examples", examples);
    return out;
}

static int example_from_json(const json_t *value, struct example *out, struct error *err)
{
    const char *kind = NULL, *setup = NULL, *call = NULL, *expected = NULL, *source = NULL;
    json_error_t problem;
    if (json_unpack_ex((json_t *)value, &problem, 0, "{s:s, s:s, s:s, s:s, s:s}", "kind", &kind, "setup", &setup,
                       "call", &call, "expected", &expected, "source", &source) < 0)
        return error_set(err, ERROR_INPUT, "snapshot: example: %s", problem.text);
    size_t index = 0;
    while (index <= EXAMPLE_OUTPUT && strcmp(kind, example_kinds[index]) != 0)
        index++;
    if (index > EXAMPLE_OUTPUT)
        return error_set(err, ERROR_INPUT, "snapshot: unknown kind of example \"%s\"", kind);
    *out = (struct example){(enum example_kind)index, strdup(setup), strdup(call), strdup(expected), strdup(source)};
    return 0;
}

static int lists_from_json(const json_t *value, struct spec *spec, struct error *err)
{
    const json_t *criteria = json_object_get(value, "criteria"), *examples = json_object_get(value, "examples");
    spec->criteria = calloc(json_array_size(criteria) + 1, sizeof *spec->criteria);
    spec->examples = calloc(json_array_size(examples) + 1, sizeof *spec->examples);
    if (!spec->criteria || !spec->examples)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    for (size_t i = 0; i < json_array_size(criteria); i++)
        if (json_is_string(json_array_get(criteria, i)))
            spec->criteria[spec->criteria_count++] = strdup(json_string_value(json_array_get(criteria, i)));
    for (size_t i = 0; i < json_array_size(examples); i++) {
        if (example_from_json(json_array_get(examples, i), &spec->examples[spec->example_count], err) < 0)
            return -1;
        spec->example_count++;
    }
    return 0;
}

int spec_from_json(const json_t *value, struct spec *out, struct error *err)
{
    struct spec spec = {0};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *text = json_text_at(value, fields[i].name, NULL);
        if (text)
            *field_at(&spec, fields[i].offset) = strdup(text);
    }
    if (!spec.title || !spec.text || lists_from_json(value, &spec, err) < 0) {
        if (!spec.title || !spec.text)
            error_set(err, ERROR_INPUT, "snapshot: the spec lacks its title or text");
        spec_release(&spec);
        return -1;
    }
    *out = spec;
    return 0;
}
