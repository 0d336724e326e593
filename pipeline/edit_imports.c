/* Import statements of a code block: each is added once, if the file has not got it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/template.h"
#include "pipeline/edit_merge.h"

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_at_top(const struct source_import *import)
{
    return import->top_level || import->guarded;
}

/* Does `import` already bind what `wanted` does (its name `index`, or the module for a plain import)? */
static bool provides(const struct source_import *import, const struct source_import *wanted, size_t index)
{
    if (import->level != wanted->level || strcmp(import->module, wanted->module) != 0 || !is_at_top(import))
        return false;
    if (wanted->name_count == 0)
        return import->name_count == 0 && same(import->alias, wanted->alias);
    for (size_t i = 0; i < import->name_count; i++)
        if ((strcmp(import->names[i], wanted->names[index]) == 0 && same(import->aliases[i], wanted->aliases[index])) ||
            (strcmp(import->names[i], "*") == 0 && !wanted->aliases[index]))
            return true;
    return false;
}

/* … in the file, or in an import of the code that comes earlier. */
static bool is_provided(const struct merge *merge, size_t code_index, size_t name)
{
    const struct source_import *wanted = &merge->code.symbols.imports[code_index];
    for (size_t i = 0; i < merge->file.symbols.import_count; i++)
        if (provides(&merge->file.symbols.imports[i], wanted, name))
            return true;
    for (size_t i = 0; i < code_index; i++)
        if (provides(&merge->code.symbols.imports[i], wanted, name))
            return true;
    return false;
}

/* Models like to import what they define, from the file itself or from "your_module". */
static bool is_defined(const struct merge *merge, const struct source_import *import, size_t name)
{
    if (import->name_count == 0)
        return false;
    const char *bound = import->aliases[name] ? import->aliases[name] : import->names[name];
    const struct symbol *symbol = symbols_find(&merge->file.symbols, bound);
    if (!symbol)
        symbol = symbols_find(&merge->code.symbols, bound);
    return symbol && symbol->kind != SYMBOL_VALUE;
}

static const struct statement *statement_at(const struct source *source, size_t start)
{
    for (size_t i = 0; i < source->statement_count; i++)
        if (source->statements[i].start == start)
            return &source->statements[i];
    return NULL;
}

/* Imports like `from __future__ import x` stand before all others. */
static size_t first_import_place(const struct merge *merge)
{
    const struct source *file = &merge->file;
    size_t place = file->symbols.import_end;
    for (size_t i = 0; i < file->statement_count; i++) {
        const struct statement *statement = &file->statements[i];
        if (!(statement->flags & NODE_IMPORT))
            continue;
        if (!(statement->flags & NODE_FIRST_IMPORT))
            return statement->start < place ? statement->start : place;
        const char *end = memchr(file->text + statement->end, '\n', file->len - statement->end);
        return end ? (size_t)(end - file->text) + 1 : file->len;
    }
    return place;
}

/* Takes over `text`. Beside other imports it stands close; the first of a file keeps its distance. */
static int insert_import(struct merge *merge, const struct source_import *import, char *text)
{
    const struct source *file = &merge->file;
    const struct statement *statement = statement_at(&merge->code, import->start);
    bool first = statement && (statement->flags & NODE_FIRST_IMPORT);
    size_t at = first ? first_import_place(merge) : file->symbols.import_end;
    const struct statement *below = statement_at(file, at);
    bool beside_import = below && (below->flags & NODE_IMPORT);
    for (size_t i = 0; i < file->symbols.import_count && !beside_import; i++)
        beside_import = file->symbols.imports[i].top_level && file->symbols.imports[i].start < at;
    return splices_insert(&merge->splices,
                          (struct splice){.start = at,
                                          .text = text,
                                          .blanks_before = beside_import ? 0 : 1,
                                          .blanks_after = beside_import ? 0 : merge_blanks_after(merge, at),
                                          .group = GROUP_IMPORTS},
                          merge->err);
}

