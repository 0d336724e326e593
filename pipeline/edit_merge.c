#include "pipeline/edit_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int merge_class(struct merge *merge, const struct symbol *code, const struct symbol *file);

/* ---- small questions ---- */

void merge_skip(struct merge *merge, size_t start, size_t end, const char *reason)
{
    if (!merge->skipped)
        return;
    unsigned line = 1;
    for (size_t i = 0; i < start; i++)
        line += merge->code.text[i] == '\n';
    size_t len = strcspn(merge->code.text + start, "\r\n");
    if (len > end - start)
        len = end - start;
    buf_printf(merge->skipped, "line %u: %.*s%s: %s\n", line, (int)(len > 80 ? 80 : len), merge->code.text + start,
               len > 80 ? " …" : "", reason);
}

bool merge_file_has(const struct merge *merge, const struct statement *statement)
{
    size_t len = statement->end - statement->start;
    for (size_t i = 0; i < merge->file.statement_count; i++) {
        const struct statement *other = &merge->file.statements[i];
        if (other->end - other->start == len &&
            memcmp(merge->file.text + other->start, merge->code.text + statement->start, len) == 0)
            return true;
    }
    return false;
}

static bool is_blank(const char *text, size_t start, size_t end)
{
    for (; start < end; start++)
        if (!text[start] || !strchr(" \t\r\n\f", text[start]))
            return false;
    return true;
}

size_t merge_blanks_after(const struct merge *merge, size_t at)
{
    for (size_t i = 0; i < merge->file.symbols.count; i++) {
        const struct symbol *symbol = &merge->file.symbols.items[i];
        if (symbol->kind != SYMBOL_VALUE && symbol->start >= at)
            return is_blank(merge->file.text, at, symbol->start) ? (size_t)merge->language->layout.blank_lines : 1;
    }
    return 1;
}

/* ---- replacing ---- */

static char *steal_or_fail(struct merge *merge, struct buf *text)
{
    if (buf_check(text, "the code", merge->err) < 0)
        return NULL;
    return buf_steal(text, NULL);
}

/* Does a comment that stands for code left out ("# ... existing code ...") begin a line of the range? One that
 * `known` text (the file's) has as well is a plain comment. */
static bool has_elision(const struct merge *merge, size_t start, size_t end, const char *known, size_t known_len)
{
    const char *text = merge->code.text, *comment = merge->language->comment;
    for (size_t at = start; at < end;) {
        const char *line_end = memchr(text + at, '\n', end - at);
        size_t next = line_end ? (size_t)(line_end - text) + 1 : end;
        at += strspn(text + at, " \t");
        size_t len = strcspn(text + at, "\r\n");
        if (at < next && strncmp(text + at, comment, strlen(comment)) == 0 &&
            grammar_matches(merge->language->parser, PATTERN_ELISION, text + at, len) &&
            !(known && memmem(known, known_len, text + at, len)))
            return true;
        at = next;
    }
    return false;
}

/* The comments above a definition come along only where the file has none, unless they stand for code left out. */
static size_t piece_start(const struct merge *merge, const struct symbol *code, const struct symbol *file)
{
    bool comes =
        !(file && file->start < file->code_start) && !has_elision(merge, code->start, code->code_start, NULL, 0);
    return comes ? code->start : code->code_start;
}

static bool is_whole_lines(const struct source *source, const struct symbol *symbol)
{
    return symbol->end == source->len || source->text[symbol->end - 1] == '\n';
}

static int replace_definition(struct merge *merge, const struct symbol *code, const struct symbol *file)
{
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    const struct source *to = &merge->file;
    source_add_piece(&merge->code, piece_start(merge, code, file), code->end, code->indent, to->text + file->head_start,
                     file->indent, &text);
    size_t end = file->end; /* the line end stays the file's own */
    if (is_whole_lines(to, file))
        while (end > file->code_start && strchr("\r\n", to->text[end - 1]))
            end--;
    if (text.len == end - file->code_start && memcmp(buf_text(&text), to->text + file->code_start, text.len) == 0)
        return 0;
    char *piece = steal_or_fail(merge, &text);
    return piece ? splices_replace(&merge->splices, file->code_start, end, piece, merge->err) : -1;
}

static bool is_target(const struct merge *merge, const struct symbol *file)
{
    return merge->target && strcmp(merge->target, file->name) == 0;
}

