#include "app/base/yaml_internal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"

enum { SHOWN_MAX = 64 };

int yaml_bad(struct yaml_reader *reader, size_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_BUF struct buf text = BUF_INIT(KiB(2));
    buf_vprintf(&text, format, args);
    va_end(args);
    return error_set(reader->err, ERROR_CONFIG, "%s:%zu: %s%s%s", reader->file, line, reader->path,
                     reader->path[0] ? ": " : "", buf_text(&text));
}

size_t yaml_line(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

const char *yaml_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* What stands there, for "got …". */
static const char *describe(const yaml_node_t *node, char text[static SHOWN_MAX])
{
    if (node->type == YAML_MAPPING_NODE)
        return "a map";
    if (node->type == YAML_SEQUENCE_NODE)
        return "a list";
    if (!*yaml_text(node))
        return "nothing";
    snprintf(text, SHOWN_MAX, "\"%.48s\"", yaml_text(node));
    return text;
}

int yaml_expected(struct yaml_reader *reader, const yaml_node_t *node, const char *what)
{
    char text[SHOWN_MAX];
    return yaml_bad(reader, yaml_line(node), "expected %s, got %s", what, describe(node, text));
}

bool yaml_is_scalar(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && strlen(yaml_text(node)) == node->data.scalar.length;
}

bool yaml_is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !*yaml_text(node);
}

size_t yaml_enter(struct yaml_reader *reader, const char *format, ...)
{
    va_list args;
    size_t len = strlen(reader->path);
    va_start(args, format);
    vsnprintf(reader->path + len, sizeof reader->path - len, format, args);
    va_end(args);
    return len;
}

void yaml_leave(struct yaml_reader *reader, size_t len)
{
    reader->path[len] = '\0';
}

int yaml_read_text(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    char **out = at;
    (void)field;
    if (!yaml_is_scalar(node) || yaml_is_nothing(node))
        return yaml_expected(reader, node, "text");
    char *copy = strdup(yaml_text(node));
    if (!copy)
        return yaml_bad(reader, yaml_line(node), "out of memory");
    free(*out);
    *out = copy;
    return 0;
}

int yaml_read_bool(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    (void)field;
    bool yes = yaml_is_scalar(node) && strcmp(yaml_text(node), "true") == 0;
    if (!yes && !(yaml_is_scalar(node) && strcmp(yaml_text(node), "false") == 0))
        return yaml_expected(reader, node, "true or false");
    *(bool *)at = yes;
    return 0;
}

/* Checks the field's bounds, where it has any; `unit` is what they are counted in: "", " bytes", " ms". */
static int in_bounds(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, double value,
                     const char *unit)
{
    if (field->max <= field->min || (value >= field->min && value <= field->max))
        return 0;
    return yaml_bad(reader, yaml_line(node), "expected %.15g to %.15g%s, got %.48s", field->min, field->max, unit,
                    yaml_text(node));
}

int yaml_read_int(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    char *end = NULL;
    errno = 0;
    long long value = yaml_is_scalar(node) ? strtoll(yaml_text(node), &end, 10) : 0;
    if (!end || end == yaml_text(node) || *end || errno || isspace((unsigned char)*yaml_text(node)))
        return yaml_expected(reader, node, "a whole number");
    if (in_bounds(reader, node, field, (double)value, "") < 0)
        return -1;
    *(int64_t *)at = value;
    return 0;
}

/* A decimal number at the start of the text; gives what follows it, or NULL when there is none. */
static const char *number_at(const char *text, double *value)
{
    char *end = NULL;
    if (!isdigit((unsigned char)*text) && *text != '-' && *text != '.')
        return NULL;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return NULL;
    *value = strtod(text, &end);
    return end == text || !isfinite(*value) ? NULL : end;
}

int yaml_read_number(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    double value = 0;
    const char *rest = yaml_is_scalar(node) ? number_at(yaml_text(node), &value) : NULL;
    if (!rest || *rest)
        return yaml_expected(reader, node, "a number");
    if (in_bounds(reader, node, field, value, "") < 0)
        return -1;
    *(double *)at = value;
    return 0;
}

struct unit {
    const char *name;
    double factor;
};

static int read_with_unit(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field,
                          const struct unit *units, const char *what, int64_t *out)
{
    double value = 0;
    const char *rest = yaml_is_scalar(node) ? number_at(yaml_text(node), &value) : NULL;
    while (rest && *rest == ' ')
        rest++;
    for (; rest && units->name; units++) {
        if (strcmp(rest, units->name) != 0)
            continue;
        value *= units->factor;
        if (value < 0 || value > 9e18)
            break;
        if (in_bounds(reader, node, field, value, field->type == YAML_SIZE ? " bytes" : " ms") < 0)
            return -1;
        *out = (int64_t)value;
        return 0;
    }
    return yaml_expected(reader, node, what);
}

int yaml_read_size(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    static const struct unit units[] = {
        {"", 1},      {"B", 1},       {"kB", 1e3},       {"MB", 1e6},          {"GB", 1e9},
        {"TB", 1e12}, {"KiB", 1024.}, {"MiB", 1048576.}, {"GiB", 1073741824.}, {"TiB", 1099511627776.},
        {NULL, 0},
    };
    return read_with_unit(reader, node, field, units, "a size such as 2GiB", at);
}

int yaml_read_duration(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}, {NULL, 0}};
    return read_with_unit(reader, node, field, units, "a duration such as 120s, 5m or 2h", at);
}

int yaml_read_choice(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field, void *at)
{
    AUTO_BUF struct buf names = BUF_INIT(512);
    for (int i = 0; field->choices[i]; i++) {
        if (yaml_is_scalar(node) && strcmp(yaml_text(node), field->choices[i]) == 0) {
            *(int *)at = i;
            return 0;
        }
        buf_printf(&names, "%s%s", i == 0 ? "" : field->choices[i + 1] ? ", " : " or ", field->choices[i]);
    }
    return yaml_expected(reader, node, buf_text(&names));
}
