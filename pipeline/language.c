#include "pipeline/language.h"

#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/grammar.h"

enum { TREE_MAX_FILES = 200000, ARGV_MAX_BYTES = 256 * 1024, REGEX_MAX_BYTES = 16 * 1024 };

struct languages {
    struct language *items;
    size_t count;
};

/* ---- loading ---- */

/* A pattern that does not compile would be found only when a test fails, so it is tried here. */
static int check_patterns(const struct yaml_texts *patterns, const char *file, struct error *err)
{
    for (size_t i = 0; i < patterns->count; i++) {
        regex_t regex;
        struct template_source source = {file, patterns->items[i], strlen(patterns->items[i])};
        AUTO_BUF struct buf text = BUF_INIT(REGEX_MAX_BYTES);
        json_auto_t *view = json_pack("{s:s,s:s,s:s,s:s,s:s}", "module", "m", "packages", "p", "symbol", "s", "owner",
                                      "o", "member", "m");
        if (template_render(source, TEMPLATE_PLAIN, view, NULL, NULL, &text, err) < 0)
            return -1;
        if (regcomp(&regex, buf_text(&text), REG_EXTENDED | REG_NOSUB | REG_NEWLINE) != 0)
            return error_set(err, ERROR_CONFIG, "%s: errors: \"%s\" is not a regular expression", file,
                             patterns->items[i]);
        regfree(&regex);
    }
    return 0;
}

static int load_one(const struct template_file *file, struct language *out, struct error *err)
{
    if (yaml_read(file->data, file->len, file->path, language_fields, out, err) < 0 ||
        check_patterns(&out->errors.missing, file->path, err) < 0 ||
        check_patterns(&out->errors.broken, file->path, err) < 0)
        return -1;
    out->parser = grammar_new(out, err);
    return out->parser ? 0 : -1;
}

struct languages *languages_load(struct error *err)
{
    static const char folder[] = "languages/";
    size_t file_count = 0;
    const struct template_file *files = template_files(&file_count);
    struct languages *languages = calloc(1, sizeof *languages);
    if (languages)
        languages->items = calloc(file_count + 1, sizeof *languages->items);
    if (!languages || !languages->items) {
        free(languages);
        error_system(err, ENOMEM, "load the languages");
        return NULL;
    }
    for (size_t i = 0; i < file_count; i++) {
        const char *dot = strrchr(files[i].path, '.');
        if (strncmp(files[i].path, folder, sizeof folder - 1) != 0 || !dot || strcmp(dot, ".yml") != 0)
            continue;
        if (load_one(&files[i], &languages->items[languages->count++], err) < 0) {
            languages_free(languages);
            return NULL;
        }
    }
    return languages;
}

void languages_free(struct languages *languages)
{
    if (!languages)
        return;
    for (size_t i = 0; i < languages->count; i++) {
        grammar_free(languages->items[i].parser);
        yaml_release(language_fields, &languages->items[i]);
    }
    free(languages->items);
    free(languages);
}

/* ---- finding ---- */

static bool holds(const struct yaml_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcasecmp(texts->items[i], text) == 0)
            return true;
    return false;
}

