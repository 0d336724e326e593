#include "pipeline/context_pieces.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/symbols_scan.h"

enum {
    SCORE_NAMED = 100,
    SCORE_IMPORTED_USED = 90,
    SCORE_NAMED_MEMBER = 70,
    SCORE_IMPORTED = 60,
    SCORE_CALLER = 45,
    SCORE_SAME_FOLDER = 4,
    SCORE_LEAST = 10,
    NEAR_FILES = 200,
    MAX_PIECES = 400,
    MAX_IMPORTS = 400,
    BRIEF_DOCUMENTATION = 400,
};

/* A definition that the target imports: from a file, or from a package's file that passes it on. */
struct wanted {
    char *module;
    const char *name; /* NULL: whatever of the module the target uses */
    bool used;        /* by the symbol that is asked for */
};

struct finder {
    struct tree *tree;
    const struct piece_request *request;
    struct wanted *wanted;
    size_t wanted_count, wanted_size;
    const char *symbol; /* the last name of what is asked for, or NULL */
    struct pieces *out;
    struct error *err;
};

/* ---- what the target imports ---- */

static bool is_reference(const struct symbols *symbols, const char *name)
{
    for (size_t i = 0; symbols && i < symbols->reference_count; i++)
        if (strcmp(symbols->references[i], name) == 0)
            return true;
    return false;
}

/* Is the name used where the change will be? In a new definition everything may be. */
static bool is_used(const struct piece_request *request, const char *name)
{
    const struct symbol *symbol =
        request->request->symbol ? symbols_find(request->target, request->request->symbol) : NULL;
    return !symbol ||
           text_has_word(request->target_text + symbol->start, symbol->end - symbol->start, name, strlen(name));
}

/* The module's full name: the dots of a relative import go up from the target's own package. */
static char *full_module(const struct finder *finder, const struct source_import *import)
{
    const struct tree_file *file = finder->request->target_file;
    const char *separator = finder->tree->language->module_separator;
    const char *package_file = finder->tree->language->package_file;
    if (import->level == 0)
        return strdup(import->module);
    const char *base = strrchr(file->path, '/') ? strrchr(file->path, '/') + 1 : file->path;
    int up = import->level - (package_file && strcmp(base, package_file) == 0);
    AUTO_FREE char *package = strdup(file->module);
    for (; package && up > 0; up--) {
        char *cut = strrchr(package, *separator);
        *(cut ? cut : package) = '\0';
    }
    if (!package)
        return NULL;
    return text_format("%s%s%s", package, *package && *import->module ? separator : "", import->module);
}

static int want(struct finder *finder, const char *module, const char *name, bool used)
{
    if (finder->wanted_count >= MAX_IMPORTS)
        return 0;
    if (scan_grow(&finder->wanted, finder->wanted_count, &finder->wanted_size, sizeof *finder->wanted, finder->err) < 0)
        return -1;
    struct wanted wanted = {strdup(module), name, used};
    finder->wanted[finder->wanted_count++] = wanted;
    return wanted.module ? 0 : error_system(finder->err, ENOMEM, "read the imports");
}