/* One statement for the names (or the module) that are missing, by the language's template. */
static char *compose(const struct merge *merge, const struct source_import *import, const bool *missing)
{
    AUTO_BUF struct buf names = BUF_INIT(KiB(64)), module = BUF_INIT(KiB(4)), out = BUF_INIT(KiB(70));
    for (size_t i = 0; i < import->name_count; i++)
        if (missing[i])
            buf_printf(&names, "%s%s%s%s", names.len ? ", " : "", import->names[i], import->aliases[i] ? " as " : "",
                       import->aliases[i] ? import->aliases[i] : "");
    for (int i = 0; i < import->level; i++)
        buf_putc(&module, '.');
    buf_puts(&module, import->module);
    const char *form =
        import->name_count ? merge->language->layout.import_names : merge->language->layout.import_module;
    json_auto_t *view =
        json_pack("{s:s,s:s,s:s*}", "module", buf_text(&module), "names", buf_text(&names), "alias", import->alias);
    if (!form || !view ||
        template_render((struct template_source){"import", form, strlen(form)}, TEMPLATE_PLAIN, view, NULL, NULL, &out,
                        merge->err) < 0 ||
        names.failed || module.failed)
        return NULL;
    return buf_steal(&out, NULL);
}

/* The statement as it was written; NULL when other imports share it. */
static char *as_written(const struct merge *merge, size_t index)
{
    const struct symbols *code = &merge->code.symbols;
    const struct source_import *import = &code->imports[index];
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    for (size_t i = 0; i < code->import_count; i++)
        if (i != index && code->imports[i].start == import->start)
            return NULL;
    return source_add_piece(&merge->code, import->start, import->end, 0, "", 0, &text) == 0 ? buf_steal(&text, NULL)
                                                                                            : NULL;
}

static int merge_import(struct merge *merge, size_t index)
{
    const struct source_import *import = &merge->code.symbols.imports[index];
    size_t count = import->name_count ? import->name_count : 1, missing_count = 0;
    AUTO_FREE bool *missing = calloc(count, sizeof *missing);
    if (!missing)
        return error_system(merge->err, ENOMEM, "add an import");
    for (size_t i = 0; i < count; i++) {
        missing[i] = !is_provided(merge, index, i);
        if (missing[i] && is_defined(merge, import, i)) {
            missing[i] = false;
            merge_skip(merge, import->start, import->end, "a name is left out, it is defined in this file");
        }
        missing_count += missing[i];
    }
    if (missing_count == 0)
        return 0;
    char *text = missing_count == count ? as_written(merge, index) : NULL;
    if (!text && !(text = compose(merge, import, missing)))
        return error_set(merge->err, ERROR_CONFIG, "languages/%s.yml: layout.import_module and import_names are needed",
                         merge->language->name);
    return insert_import(merge, import, text);
}

/* A statement like `try: import x` or `if TYPE_CHECKING:` comes as it stands. */
static int merge_guarded(struct merge *merge, const struct statement *statement)
{
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    size_t at = merge->file.symbols.import_end;
    if (merge_file_has(merge, statement))
        return 0;
    if (source_add_piece(&merge->code, statement->start, statement->end, 0, "", 0, &text) < 0)
        return buf_check(&text, "the code", merge->err);
    return splices_insert(&merge->splices,
                          (struct splice){.start = at,
                                          .text = buf_steal(&text, NULL),
                                          .blanks_before = 1,
                                          .blanks_after = merge_blanks_after(merge, at)},
                          merge->err);
}

/* True for `try: import x` and the like, which merge_imports() takes care of. */
bool merge_is_guarded_import(const struct merge *merge, const struct statement *statement)
{
    const struct symbols *code = &merge->code.symbols;
    if (statement->flags & (NODE_FUNCTION | NODE_CLASS | NODE_WRAPPER))
        return false;
    for (size_t i = 0; i < code->import_count; i++)
        if (code->imports[i].guarded && code->imports[i].start > statement->start &&
            code->imports[i].start < statement->end)
            return true;
    return false;
}

int merge_imports(struct merge *merge)
{
    for (size_t i = 0; i < merge->code.symbols.import_count; i++)
        if (merge->code.symbols.imports[i].top_level && merge_import(merge, i) < 0)
            return -1;
    for (size_t i = 0; i < merge->code.statement_count; i++)
        if (merge_is_guarded_import(merge, &merge->code.statements[i]) &&
            merge_guarded(merge, &merge->code.statements[i]) < 0)
            return -1;
    return 0;
}
