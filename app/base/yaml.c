#include "app/base/yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "app/base/buf.h"
#include "app/base/yaml_internal.h"

enum { DEPTH_MAX = 32, KEY_MAX = 64 };

static void release_texts(struct yaml_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct yaml_texts){0};
}

static size_t list_count(const yaml_node_t *node)
{
    return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

static yaml_node_t *list_item(struct yaml_reader *reader, const yaml_node_t *node, size_t i)
{
    return yaml_document_get_node(&reader->document, node->data.sequence.items.start[i]);
}

static int read_texts(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    struct yaml_texts *out = at;
    bool one = yaml_is_scalar(node);
    if (yaml_is_nothing(node))
        return 0;
    if (!one && node->type != YAML_SEQUENCE_NODE)
        return yaml_expected(reader, node, "a list of texts");
    size_t count = one ? 1 : list_count(node);
    release_texts(out);
    out->items = calloc(count ? count : 1, sizeof *out->items);
    if (!out->items)
        return yaml_bad(reader, yaml_line(node), "out of memory");
    for (; out->count < count; out->count++) {
        size_t len = one ? strlen(reader->path) : yaml_enter(reader, "[%zu]", out->count);
        if (yaml_read_text(reader, one ? node : list_item(reader, node, out->count), field, &out->items[out->count]) <
            0)
            return -1;
        yaml_leave(reader, len);
    }
    return 0;
}

static int read_fields(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *fields, void *out);

static void set_line(const struct yaml_field *field, const yaml_node_t *node, void *object)
{
    if (field->line)
        *(int64_t *)((char *)object + field->line - 1) = (int64_t)yaml_line(node);
}

static int read_object(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    if (yaml_is_nothing(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_expected(reader, node, "a map of keys and values");
    set_line(field, node, at);
    return read_fields(reader, node, field->fields, at);
}

static void release_objects(const struct yaml_field *field, struct yaml_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        yaml_release(field->fields, (char *)objects->items + i * field->size);
    free(objects->items);
    *objects = (struct yaml_objects){0};
}

static int read_objects(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    struct yaml_objects *out = at;
    if (yaml_is_nothing(node))
        return 0;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_expected(reader, node, "a list (each entry begins with \"- \")");
    size_t count = list_count(node);
    release_objects(field, out);
    out->items = calloc(count ? count : 1, field->size);
    if (!out->items)
        return yaml_bad(reader, yaml_line(node), "out of memory");
    out->count = count; /* all zero so far, so a failure below leaves something that can be released */
    for (size_t i = 0; i < count; i++) {
        size_t len = yaml_enter(reader, "[%zu]", i);
        const yaml_node_t *item = list_item(reader, node, i);
        if (item->type != YAML_MAPPING_NODE)
            return yaml_expected(reader, item, "a map of keys and values");
        if (read_object(reader, item, field, (char *)out->items + i * field->size) < 0)
            return -1;
        yaml_leave(reader, len);
    }
    return 0;
}

static void release_map(struct yaml_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        free(map->keys[i]);
        release_texts(&map->values[i]);
    }
    free(map->keys);
    free(map->values);
    *map = (struct yaml_map){0};
}

/* The key of a pair as text, checked to be one that the pairs before do not have. */
static const char *pair_key(struct yaml_reader *reader, const yaml_node_t *map, const yaml_node_pair_t *pair)
{
    const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
    if (!yaml_is_scalar(key) || yaml_is_nothing(key)) {
        yaml_expected(reader, key, "the name of a key");
        return NULL;
    }
    for (const yaml_node_pair_t *other = map->data.mapping.pairs.start; other < pair; other++) {
        const yaml_node_t *before = yaml_document_get_node(&reader->document, other->key);
        if (strcmp(yaml_text(before), yaml_text(key)) == 0) {
            yaml_enter(reader, "%s%s", reader->path[0] ? "." : "", yaml_text(key));
            yaml_bad(reader, yaml_line(key), "this key was already given in line %zu; remove one of them",
                     yaml_line(before));
            return NULL;
        }
    }
    return yaml_text(key);
}

static int read_map(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    struct yaml_map *out = at;
    if (yaml_is_nothing(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_expected(reader, node, "a map of names to lists");
    size_t count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    release_map(out);
    out->keys = calloc(count ? count : 1, sizeof *out->keys);
    out->values = calloc(count ? count : 1, sizeof *out->values);
    if (!out->keys || !out->values)
        return yaml_bad(reader, yaml_line(node), "out of memory");
    for (size_t i = 0; i < count; i++) {
        const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[i];
        const char *key = pair_key(reader, node, pair);
        if (!key || !(out->keys[i] = strdup(key)))
            return key ? yaml_bad(reader, yaml_line(node), "out of memory") : -1;
        out->count = i + 1;
        size_t len = yaml_enter(reader, ".%s", key);
        if (read_texts(reader, yaml_document_get_node(&reader->document, pair->value), field, &out->values[i]) < 0)
            return -1;
        yaml_leave(reader, len);
    }
    return 0;
}

/* Levenshtein distance; longer keys than KEY_MAX are simply far away. */
static size_t distance(const char *a, const char *b)
{
    size_t row[KEY_MAX + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > KEY_MAX || b_len > KEY_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[b_len];
}

static int unknown_key(struct yaml_reader *reader, size_t line, const char *key, const struct yaml_field *fields)
{
    AUTO_BUF struct buf names = BUF_INIT(768);
    const char *nearest = NULL;
    size_t least = strlen(key) / 3 + 2;
    for (const struct yaml_field *field = fields; field->key; field++) {
        buf_printf(&names, "%s%s", names.len ? ", " : "", field->key);
        if (distance(key, field->key) < least) {
            least = distance(key, field->key);
            nearest = field->key;
        }
    }
    yaml_enter(reader, "%s%.64s", reader->path[0] ? "." : "", key);
    if (nearest)
        return yaml_bad(reader, line, "unknown key; did you mean %s?", nearest);
    return yaml_bad(reader, line, "unknown key; known here: %s", buf_text(&names));
}

static int read_field(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *out)
{
    static yaml_read_value *const readers[] = {
        [YAML_TEXT] = yaml_read_text,     [YAML_BOOL] = yaml_read_bool, [YAML_INT] = yaml_read_int,
        [YAML_NUMBER] = yaml_read_number, [YAML_SIZE] = yaml_read_size, [YAML_DURATION] = yaml_read_duration,
        [YAML_CHOICE] = yaml_read_choice, [YAML_TEXTS] = read_texts,    [YAML_OBJECT] = read_object,
        [YAML_OBJECTS] = read_objects,    [YAML_MAP] = read_map,
    };
    return readers[field->type](reader, node, field, (char *)out + field->offset);
}

static int check_required(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *fields)
{
    for (const struct yaml_field *field = fields; field->key; field++) {
        bool given = !field->required;
        const yaml_node_pair_t *end = node ? node->data.mapping.pairs.top : NULL;
        for (const yaml_node_pair_t *pair = node ? node->data.mapping.pairs.start : NULL; pair < end && !given; pair++)
            given = strcmp(yaml_text(yaml_document_get_node(&reader->document, pair->key)), field->key) == 0;
        if (given)
            continue;
        yaml_enter(reader, "%s%s", reader->path[0] ? "." : "", field->key);
        return yaml_bad(reader, node ? yaml_line(node) : 1, "this key is required: %s",
                        field->help ? field->help : "add it");
    }
    return 0;
}

static int read_fields(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *fields, void *out)
{
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        const char *key = pair_key(reader, node, pair);
        if (!key)
            return -1;
        const struct yaml_field *field = fields;
        while (field->key && strcmp(field->key, key) != 0)
            field++;
        if (!field->key)
            return unknown_key(reader, yaml_line(yaml_document_get_node(&reader->document, pair->key)), key, fields);
        size_t len = yaml_enter(reader, "%s%s", reader->path[0] ? "." : "", key);
        if (read_field(reader, yaml_document_get_node(&reader->document, pair->value), field, out) < 0)
            return -1;
        yaml_leave(reader, len);
    }
    return check_required(reader, node, fields);
}

static int syntax_error(struct yaml_reader *reader, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return yaml_bad(reader, 1, "out of memory");
    if (parser->error == YAML_READER_ERROR)
        return yaml_bad(reader, parser->mark.line + 1, "not valid YAML: %s", parser->problem);
    return yaml_bad(reader, parser->problem_mark.line + 1,
                    "not valid YAML: %s (indent with spaces, put texts with special characters in quotes)",
                    parser->problem ? parser->problem : "syntax error");
}

/* What a construct that is refused is called; NULL for those that are fine. */
static const char *refused(const yaml_event_t *event, int documents, int depth)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return "aliases (*name)";
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor)
        return "anchors (&name)";
    if (tag)
        return "tags (!name)";
    if (documents > 1)
        return "several documents (---)";
    return depth > DEPTH_MAX ? "so many nested levels" : NULL;
}

/* A first pass over the events: syntax, and what the document tree does not show any more. */
static int check_events(struct yaml_reader *reader, yaml_parser_t *parser)
{
    int documents = 0;
    int depth = 0;
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return syntax_error(reader, parser);
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        more = event.type != YAML_STREAM_END_EVENT;
        const char *what = refused(&event, documents, depth);
        size_t line = event.start_mark.line + 1;
        yaml_event_delete(&event);
        if (what)
            return yaml_bad(reader, line, "%s are not supported here; write the values out", what);
    }
    return 0;
}

static int read_document(struct yaml_reader *reader, yaml_parser_t *parser, const struct yaml_field *fields, void *out)
{
    if (!yaml_parser_load(parser, &reader->document))
        return syntax_error(reader, parser);
    const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    int result = 0;
    if (!root || yaml_is_nothing(root))
        result = check_required(reader, NULL, fields);
    else if (root->type != YAML_MAPPING_NODE)
        result = yaml_expected(reader, root, "keys and values (\"key: value\")");
    else
        result = read_fields(reader, root, fields, out);
    yaml_document_delete(&reader->document);
    return result;
}

int yaml_read(const char *text, size_t len, const char *file, const struct yaml_field *fields, void *out,
              struct error *err)
{
    struct yaml_reader reader = {.file = file, .err = err};
    for (int pass = 0; pass < 2; pass++) {
        yaml_parser_t parser;
        if (!yaml_parser_initialize(&parser))
            return yaml_bad(&reader, 1, "out of memory");
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        int result = pass == 0 ? check_events(&reader, &parser) : read_document(&reader, &parser, fields, out);
        yaml_parser_delete(&parser);
        if (result < 0)
            return -1;
    }
    return 0;
}

void yaml_release(const struct yaml_field *fields, void *out)
{
    for (const struct yaml_field *field = fields; field->key; field++) {
        void *at = (char *)out + field->offset;
        if (field->type == YAML_TEXT) {
            free(*(char **)at);
            *(char **)at = NULL;
        } else if (field->type == YAML_TEXTS) {
            release_texts(at);
        } else if (field->type == YAML_OBJECT) {
            yaml_release(field->fields, at);
        } else if (field->type == YAML_OBJECTS) {
            release_objects(field, at);
        } else if (field->type == YAML_MAP) {
            release_map(at);
        }
    }
}