static int want_imports(struct finder *finder)
{
    const struct symbols *target = finder->request->target;
    const char *separator = finder->tree->language->module_separator;
    for (size_t i = 0; target && i < target->import_count; i++) {
        const struct source_import *import = &target->imports[i];
        AUTO_FREE char *module = full_module(finder, import);
        if (!module)
            return error_system(finder->err, ENOMEM, "read the imports");
        if (import->name_count == 0 && want(finder, module, NULL, true) < 0)
            return -1;
        for (size_t j = 0; j < import->name_count; j++) {
            const char *name = import->names[j];
            bool used = is_used(finder->request, import->aliases[j] ? import->aliases[j] : name);
            AUTO_FREE char *below = text_format("%s%s%s", module, separator, name);
            bool is_module = below && tree_find_module(finder->tree, below);
            if (want(finder, is_module ? below : module, is_module || *name == '*' ? NULL : name, used) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- scores ---- */

static bool is_below(const char *module, const char *package)
{
    size_t len = strlen(package);
    return len && strncmp(module, package, len) == 0 && (!module[len] || !isalnum((unsigned char)module[len]));
}

static unsigned score_import(const struct finder *finder, const struct tree_file *file, const struct symbol *symbol)
{
    unsigned best = 0;
    for (size_t i = 0; i < finder->wanted_count && symbol->kind != SYMBOL_METHOD; i++) {
        const struct wanted *wanted = &finder->wanted[i];
        bool same = strcmp(wanted->module, file->module) == 0;
        bool named = wanted->name ? strcmp(wanted->name, symbol->name) == 0
                                  : same && is_reference(finder->request->target, symbol->name);
        if (!named || !is_below(file->module, wanted->module))
            continue;
        unsigned score = wanted->used ? SCORE_IMPORTED_USED : SCORE_IMPORTED;
        score -= same ? 0u : SCORE_LEAST; /* a package passes it on */
        best = score > best ? score : best;
    }
    return best;
}

static unsigned score_name(const struct finder *finder, const struct symbol *symbol)
{
    const char *dot = strrchr(symbol->name, '.');
    const char *last = dot ? dot + 1 : symbol->name;
    const struct word *word = words_find(finder->request->words, last, strlen(last));
    if (!word || !word->named)
        return 0;
    if (!dot)
        return SCORE_NAMED;
    const struct word *owner = words_find(finder->request->words, symbol->name, (size_t)(dot - symbol->name));
    return owner ? SCORE_NAMED - 1 : SCORE_NAMED_MEMBER;
}

static bool calls_it(const struct finder *finder, const struct symbol *symbol, const char *text)
{
    return finder->symbol && symbol->kind != SYMBOL_CLASS &&
           text_has_word(text + symbol->body_start, symbol->end - symbol->body_start, finder->symbol,
                         strlen(finder->symbol));
}

static unsigned score_symbol(const struct finder *finder, const struct tree_file *file, const struct symbol *symbol,
                             const char *text, const char **why)
{
    const char *dot = strrchr(symbol->name, '.');
    unsigned named = score_name(finder, symbol), imported = score_import(finder, file, symbol);
    if (named >= imported && named) {
        *why = "the request names it";
        return named;
    }
    if (imported) {
        *why = "the target imports it";
        return imported;
    }
    if (symbol->kind == SYMBOL_VALUE)
        return 0;
    if (calls_it(finder, symbol, text)) {
        *why = "it uses what is asked for";
        return SCORE_CALLER;
    }
    unsigned kin = words_kinship(finder->request->words, finder->symbol, dot ? dot + 1 : symbol->name);
    *why = "its name is related";
    return kin;
}

/* ---- pieces ---- */

void symbol_add_brief(const struct language *language, const struct symbol *symbol, struct buf *out)
{
    AUTO_FREE char *blanks = text_format("%*s", (int)(symbol->indent < 64 ? symbol->indent : 64), "");
    const char *documentation = symbol->documentation ? symbol->documentation : "";
    size_t shown = strcspn(documentation, "\n");
    const char *margin = blanks ? blanks : "", *step = language->layout.indent;
    if (symbol->kind == SYMBOL_VALUE) { /* cut, it is no code any more */
        buf_printf(out, "%s%s %s (lines %u-%u)\n", margin, language->comment, symbol->signature, symbol->first_line,
                   symbol->last_line);
        return;
    }
    buf_printf(out, "%s%s  %s lines %u-%u\n", margin, symbol->signature, language->comment, symbol->first_line,
               symbol->last_line);
    if (shown)
        buf_printf(out, "%s%s%s %.*s\n", margin, step, language->comment,
                   (int)(shown < BRIEF_DOCUMENTATION ? shown : BRIEF_DOCUMENTATION), documentation);
    if (language->layout.omitted_body)
        buf_printf(out, "%s%s%s\n", margin, step, language->layout.omitted_body);
}

static char *clean_slice(const char *text, size_t start, size_t end)
{
    AUTO_FREE char *slice = strndup(text + start, end - start);
    return slice ? context_clean_text(slice) : NULL;
}

static int add_piece(struct finder *finder, const struct tree_file *file, const struct symbol *symbol, const char *text,
                     unsigned score, const char *why)
{
    AUTO_BUF struct buf brief = BUF_INIT(KiB(16));
    struct pieces *out = finder->out;
    if (scan_grow(&out->items, out->count, &out->size, sizeof *out->items, finder->err) < 0)
        return -1;
    symbol_add_brief(finder->tree->language, symbol, &brief);
    struct piece piece = {.path = strdup(file->path),
                          .symbol = strdup(symbol->name),
                          .why = strdup(why),
                          .text = clean_slice(text, symbol->start, symbol->end),
                          .brief = context_clean_text(buf_text(&brief)),
                          .first_line = symbol->first_line,
                          .last_line = symbol->last_line,
                          .score = score};
    out->items[out->count++] = piece;
    bool whole = piece.path && piece.symbol && piece.why && piece.text && piece.brief;
    return whole ? 0 : error_system(finder->err, ENOMEM, "gather context");
}

static bool in_same_folder(const struct finder *finder, const char *path)
{
    const char *target = finder->request->request->target;
    const char *a = strrchr(path, '/'), *b = target ? strrchr(target, '/') : NULL;
    size_t a_len = a ? (size_t)(a - path) : 0, b_len = b ? (size_t)(b - target) : 0;
    return target && a_len == b_len && strncmp(path, target, a_len) == 0;
}

static int read_symbols(struct finder *finder, const struct tree_file *file, const char *text, size_t len)
{
    struct symbols symbols = {0};
    int failed = 0;
    if (symbols_parse(finder->tree->language, text, len, &symbols, NULL) < 0)
        return 0;
    for (size_t i = 0; !failed && i < symbols.count && finder->out->count < MAX_PIECES; i++) {
        const char *why = "";
        unsigned score = score_symbol(finder, file, &symbols.items[i], text, &why);
        if (score && score < SCORE_CALLER && in_same_folder(finder, file->path))
            score += SCORE_SAME_FOLDER;
        if (score >= SCORE_LEAST)
            failed = add_piece(finder, file, &symbols.items[i], text, score, why);
    }
    symbols_release(&symbols);
    return failed;
}

/* Far files are parsed only when they hold a word that matters. */
static bool may_matter(const struct finder *finder, const char *text, size_t len)
{
    const struct words *words = finder->request->words;
    if (finder->symbol && text_has_word(text, len, finder->symbol, strlen(finder->symbol)))
        return true;
    for (size_t i = 0; i < words->count; i++)
        if (words->items[i].named && text_has_word(text, len, words->items[i].text, strlen(words->items[i].text)))
            return true;
    for (size_t i = 0; i < finder->wanted_count; i++)
        if (finder->wanted[i].name && text_has_word(text, len, finder->wanted[i].name, strlen(finder->wanted[i].name)))
            return true;
    return false;
}

static bool is_wanted_module(const struct finder *finder, const char *module)
{
    for (size_t i = 0; i < finder->wanted_count; i++)
        if (strcmp(finder->wanted[i].module, module) == 0)
            return true;
    return false;
}

static int by_score(const void *a, const void *b)
{
    const struct piece *left = a, *right = b;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    int order = strcmp(left->path, right->path);
    return order ? order : (left->first_line > right->first_line) - (left->first_line < right->first_line);
}

int pieces_find(struct tree *tree, const struct piece_request *request, struct pieces *out, struct error *err)
{
    const char *name = request->request->symbol, *dot = name ? strrchr(name, '.') : NULL;
    struct finder finder = {.tree = tree, .request = request, .symbol = dot ? dot + 1 : name, .out = out, .err = err};
    int failed = want_imports(&finder);
    AUTO_BUF struct buf text = BUF_INIT(TREE_FILE_BYTES);
    for (size_t i = 0; !failed && i < tree->count; i++) {
        const struct tree_file *file = &tree->files[i];
        buf_clear(&text);
        if (file->test || file == request->target_file || !tree_read(tree, file, &text))
            continue;
        if (i < NEAR_FILES || is_wanted_module(&finder, file->module) || may_matter(&finder, buf_text(&text), text.len))
            failed = read_symbols(&finder, file, buf_text(&text), text.len);
    }
    for (size_t i = 0; i < finder.wanted_count; i++)
        free(finder.wanted[i].module);
    free(finder.wanted);
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_score);
    return failed;
}

void pieces_release(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        free(pieces->items[i].path);
        free(pieces->items[i].symbol);
        free(pieces->items[i].why);
        free(pieces->items[i].text);
        free(pieces->items[i].brief);
    }
    free(pieces->items);
    *pieces = (struct pieces){0};
}
