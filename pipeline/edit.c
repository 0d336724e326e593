#include "pipeline/edit.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/edit_merge.h"

enum { MAX_NAMES_SHOWN = 20 };

void edit_release(struct edit *edit)
{
    free(edit->path);
    free(edit->symbol);
    free(edit->after);
    free(edit->code);
    *edit = (struct edit){0};
}

/* ---- results ---- */

/* Every result must parse: a model that breaks a file hears of it now. */
static int check_result(const struct language *language, const struct buf *text, struct error *err)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, buf_text(text), text->len, &symbols, err) < 0)
        return -1;
    int failed = symbols.error_line == 0 ? 0
                                         : error_set(err, ERROR_INPUT, "after the edit line %u does not parse: %s",
                                                     symbols.error_line, symbols.error_text);
    symbols_release(&symbols);
    return failed;
}

static int finish(const struct language *language, struct merge *merge, struct buf *out, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    if (splices_apply(&merge->splices, merge->file.text, merge->file.len, merge->eol, &text, err) < 0 ||
        check_result(language, &text, err) < 0)
        return -1;
    buf_add(out, buf_text(&text), text.len);
    return buf_check(out, "the edited file", err);
}

static int create(const struct language *language, const char *code, struct buf *out, struct error *err)
{
    struct source source = {0};
    if (source_read_code(language, code, "\n", &source, err) < 0)
        return -1;
    int failed = buf_add(out, source.text, source.len) < 0 ||
                 (source.len && source.text[source.len - 1] != '\n' && buf_putc(out, '\n') < 0);
    source_release(&source);
    return failed ? buf_check(out, "the new file", err) : 0;
}

static int begin(const struct language *language, const char *text, size_t len, const char *code, struct merge *merge,
                 struct error *err)
{
    merge->language = language;
    merge->err = err;
    merge->eol = source_eol(text, len);
    if (source_read_file(language, text, len, &merge->file, err) < 0)
        return -1;
    if (merge->file.symbols.error_line)
        return error_set(err, ERROR_INPUT, "the file itself does not parse: line %u: %s",
                         merge->file.symbols.error_line, merge->file.symbols.error_text);
    return code ? source_read_code(language, code, merge->eol, &merge->code, err) : 0;
}

/* ---- a whole block ---- */

static bool is_empty_file(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!text[i] || !strchr(" \t\r\n\f", text[i]))
            return false;
    return true;
}

int edit_apply_block(const struct language *language, const char *text, size_t len, const char *code, struct buf *out,
                     struct buf *skipped, struct error *err)
{
    if (!text || is_empty_file(text, len))
        return create(language, code, out, err);
    struct merge merge = {.skipped = skipped};
    int failed = begin(language, text, len, code, &merge, err) < 0 || merge_code(&merge) < 0 ||
                 finish(language, &merge, out, err) < 0;
    merge_release(&merge);
    return failed ? -1 : 0;
}

/* ---- single edits ---- */

static int unknown_symbol(const struct merge *merge, const struct edit *edit, const char *name)
{
    AUTO_BUF struct buf names = BUF_INIT(KiB(1));
    for (size_t i = 0, shown = 0; i < merge->file.symbols.count && shown < MAX_NAMES_SHOWN; i++)
        if (merge->file.symbols.items[i].kind != SYMBOL_VALUE && !merge->file.symbols.items[i].further && ++shown)
            buf_printf(&names, "%s%s", names.len ? ", " : "", merge->file.symbols.items[i].name);
    return error_set(merge->err, ERROR_INPUT, "%s does not define %s; it defines: %s", edit->path ? edit->path : "it",
                     name, names.len ? buf_text(&names) : "nothing");
}

/* The code must define what it is for: under its full name, or alone as the member's name. */
static int check_defines(const struct merge *merge, const struct edit *edit)
{
    const char *dot = strrchr(edit->symbol, '.');
    if (symbols_find(&merge->code.symbols, edit->symbol) || (dot && symbols_find(&merge->code.symbols, dot + 1)))
        return 0;
    return error_set(merge->err, ERROR_INPUT, "the code for %s does not define it: give its whole definition",
                     edit->symbol);
}

static int check_replace(struct merge *merge, const struct edit *edit)
{
    if (!symbols_find(&merge->file.symbols, edit->symbol))
        return unknown_symbol(merge, edit, edit->symbol);
    return check_defines(merge, edit);
}

/* `after` may be a member's bare name. */
static const struct symbol *find_after(const struct merge *merge, const struct edit *edit)
{
    const char *dot = strrchr(edit->symbol, '.');
    const struct symbol *found = symbols_find(&merge->file.symbols, edit->after);
    if (found || !dot)
        return found;
    AUTO_FREE char *member = text_format("%.*s.%s", (int)(dot - edit->symbol), edit->symbol, edit->after);
    return member ? symbols_find(&merge->file.symbols, member) : NULL;
}

static int check_add(struct merge *merge, const struct edit *edit)
{
    const char *dot = strrchr(edit->symbol, '.');
    AUTO_FREE char *owner = dot ? strndup(edit->symbol, (size_t)(dot - edit->symbol)) : NULL;
    if (symbols_find(&merge->file.symbols, edit->symbol))
        return error_set(merge->err, ERROR_INPUT, "%s defines %s already: replace it in place of adding it",
                         edit->path ? edit->path : "the file", edit->symbol);
    if (owner && !symbols_find(&merge->file.symbols, owner))
        return unknown_symbol(merge, edit, owner);
    if (edit->after && *edit->after) {
        const struct symbol *after = find_after(merge, edit);
        if (!after)
            return unknown_symbol(merge, edit, edit->after);
        merge->after = after->name;
    }
    return check_defines(merge, edit);
}

