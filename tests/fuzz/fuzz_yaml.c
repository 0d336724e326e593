/* Any bytes as a configuration file: no crash, no leak, and every refusal names file and line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct thing {
    char *a;
    int64_t b, c, d, line;
    double e;
    bool f;
    int g;
    struct yaml_texts h;
    struct yaml_map i;
    struct yaml_objects j;
};

static const char *const choices[] = {"x", "y", NULL};

static const struct yaml_field inner[] = {
    YAML_FIELD("a", YAML_TEXT, offsetof(struct thing, a), "text", .required = true),
    YAML_FIELD("h", YAML_TEXTS, offsetof(struct thing, h), "texts"),
    {0},
};

static const struct yaml_field fields[] = {
    YAML_FIELD("a", YAML_TEXT, offsetof(struct thing, a), "text"),
    YAML_FIELD("b", YAML_INT, offsetof(struct thing, b), "number", .min = -5, .max = 5),
    YAML_FIELD("c", YAML_SIZE, offsetof(struct thing, c), "size"),
    YAML_FIELD("d", YAML_DURATION, offsetof(struct thing, d), "duration"),
    YAML_FIELD("e", YAML_NUMBER, offsetof(struct thing, e), "number"),
    YAML_FIELD("f", YAML_BOOL, offsetof(struct thing, f), "flag"),
    YAML_FIELD("g", YAML_CHOICE, offsetof(struct thing, g), "choice", .choices = choices),
    YAML_FIELD("h", YAML_TEXTS, offsetof(struct thing, h), "texts"),
    YAML_FIELD("i", YAML_MAP, offsetof(struct thing, i), "map"),
    YAML_FIELD("j", YAML_OBJECTS, offsetof(struct thing, j), "things", .fields = inner, .size = sizeof(struct thing),
               .line = offsetof(struct thing, line) + 1),
    {0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct thing thing = {0};
    struct error err = {0};
    if (yaml_read((const char *)data, size, "fuzz.yml", fields, &thing, &err) < 0 &&
        (err.code != ERROR_CONFIG || strncmp(err.message, "fuzz.yml:", 9) != 0 ||
         strtol(err.message + 9, NULL, 10) < 1))
        abort();
    yaml_release(fields, &thing);
    return 0;
}
