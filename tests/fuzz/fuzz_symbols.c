/* Any bytes are a source file: what is listed lies inside the text, in order. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/symbols.h"

static void check(const struct symbols *symbols, size_t size)
{
    size_t last = 0;
    for (size_t i = 0; i < symbols->count; i++) {
        const struct symbol *symbol = &symbols->items[i];
        if (symbol->start > symbol->code_start || symbol->code_start > symbol->head_start ||
            symbol->head_start > symbol->body_start || symbol->body_start > symbol->body_end ||
            symbol->body_end > symbol->end || symbol->end > size || symbol->head_start < last ||
            symbol->first_line > symbol->last_line || !symbol->signature || !*symbol->name)
            abort();
        last = symbol->head_start;
    }
    for (size_t i = 0; i < symbols->import_count; i++)
        if (symbols->imports[i].start >= symbols->imports[i].end || symbols->imports[i].end > size ||
            !symbols->imports[i].module)
            abort();
    for (size_t i = 1; i < symbols->reference_count; i++)
        if (strcmp(symbols->references[i - 1], symbols->references[i]) > 0)
            abort();
    if (symbols->import_end > size || (symbols->error_line && !symbols->error_text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct languages *languages; /* loaded once: it takes longer than a run */
    if (!languages && !(languages = languages_load(NULL)))
        abort();
    const struct language *python = languages_by_name(languages, "python");
    struct symbols symbols = {0};
    char *text = strndup((const char *)data, size);
    if (size > 1 << 16 || !text) {
        free(text);
        return 0;
    }
    if (symbols_parse(python, (const char *)data, size, &symbols, NULL) == 0)
        check(&symbols, size);
    symbols_release(&symbols);
    char *callee = symbols_callee(python, text);
    if ((callee || symbols_is_literal(python, text) || symbols_is_simple(python, text)) &&
        !symbols_is_expression(python, text))
        abort();
    free(callee);
    free(text);
    return 0;
}
