/* What stages that write code share: an answer's code, put into the change by symbol. */
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "pipeline/answer.h"
#include "pipeline/edit.h"

enum { MAX_EDITS = 64, MAX_SOURCE = CHANGE_MAX_FILE_BYTES };

json_t *stage_code_schema(void)
{
    return json_pack("{s:s, s:b, s:[s,s,s], s:{s:{s:s, s:{s:s, s:b, s:[s,s,s,s], s:{s:{s:s}, s:{s:s, s:[s,s,s,s,s]}, "
                     "s:{s:s}, s:{s:s}}}}, s:{s:s}, s:{s:s, s:{s:s}}}}",
                     "type", "object", "additionalProperties", 0, "required", "edits", "rationale", "caveats",
                     "properties", "edits", "type", "array", "items", "type", "object", "additionalProperties", 0,
                     "required", "path", "kind", "symbol", "code", "properties", "path", "type", "string", "kind",
                     "type", "string", "enum", "create", "replace", "add", "import", "remove", "symbol", "type",
                     "string", "code", "type", "string", "rationale", "type", "string", "caveats", "type", "array",
                     "items", "type", "string");
}

struct writer {
    struct pipeline *pipeline;
    struct run *run;
    const char *author;
    const char *answer; /* all that the model wrote */
};

/* Puts the new text of a file into the change. */
static int put(const struct writer *writer, const char *path, struct buf *text, struct error *err)
{
    if (buf_check(text, path, err) < 0)
        return -1;
    if (change_put(&writer->run->change, writer->pipeline->tree, &writer->pipeline->policy.forbidden_paths, path,
                   buf_text(text), text->len, FILE_CODE, writer->author, err) < 0)
        return -1;
    run_credit(writer->run, path, writer->author);
    return 0;
}

/* The file's present text; NULL in *text when it does not exist. */
static int present(const struct writer *writer, const char *path, struct buf *buf, const char **text, struct error *err)
{
    struct error missing = {0};
    *text = NULL;
    if (change_read(&writer->run->change, writer->pipeline->tree, path, buf, &missing) == 0)
        *text = buf_text(buf);
    else if (missing.code != ERROR_NOT_FOUND)
        return error_set(err, missing.code, "%s", missing.message);
    return 0;
}

/* A test that comes along with the code is left out: tests are locked. Files in no known language are refused. */
static const struct language *writable(const struct writer *writer, const char *path, struct error *err)
{
    const struct language *language = languages_by_path(writer->pipeline->languages, path);
    if (!language)
        error_set(err, ERROR_INPUT, "%s: only source files of the project's language may be written", path);
    return language;
}

/* ---- tests among the code ---- */

