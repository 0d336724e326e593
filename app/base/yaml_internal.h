/* Shared by the two files of the YAML reader only: yaml.c walks the document, yaml_value.c reads single values. */
#ifndef APP_BASE_YAML_INTERNAL_H
#define APP_BASE_YAML_INTERNAL_H

#include <yaml.h>

#include "app/base/yaml.h"

enum { YAML_PATH_SIZE = 256 };

struct yaml_reader {
    const char *file;
    yaml_document_t document;
    char path[YAML_PATH_SIZE]; /* "forges[0].app_id": the key being read */
    struct error *err;
};

/* Sets "file:line: path: …". Returns -1. */
__attribute__((format(printf, 3, 4))) int yaml_bad(struct yaml_reader *reader, size_t line, const char *format, ...);

/* "expected `what`, got …" at the node. Returns -1. */
int yaml_expected(struct yaml_reader *reader, const yaml_node_t *node, const char *what);

/* Extends the path; the caller puts the old length back by yaml_leave(). */
__attribute__((format(printf, 2, 3))) size_t yaml_enter(struct yaml_reader *reader, const char *format, ...);
void yaml_leave(struct yaml_reader *reader, size_t len);

size_t yaml_line(const yaml_node_t *node);
const char *yaml_text(const yaml_node_t *node); /* of a scalar; borrowed */
bool yaml_is_scalar(const yaml_node_t *node);   /* and without a NUL in it */
bool yaml_is_nothing(const yaml_node_t *node);  /* "key:" with nothing behind it, as when all below is commented out */

/* Read one value into *at, whose type is the field's (yaml.h). */
typedef int yaml_read_value(struct yaml_reader *reader, const yaml_node_t *node, const struct yaml_field *field,
                            void *at);
yaml_read_value yaml_read_text, yaml_read_bool, yaml_read_int, yaml_read_number, yaml_read_size, yaml_read_duration,
    yaml_read_choice;

#endif