/* The code may give a member's definition alone. */
static bool is_target_code(const struct merge *merge, const struct symbol *code)
{
    const char *dot = merge->target ? strrchr(merge->target, '.') : NULL;
    return merge->target && strcmp(dot ? dot + 1 : merge->target, symbol_last_name(code)) == 0;
}

static int merge_pair(struct merge *merge, const struct symbol *code, const struct symbol *file)
{
    bool whole = is_target(merge, file), classes = code->kind == SYMBOL_CLASS && file->kind == SYMBOL_CLASS;
    const char *reason = NULL;
    if (code->placeholder && !file->placeholder && !whole)
        reason = "left out, an empty body does not replace code";
    else if (!classes && !file->placeholder &&
             has_elision(merge, code->body_start, code->end, merge->file.text + file->start, file->end - file->start))
        reason = "left out, a comment stands in place of code";
    if (reason) {
        merge_skip(merge, code->head_start, code->end, reason);
        return 0;
    }
    if (!classes || whole || file->placeholder)
        return replace_definition(merge, code, file);
    if (merge->file.text[file->body_start - 1] != '\n')
        return error_set(merge->err, ERROR_INPUT, "the class %s stands on one line in the file: replace it by name",
                         file->name);
    return merge_class(merge, code, file);
}

/* ---- adding ---- */

/* The indentation of a class's members. */
static void member_indent(const struct merge *merge, const struct symbol *owner, const char **text, size_t *len)
{
    *text = "";
    *len = 0;
    if (!owner)
        return;
    const char *line = merge->file.text + owner->body_start, *end = merge->file.text + owner->end;
    while (line < end) {
        size_t indent = strspn(line, " \t");
        if (line[indent] && !strchr("\r\n\f", line[indent]) &&
            strncmp(line + indent, merge->language->comment, strlen(merge->language->comment)) != 0) {
            *text = line;
            *len = indent;
            return;
        }
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line++)
            return;
    }
}

