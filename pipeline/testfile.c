#include "pipeline/testfile.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/checks.h"
#include "pipeline/edit.h"
#include "pipeline/example.h"
#include "pipeline/symbols.h"
#include "pipeline/testfile_names.h"

enum { MAX_FILE = 512 * 1024, MAX_NAMES = 100 };

/* "test_slugify.py", "test_slugify_2.py", … in the tree's test folder: the first that is free. */
static char *free_path(const struct language *language, const char *tree, const char *symbol, struct error *err)
{
    const char *folder = language->tests.folders.items[0];
    for (size_t i = 0; i < language->tests.folders.count; i++) {
        AUTO_FREE char *there = text_format("%s/%s", tree, language->tests.folders.items[i]);
        if (there && fs_exists(there)) {
            folder = language->tests.folders.items[i];
            break;
        }
    }
    AUTO_FREE char *name = strdup(symbol);
    for (char *at = name; at && *at; at++)
        *at = isalnum((unsigned char)*at) ? (char)tolower((unsigned char)*at) : '_';
    for (int i = 1; name && i <= MAX_NAMES; i++) {
        AUTO_FREE char *numbered = i == 1 ? strdup(name) : text_format("%s_%d", name, i);
        json_auto_t *view = json_pack("{s:s}", "name", numbered);
        AUTO_BUF struct buf file = BUF_INIT(KiB(1));
        struct template_source source = {"tests.file", language->tests.file, strlen(language->tests.file)};
        if (template_render(source, TEMPLATE_PLAIN, view, NULL, NULL, &file, err) < 0)
            return NULL;
        AUTO_FREE char *path = text_format("%s/%s", folder, buf_text(&file));
        AUTO_FREE char *full = path ? text_format("%s/%s", tree, path) : NULL;
        if (full && !fs_exists(full))
            return STEAL(path);
    }
    error_set(err, ERROR_INPUT, "%s already holds %d test files for %s", folder, MAX_NAMES, symbol);
    return NULL;
}

static int render_header(struct testfile *file, struct error *err)
{
    AUTO_BUF struct buf header = BUF_INIT(KiB(16));
    struct yaml_texts symbols = {&file->symbol, 1};
    if (example_header_render(file->language, file->module, &symbols, &header, err) < 0)
        return -1;
    file->text = buf_steal(&header, NULL);
    file->trusted_text = file->text ? strdup(file->text) : NULL;
    return file->trusted_text ? 0 : error_set(err, ERROR_INTERNAL, "out of memory");
}

int testfile_init(struct testfile *file, const struct language *language, const struct import_rules *rules,
                  const char *tree, const struct spec *spec, struct error *err)
{
    struct testfile fresh = {.language = language, .rules = rules, .spec = spec, .undecided = json_array()};
    AUTO_BUF struct buf target = BUF_INIT(MiB(4));
    if (fs_read_beneath(tree, spec->file, &target, NULL) < 0)
        buf_clear(&target);
    fresh.target = strdup(buf_text(&target));
    fresh.module = language_module_of(language, tree, spec->file);
    fresh.symbol = strndup(spec->symbol, strcspn(spec->symbol, "."));
    fresh.path = free_path(language, tree, spec->symbol, err);
    if (!fresh.target || !fresh.module || !fresh.symbol || !fresh.path || render_header(&fresh, err) < 0) {
        testfile_release(&fresh);
        return error_wrap(err, "start the test file");
    }
    *file = fresh;
    return 0;
}

int testfile_name(struct testfile *file, const char *tree, const char *name, struct error *err)
{
    char *path = free_path(file->language, tree, name, err);
    if (!path)
        return -1;
    free(file->path);
    file->path = path;
    return 0;
}

int testfile_open(struct testfile *file, const struct language *language, const char *path, const char *text,
                  const char *trusted_text, struct error *err)
{
    struct testfile fresh = {.language = language,
                             .path = strdup(path),
                             .text = strdup(text),
                             .trusted_text = strdup(trusted_text),
                             .undecided = json_array()};
    json_auto_t *names = fresh.path && fresh.text && fresh.trusted_text ? testfile_names(&fresh) : NULL;
    if (!names) {
        testfile_release(&fresh);
        return error_set(err, ERROR_INPUT, "%s cannot be read as tests", path);
    }
    size_t index;
    json_t *name;
    json_array_foreach (names, index, name)
        testfile_is_trusted(&fresh, json_string_value(name)) ? fresh.trusted_count++ : fresh.test_count++;
    *file = fresh;
    return 0;
}