static bool is_test(const struct writer *writer, const struct symbol *symbol)
{
    const char *prefix = stage_language(writer->pipeline, writer->run, NULL)->tests.function_prefix;
    const char *asked = writer->run->spec.symbol;
    return symbol->kind == SYMBOL_FUNCTION && strncmp(symbol->name, prefix, strlen(prefix)) == 0 &&
           (!asked || strcmp(symbol->name, asked) != 0);
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

/* Used in this block, or spoken of outside it: another block may need it. */
static bool is_used(const struct writer *writer, const char *code, const struct symbols *symbols, const char *name)
{
    for (size_t i = 0; i < symbols->reference_count; i++)
        if (strcmp(symbols->references[i], name) == 0)
            return true;
    return count_of(writer->answer, name) > count_of(code, name);
}

/* A part of the standard library or a test tool that nothing uses. What cannot be found stays, and is refused later; so
 * does what changes the language itself ("from __future__ import x") or takes all names. */
static bool is_left_over(const struct writer *writer, const struct import_rules *rules, const char *code,
                         const struct symbols *symbols, const struct source_import *import)
{
    const char *from = import_resolve(rules, "", import, true);
    if (!from || (strcmp(from, "stdlib") != 0 && strcmp(from, "test tool") != 0) ||
        strncmp(import->module, "__", 2) == 0)
        return false;
    for (size_t i = 0; i < import->name_count; i++)
        if (strcmp(import->names[i], "*") == 0 ||
            is_used(writer, code, symbols, import->aliases[i] ? import->aliases[i] : import->names[i]))
            return false;
    AUTO_FREE char *top = strndup(import->module, strcspn(import->module, "."));
    return import->name_count || !top || !is_used(writer, code, symbols, import->alias ? import->alias : top);
}

static void cut(struct buf *out, const char *code, size_t *copied, size_t start, size_t end)
{
    if (start >= *copied)
        buf_add(out, code + *copied, start - *copied);
    *copied = end > *copied ? end : *copied;
}

/* Small models write tests beside the code, and imports that it does not need. The tests are locked elsewhere, so these
 * go, and with them what nothing else uses. Heap. */
static char *without_tests(const struct writer *writer, const char *code, struct error *err)
{
    const struct language *language = stage_language(writer->pipeline, writer->run, err);
    struct import_rules *rules = language ? stage_import_rules(writer->pipeline, writer->run, err) : NULL;
    struct symbols symbols = {0};
    AUTO_BUF struct buf first = BUF_INIT(MAX_SOURCE), second = BUF_INIT(MAX_SOURCE);
    int status = rules ? symbols_parse(language, code, strlen(code), &symbols, err) : -1;
    size_t copied = 0;
    for (size_t i = 0; status == 0 && i < symbols.count; i++)
        if (is_test(writer, &symbols.items[i]))
            cut(&first, code, &copied, symbols.items[i].start, symbols.items[i].end);
    buf_puts(&first, code + copied);
    symbols_release(&symbols);
    copied = 0;
    if (status == 0)
        status = symbols_parse(language, buf_text(&first), first.len, &symbols, err);
    for (size_t i = 0; status == 0 && i < symbols.import_count; i++)
        if (is_left_over(writer, rules, code, &symbols, &symbols.imports[i]))
            cut(&second, buf_text(&first), &copied, symbols.imports[i].start, symbols.imports[i].end);
    buf_puts(&second, buf_text(&first) + copied);
    symbols_release(&symbols);
    import_rules_free(rules);
    return status == 0 ? buf_steal(&second, NULL) : NULL;
}

/* ---- fenced blocks ---- */

static int apply_block(const struct writer *writer, const char *path, const char *code, struct error *err)
{
    const struct language *language = writable(writer, path, err);
    AUTO_BUF struct buf before = BUF_INIT(MAX_SOURCE), after = BUF_INIT(MAX_SOURCE);
    const char *text = NULL;
    if (!language)
        return -1;
    if (language_is_test(language, path))
        return 0;
    AUTO_FREE char *own = without_tests(writer, code, err);
    if (!own || present(writer, path, &before, &text, err) < 0 ||
        edit_apply_block(language, text, before.len, own, &after, NULL, err) < 0)
        return error_wrap(err, "%s", path);
    return put(writer, path, &after, err);
}

/* Blocks that are no code of the language (shell commands, sample output) are passed over. */
static bool is_code(const struct writer *writer, const struct answer_block *block)
{
    const struct language *language = stage_language(writer->pipeline, writer->run, NULL);
    return !*block->language || languages_by_name(writer->pipeline->languages, block->language) == language ||
           (language && answer_language_is(block->language, language->name));
}

static bool defines(const struct writer *writer, const char *code, const char *name)
{
    const struct language *language = stage_language(writer->pipeline, writer->run, NULL);
    struct symbols symbols = {0};
    if (!language || symbols_parse(language, code, strlen(code), &symbols, NULL) < 0)
        return false;
    bool found = symbols_find(&symbols, name) != NULL;
    symbols_release(&symbols);
    return found;
}

/* Where a block goes: to the file it names, unless that is no source file, or a new one for the very thing that was
 * asked for elsewhere (models like to call it "solution.py"). */
static const char *path_of(const struct writer *writer, const struct answer_block *block)
{
    const char *wanted = writer->run->spec.file;
    if (!block->path || !languages_by_path(writer->pipeline->languages, block->path))
        return wanted;
    AUTO_FREE char *there = text_format("%s/%s", writer->pipeline->tree, block->path);
    if (strchr(block->path, '/')) /* a whole path is meant: where it must not be written, that is the answer */
        return block->path;
    bool is_new = there && !fs_exists(there) && !change_find(&writer->run->change, block->path);
    return is_new && defines(writer, block->code, writer->run->spec.symbol) ? wanted : block->path;
}

static int apply_blocks(const struct writer *writer, const struct answer_blocks *blocks, struct error *err)
{
    size_t applied = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        const struct answer_block *block = &blocks->items[i];
        if (!is_code(writer, block))
            continue;
        if (apply_block(writer, path_of(writer, block), block->code, err) < 0)
            return -1;
        applied++;
    }
    if (!applied)
        return error_set(err, ERROR_INPUT, "the answer holds no %s code block", writer->run->spec.language);
    return 0;
}

/* ---- structured edits ---- */

static int read_edit(const json_t *value, struct edit *edit, struct error *err)
{
    static const char *const kinds[] = {[EDIT_CREATE] = "create",
                                        [EDIT_REPLACE] = "replace",
                                        [EDIT_ADD] = "add",
                                        [EDIT_IMPORT] = "import",
                                        [EDIT_REMOVE] = "remove"};
    const char *kind = json_text_at(value, "kind", "");
    size_t index = 0;
    while (index <= EDIT_REMOVE && strcmp(kind, kinds[index]) != 0)
        index++;
    if (index > EDIT_REMOVE)
        return error_set(err, ERROR_INPUT, "an edit has the kind \"%s\"; use create, replace, add, import or remove",
                         kind);
    edit->kind = (enum edit_kind)index;
    edit->path = strdup(json_text_at(value, "path", ""));
    const char *symbol = json_text_at(value, "symbol", "");
    edit->symbol = *symbol ? strdup(symbol) : NULL;
    edit->code = strdup(json_text_at(value, "code", ""));
    return 0;
}

