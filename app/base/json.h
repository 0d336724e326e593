/* Reading JSON from outside with limits, and small helpers over jansson.
 *
 * Inside the program JSON is built with json_pack() and read with json_unpack_ex(); these helpers cover
 * what those do not. json_auto_t (jansson) is the clean-up type.
 */
#ifndef APP_BASE_JSON_H
#define APP_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"

struct json_limits {
    size_t bytes; /* the text's length */
    size_t depth; /* nesting of arrays and objects */
};

#define JSON_LIMITS_WEBHOOK ((struct json_limits){.bytes = 25u * 1024 * 1024, .depth = 64})
#define JSON_LIMITS_API     ((struct json_limits){.bytes = 32u * 1024 * 1024, .depth = 64})
#define JSON_LIMITS_MODEL   ((struct json_limits){.bytes = 4u * 1024 * 1024, .depth = 32})

/* Parses exactly one JSON value (RFC 8259; duplicate keys are an error). The result is owned by the
 * caller; NULL with ERROR_LIMIT, or ERROR_INPUT with line and column. */
json_t *json_read(const char *text, size_t len, struct json_limits limits, struct error *err);

/* Compact text with sorted keys, the form that digests are made of. Heap, owned by the caller. */
char *json_write(const json_t *value, struct error *err);

/* Follows keys from `root` ("issue.user.login"); NULL when a step is missing. Borrowed from root. */
json_t *json_at(const json_t *root, const char *path);

/* The string at the path, or `fallback`. Borrowed. */
const char *json_text_at(const json_t *root, const char *path, const char *fallback);
json_int_t json_int_at(const json_t *root, const char *path, json_int_t fallback);
bool json_true_at(const json_t *root, const char *path);

/* A string of bytes from anywhere: what is not UTF-8 (or is NUL) becomes U+FFFD, where json_string() would give NULL.
 */
json_t *json_from_text(const char *text, size_t len);

/* Adds formatted text to an array of strings. */
__attribute__((format(printf, 2, 3))) void json_append_text(json_t *array, const char *format, ...);

#endif
