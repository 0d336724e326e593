#include "app/base/template.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/markdown.h"

enum { DEPTH_MAX = 64, DELIMITER_MAX = 16 };

extern const struct template_file template_table[];
extern const size_t template_table_count;

enum token_kind { TOKEN_TEXT, TOKEN_VALUE, TOKEN_RAW, TOKEN_SECTION, TOKEN_INVERTED, TOKEN_CLOSE, TOKEN_PARTIAL };

/* A piece of the source: text between tags, or a tag, whose text is its name. */
struct token {
    enum token_kind kind;
    const char *text;
    size_t len;
    size_t close;       /* TOKEN_SECTION, TOKEN_INVERTED: index of the closing token */
    const char *indent; /* TOKEN_PARTIAL: white space before a standalone tag */
    size_t indent_len;
};

struct tokens {
    struct token *items;
    size_t count, size;
};

/* State of the scanner. The delimiters change by {{=<% %>=}}. */
struct scan {
    struct template_source source;
    struct tokens *tokens;
    const char *at, *end;
    char open[DELIMITER_MAX], close[DELIMITER_MAX];
    struct error *err;
};

/* One tag as found in the source. */
struct tag {
    char sigil; /* # ^ / > ! & { = or ' ' for a plain variable */
    const char *start, *end;
    const char *name;
    size_t name_len;
};

static int add_token(struct scan *scan, struct token token)
{
    struct tokens *tokens = scan->tokens;
    if (tokens->count == tokens->size) {
        size_t size = tokens->size ? tokens->size * 2 : 32;
        struct token *items = reallocarray(tokens->items, size, sizeof *items);
        if (!items)
            return error_system(scan->err, ENOMEM, "%s", scan->source.name);
        tokens->items = items;
        tokens->size = size;
    }
    tokens->items[tokens->count++] = token;
    return 0;
}

static size_t line_of(const struct template_source *source, const char *at)
{
    size_t line = 1;
    for (const char *c = source->text; c < at; c++)
        line += *c == '\n';
    return line;
}

static int bad(const struct scan *scan, const char *at, const char *problem, const char *name, size_t name_len)
{
    return error_set(scan->err, ERROR_INPUT, "%s:%zu: %s: %.*s", scan->source.name, line_of(&scan->source, at), problem,
                     (int)(name_len < 64 ? name_len : 64), name);
}

static const char *find(const char *at, const char *end, const char *text)
{
    return memmem(at, (size_t)(end - at), text, strlen(text));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
    while (*len && is_space(**text)) {
        (*text)++;
        (*len)--;
    }
    while (*len && is_space((*text)[*len - 1]))
        (*len)--;
}

/* Reads the tag that starts at `start`. */
static int read_tag(const struct scan *scan, const char *start, struct tag *tag)
{
    const char *at = start + strlen(scan->open);
    char closing[DELIMITER_MAX + 2];
    while (at < scan->end && is_space(*at))
        at++;
    *tag = (struct tag){.sigil = ' ', .start = start};
    if (at < scan->end && strchr("#^/>!&{=", *at) && *at)
        tag->sigil = *at++;
    const char *mark = tag->sigil == '{' ? "}" : tag->sigil == '=' ? "=" : "";
    snprintf(closing, sizeof closing, "%s%s", mark, scan->close);
    const char *close = find(at, scan->end, closing);
    if (!close)
        return bad(scan, start, "this tag is never closed", start, strcspn(start, "\n"));
    tag->name = at;
    tag->name_len = (size_t)(close - at);
    tag->end = close + strlen(closing);
    trim(&tag->name, &tag->name_len);
    if (!tag->name_len && tag->sigil != '!')
        return bad(scan, start, "this tag has no name", start, (size_t)(tag->end - start));
    return 0;
}

/* A tag that prints nothing and stands alone on its line takes the whole line with it. Gives the start of
 * that line and what follows it, or leaves them. */
