#include "pipeline/mutants.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/grammar.h"
#include "pipeline/symbols.h"

enum { MAX_MUTANTS = 2000, MAX_TEXT = 4096 };

struct search {
    const struct language *language;
    const char *path, *text;
    const struct changed_lines *changed;
    const struct symbols *symbols;
    json_t *out;
};

static const char *in_map(const struct yaml_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i], key) == 0 && map->values[i].count)
            return map->values[i].items[0];
    return NULL;
}

static char *text_of(const struct search *search, TSNode node)
{
    uint32_t start = ts_node_start_byte(node), end = ts_node_end_byte(node);
    return end - start < MAX_TEXT ? strndup(search->text + start, end - start) : NULL;
}

/* Types, imports and the like are not what tests are about. */
static bool is_outside(const struct search *search, TSNode node)
{
    const struct yaml_texts *outside = &search->language->mutants.outside;
    for (node = ts_node_parent(node); !ts_node_is_null(node); node = ts_node_parent(node))
        for (size_t i = 0; i < outside->count; i++)
            if (strcmp(ts_node_type(node), outside->items[i]) == 0)
                return true;
    return false;
}

/* A text that stands alone is documentation. */
static bool is_documentation(const struct search *search, TSNode node)
{
    const struct grammar *grammar = search->language->parser;
    TSNode parent = ts_node_parent(node);
    return (grammar_flags(grammar, node) & NODE_STRING) && !ts_node_is_null(parent) &&
           (grammar_flags(grammar, parent) & NODE_STATEMENT);
}

/* A module's name in place of a call of its function would be found by every test, and prove nothing. */
static bool is_imported(const struct symbols *symbols, const char *name)
{
    for (size_t i = 0; i < symbols->import_count; i++) {
        const struct source_import *import = &symbols->imports[i];
        if (strcmp(import->alias ? import->alias : import->module, name) == 0)
            return true;
        for (size_t k = 0; k < import->name_count; k++)
            if (strcmp(import->aliases[k] ? import->aliases[k] : import->names[k], name) == 0)
                return true;
    }
    return false;
}

/* What stands in place of `was`. Heap; NULL: nothing. */
static char *replacement(const struct search *search, const char *kind, const char *was, const char *inner)
{
    const char *token = in_map(&search->language->mutants.tokens, was);
    const char *form = token ? NULL : in_map(&search->language->mutants.forms, kind);
    AUTO_BUF struct buf now = BUF_INIT(MAX_TEXT + KiB(1));
    json_auto_t *view = json_pack("{s:s, s:s}", "text", was, "inner", inner ? inner : "");
    if (token)
        return strdup(token);
    if (!form || !view ||
        template_render((struct template_source){"mutants", form, strlen(form)}, TEMPLATE_PLAIN, view, NULL, NULL, &now,
                        NULL) < 0)
        return NULL;
    return buf_steal(&now, NULL);
}

static bool is_known(const json_t *mutants, uint32_t start, const char *was, const char *now)
{
    size_t index;
    json_t *mutant;
    json_array_foreach (mutants, index, mutant)
        if (json_int_at(mutant, "start", -1) == (json_int_t)start &&
            strcmp(json_text_at(mutant, "was", ""), was) == 0 && strcmp(json_text_at(mutant, "now", ""), now) == 0)
            return true;
    return false;
}

static int on_match(void *context, const struct grammar_capture *captures, size_t count)
{
    struct search *search = context;
    const struct grammar_capture *place = NULL;
    AUTO_FREE char *inner = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(captures[i].name, "inner") != 0)
            place = &captures[i];
        else if (!inner)
            inner = text_of(search, captures[i].node);
    uint32_t line = place ? ts_node_start_point(place->node).row + 1 : 0;
    if (!place || !changed_lines_has(search->changed, line) || is_outside(search, place->node) ||
        is_documentation(search, place->node) || (inner && is_imported(search->symbols, inner)) ||
        json_array_size(search->out) >= MAX_MUTANTS)
        return 0;
    uint32_t start = ts_node_start_byte(place->node), end = ts_node_end_byte(place->node);
    AUTO_FREE char *was = text_of(search, place->node);
    AUTO_FREE char *now = was ? replacement(search, place->name, was, inner) : NULL;
    if (!now || strcmp(was, now) == 0 || is_known(search->out, start, was, now))
        return 0;
    json_array_append_new(search->out, json_pack("{s:s, s:I, s:s, s:I, s:I, s:s, s:s}", "path", search->path, "line",
                                                 (json_int_t)line, "kind", place->name, "start", (json_int_t)start,
                                                 "end", (json_int_t)end, "was", was, "now", now));
    return 0;
}

int mutants_find(const struct language *language, const char *path, const char *text, size_t len,
                 const struct changed_lines *changed, json_t *out, struct error *err)
{
    struct symbols symbols = {0};
    AUTO_TREE TSTree *tree = grammar_parse(language->parser, text, len, err);
    if (!tree || symbols_parse(language, text, len, &symbols, err) < 0)
        return -1;
    struct search search = {language, path, text, changed, &symbols, out};
    int status = grammar_query(language->parser, QUERY_MUTANTS, ts_tree_root_node(tree), text, on_match, &search, err);
    symbols_release(&symbols);
    return status;
}

/* splitmix64: small, and good enough to draw a sample. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Each is kept with the chance that is left for it, so the order stays (Knuth's algorithm S). */
void mutants_sample(json_t *mutants, size_t most, uint64_t seed)
{
    size_t left = json_array_size(mutants), wanted = most < left ? most : left;
    for (size_t i = 0; left; left--) {
        bool keep = draw(&seed) % left < wanted;
        wanted -= keep;
        if (keep)
            i++;
        else
            json_array_remove(mutants, i);
    }
}

char *mutants_apply(const char *text, size_t len, const json_t *mutant)
{
    size_t start = (size_t)json_int_at(mutant, "start", 0), end = (size_t)json_int_at(mutant, "end", 0);
    if (start > end || end > len)
        return NULL;
    return text_format("%.*s%s%s", (int)start, text, json_text_at(mutant, "now", ""), text + end);
}