const struct language *languages_by_name(const struct languages *languages, const char *name)
{
    for (size_t i = 0; name && i < languages->count; i++)
        if (strcasecmp(languages->items[i].name, name) == 0 || holds(&languages->items[i].aliases, name))
            return &languages->items[i];
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool has_extension(const struct language *language, const char *path)
{
    const char *base = base_name(path);
    size_t len = strlen(base);
    for (size_t i = 0; i < language->extensions.count; i++) {
        const char *extension = language->extensions.items[i];
        size_t extension_len = strlen(extension);
        if (len > extension_len && strcasecmp(base + len - extension_len, extension) == 0)
            return true;
    }
    return false;
}

const struct language *languages_by_path(const struct languages *languages, const char *path)
{
    for (size_t i = 0; path && i < languages->count; i++)
        if (has_extension(&languages->items[i], path))
            return &languages->items[i];
    return NULL;
}

/* True when a step of the path's folders is one of the names. */
static bool below_one_of(const struct yaml_texts *folders, const char *path)
{
    for (const char *step = path, *slash; (slash = strchr(step, '/')); step = slash + 1)
        for (size_t i = 0; i < folders->count; i++)
            if (strlen(folders->items[i]) == (size_t)(slash - step) &&
                strncmp(folders->items[i], step, (size_t)(slash - step)) == 0)
                return true;
    return false;
}

bool language_ignores(const struct language *language, const char *path)
{
    return below_one_of(&language->ignored_folders, path);
}

struct census {
    const struct languages *languages;
    size_t *files;
};

static int count_file(void *context, const char *path)
{
    struct census *census = context;
    for (size_t i = 0; i < census->languages->count; i++)
        if (has_extension(&census->languages->items[i], path) && !language_ignores(&census->languages->items[i], path))
            census->files[i]++;
    return 0;
}

static bool has_marker(const struct language *language, const char *tree)
{
    bool found = false;
    for (size_t i = 0; i < language->markers.count && !found; i++) {
        AUTO_FREE char *path = text_format("%s/%s", tree, language->markers.items[i]);
        found = path && fs_exists(path);
    }
    return found;
}

const struct language *languages_of_tree(const struct languages *languages, const char *tree)
{
    AUTO_FREE size_t *files = calloc(languages->count + 1, sizeof *files);
    struct census census = {languages, files};
    if (!files)
        return NULL;
    /* In a tree with too many files the markers alone decide. */
    fs_walk(tree, TREE_MAX_FILES, count_file, &census, NULL);
    const struct language *best = NULL;
    size_t best_score = 0;
    for (size_t i = 0; i < languages->count; i++) {
        size_t score = files[i] + (has_marker(&languages->items[i], tree) ? TREE_MAX_FILES + 1 : 0);
        if (score > best_score) {
            best_score = score;
            best = &languages->items[i];
        }
    }
    return best;
}

bool language_is_test(const struct language *language, const char *path)
{
    for (size_t i = 0; i < language->tests.patterns.count; i++) {
        const char *pattern = language->tests.patterns.items[i];
        if (fnmatch(pattern, strchr(pattern, '/') ? path : base_name(path), 0) == 0)
            return true;
    }
    return has_extension(language, path) && below_one_of(&language->tests.folders, path);
}

/* ---- module names ---- */

static bool is_package(const struct language *language, const char *tree, const char *folder, size_t len)
{
    if (!language->package_file || !*language->package_file || !tree)
        return false;
    AUTO_FREE char *path = text_format("%s/%.*s/%s", tree, (int)len, folder, language->package_file);
    return path && fs_exists(path);
}

static bool is_source_root(const struct language *language, const char *name, size_t len)
{
    for (size_t i = 0; i < language->source_roots.count; i++)
        if (strlen(language->source_roots.items[i]) == len && strncmp(language->source_roots.items[i], name, len) == 0)
            return true;
    return false;
}

/* Where the part of the path that names the module begins: above the topmost package that the file lies in; in no
 * package, after the last folder that is a source root. New folders (in no package yet) are passed over. */
static size_t module_start(const struct language *language, const char *tree, const char *path)
{
    size_t top = (size_t)(base_name(path) - path);
    bool in_package = false;
    for (size_t end = top; end > 0;) {
        size_t start = end - 1;
        while (start > 0 && path[start - 1] != '/')
            start--;
        if (is_package(language, tree, path, end - 1)) {
            in_package = true;
            top = start;
        } else if (in_package) {
            return top;
        } else if (is_source_root(language, path + start, end - 1 - start)) {
            return end;
        }
        end = start;
    }
    return in_package ? top : 0;
}

static size_t stem_length(const struct language *language, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < language->extensions.count; i++) {
        size_t extension_len = strlen(language->extensions.items[i]);
        if (len > extension_len && strcasecmp(path + len - extension_len, language->extensions.items[i]) == 0)
            return len - extension_len;
    }
    return len;
}

char *language_failing_body(const struct language *language)
{
    AUTO_BUF struct buf stub = BUF_INIT(KiB(4));
    json_auto_t *view = json_pack("{s:s}", "signature", "");
    if (!language->stub || template_render((struct template_source){"stub", language->stub, strlen(language->stub)},
                                           TEMPLATE_PLAIN, view, NULL, NULL, &stub, NULL) < 0)
        return NULL;
    const char *body = buf_text(&stub) + strspn(buf_text(&stub), " \t\r\n");
    return strndup(body, strcspn(body, "\r\n"));
}

char *language_module_of(const struct language *language, const char *tree, const char *path)
{
    size_t start = module_start(language, tree, path);
    const char *base = base_name(path);
    size_t end = stem_length(language, path);
    if (language->package_file && strcmp(base, language->package_file) == 0 && (size_t)(base - path) > start)
        end = (size_t)(base - path) - 1;
    const char *separator = language->module_separator ? language->module_separator : ".";
    AUTO_BUF struct buf module = BUF_INIT(KiB(4));
    for (size_t i = start; i < end; i++)
        if (path[i] == '/')
            buf_puts(&module, separator);
        else
            buf_putc(&module, path[i]);
    return module.failed ? NULL : buf_steal(&module, NULL);
}

