/* Any bytes as JSON from outside: no crash, no deep recursion, and what is read can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits limits = {.bytes = 64 * 1024, .depth = 16};
    struct error err = {0};
    json_auto_t *value = json_read((const char *)data, size, limits, &err);
    json_auto_t *text = json_from_text((const char *)data, size);
    if (!text || (!value && err.code != ERROR_INPUT && err.code != ERROR_LIMIT))
        abort();
    if (!value)
        return 0;
    AUTO_FREE char *written = json_write(value, &err);
    if (!written)
        abort();
    json_auto_t *again =
        json_read(written, strlen(written), (struct json_limits){.bytes = SIZE_MAX, .depth = 16}, &err);
    if (!again || !json_equal(value, again))
        abort();
    json_at(value, written);
    return 0;
}
