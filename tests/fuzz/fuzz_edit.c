/* The file and the code of an edit are both untrusted: whatever comes out parses, or nothing does. The input is a byte
 * for the kind, then file, symbol and code, each ended by a form feed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/edit.h"
#include "pipeline/symbols.h"

static const struct language *python(void)
{
    static struct languages *languages; /* loaded once: it takes longer than a run */
    if (!languages && !(languages = languages_load(NULL)))
        abort();
    return languages_by_name(languages, "python");
}

static char *take(const uint8_t **data, size_t *size)
{
    const uint8_t *end = memchr(*data, '\f', *size);
    size_t len = end ? (size_t)(end - *data) : *size;
    char *text = strndup((const char *)*data, len);
    len += end != NULL;
    *data += len;
    *size -= len;
    return text;
}

static void check(int failed, const struct buf *out, const struct error *err)
{
    struct symbols symbols = {0};
    if (failed) {
        if (out->len || err->code == ERROR_NONE)
            abort();
        return;
    }
    if (symbols_parse(python(), buf_text(out), out->len, &symbols, NULL) < 0 || symbols.error_line)
        abort();
    symbols_release(&symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 14)
        return 0;
    int kind = *data++ % 6;
    size--;
    char *file = take(&data, &size), *symbol = take(&data, &size), *code = take(&data, &size);
    struct buf out = BUF_INIT(MiB(1)), skipped = BUF_INIT(MiB(1));
    struct error err = {0};
    if (kind == 5) {
        check(edit_apply_block(python(), file, strlen(file), code, &out, &skipped, &err), &out, &err);
    } else {
        struct edit edit = {(enum edit_kind)kind, (char *)"a.py", symbol, NULL, code};
        check(edit_apply(python(), kind == EDIT_CREATE ? NULL : file, strlen(file), &edit, &out, &err), &out, &err);
    }
    buf_release(&out);
    buf_release(&skipped);
    free(file);
    free(symbol);
    free(code);
    return 0;
}
