#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/mine.h"
#include "pipeline/mined.h"
#include "pipeline/symbols.h"

enum { MAX_FILES = 100000, MAX_FILE = 4 << 20, MAX_FUNCTIONS = 20000, COVER_TIMEOUT_MS = 1200000 };

void mine_leave_out(struct mine *mine, const char *reason)
{
    json_object_set_new(mine->left_out, reason,
                        json_integer(json_integer_value(json_object_get(mine->left_out, reason)) + 1));
}

/* ---- the files ---- */

struct search {
    struct mine *mine;
    json_t *sources, *tests; /* arrays of paths */
    const json_t *coverage;
    struct error *err;
};

static bool read_symbols(const struct mine *mine, const char *path, struct buf *text, struct symbols *symbols)
{
    return fs_read_beneath(mine->pipeline->tree, path, text, NULL) == 0 &&
           symbols_parse(mine->language, buf_text(text), text->len, symbols, NULL) == 0;
}

static bool defines_tests(const struct mine *mine, const char *path)
{
    AUTO_BUF struct buf text = BUF_INIT(MAX_FILE);
    struct symbols symbols = {0};
    const char *prefix = mine->language->tests.function_prefix;
    bool found = false;
    if (!read_symbols(mine, path, &text, &symbols))
        return false;
    for (size_t i = 0; i < symbols.count && !found; i++) {
        const char *dot = strrchr(symbols.items[i].name, '.');
        found = strncmp(dot ? dot + 1 : symbols.items[i].name, prefix, strlen(prefix)) == 0;
    }
    symbols_release(&symbols);
    return found;
}

static int note_file(void *context, const char *path)
{
    struct search *search = context;
    const struct mine *mine = search->mine;
    if (languages_by_path(mine->pipeline->languages, path) != mine->language ||
        language_ignores(mine->language, path) || !fs_path_is_clean(path))
        return 0;
    if (!language_is_test(mine->language, path))
        json_array_append_new(search->sources, json_string(path));
    else if (defines_tests(mine, path))
        json_array_append_new(search->tests, json_string(path));
    return 0;
}

/* ---- the functions ---- */