void testfile_release(struct testfile *file)
{
    free(file->path);
    free(file->text);
    free(file->trusted_text);
    free(file->symbol);
    free(file->module);
    free(file->target);
    json_decref(file->undecided);
    *file = (struct testfile){0};
}

static int take_text(struct testfile *file, struct buf *text, struct error *err)
{
    char *fresh = buf_check(text, "the test file", err) < 0 ? NULL : buf_steal(text, NULL);
    if (!fresh)
        return -1;
    free(file->text);
    file->text = fresh;
    return 0;
}

static int add_block(struct testfile *file, const char *code, struct error *err)
{
    AUTO_BUF struct buf out = BUF_INIT(MAX_FILE);
    if (edit_apply_block(file->language, file->text, strlen(file->text), code, &out, NULL, err) < 0)
        return -1;
    return take_text(file, &out, err);
}

static int add_import(struct testfile *file, char *statement, struct error *err)
{
    AUTO_BUF struct buf out = BUF_INIT(MAX_FILE);
    struct edit edit = {.kind = EDIT_IMPORT, .path = file->path, .code = statement};
    if (edit_apply(file->language, file->text, strlen(file->text), &edit, &out, NULL) < 0)
        return 0; /* the file is as good without it */
    return take_text(file, &out, err);
}

static int add_missing_imports(struct testfile *file, const char *code, struct error *err)
{
    json_auto_t *imports = testfile_imports_for(file, file->text, code);
    size_t index;
    json_t *statement;
    json_array_foreach (imports, index, statement)
        if (add_import(file, (char *)json_string_value(statement), err) < 0)
            return -1;
    return imports ? 0 : error_set(err, ERROR_INTERNAL, "out of memory");
}

int testfile_add_trusted(struct testfile *file, const char *code, struct error *err)
{
    if (add_missing_imports(file, code, err) < 0 || add_block(file, code, err) < 0)
        return -1;
    char *copy = strdup(file->text);
    if (!copy)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    free(file->trusted_text);
    file->trusted_text = copy;
    file->trusted_count++;
    return 0;
}

int testfile_reset(struct testfile *file, struct error *err)
{
    char *copy = strdup(file->trusted_text);
    if (!copy)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    free(file->text);
    file->text = copy;
    file->test_count = 0;
    return 0;
}

/* ---- what a model wrote ---- */