static bool holds_name(char *const *names, size_t count, const char *name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names[middle], name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Where a new value of the top level goes: after the imports, unless what it is made of stands further down. False
 * when it needs something that this code adds: then it keeps its place in the code's order. */
static bool value_place(const struct merge *merge, const struct pairing *pairing, const struct symbol *value,
                        size_t *at)
{
    struct symbols used = {0};
    bool found = true;
    *at = merge->file.symbols.import_end;
    if (symbols_parse(merge->language, merge->code.text + value->head_start, value->end - value->head_start, &used,
                      NULL) < 0)
        return false;
    for (size_t i = 0; pairing->files[i]; i++)
        if (holds_name(used.references, used.reference_count, pairing->files[i]->name) && pairing->files[i]->end > *at)
            *at = pairing->files[i]->end;
    for (size_t i = 0; pairing->codes[i] && found; i++)
        found = pairing->codes[i] == value || pairing->pairs[i] || pairing->codes[i]->kind == SYMBOL_VALUE ||
                !holds_name(used.references, used.reference_count, pairing->codes[i]->name);
    symbols_release(&used);
    return found;
}

static size_t end_of_definitions(const struct merge *merge, const struct pairing *pairing)
{
    if (pairing->owner)
        return pairing->owner->end;
    size_t end = 0;
    for (size_t i = 0; pairing->files[i]; i++)
        if (pairing->files[i]->kind != SYMBOL_VALUE)
            end = pairing->files[i]->end;
    return end ? end : merge->file.len;
}

/* In the code's order: after the symbol above it, else before the one below it, else at the end. */
static size_t place_in_order(const struct merge *merge, const struct pairing *pairing, size_t index)
{
    for (size_t i = 0; merge->after && is_target_code(merge, pairing->codes[index]) && pairing->files[i]; i++)
        if (strcmp(pairing->files[i]->name, merge->after) == 0)
            return pairing->files[i]->end;
    for (size_t i = index; i-- > 0;)
        if (pairing->pairs[i] && is_whole_lines(&merge->file, pairing->pairs[i]))
            return pairing->pairs[i]->end;
    for (size_t i = index + 1; pairing->codes[i]; i++)
        if (pairing->pairs[i] &&
            (pairing->pairs[i]->start == 0 || merge->file.text[pairing->pairs[i]->start - 1] == '\n'))
            return pairing->pairs[i]->start;
    return end_of_definitions(merge, pairing);
}

static int add_definition(struct merge *merge, const struct pairing *pairing, size_t index)
{
    const struct symbol *code = pairing->codes[index], *owner = pairing->owner;
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    const char *indent;
    size_t indent_len, at = 0;
    member_indent(merge, owner, &indent, &indent_len);
    source_add_piece(&merge->code, piece_start(merge, code, NULL), code->end, code->indent, indent, indent_len, &text);
    bool value = code->kind == SYMBOL_VALUE;
    bool after_imports = value && !owner && value_place(merge, pairing, code, &at);
    if (!after_imports)
        at = place_in_order(merge, pairing, index);
    size_t blanks = (size_t)(owner ? merge->language->layout.member_blanks : merge->language->layout.blank_lines);
    struct splice splice = {.start = at, .blanks_before = blanks, .blanks_after = blanks};
    if (value) {
        splice.group = GROUP_VALUES;
        splice.blanks_before = !owner && at == merge->file.symbols.import_end;
        splice.blanks_after = owner ? 0 : merge_blanks_after(merge, at);
    }
    if (owner && is_blank(merge->file.text, owner->body_start, at))
        splice.blanks_before = 0;
    splice.text = steal_or_fail(merge, &text);
    return splice.text ? splices_insert(&merge->splices, splice, merge->err) : -1;
}

/* ---- a level ---- */

/* Takes over `codes`. */
static int merge_level(struct merge *merge, const struct symbol *owner, const struct symbol **codes)
{
    AUTO_FREE const struct symbol **files = source_members(&merge->file, owner);
    AUTO_FREE const struct symbol **code_list = codes;
    size_t count = codes ? symbols_count(codes) : 0;
    AUTO_FREE const struct symbol **pairs = calloc(count + 1, sizeof(struct symbol *));
    AUTO_FREE bool *dropped = calloc(count + 1, sizeof *dropped);
    AUTO_FREE bool *taken = calloc(files ? symbols_count(files) + 1 : 1, sizeof *taken);
    if (!codes || !files || !pairs || !dropped || !taken)
        return error_system(merge->err, ENOMEM, "merge code");
    struct pairing pairing = {owner, code_list, files, pairs, dropped, taken};
    pairing_fill(merge, &pairing);
    for (size_t i = 0; i < count; i++) {
        if (dropped[i])
            continue;
        if (pairs[i] ? merge_pair(merge, codes[i], pairs[i]) < 0 : add_definition(merge, &pairing, i) < 0)
            return -1;
    }
    return 0;
}

/* ---- classes ---- */

/* Replaces one range of the file by one of the code, if they differ. */
static int replace_range(struct merge *merge, const struct symbol *code, size_t code_start, size_t code_end,
                         const struct symbol *file, size_t file_start, size_t file_end)
{
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    if (merge_same_words(merge->code.text + code_start, code_end - code_start, merge->file.text + file_start,
                         file_end - file_start))
        return 0;
    bool begins_line = file_start == 0 || merge->file.text[file_start - 1] == '\n';
    source_add_piece(&merge->code, code_start, code_end, code->indent, merge->file.text + file->head_start,
                     begins_line ? file->indent : 0, &text);
    while (file_end > file_start && strchr("\r\n", merge->file.text[file_end - 1]))
        file_end--;
    char *piece = steal_or_fail(merge, &text);
    return piece ? splices_replace(&merge->splices, file_start, file_end, piece, merge->err) : -1;
}

/* The class's own lines: bases, decorators, documentation. What the code does not say stays. */
static int merge_class_head(struct merge *merge, const struct symbol *code, const struct symbol *file)
{
    bool has_body_below = merge->code.text[code->body_start - 1] == '\n';
    if (has_body_below && strchr(code->signature, '(') && strcmp(code->signature, file->signature) != 0 &&
        replace_range(merge, code, code->head_start, code->body_start, file, file->head_start, file->body_start) < 0)
        return -1;
    if (code->code_start < code->head_start &&
        replace_range(merge, code, code->code_start, code->head_start, file, file->code_start, file->head_start) < 0)
        return -1;
    if (!code->documentation || !has_body_below)
        return 0;
    if (file->documentation)
        return replace_range(merge, code, code->documentation_start, code->documentation_end, file,
                             file->documentation_start, file->documentation_end);
    AUTO_BUF struct buf text = BUF_INIT(EDIT_MAX_BYTES);
    const char *indent;
    size_t indent_len, line = code->documentation_start;
    while (line > 0 && merge->code.text[line - 1] != '\n')
        line--;
    member_indent(merge, file, &indent, &indent_len);
    source_add_piece(&merge->code, line, code->documentation_end, code->documentation_start - line, indent, indent_len,
                     &text);
    char *piece = steal_or_fail(merge, &text);
    struct splice splice = {
        .start = file->body_start, .text = piece, .blanks_after = (size_t)merge->language->layout.member_blanks};
    return piece ? splices_insert(&merge->splices, splice, merge->err) : -1;
}

static int merge_class(struct merge *merge, const struct symbol *code, const struct symbol *file)
{
    if (merge_class_head(merge, code, file) < 0)
        return -1;
    return merge_level(merge, file, source_members(&merge->code, code));
}

/* ---- the whole ---- */

/* Does its first parameter say that it is a method? */
static bool takes_receiver(const struct merge *merge, const struct symbol *symbol)
{
    const char *open = symbol->kind == SYMBOL_FUNCTION ? strchr(symbol->signature, '(') : NULL;
    for (size_t i = 0; open && i < merge->language->layout.receivers.count; i++) {
        const char *receiver = merge->language->layout.receivers.items[i];
        size_t len = strlen(receiver);
        if (strncmp(open + 1, receiver, len) == 0 && strchr(",):", open[1 + len]))
            return true;
    }
    return false;
}

const struct symbol *merge_class_of(const struct merge *merge, const struct symbol *method)
{
    const char *dot = merge->target ? strrchr(merge->target, '.') : NULL;
    AUTO_FREE char *owner = dot ? strndup(merge->target, (size_t)(dot - merge->target)) : NULL;
    bool receives = takes_receiver(merge, method);
    if (owner && (receives || strcmp(method->name, dot + 1) == 0))
        return symbols_find(&merge->file.symbols, owner);
    if (!receives || symbols_find(&merge->file.symbols, method->name))
        return NULL;
    const struct symbol *found = NULL;
    for (size_t i = 0; i < merge->file.symbols.count; i++) {
        const struct symbol *class = &merge->file.symbols.items[i];
        AUTO_FREE char *name = text_format("%s.%s", class->name, method->name);
        if (class->kind != SYMBOL_CLASS || !name || !symbols_find(&merge->file.symbols, name))
            continue;
        if (found)
            return NULL; /* several classes have it: nobody can say which is meant */
        found = class;
    }
    return found;
}

/* Takes the bare methods of one class out of the list and merges them there. */
static int merge_bare_methods(struct merge *merge, const struct symbol **codes, const struct symbol *class)
{
    const struct symbol **members = calloc(symbols_count(codes) + 1, sizeof(struct symbol *));
    size_t count = 0, kept = 0;
    for (size_t i = 0; members && codes[i]; i++)
        if (merge_class_of(merge, codes[i]) == class)
            members[count++] = codes[i];
        else
            codes[kept++] = codes[i];
    codes[kept] = NULL;
    return merge_level(merge, class, members);
}

/* Notes the statements of the code's top level that nothing takes over. */
static void skip_statements(struct merge *merge, const struct symbol *const *codes)
{
    for (size_t i = 0; i < merge->code.statement_count; i++) {
        const struct statement *statement = &merge->code.statements[i];
        bool known = (statement->flags & NODE_IMPORT) || (i == 0 && statement->documentation) ||
                     merge_is_guarded_import(merge, statement) || merge_file_has(merge, statement);
        for (size_t j = 0; codes[j] && !known; j++)
            known = codes[j]->start <= statement->start && statement->start < codes[j]->end;
        if (!known)
            merge_skip(merge, statement->start, statement->end,
                       "left out, only imports, definitions and assignments are taken over");
    }
}

int merge_code(struct merge *merge)
{
    const struct symbol **codes = source_members(&merge->code, NULL);
    if (!codes)
        return error_system(merge->err, ENOMEM, "merge code");
    skip_statements(merge, codes);
    int failed = merge_imports(merge);
    for (size_t i = 0; !failed && codes[i]; i++) {
        const struct symbol *class = merge_class_of(merge, codes[i]);
        if (class) {
            failed = merge_bare_methods(merge, codes, class);
            i = SIZE_MAX; /* the list has shrunk: from the start */
        }
    }
    if (!failed)
        return merge_level(merge, NULL, codes);
    free(codes);
    return -1;
}

void merge_release(struct merge *merge)
{
    source_release(&merge->file);
    source_release(&merge->code);
    splices_release(&merge->splices);
}