char *language_source_root(const struct language *language, const char *tree, const char *path)
{
    size_t start = module_start(language, tree, path);
    return start == 0 ? strdup(".") : strndup(path, start - 1);
}

/* ---- messages ---- */

static void add_escaped(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\^$.|?*+()[]{}", text[i]))
            buf_putc(out, '\\');
        buf_putc(out, text[i]);
    }
}

static json_t *escaped(const char *text, size_t len)
{
    AUTO_BUF struct buf out = BUF_INIT(REGEX_MAX_BYTES);
    add_escaped(&out, text, len);
    return json_stringn(buf_text(&out), out.len);
}

/* "shop.cart" → "shop\.cart|shop": a missing module may be reported by the package above it. */
static json_t *packages_of(const char *module)
{
    AUTO_BUF struct buf out = BUF_INIT(REGEX_MAX_BYTES);
    for (size_t len = strlen(module); len > 0;) {
        if (out.len)
            buf_putc(&out, '|');
        add_escaped(&out, module, len);
        while (len > 0 && module[--len] != '.')
            ;
    }
    return json_stringn(buf_text(&out), out.len);
}

static json_t *error_view(const char *module, const char *symbol)
{
    static const char nothing[] = "\x01"; /* what is not known must match nothing */
    if (!module || !*module)
        module = nothing;
    if (!symbol || !*symbol)
        symbol = nothing;
    const char *last = strrchr(symbol, '.');
    const char *member = last ? last + 1 : symbol;
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "module", escaped(module, strlen(module)), "packages",
                     packages_of(module), "symbol", escaped(symbol, strlen(symbol)), "owner",
                     escaped(symbol, strcspn(symbol, ".")), "member", escaped(member, strlen(member)));
}

static bool pattern_occurs(const char *pattern, const json_t *view, const char *text)
{
    regex_t regex;
    AUTO_BUF struct buf source = BUF_INIT(REGEX_MAX_BYTES);
    struct template_source template = {"errors", pattern, strlen(pattern)};
    if (template_render(template, TEMPLATE_PLAIN, view, NULL, NULL, &source, NULL) < 0 ||
        regcomp(&regex, buf_text(&source), REG_EXTENDED | REG_NOSUB | REG_NEWLINE) != 0)
        return false;
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

bool language_error_matches(const struct yaml_texts *patterns, const char *module, const char *symbol, const char *text)
{
    json_auto_t *view = error_view(module, symbol);
    for (size_t i = 0; view && i < patterns->count; i++)
        if (pattern_occurs(patterns->items[i], view, text))
            return true;
    return false;
}

/* ---- commands ---- */

struct argv {
    char **items;
    size_t count, size;
};

static int argv_add(struct argv *argv, const char *template, const json_t *view, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(ARGV_MAX_BYTES);
    struct template_source source = {"argv", template, strlen(template)};
    if (template_render(source, TEMPLATE_PLAIN, view, NULL, NULL, &text, err) < 0 ||
        buf_check(&text, "an argument", err) < 0)
        return -1;
    if (argv->count + 2 > argv->size) {
        size_t size = argv->size ? argv->size * 2 : 32;
        char **items = reallocarray(argv->items, size, sizeof *items);
        if (!items)
            return error_system(err, ENOMEM, "build a command");
        argv->items = items;
        argv->size = size;
    }
    char *item = buf_steal(&text, NULL);
    if (!item)
        return error_system(err, ENOMEM, "build a command");
    argv->items[argv->count++] = item;
    argv->items[argv->count] = NULL;
    return 0;
}

static int argv_add_files(struct argv *argv, const json_t *view, struct error *err)
{
    const json_t *files = json_object_get(view, "files");
    size_t i;
    json_t *file;
    json_array_foreach (files, i, file) {
        json_auto_t *one = json_pack("{s:O}", "file", file);
        if (!one || argv_add(argv, "{{file}}", one, err) < 0)
            return -1;
    }
    return 0;
}

char **language_argv(const struct yaml_texts *argv, const json_t *view, struct error *err)
{
    struct argv out = {.items = calloc(32, sizeof(char *)), .size = 32};
    if (!out.items) {
        error_system(err, ENOMEM, "build a command");
        return NULL;
    }
    for (size_t i = 0; i < argv->count; i++) {
        int failed = strcmp(argv->items[i], "{{files}}") == 0 ? argv_add_files(&out, view, err)
                                                              : argv_add(&out, argv->items[i], view, err);
        if (failed) {
            argv_free(out.items);
            return NULL;
        }
    }
    return out.items;
}

void argv_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++)
        free(argv[i]);
    free(argv);
}