static bool is_test(const struct testfile *file, const struct symbol *symbol)
{
    const char *prefix = file->language->tests.function_prefix, *dot = strrchr(symbol->name, '.');
    const char *name = dot ? dot + 1 : symbol->name;
    return symbol->kind != SYMBOL_CLASS && symbol->kind != SYMBOL_VALUE && strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool imports_what_is_tested(const struct testfile *file, const struct source_import *import)
{
    for (size_t i = 0; i < import->name_count; i++)
        if (strcmp(import->names[i], file->symbol) == 0 || strcmp(import->names[i], "*") == 0)
            return true;
    return false;
}

/* Imports come from models' habits ("from your_module import slugify"): what resolves nowhere would break every test.
 */
static int add_imports(struct testfile *file, const char *code, const struct symbols *symbols, struct error *err)
{
    for (size_t i = 0; i < symbols->import_count; i++) {
        const struct source_import *import = &symbols->imports[i];
        if (!import->top_level || imports_what_is_tested(file, import) ||
            !import_resolve(file->rules, file->path, import, true))
            continue;
        AUTO_FREE char *text = strndup(code + import->start, import->end - import->start);
        if (!text)
            return error_set(err, ERROR_INTERNAL, "out of memory");
        if (add_import(file, text, err) < 0)
            return -1;
    }
    return 0;
}

static bool parses(const struct testfile *file, const char *code)
{
    struct symbols symbols = {0};
    if (symbols_parse(file->language, code, strlen(code), &symbols, NULL) < 0)
        return false;
    bool clean = symbols.error_line == 0 && symbols.count > 0;
    symbols_release(&symbols);
    return clean;
}

static bool defines(const struct testfile *file, const char *name)
{
    struct symbols symbols = {0};
    if (symbols_parse(file->language, file->text, strlen(file->text), &symbols, NULL) < 0)
        return false;
    bool found = symbols_find(&symbols, name) != NULL;
    symbols_release(&symbols);
    return found;
}

/* The definition under a name that is free: "test_empty" becomes "test_empty_2". Heap. */
static char *with_free_name(const struct testfile *file, const char *code, const char *name)
{
    const char *at = strstr(code, name);
    if (!at || !defines(file, name))
        return strdup(code);
    for (int i = 2; i < MAX_NAMES; i++) {
        AUTO_FREE char *fresh = text_format("%s_%d", name, i);
        if (fresh && !defines(file, fresh))
            return text_format("%.*s%s%s", (int)(at - code), code, fresh, at + strlen(name));
    }
    return NULL;
}

static size_t count_tests(const struct testfile *file, const struct symbols *symbols, const struct symbol *outer)
{
    size_t len = strlen(outer->name), count = is_test(file, outer);
    for (size_t i = 0; outer->kind == SYMBOL_CLASS && i < symbols->count; i++)
        count += strncmp(symbols->items[i].name, outer->name, len) == 0 && symbols->items[i].name[len] == '.' &&
                 is_test(file, &symbols->items[i]);
    return count;
}

/* True when a test expects an error that the request does not name, or does not speak of at all. */
static bool is_undecided(const struct testfile *file, const char *code, char *name, size_t size)
{
    const char *pattern = file->language->tests.error_expectation;
    regex_t regex;
    regmatch_t groups[2];
    if (!pattern || regcomp(&regex, pattern, REG_EXTENDED) != 0)
        return false;
    bool expects = regexec(&regex, code, 2, groups, 0) == 0 && groups[1].rm_so >= 0;
    regfree(&regex);
    if (!expects)
        return false;
    snprintf(name, size, "%.*s", (int)(groups[1].rm_eo - groups[1].rm_so), code + groups[1].rm_so);
    const char *dot = strrchr(name, '.');
    const char *request = file->spec && file->spec->text ? file->spec->text : "";
    bool names_one = strstr(request, "Error") || strstr(request, "Exception");
    return !strstr(request, dot ? dot + 1 : name) && (names_one || !spec_speaks_of_errors(request));
}

/* Blanks and kinds of quotes aside. */
static char *squeezed(const char *text, size_t len)
{
    AUTO_BUF struct buf out = BUF_INIT(MAX_FILE);
    for (size_t i = 0; i < len; i++)
        if (!isspace((unsigned char)text[i]))
            buf_putc(&out, text[i] == '\'' ? '"' : text[i]);
    return buf_steal(&out, NULL);
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

/* A test whose only call is one that an example makes says nothing new, or something else than the request. */
static bool repeats_example(const struct testfile *file, const char *code)
{
    AUTO_FREE char *body = squeezed(code, strlen(code));
    AUTO_FREE char *call = text_format("%s(", file->symbol);
    bool repeats = false;
    for (size_t i = 0; body && call && file->spec && i < file->spec->example_count && !repeats; i++) {
        const char *example = file->spec->examples[i].call;
        AUTO_FREE char *made = squeezed(example, strlen(example));
        repeats = made && strstr(body, made) && count_of(body, call) == 1;
    }
    return repeats;
}

static int add_definition(struct testfile *file, const char *code, const struct symbols *symbols,
                          const struct symbol *symbol, size_t max, struct error *err)
{
    size_t tests = count_tests(file, symbols, symbol);
    AUTO_FREE char *text = strndup(code + symbol->start, symbol->end - symbol->start);
    if (!text || strchr(symbol->name, '.') || strcmp(symbol->name, file->symbol) == 0 || !parses(file, text) ||
        file->test_count + file->trusted_count + tests > max)
        return 0;
    if (tests && repeats_example(file, text))
        return 0;
    char error[128];
    if (tests && is_undecided(file, text, error, sizeof error)) {
        json_append_text(file->undecided, "%s expects %s, of which the request does not speak", symbol->name, error);
        return 0;
    }
    AUTO_FREE char *named = tests ? with_free_name(file, text, symbol->name) : strdup(text);
    if (!named || add_missing_imports(file, named, err) < 0 || add_block(file, named, err) < 0)
        return -1;
    file->test_count += tests;
    return 0;
}

int testfile_add(struct testfile *file, const char *written, size_t max, struct error *err)
{
    struct symbols symbols = {0};
    size_t before = file->test_count;
    AUTO_FREE char *code = checks_unfold(file->language, written, err);
    if (!code || symbols_parse(file->language, code, strlen(code), &symbols, err) < 0)
        return -1;
    int status = add_imports(file, code, &symbols, err);
    for (size_t i = 0; status == 0 && i < symbols.count; i++)
        status = add_definition(file, code, &symbols, &symbols.items[i], max, err);
    if (status == 0 && file->test_count == before) {
        status = symbols.error_line ? error_set(err, ERROR_INPUT, "the tests do not parse: line %u: %s",
                                                symbols.error_line, symbols.error_text ? symbols.error_text : "")
                                    : error_set(err, ERROR_INPUT, "the answer holds no function named %s…",
                                                file->language->tests.function_prefix);
    }
    symbols_release(&symbols);
    return status;
}

json_t *testfile_names(const struct testfile *file)
{
    struct symbols symbols = {0};
    if (symbols_parse(file->language, file->text, strlen(file->text), &symbols, NULL) < 0)
        return NULL;
    json_t *names = json_array();
    for (size_t i = 0; i < symbols.count && json_array_size(names) < TESTFILE_MAX_TESTS; i++) {
        const char *dot = strrchr(symbols.items[i].name, '.');
        if (is_test(file, &symbols.items[i]))
            json_array_append_new(names, json_string(dot ? dot + 1 : symbols.items[i].name));
    }
    symbols_release(&symbols);
    return names;
}

/* ---- taking out ---- */

bool testfile_is_trusted(const struct testfile *file, const char *name)
{
    AUTO_FREE char *bare = strndup(name, strcspn(name, "["));
    struct symbols symbols = {0};
    if (!bare || symbols_parse(file->language, file->trusted_text, strlen(file->trusted_text), &symbols, NULL) < 0)
        return false;
    bool trusted = symbols_find(&symbols, bare) != NULL;
    symbols_release(&symbols);
    return trusted;
}

/* The qualified name of the test that a report calls `name`: top-level, or a method of a class. Heap or NULL. */
static char *qualified(const struct testfile *file, const char *name)
{
    AUTO_FREE char *bare = strndup(name, strcspn(name, "["));
    struct symbols symbols = {0};
    char *found = NULL;
    if (!bare || symbols_parse(file->language, file->text, strlen(file->text), &symbols, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < symbols.count && !found; i++) {
        const char *dot = strrchr(symbols.items[i].name, '.');
        if (is_test(file, &symbols.items[i]) && strcmp(dot ? dot + 1 : symbols.items[i].name, bare) == 0)
            found = strdup(symbols.items[i].name);
    }
    symbols_release(&symbols);
    return found;
}

static bool mentions(const char *message, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = message; (at = strstr(at, name)); at++) {
        bool starts = at == message || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        if (starts && !isalnum((unsigned char)at[len]) && at[len] != '_')
            return true;
    }
    return false;
}

char *testfile_mentioned(const struct testfile *file, const char *message)
{
    struct symbols symbols = {0};
    char *found = NULL;
    if (symbols_parse(file->language, file->text, strlen(file->text), &symbols, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < symbols.count && !found; i++) {
        const char *dot = strrchr(symbols.items[i].name, '.'), *name = dot ? dot + 1 : symbols.items[i].name;
        if (is_test(file, &symbols.items[i]) && mentions(message, name) && !testfile_is_trusted(file, name))
            found = strdup(name);
    }
    symbols_release(&symbols);
    return found;
}

bool testfile_drop(struct testfile *file, const char *name)
{
    AUTO_FREE char *symbol = qualified(file, name);
    AUTO_BUF struct buf out = BUF_INIT(MAX_FILE);
    struct edit edit = {.kind = EDIT_REMOVE, .path = file->path, .symbol = symbol};
    if (!symbol || edit_apply(file->language, file->text, strlen(file->text), &edit, &out, NULL) < 0)
        return false;
    bool trusted = testfile_is_trusted(file, name);
    if (take_text(file, &out, NULL) < 0)
        return false;
    if (trusted) {
        AUTO_BUF struct buf rest = BUF_INIT(MAX_FILE);
        file->trusted_count--;
        if (edit_apply(file->language, file->trusted_text, strlen(file->trusted_text), &edit, &rest, NULL) == 0) {
            free(file->trusted_text);
            file->trusted_text = buf_steal(&rest, NULL);
        }
    } else {
        file->test_count--;
    }
    return true;
}
