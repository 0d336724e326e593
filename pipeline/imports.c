#include "pipeline/imports.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/json.h"

enum { MAX_TREE_FILES = 50000 };

/* Sets are JSON objects: a key is a member. */
struct import_rules {
    const struct language *language; /* borrowed */
    char *tree;
    json_t *stdlib, *declared, *allowed, *modules; /* modules: of the repository, by their dotted names */
    json_t *provides;                              /* module → array of distributions */
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
    json_decref(rules->provides);
    free(rules);
}

static json_t *set_of(const json_t *array)
{
    json_t *set = json_object(), *item;
    size_t index;
    json_array_foreach (array, index, item) {
        if (json_is_string(item))
            json_object_set_new(set, json_string_value(item), json_true());
    }
    return set;
}

static bool has(const json_t *set, const char *name)
{
    return json_object_get(set, name) != NULL;
}

void import_rules_add_file(struct import_rules *rules, const char *path)
{
    bool is_source = false;
    for (size_t i = 0; i < rules->language->extensions.count; i++) {
        size_t len = strlen(path), extension = strlen(rules->language->extensions.items[i]);
        is_source =
            is_source || (len > extension && strcmp(path + len - extension, rules->language->extensions.items[i]) == 0);
    }
    AUTO_FREE char *module = is_source ? language_module_of(rules->language, rules->tree, path) : NULL;
    if (!module)
        return;
    json_object_set_new(rules->modules, module, json_true());
    /* Every package on the way may be imported too. */
    for (char *at = strrchr(module, '.'); at; at = strrchr(module, '.')) {
        *at = '\0';
        json_object_set_new(rules->modules, module, json_true());
    }
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
    *rules = (struct import_rules){language,      strdup(tree),  set_of(stdlib),       set_of(declared),
                                   json_object(), json_object(), json_incref(provides)};
    for (size_t i = 0; i < allowed->count; i++)
        json_object_set_new(rules->allowed, allowed->items[i], json_true());
    if (fs_walk(tree, MAX_TREE_FILES, add_tree_file, rules, err) < 0) {
        import_rules_free(rules);
        error_wrap(err, "list the repository's modules");
        return NULL;
    }
    return rules;
}

/* A distribution's name as indexes compare it: lower case, runs of -, _ and . as one hyphen (PEP 503). */
static bool is_declared(const struct import_rules *rules, const char *distribution)
{
    AUTO_BUF struct buf name = BUF_INIT(KiB(1));
    for (; *distribution; distribution++) {
        if (!strchr("-_.", *distribution))
            buf_putc(&name, (char)tolower((unsigned char)*distribution));
        else if (name.len && name.data[name.len - 1] != '-')
            buf_putc(&name, '-');
    }
    return has(rules->declared, buf_text(&name));
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

/* A module that generated tests may always use: the prelude's imports name them ("import pytest"). */
static bool is_test_tool(const struct language *language, const char *top)
{
    size_t len = strlen(top);
    for (size_t i = 0; i < language->tests.prelude_imports.count; i++)
        for (const char *at = language->tests.prelude_imports.items[i]; (at = strstr(at, top)); at++) {
            bool starts = at[-1] == ' ', ends = !at[len] || strchr(" .,;", at[len]);
            if (at > language->tests.prelude_imports.items[i] && starts && ends)
                return true;
        }
    return false;
}

/* The dotted name that a relative import means, seen from the importing file; NULL when it leaves the tree. Heap. */
static char *absolute(const struct import_rules *rules, const char *path, const struct source_import *import)
{
    char *folder = strdup(path);
    for (int i = 0; folder && i < import->level; i++) {
        char *slash = strrchr(folder, '/');
        if (!slash && i + 1 < import->level) {
            free(folder);
            return NULL;
        }
        if (slash)
            *slash = '\0';
        else
            *folder = '\0';
    }
    AUTO_FREE char *here = folder;
    AUTO_FREE char *file = here ? text_format("%s%s%s", here, *here ? "/" : "",
                                              rules->language->package_file ? rules->language->package_file : "x")
                                : NULL;
    AUTO_FREE char *module = file ? language_module_of(rules->language, rules->tree, file) : NULL;
    if (!module || !*import->module)
        return STEAL(module);
    return *module ? text_format("%s%s%s", module, rules->language->module_separator, import->module)
                   : strdup(import->module);
}

/* "from a import b" is good when a.b is a module, or when a is one (b is then a name in it, which tests will show). */
static bool in_repository(const struct import_rules *rules, const char *module, const struct source_import *import)
{
    if (has(rules->modules, module))
        return true;
    for (size_t i = 0; i < import->name_count; i++) {
        AUTO_FREE char *whole = text_format("%s%s%s", module, rules->language->module_separator, import->names[i]);
        if (!whole || !has(rules->modules, whole))
            return false;
    }
    return import->name_count > 0;
}

const char *import_resolve(const struct import_rules *rules, const char *path, const struct source_import *import,
                           bool in_test)
{
    if (import->level) {
        AUTO_FREE char *module = absolute(rules, path, import);
        return module && (!*module || in_repository(rules, module, import)) ? "repository" : NULL;
    }
    AUTO_FREE char *top = strndup(import->module, strcspn(import->module, rules->language->module_separator));
    if (!top)
        return NULL;
    if (in_repository(rules, import->module, import))
        return "repository";
    if (has(rules->stdlib, top))
        return "stdlib";
    if (has(rules->modules, top))
        return NULL; /* a package of the repository that lacks this module: invented */
    if (is_provided(rules, top))
        return "manifest";
    if (has(rules->allowed, import->module) || has(rules->allowed, top))
        return "allowed";
    return in_test && is_test_tool(rules->language, top) ? "test tool" : NULL;
}