static void take_line(const struct scan *scan, const struct tag *tag, const char **before, const char **after)
{
    const char *start = tag->start;
    const char *end = tag->end;
    if (strchr(" {&", tag->sigil))
        return;
    while (start > scan->source.text && (start[-1] == ' ' || start[-1] == '\t'))
        start--;
    while (end < scan->end && (*end == ' ' || *end == '\t'))
        end++;
    if (end + 1 < scan->end && end[0] == '\r' && end[1] == '\n')
        end++;
    if ((start > scan->source.text && start[-1] != '\n') || (end < scan->end && *end != '\n'))
        return;
    *before = start;
    *after = end < scan->end ? end + 1 : end;
}

static int set_delimiters(struct scan *scan, const struct tag *tag)
{
    const char *space = tag->name;
    const char *end = tag->name + tag->name_len;
    while (space < end && !is_space(*space))
        space++;
    const char *second = space;
    size_t second_len = (size_t)(end - space);
    size_t first_len = (size_t)(space - tag->name);
    trim(&second, &second_len);
    if (!second_len || first_len >= DELIMITER_MAX || second_len >= DELIMITER_MAX || memchr(second, ' ', second_len) ||
        memchr(tag->name, '=', tag->name_len))
        return bad(scan, tag->start, "expected two delimiters such as <% %>", tag->name, tag->name_len);
    snprintf(scan->open, sizeof scan->open, "%.*s", (int)first_len, tag->name);
    snprintf(scan->close, sizeof scan->close, "%.*s", (int)second_len, second);
    return 0;
}

static int add_tag(struct scan *scan, const struct tag *tag, const char *line)
{
    struct token token = {.text = tag->name, .len = tag->name_len};
    switch (tag->sigil) {
    case '!':
        return 0;
    case '=':
        return set_delimiters(scan, tag);
    case '#':
        token.kind = TOKEN_SECTION;
        break;
    case '^':
        token.kind = TOKEN_INVERTED;
        break;
    case '/':
        token.kind = TOKEN_CLOSE;
        break;
    case '>':
        token.kind = TOKEN_PARTIAL;
        token.indent = line;
        token.indent_len = (size_t)(tag->start - line);
        break;
    case ' ':
        token.kind = TOKEN_VALUE;
        break;
    default:
        token.kind = TOKEN_RAW;
    }
    return add_token(scan, token);
}

static int add_text(struct scan *scan, const char *end)
{
    if (end <= scan->at)
        return 0;
    return add_token(scan, (struct token){.kind = TOKEN_TEXT, .text = scan->at, .len = (size_t)(end - scan->at)});
}

static int tokenize(struct scan *scan)
{
    for (const char *start; (start = find(scan->at, scan->end, scan->open));) {
        struct tag tag;
        if (read_tag(scan, start, &tag) < 0)
            return -1;
        const char *before = tag.start;
        const char *after = tag.end;
        take_line(scan, &tag, &before, &after);
        if (add_text(scan, before) < 0 || add_tag(scan, &tag, before) < 0)
            return -1;
        scan->at = after;
    }
    return add_text(scan, scan->end);
}