static int apply_edit(const struct writer *writer, const json_t *value, struct error *err)
{
    struct edit edit = {0};
    AUTO_BUF struct buf before = BUF_INIT(MAX_SOURCE), after = BUF_INIT(MAX_SOURCE);
    const char *text = NULL;
    const struct language *language = NULL;
    int status = read_edit(value, &edit, err);
    if (status == 0 && !*edit.path) {
        free(edit.path);
        edit.path = strdup(writer->run->spec.file);
    }
    if (status == 0 && !(language = writable(writer, edit.path, err)))
        status = -1;
    if (status == 0 && !language_is_test(language, edit.path)) {
        if (present(writer, edit.path, &before, &text, err) < 0 ||
            edit_apply(language, text, before.len, &edit, &after, err) < 0)
            status = error_wrap(err, "%s", edit.path);
        else
            status = put(writer, edit.path, &after, err);
    }
    edit_release(&edit);
    return status;
}

static int apply_edits(const struct writer *writer, const json_t *value, struct error *err)
{
    const json_t *edits = json_object_get(value, "edits");
    size_t count = json_array_size(edits), index;
    json_t *caveat;
    if (!count || count > MAX_EDITS)
        return error_set(err, ERROR_INPUT, "the answer holds %zu edits; 1 to %d are read", count, MAX_EDITS);
    for (size_t i = 0; i < count; i++)
        if (apply_edit(writer, json_array_get(edits, i), err) < 0)
            return -1;
    json_array_foreach (json_object_get(value, "caveats"), index, caveat)
        if (json_is_string(caveat) && index < 8 && *json_string_value(caveat))
            json_array_append(writer->run->caveats, caveat);
    return 0;
}

/* ---- either ---- */

static int apply_bare(const struct writer *writer, const char *text, struct error *err)
{
    AUTO_FREE char *code = answer_bare_code(text);
    if (!code || !defines(writer, code, writer->run->spec.symbol))
        return error_set(err, ERROR_INPUT, "the answer holds no fenced code block that defines %s",
                         writer->run->spec.symbol);
    return apply_block(writer, writer->run->spec.file, code, err);
}

static int apply(const struct writer *writer, const char *text, struct error *err)
{
    json_auto_t *value = strstr(text, "\"edits\"") ? answer_json(text, NULL) : NULL;
    if (json_object_get(value, "edits"))
        return apply_edits(writer, value, err);
    struct answer_blocks blocks = {0};
    if (answer_blocks_read(text, &blocks, err) < 0)
        return -1;
    int status = blocks.count ? apply_blocks(writer, &blocks, err) : apply_bare(writer, text, err);
    answer_blocks_release(&blocks);
    return status;
}

/* Does the change define what was asked for? An answer without it is no answer. */
static int check_symbol(const struct writer *writer, struct error *err)
{
    const struct spec *spec = &writer->run->spec;
    const struct language *language = stage_language(writer->pipeline, writer->run, err);
    struct symbols symbols = {0};
    for (size_t i = 0; language && i < writer->run->change.count; i++) {
        const struct change_file *file = &writer->run->change.files[i];
        if (file->kind != FILE_CODE || !file->content ||
            symbols_parse(language, file->content, file->len, &symbols, NULL) < 0)
            continue;
        bool found = symbols_find(&symbols, spec->symbol) != NULL;
        symbols_release(&symbols);
        if (found)
            return 0;
    }
    return error_set(err, ERROR_INPUT, "the code does not define %s in %s", spec->symbol, spec->file);
}

int stage_apply_answer(struct pipeline *pipeline, struct run *run, const char *answer, const char *author,
                       struct error *err)
{
    struct writer writer = {pipeline, run, author, answer};
    json_auto_t *before = change_to_json(&run->change);
    AUTO_FREE char *text = answer_without_thinking(answer);
    if (!text)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    if (apply(&writer, text, err) == 0 && check_symbol(&writer, err) == 0)
        return 0;
    /* Half an answer is none: the change goes back to what it was. */
    struct change restored = {0};
    if (change_from_json(before, &restored, NULL) == 0) {
        change_release(&run->change);
        run->change = restored;
    }
    return -1;
}

int stage_take_code(struct pipeline *pipeline, struct run *run, const json_t *written, struct error *err)
{
    const char *author = json_text_at(written, "author", "");
    size_t index;
    json_t *file;
    json_array_foreach (json_object_get(written, "code"), index, file) {
        const char *path = json_text_at(file, "path", ""), *content = json_text_at(file, "content", "");
        if (change_put(&run->change, pipeline->tree, &pipeline->policy.forbidden_paths, path, content, strlen(content),
                       FILE_CODE, author, err) < 0)
            return -1;
        run_credit(run, path, author);
    }
    return 0;
}
