/* YAML into C structs by a table, with line numbers in every complaint.
 *
 * Used for assay.yml, a repository's .github/assay.yml and templates/languages. Aliases, tags, several
 * documents and duplicate keys are refused: they have no use here and hide surprises.
 */
#ifndef APP_BASE_YAML_H
#define APP_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"

enum yaml_type {
    YAML_TEXT,     /* char *, heap */
    YAML_BOOL,     /* bool */
    YAML_INT,      /* int64_t, between min and max */
    YAML_NUMBER,   /* double, between min and max */
    YAML_SIZE,     /* int64_t bytes: 512MiB, 2GiB, 100kB, 4096 */
    YAML_DURATION, /* int64_t milliseconds: 120s, 5m, 2h, 500ms */
    YAML_CHOICE,   /* int: an index into `choices` */
    YAML_TEXTS,    /* struct yaml_texts: a list of texts (one text alone is a list of one) */
    YAML_OBJECT,   /* an embedded struct described by `fields` */
    YAML_OBJECTS,  /* struct yaml_objects: a list of structs described by `fields`, `size` bytes each */
    YAML_MAP,      /* struct yaml_map: names to lists of texts */
};

struct yaml_texts {
    char **items;
    size_t count;
};

struct yaml_objects {
    void *items; /* array of structs */
    size_t count;
};

struct yaml_map {
    char **keys;
    struct yaml_texts *values;
    size_t count;
};

struct yaml_field {
    const char *key; /* NULL ends a table */
    enum yaml_type type;
    size_t offset;    /* offsetof in the struct */
    const char *help; /* said when the key is wrong or missing, and by `assay doctor` */
    bool required;
    double min, max;                 /* for YAML_INT and YAML_NUMBER when max > min */
    const char *const *choices;      /* NULL-terminated, for YAML_CHOICE */
    const struct yaml_field *fields; /* for YAML_OBJECT and YAML_OBJECTS */
    size_t size;                     /* sizeof the struct, for YAML_OBJECTS */
    size_t line;                     /* offset + 1 of an int64_t that receives the object's line number, or 0 */
};

/* One row of a table; what is rare follows by name: YAML_FIELD("workers", YAML_INT, offset, "…", .min = 1, .max = 9).
 */
#define YAML_FIELD(key_, type_, offset_, help_, ...)                                                                   \
    {                                                                                                                  \
        .key = key_, .type = type_, .offset = offset_, .help = help_, ##__VA_ARGS__                                    \
    }

/* Reads `text` (named `file` in errors) into `out`, which the caller has filled with defaults (heap text
 * where a text has a default). Errors read "assay.yml:12: sandbox.memory: expected a size such as 2GiB, got \"lots\"";
 * an unknown key names the nearest known one. ERROR_CONFIG; on failure `out` holds what was read and must be released.
 */
int yaml_read(const char *text, size_t len, const char *file, const struct yaml_field *fields, void *out,
              struct error *err);

/* Frees everything that the table says is on the heap, and zeroes it. */
void yaml_release(const struct yaml_field *fields, void *out);

#endif