static bool same_name(const struct token *a, const struct token *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* Gives each section its end. */
static int match_sections(const struct scan *scan)
{
    struct token *items = scan->tokens->items;
    size_t open[DEPTH_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < scan->tokens->count; i++) {
        struct token *token = &items[i];
        if (token->kind == TOKEN_SECTION || token->kind == TOKEN_INVERTED) {
            if (depth == DEPTH_MAX)
                return bad(scan, token->text, "sections are nested too deep", token->text, token->len);
            open[depth++] = i;
        } else if (token->kind == TOKEN_CLOSE) {
            if (!depth || !same_name(&items[open[depth - 1]], token))
                return bad(scan, token->text, "this closes a section that is not open", token->text, token->len);
            items[open[--depth]].close = i;
        }
    }
    if (!depth)
        return 0;
    const struct token *last = &items[open[depth - 1]];
    return bad(scan, last->text, "this section is never closed", last->text, last->len);
}

static int parse(struct template_source source, struct tokens *tokens, struct error *err)
{
    struct scan scan = {
        .source = source,
        .tokens = tokens,
        .at = source.text,
        .end = source.text + source.len,
        .open = "{{",
        .close = "}}",
        .err = err,
    };
    if (tokenize(&scan) < 0)
        return -1;
    return match_sections(&scan);
}

/* The values that names are looked up in, innermost first. */
struct frame {
    const json_t *value;
    const struct frame *outer;
};

struct render {
    enum template_escape escape;
    const char *(*partial)(void *context, const char *name);
    void *context;
    struct buf *out;
    int depth;
    struct error *err;
};

static const json_t *lookup(const struct frame *frame, const char *name, size_t len)
{
    if (len == 1 && *name == '.')
        return frame->value;
    const char *dot = memchr(name, '.', len);
    size_t first = dot ? (size_t)(dot - name) : len;
    const json_t *value = NULL;
    for (; frame && !value; frame = frame->outer)
        value = json_object_getn(frame->value, name, first);
    while (value && first < len) { /* the rest is looked for in what the first name gave, nowhere else */
        name += first + 1;
        len -= first + 1;
        dot = memchr(name, '.', len);
        first = dot ? (size_t)(dot - name) : len;
        value = json_object_getn(value, name, first);
    }
    return value;
}

static bool is_empty(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE:
        return true;
    case JSON_STRING:
        return json_string_length(value) == 0;
    case JSON_INTEGER:
        return json_integer_value(value) == 0;
    case JSON_REAL:
        return json_real_value(value) == 0;
    case JSON_ARRAY:
        return json_array_size(value) == 0;
    default:
        return false;
    }
}

static void add_html(struct buf *out, const char *text, size_t len)
{
    static const char *const entities[256] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;",
    };
    for (size_t i = 0; i < len; i++) {
        const char *entity = entities[(unsigned char)text[i]];
        if (entity)
            buf_puts(out, entity);
        else
            buf_putc(out, text[i]);
    }
}

static void add_escaped(struct buf *out, enum template_escape escape, const char *text, size_t len)
{
    if (escape == TEMPLATE_HTML)
        add_html(out, text, len);
    else if (escape == TEMPLATE_MARKDOWN)
        markdown_text(out, text, len);
    else
        buf_add(out, text, len);
}

/* The fewest digits that read back as the same number. */
static const char *number_text(double number, char text[static 32])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return text;
}

static void add_value(struct render *render, const json_t *value, enum template_escape escape)
{
    char number[32];
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value)) {
        add_escaped(render->out, escape, json_string_value(value), json_string_length(value));
        return;
    }
    AUTO_FREE char *json = json_is_real(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    const char *text = json_is_real(value) ? number_text(json_real_value(value), number) : json;
    if (text)
        add_escaped(render->out, escape, text, strlen(text));
}

static int render_source(struct render *render, struct template_source source, const struct frame *frame);

/* The partial's text with the indentation of its tag before each line. */
static int render_partial(struct render *render, const struct token *token, const struct frame *frame)
{
    AUTO_FREE char *name = strndup(token->text, token->len);
    const char *text = name && render->partial ? render->partial(render->context, name) : NULL;
    if (!text)
        return 0;
    if (!token->indent_len)
        return render_source(render, (struct template_source){name, text, strlen(text)}, frame);
    AUTO_BUF struct buf indented = BUF_INIT(MiB(4));
    for (size_t len; *text; text += len) {
        len = strcspn(text, "\n");
        len += text[len] == '\n';
        buf_add(&indented, token->indent, token->indent_len);
        buf_add(&indented, text, len);
    }
    if (buf_check(&indented, name, render->err) < 0)
        return -1;
    return render_source(render, (struct template_source){name, buf_text(&indented), indented.len}, frame);
}

static int render_range(struct render *render, const struct tokens *tokens, size_t from, size_t to,
                        const struct frame *frame);