static int check_import(const struct merge *merge)
{
    for (size_t i = 0; i < merge->code.statement_count; i++)
        if (!(merge->code.statements[i].flags & NODE_IMPORT) &&
            !merge_is_guarded_import(merge, &merge->code.statements[i]))
            return error_set(merge->err, ERROR_INPUT, "an import edit holds something else: line %u",
                             merge->code.statements[i].row + 1);
    return merge->code.symbols.import_count ? 0 : error_set(merge->err, ERROR_INPUT, "an import edit holds no import");
}

/* The line after a removed symbol's blank lines; those above it separate what is left. */
static size_t end_of_blanks(const struct source *file, size_t at)
{
    size_t end = at;
    for (size_t i = at; i < file->len && file->text[i] && strchr(" \t\r\n\f", file->text[i]); i++)
        if (file->text[i] == '\n')
            end = i + 1;
    return end;
}

/* The class whose body would be empty without the members of this name. */
static const struct symbol *emptied_class(const struct merge *merge, const char *name)
{
    const char *dot = strrchr(name, '.');
    AUTO_FREE char *owner_name = dot ? strndup(name, (size_t)(dot - name)) : NULL;
    const struct symbol *owner = owner_name ? symbols_find(&merge->file.symbols, owner_name) : NULL;
    AUTO_FREE char *rest = owner ? calloc(owner->end - owner->body_start + 1, 1) : NULL;
    size_t len = 0;
    for (size_t at = owner ? owner->body_start : 0; rest && at < owner->end; at++) {
        for (size_t i = 0; i < merge->file.symbols.count; i++)
            if (merge->file.symbols.items[i].start == at && strcmp(merge->file.symbols.items[i].name, name) == 0)
                at = merge->file.symbols.items[i].end;
        if (at < owner->end)
            rest[len++] = merge->file.text[at];
    }
    return rest && is_empty_file(rest, len) ? owner : NULL;
}

static int remove_symbol(struct merge *merge, const struct edit *edit)
{
    const struct symbols *symbols = &merge->file.symbols;
    if (!symbols_find(symbols, edit->symbol))
        return unknown_symbol(merge, edit, edit->symbol);
    const struct symbol *emptied = emptied_class(merge, edit->symbol);
    bool placed = !emptied;
    for (size_t i = 0; i < symbols->count; i++) {
        const struct symbol *symbol = &symbols->items[i];
        if (strcmp(symbol->name, edit->symbol) != 0)
            continue;
        char *text = placed ? strdup("")
                            : text_format("%.*s%s%s", (int)symbol->indent, merge->file.text + symbol->head_start,
                                          merge->language->layout.placeholder, merge->eol);
        size_t end = placed ? end_of_blanks(&merge->file, symbol->end) : symbol->end;
        placed = true;
        if (splices_replace(&merge->splices, symbol->start, end, text, merge->err) < 0)
            return -1;
    }
    return 0;
}

static int collect(struct merge *merge, const struct edit *edit)
{
    switch (edit->kind) {
    case EDIT_REPLACE:
        return check_replace(merge, edit) < 0 ? -1 : merge_code(merge);
    case EDIT_ADD:
        return check_add(merge, edit) < 0 ? -1 : merge_code(merge);
    case EDIT_IMPORT:
        return check_import(merge) < 0 ? -1 : merge_imports(merge);
    case EDIT_REMOVE:
        return remove_symbol(merge, edit);
    default:
        return error_set(merge->err, ERROR_INTERNAL, "an edit has the unknown kind %d", (int)edit->kind);
    }
}

static int check_parts(const struct edit *edit, const char *text, struct error *err)
{
    const char *path = edit->path ? edit->path : "the file";
    bool needs_symbol = edit->kind == EDIT_REPLACE || edit->kind == EDIT_ADD || edit->kind == EDIT_REMOVE;
    if (edit->kind != EDIT_REMOVE && !edit->code)
        return error_set(err, ERROR_INPUT, "an edit of %s has no code", path);
    if (needs_symbol && (!edit->symbol || !*edit->symbol))
        return error_set(err, ERROR_INPUT, "an edit of %s names no symbol", path);
    if (edit->kind == EDIT_CREATE && text)
        return error_set(err, ERROR_INPUT, "%s exists already: replace its symbols or add to it", path);
    if (edit->kind != EDIT_CREATE && !text)
        return error_set(err, ERROR_INPUT, "%s does not exist: create it", path);
    return 0;
}

int edit_apply(const struct language *language, const char *text, size_t len, const struct edit *edit, struct buf *out,
               struct error *err)
{
    if (check_parts(edit, text, err) < 0)
        return -1;
    if (edit->kind == EDIT_CREATE)
        return create(language, edit->code, out, err);
    struct merge merge = {.target = edit->kind == EDIT_IMPORT ? NULL : edit->symbol};
    const char *code = edit->kind == EDIT_REMOVE ? NULL : edit->code;
    int failed = begin(language, text, len, code, &merge, err) < 0 || collect(&merge, edit) < 0 ||
                 finish(language, &merge, out, err) < 0;
    merge_release(&merge);
    return failed ? -1 : 0;
}