static uint32_t line_at(const char *text, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

static size_t count_words(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += !isspace((unsigned char)*text) && (isspace((unsigned char)text[1]) || !text[1]);
    return count;
}

/* Why a definition cannot make a task, whatever its tests; NULL when it can. */
static const char *unfit(const struct symbol *symbol)
{
    const char *dot = strrchr(symbol->name, '.'), *name = dot ? dot + 1 : symbol->name;
    if (strncmp(name, "__", 2) == 0)
        return "special name";
    if (symbol->kind == SYMBOL_METHOD)
        return "method";
    if (symbol->further)
        return "overload or accessor";
    if (symbol->placeholder)
        return "no body";
    if (symbol->last_line - symbol->first_line >= MINE_MAX_LINES)
        return "too long";
    if (!symbol->documentation)
        return "no documentation";
    return count_words(symbol->documentation) < MINE_MIN_WORDS ? "documentation too short" : NULL;
}

static void add_once(json_t *list, const char *text)
{
    size_t index;
    json_t *item;
    json_array_foreach (list, index, item)
        if (strcmp(json_string_value(item), text) == 0)
            return;
    json_array_append_new(list, json_string(text));
}

/* The tests that ran one of the lines; a test with parameters counts as one, and passed when all of it did. */
static void find_tests(const struct search *search, uint32_t first, uint32_t last, struct mine_function *function)
{
    const json_t *tests = json_object_get(search->coverage, "tests");
    const json_t *ranges = json_object_get(json_object_get(search->coverage, "lines"), function->file);
    size_t at, each;
    json_t *range, *number;
    json_auto_t *failed = json_object();
    json_array_foreach (ranges, at, range) {
        if (json_integer_value(json_array_get(range, 1)) < first || json_integer_value(json_array_get(range, 0)) > last)
            continue;
        json_array_foreach (json_array_get(range, 2), each, number) {
            const json_t *test = json_array_get(tests, (size_t)json_integer_value(number));
            const char *id = json_string_value(json_array_get(test, 0));
            AUTO_FREE char *bare = id ? mined_without_parameters(id) : NULL;
            if (!bare || !fs_path_is_clean(bare))
                continue;
            add_once(function->hide, bare);
            if (!json_is_true(json_array_get(test, 1)))
                json_object_set_new(failed, bare, json_true());
        }
    }
    json_array_foreach (function->hide, at, number)
        if (!json_object_get(failed, json_string_value(number)))
            json_array_append(function->tests, number);
}

static void release(struct mine_function *function)
{
    free(function->file);
    free(function->symbol);
    free(function->signature);
    free(function->documentation);
    json_decref(function->hide);
    json_decref(function->tests);
}

static int keep(struct mine *mine, const struct mine_function *function, struct error *err)
{
    struct mine_function *grown =
        mine->count < MAX_FUNCTIONS ? reallocarray(mine->functions, mine->count + 1, sizeof *grown) : NULL;
    if (!grown)
        return error_set(err, ERROR_LIMIT, "there are more than %d functions", MAX_FUNCTIONS);
    mine->functions = grown;
    mine->functions[mine->count++] = *function;
    return 0;
}

static int take_function(const struct search *search, const char *path, const char *text, const struct symbol *symbol)
{
    struct mine *mine = search->mine;
    struct mine_function function = {.file = strdup(path),
                                     .symbol = strdup(symbol->name),
                                     .signature = strdup(symbol->signature),
                                     .documentation = strdup(symbol->documentation),
                                     .hide = json_array(),
                                     .tests = json_array()};
    if (!function.file || !function.symbol || !function.signature || !function.documentation)
        return error_set(search->err, ERROR_INTERNAL, "no memory");
    find_tests(search, line_at(text, symbol->documentation_end) + 1, symbol->last_line, &function);
    size_t tests = json_array_size(function.hide);
    const char *reason = tests == 0                             ? "no test runs it"
                         : tests > MINE_MAX_TESTS               ? "too many tests run it"
                         : json_array_size(function.tests) == 0 ? "its tests do not pass"
                                                                : NULL;
    if (!reason && keep(mine, &function, search->err) == 0)
        return 0;
    release(&function);
    if (!reason)
        return -1;
    mine_leave_out(mine, reason);
    return 0;
}

static int take_functions(const struct search *search, const char *path)
{
    AUTO_BUF struct buf text = BUF_INIT(MAX_FILE);
    struct symbols symbols = {0};
    int status = 0;
    if (!read_symbols(search->mine, path, &text, &symbols)) {
        mine_leave_out(search->mine, "a whole file that cannot be read");
        return 0;
    }
    for (size_t i = 0; i < symbols.count && status == 0; i++) {
        const struct symbol *symbol = &symbols.items[i];
        if (symbol->kind != SYMBOL_FUNCTION && symbol->kind != SYMBOL_METHOD)
            continue;
        const char *reason = unfit(symbol);
        search->mine->seen++;
        if (!reason && symbols_find(&symbols, symbol->name) != symbol)
            reason = "overload or accessor";
        if (reason)
            mine_leave_out(search->mine, reason);
        else
            status = take_function(search, path, buf_text(&text), symbol);
    }
    symbols_release(&symbols);
    return status;
}

static int find_in(struct search *search)
{
    struct mine *mine = search->mine;
    const char *source = json_string_value(json_array_get(search->sources, 0));
    size_t index;
    json_t *path;
    if (!source || !json_array_size(search->tests))
        return error_set(search->err, ERROR_INPUT, "the repository holds no %s in %s", source ? "tests" : "code",
                         mine->language->name);
    json_auto_t *coverage =
        mined_coverage(mine->pipeline, mine->language, source, search->tests, COVER_TIMEOUT_MS, search->err);
    search->coverage = coverage;
    int status = coverage ? 0 : error_wrap(search->err, "run the repository's tests");
    json_array_foreach (search->sources, index, path)
        status = status == 0 ? take_functions(search, json_string_value(path)) : -1;
    return status;
}

int mine_find(struct mine *mine, struct error *err)
{
    struct search search = {.mine = mine, .sources = json_array(), .tests = json_array(), .err = err};
    mine->left_out = json_object();
    int status = fs_walk(mine->pipeline->tree, MAX_FILES, note_file, &search, err) == 0 ? find_in(&search) : -1;
    json_decref(search.sources);
    json_decref(search.tests);
    return status;
}

void mine_release(struct mine *mine)
{
    for (size_t i = 0; i < mine->count; i++)
        release(&mine->functions[i]);
    free(mine->functions);
    json_decref(mine->left_out);
    *mine = (struct mine){0};
}
