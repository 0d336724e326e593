#include "pipeline/excerpt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/changed.h"
#include "pipeline/symbols.h"

struct excerpt {
    const char *text;
    const char *wanted; /* shown whether altered or not, or NULL */
    struct changed_lines changed;
    struct symbols symbols;
    struct buf out;
    size_t shown;        /* what ends before this offset stands in `out` already */
    size_t offset, line; /* the line, from 1, of some offset: ranges are asked about in order, mostly */
};

static size_t line_of(struct excerpt *excerpt, size_t offset)
{
    if (offset < excerpt->offset || !excerpt->line) {
        excerpt->offset = 0;
        excerpt->line = 1;
    }
    for (; excerpt->offset < offset; excerpt->offset++)
        excerpt->line += excerpt->text[excerpt->offset] == '\n';
    return excerpt->line;
}

static bool is_altered(struct excerpt *excerpt, size_t start, size_t end)
{
    size_t line = line_of(excerpt, start);
    for (size_t i = start; i < end; i++) {
        if (changed_lines_has(&excerpt->changed, line))
            return true;
        line += excerpt->text[i] == '\n';
    }
    return false;
}

static bool is_within(const char *name, const char *class)
{
    size_t len = strlen(class);
    return strncmp(name, class, len) == 0 && name[len] == '.';
}

static bool is_shown(struct excerpt *excerpt, const struct symbol *symbol)
{
    const char *wanted = excerpt->wanted;
    return is_altered(excerpt, symbol->start, symbol->end) ||
           (wanted && (strcmp(symbol->name, wanted) == 0 || is_within(wanted, symbol->name)));
}

static void show(struct excerpt *excerpt, size_t start, size_t end)
{
    size_t last = end;
    while (last > start && isspace((unsigned char)excerpt->text[last - 1]))
        last--;
    buf_add(&excerpt->out, excerpt->text + start, last - start);
    buf_putc(&excerpt->out, '\n');
    excerpt->shown = end;
}

static void show_imports(struct excerpt *excerpt)
{
    for (size_t i = 0; i < excerpt->symbols.import_count; i++) {
        const struct source_import *import = &excerpt->symbols.imports[i];
        if (import->top_level && import->start >= excerpt->shown && is_altered(excerpt, import->start, import->end))
            show(excerpt, import->start, import->end);
    }
}

/* A class's head reaches to its first member; a class without members is all head. */
static void show_class(struct excerpt *excerpt, size_t index)
{
    const struct symbol *class = &excerpt->symbols.items[index];
    const struct symbol *next = index + 1 < excerpt->symbols.count ? class + 1 : NULL;
    show(excerpt, class->start, next && is_within(next->name, class->name) ? next->start : class->end);
}

static void show_definitions(struct excerpt *excerpt)
{
    excerpt->shown = 0; /* imports may stand below definitions */
    for (size_t i = 0; i < excerpt->symbols.count; i++) {
        const struct symbol *symbol = &excerpt->symbols.items[i];
        if (symbol->start < excerpt->shown || !is_shown(excerpt, symbol))
            continue;
        if (excerpt->out.len)
            buf_putc(&excerpt->out, '\n');
        if (symbol->kind == SYMBOL_CLASS)
            show_class(excerpt, i);
        else
            show(excerpt, symbol->start, symbol->end);
    }
}

char *excerpt_of_change(const struct language *language, const struct change_file *file, const char *tree,
                        const char *symbol, struct error *err)
{
    if (!file->content)
        return strdup("");
    struct excerpt excerpt = {.text = file->content, .wanted = symbol, .out = BUF_INIT(CHANGE_MAX_FILE_BYTES * 2)};
    int status = changed_lines_of(file, tree, &excerpt.changed, err);
    if (status == 0)
        status = symbols_parse(language, file->content, file->len, &excerpt.symbols, err);
    if (status == 0) {
        show_imports(&excerpt);
        show_definitions(&excerpt);
        status = buf_check(&excerpt.out, file->path, err);
    }
    char *text = status == 0 ? strdup(buf_text(&excerpt.out)) : NULL;
    if (status == 0 && !text)
        error_system(err, ENOMEM, "show what the change wrote");
    buf_release(&excerpt.out);
    symbols_release(&excerpt.symbols);
    changed_lines_release(&excerpt.changed);
    return text;
}