static int render_section(struct render *render, const struct tokens *tokens, size_t at, const struct frame *frame)
{
    const struct token *token = &tokens->items[at];
    const json_t *value = lookup(frame, token->text, token->len);
    if (token->kind == TOKEN_INVERTED)
        return is_empty(value) ? render_range(render, tokens, at + 1, token->close, frame) : 0;
    if (is_empty(value))
        return 0;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < count && !render->out->failed; i++) {
        struct frame inner = {json_is_array(value) ? json_array_get(value, i) : value, frame};
        if (render_range(render, tokens, at + 1, token->close, &inner) < 0)
            return -1;
    }
    return 0;
}

static int render_range(struct render *render, const struct tokens *tokens, size_t from, size_t to,
                        const struct frame *frame)
{
    int result = 0;
    for (size_t i = from; i < to && result == 0 && !render->out->failed; i++) {
        const struct token *token = &tokens->items[i];
        if (token->kind == TOKEN_TEXT)
            buf_add(render->out, token->text, token->len);
        else if (token->kind == TOKEN_VALUE)
            add_value(render, lookup(frame, token->text, token->len), render->escape);
        else if (token->kind == TOKEN_RAW)
            add_value(render, lookup(frame, token->text, token->len), TEMPLATE_PLAIN);
        else if (token->kind == TOKEN_PARTIAL)
            result = render_partial(render, token, frame);
        else if (token->kind != TOKEN_CLOSE) {
            result = render_section(render, tokens, i, frame);
            i = token->close;
        }
    }
    return result;
}

static int render_source(struct render *render, struct template_source source, const struct frame *frame)
{
    struct tokens tokens = {0};
    if (render->depth == DEPTH_MAX)
        return error_set(render->err, ERROR_LIMIT, "%s: partials include each other more than %d deep", source.name,
                         DEPTH_MAX);
    render->depth++;
    int result = parse(source, &tokens, render->err);
    if (result == 0)
        result = render_range(render, &tokens, 0, tokens.count, frame);
    free(tokens.items);
    render->depth--;
    return result;
}

int template_render(struct template_source source, enum template_escape escape, const json_t *view,
                    const char *(*partial)(void *context, const char *name), void *context, struct buf *out,
                    struct error *err)
{
    struct render render = {.escape = escape, .partial = partial, .context = context, .out = out, .err = err};
    struct frame frame = {view, NULL};
    if (render_source(&render, source, &frame) < 0)
        return -1;
    return buf_check(out, source.name, err);
}

static int by_path(const void *path, const void *file)
{
    return strcmp(path, ((const struct template_file *)file)->path);
}

const struct template_file *template_find(const char *path)
{
    return bsearch(path, template_table, template_table_count, sizeof *template_table, by_path);
}

const struct template_file *template_files(size_t *count)
{
    *count = template_table_count;
    return template_table;
}

/* {{>footer}} in "replies/help.mustache" is "replies/footer.mustache"; `context` is the including file's path. */
static const char *embedded_partial(void *context, const char *name)
{
    const char *slash = strrchr(context, '/');
    int folder = slash ? (int)(slash + 1 - (const char *)context) : 0;
    AUTO_FREE char *path = text_format("%.*s%s.mustache", folder, (const char *)context, name);
    const struct template_file *file = path ? template_find(path) : NULL;
    return file ? file->data : NULL;
}

static enum template_escape escape_of(const char *path)
{
    if (strncmp(path, "html/", 5) == 0)
        return TEMPLATE_HTML;
    return strncmp(path, "replies/", 8) == 0 ? TEMPLATE_MARKDOWN : TEMPLATE_PLAIN;
}

int template_render_file(const char *path, const json_t *view, struct buf *out, struct error *err)
{
    const struct template_file *file = template_find(path);
    if (!file)
        return error_set(err, ERROR_NOT_FOUND, "there is no template %s", path);
    struct template_source source = {file->path, file->data, file->len};
    return template_render(source, escape_of(path), view, embedded_partial, (void *)file->path, out, err);
}
