#include "pipeline/imports.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/fs.h"

enum { TREE_FILES_MAX = 200000 };

/* Sets are JSON objects: a key is a member. */
struct import_rules {
    const struct language *language; /* borrowed */
    char *tree;
    json_t *stdlib, *declared, *allowed;
    json_t *modules;  /* of the repository, by their dotted names seen from their own root */
    json_t *paths;    /* its source files, with and without extension, and the folders that hold any */
    json_t *provides; /* module → array of distributions */
};

void import_rules_free(struct import_rules *rules)
{
    if (!rules)
        return;
    free(rules->tree);
    json_decref(rules->stdlib);
    json_decref(rules->declared);
    json_decref(rules->allowed);
    json_decref(rules->modules);
    json_decref(rules->paths);
    json_decref(rules->provides);
    free(rules);
}

/* ---- sets ---- */

static void add(json_t *set, const char *name)
{
    json_object_set_new(set, name, json_true());
}

static bool has(const json_t *set, const char *name)
{
    return json_object_get(set, name) != NULL;
}

/* A distribution's name as indexes compare it: lower case, runs of -, _ and . as one hyphen (PEP 503). Heap. */
static char *normalised(const char *distribution)
{
    AUTO_BUF struct buf name = BUF_INIT(KiB(1));
    for (; *distribution; distribution++) {
        if (!strchr("-_.", *distribution))
            buf_putc(&name, (char)tolower((unsigned char)*distribution));
        else if (name.len && name.data[name.len - 1] != '-')
            buf_putc(&name, '-');
    }
    return name.failed ? NULL : buf_steal(&name, NULL);
}

static json_t *set_of(const json_t *array, char *(*form)(const char *text))
{
    json_t *set = json_object(), *item;
    size_t index;
    json_array_foreach (array, index, item) {
        AUTO_FREE char *name = json_is_string(item) ? form(json_string_value(item)) : NULL;
        if (name)
            add(set, name);
    }
    return set;
}

static char *as_it_is(const char *text)
{
    return strdup(text);
}

/* ---- the repository ---- */

static const char *separator_of(const struct language *language)
{
    return language->module_separator && *language->module_separator ? language->module_separator : ".";
}

/* Bytes of the path's known extension; 0 when it is no source file of the language. */
static size_t extension_of(const struct language *language, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < language->extensions.count; i++) {
        size_t extension = strlen(language->extensions.items[i]);
        if (len > extension && strcmp(path + len - extension, language->extensions.items[i]) == 0)
            return extension;
    }
    return 0;
}

/* Every part of the name up to a separator is a package, which may be imported too. */
static void add_with_parents(json_t *set, char *name, const char *separator)
{
    for (char *cut = name; cut;) {
        add(set, name);
        cut = NULL;
        for (char *at = name; (at = strstr(at, separator)); at += strlen(separator))
            cut = at;
        if (cut)
            *cut = '\0';
    }
}

void import_rules_add_file(struct import_rules *rules, const char *path)
{
    size_t extension = extension_of(rules->language, path);
    AUTO_FREE char *module = extension ? language_module_of(rules->language, rules->tree, path) : NULL;
    AUTO_FREE char *stem = module ? strndup(path, strlen(path) - extension) : NULL;
    if (!stem)
        return;
    add(rules->paths, path);
    add_with_parents(rules->paths, stem, "/");
    add_with_parents(rules->modules, module, separator_of(rules->language));
}

static int add_tree_file(void *context, const char *path)
{
    import_rules_add_file(context, path);
    return 0;
}

