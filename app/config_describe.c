/* The configuration's keys as a commented YAML file, made from the same tables that read it. */
#include "app/config_internal.h"

#include <string.h>

#include "app/base/buf.h"

/* The largest unit that the value is a whole multiple of. */
static void add_with_unit(struct buf *out, int64_t value, const char *const *names, const int64_t *factors)
{
    size_t i = 0;
    while (factors[i] > 1 && (value == 0 || value % factors[i] != 0))
        i++;
    buf_printf(out, "%lld%s", (long long)(value / factors[i]), names[i]);
}

static void add_default(struct buf *out, const struct yaml_field *field, const void *at)
{
    static const char *const sizes[] = {"GiB", "MiB", "KiB", ""};
    static const int64_t size_factors[] = {1 << 30, 1 << 20, 1 << 10, 1};
    static const char *const durations[] = {"h", "m", "s", "ms"};
    static const int64_t duration_factors[] = {3600000, 60000, 1000, 1};
    switch (field->type) {
    case YAML_TEXT:
        buf_puts(out, *(char *const *)at ? *(char *const *)at : "");
        break;
    case YAML_BOOL:
        buf_puts(out, *(const bool *)at ? "true" : "false");
        break;
    case YAML_INT:
        buf_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case YAML_NUMBER:
        buf_printf(out, "%g", *(const double *)at);
        break;
    case YAML_SIZE:
        add_with_unit(out, *(const int64_t *)at, sizes, size_factors);
        break;
    case YAML_DURATION:
        add_with_unit(out, *(const int64_t *)at, durations, duration_factors);
        break;
    case YAML_CHOICE:
        for (size_t i = 0; field->choices[i]; i++)
            buf_printf(out, "%s%s", i ? "|" : "", field->choices[i]);
        break;
    case YAML_TEXTS:
        buf_puts(out, "[]");
        break;
    default:
        break;
    }
}

/* `values` is NULL inside lists: what is left out there has the default that its help names. */
static void describe(struct buf *out, const struct yaml_field *fields, const void *values, int indent, bool in_list)
{
    for (const struct yaml_field *field = fields; field->key; field++) {
        const void *at = values ? (const char *)values + field->offset : NULL;
        bool nested = field->type == YAML_OBJECT || field->type == YAML_OBJECTS;
        buf_printf(out, "# %*s%s%s:", indent, "", in_list ? (field == fields ? "- " : "  ") : "", field->key);
        size_t before = out->len;
        if (at && !nested) {
            buf_putc(out, ' ');
            add_default(out, field, at);
        } else if (field->type == YAML_CHOICE) {
            buf_putc(out, ' ');
            add_default(out, field, NULL);
        }
        if (out->len == before + 1 && out->len) /* nothing but the blank */
            out->data[--out->len] = '\0';
        buf_printf(out, "  # %s%s\n", field->help ? field->help : "", field->required ? " (required)" : "");
        if (nested)
            describe(out, field->fields, field->type == YAML_OBJECT ? at : NULL, indent + (in_list ? 4 : 2),
                     field->type == YAML_OBJECTS);
    }
}

int config_describe(struct buf *out, struct error *err)
{
    struct config defaults;
    int result = config_set_defaults(&defaults);
    if (result == 0)
        describe(out, config_fields, &defaults, 0, false);
    else
        error_set(err, ERROR_INTERNAL, "out of memory");
    config_release(&defaults);
    return result < 0 ? -1 : buf_check(out, "the description of the configuration", err);
}
