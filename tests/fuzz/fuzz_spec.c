/* Specs come from strangers' issues: any bytes must be read or refused. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct languages *languages; /* loaded once: it takes longer than a run */
    if (!languages && !(languages = languages_load(NULL)))
        abort();
    if (size > 1 << 16)
        return 0;
    char *text = strndup((const char *)data, size);
    struct spec spec = {0}, copy = {0};
    const struct language *python = languages_by_name(languages, "python");
    if (text && spec_read(languages, "title", text, &spec, NULL) == 0) {
        spec_find_signature(&spec, python);
        spec_read_examples(&spec, python, NULL);
        json_t *value = spec_to_json(&spec);
        if (!value || spec_from_json(value, &copy, NULL) < 0)
            abort();
        json_decref(value);
    }
    spec_release(&copy);
    spec_release(&spec);
    free(text);
    return 0;
}