struct import_rules *import_rules_new(const struct language *language, const json_t *probe, const char *tree,
                                      const struct yaml_texts *allowed, struct error *err)
{
    const json_t *stdlib = json_object_get(probe, "stdlib"), *declared = json_object_get(probe, "declared");
    json_t *provides = json_object_get(probe, "provides");
    if (!json_is_array(stdlib) || !json_is_array(declared) || !json_is_object(provides)) {
        error_set(err, ERROR_INPUT, "the manifest probe's answer lacks stdlib, declared or provides");
        return NULL;
    }
    struct import_rules *rules = calloc(1, sizeof *rules);
    if (!rules) {
        error_set(err, ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    *rules = (struct import_rules){
        .language = language,
        .tree = strdup(tree),
        .stdlib = set_of(stdlib, as_it_is),
        .declared = set_of(declared, normalised),
        .allowed = json_object(),
        .modules = json_object(),
        .paths = json_object(),
        .provides = json_incref(provides),
    };
    for (size_t i = 0; allowed && i < allowed->count; i++)
        add(rules->allowed, allowed->items[i]);
    if (!rules->tree || fs_walk(tree, TREE_FILES_MAX, add_tree_file, rules, err) < 0) {
        import_rules_free(rules);
        error_wrap(err, "list the repository's modules");
        return NULL;
    }
    return rules;
}

/* "from a import b" is good when a.b is a module, or when a is one (b is then a name in it, which tests will show). */
static bool is_known(const json_t *set, const char *prefix, const char *separator, const struct source_import *import)
{
    if (*prefix && has(set, prefix))
        return true;
    for (size_t i = 0; i < import->name_count; i++) {
        AUTO_FREE char *whole = text_format("%s%s%s", prefix, *prefix ? separator : "", import->names[i]);
        if (!whole || !has(set, whole))
            return false;
    }
    return import->name_count > 0;
}

/* "a.b" below a folder as a path: "folder/a/b". Heap. */
static char *path_below(const struct import_rules *rules, const char *folder, const char *module)
{
    const char *separator = separator_of(rules->language);
    AUTO_BUF struct buf path = BUF_INIT(KiB(4));
    buf_puts(&path, folder);
    while (*module) {
        size_t len = strlen(module);
        const char *end = strstr(module, separator);
        len = end ? (size_t)(end - module) : len;
        if (path.len)
            buf_putc(&path, '/');
        buf_add(&path, module, len);
        module += len + (end ? strlen(separator) : 0);
    }
    return path.failed ? NULL : buf_steal(&path, NULL);
}

/* The folder above; false when there is none. */
static bool go_up(char *folder)
{
    char *slash = strrchr(folder, '/');
    if (!*folder)
        return false;
    *(slash ? slash : folder) = '\0';
    return true;
}

/* Relative to the importing file's folder, whose own package file may define the names. */
static bool is_relative(const struct import_rules *rules, const char *path, const struct source_import *import)
{
    AUTO_FREE char *folder = strdup(path);
    for (int i = 0; i < import->level; i++)
        if (!folder || !go_up(folder))
            return false;
    AUTO_FREE char *target = folder ? path_below(rules, folder, import->module) : NULL;
    AUTO_FREE char *package =
        folder && rules->language->package_file ? text_format("%s/%s", folder, rules->language->package_file) : NULL;
    if (!target)
        return false;
    if (*import->module)
        return is_known(rules->paths, target, "/", import);
    if (package && has(rules->paths, package))
        return true;
    for (size_t i = 0; i < import->name_count; i++) {
        AUTO_FREE char *module = path_below(rules, folder, import->names[i]);
        if (!module || !has(rules->paths, module))
            return false;
    }
    return import->name_count > 0;
}

/* Files are often run with their own folder, or one above it, as a root of modules: scripts and their helpers, tests
 * beside tests, several projects in one repository. */
static bool is_beside(const struct import_rules *rules, const char *path, const struct source_import *import)
{
    AUTO_FREE char *folder = strdup(path);
    while (folder && go_up(folder)) {
        AUTO_FREE char *target = path_below(rules, folder, import->module);
        if (target && is_known(rules->paths, target, "/", import))
            return true;
    }
    return false;
}

/* ---- what comes from elsewhere ---- */

static bool is_declared(const struct import_rules *rules, const char *distribution)
{
    AUTO_FREE char *name = normalised(distribution);
    return name && has(rules->declared, name);
}

static bool is_provided(const struct import_rules *rules, const char *top)
{
    size_t index;
    json_t *distribution;
    json_array_foreach (json_object_get(rules->provides, top), index, distribution) {
        if (json_is_string(distribution) && is_declared(rules, json_string_value(distribution)))
            return true;
    }
    const struct yaml_map *names = &rules->language->manifests.import_names;
    for (size_t i = 0; i < names->count; i++)
        for (size_t k = 0; strcmp(names->keys[i], top) == 0 && k < names->values[i].count; k++)
            if (is_declared(rules, names->values[i].items[k]))
                return true;
    return is_declared(rules, top);
}

/* A module that generated tests may always use: the second word of a prelude's line ("import pytest", "from hypothesis
 * import given") or its quoted one ("import test from 'vitest'"). */
static bool is_test_tool(const struct language *language, const char *top)
{
    for (size_t i = 0; i < language->tests.prelude_imports.count; i++) {
        const char *line = language->tests.prelude_imports.items[i];
        const char *quoted = strpbrk(line, "'\"");
        const char *word = quoted ? quoted + 1 : line + strcspn(line, " ");
        word += strspn(word, " ");
        size_t len = strcspn(word, " ,;.'\"");
        if (len == strlen(top) && strncmp(word, top, len) == 0)
            return true;
    }
    return false;
}

/* The allow-list may name a top module or one below it. */
static bool is_allowed(const struct import_rules *rules, const char *module)
{
    const char *separator = separator_of(rules->language);
    for (size_t len = 0; module[len];) {
        const char *end = strstr(module + len, separator);
        size_t part = end ? (size_t)(end - module) : strlen(module);
        AUTO_FREE char *name = strndup(module, part);
        if (!name || has(rules->allowed, name))
            return name != NULL;
        len = part + (end ? strlen(separator) : 0);
    }
    return false;
}

const char *import_resolve(const struct import_rules *rules, const char *path, const struct source_import *import,
                           bool in_test)
{
    const char *separator = separator_of(rules->language);
    if (import->level)
        return is_relative(rules, path, import) ? "repository" : NULL;
    const char *end = strstr(import->module, separator);
    AUTO_FREE char *top = strndup(import->module, end ? (size_t)(end - import->module) : strlen(import->module));
    if (!top || !*top)
        return NULL;
    if (is_known(rules->modules, import->module, separator, import) || is_beside(rules, path, import))
        return "repository";
    if (has(rules->stdlib, top))
        return "stdlib";
    if (has(rules->modules, top))
        return NULL; /* a package of the repository that lacks this module: invented */
    if (is_provided(rules, top))
        return "manifest";
    if (is_allowed(rules, import->module))
        return "allowed";
    return in_test && is_test_tool(rules->language, top) ? "test tool" : NULL;
}
