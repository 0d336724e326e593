#include "pipeline/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "pipeline/context_pieces.h"
#include "pipeline/model.h"

/* Shares of the budget in hundredths; what one leaves over is for the pieces. */
enum { SHARE_TARGET = 55, SHARE_TEST = 15, SHARE_CONVENTIONS = 10, SHARE_ONE_PIECE = 40, TEST_FILES_READ = 100 };

static const char *const convention_files[] = {"AGENTS.md", ".github/copilot-instructions.md", "CONTRIBUTING.md"};

struct gathering {
    const struct context_request *request;
    struct tree tree;
    struct words words;
    struct buf target_text; /* as it is in the tree */
    struct symbols target;  /* empty when the file does not exist */
    const struct tree_file *target_file;
    size_t tokens, left_out;
    json_t *out;
    struct error *err;
};

static size_t share(const struct gathering *gathering, size_t hundredths)
{
    return gathering->request->budget_tokens * hundredths / 100;
}

static int out_of_memory(struct gathering *gathering)
{
    return error_system(gathering->err, ENOMEM, "gather context");
}

/* Takes over `value`; counts the tokens of its text. */
static int put(struct gathering *gathering, const char *key, json_t *value)
{
    gathering->tokens += model_estimate_tokens(json_text_at(value, "text", ""));
    return value && json_object_set_new(gathering->out, key, value) == 0 ? 0 : out_of_memory(gathering);
}

/* Cuts at a line's end so that the text fits; the rest is said to be missing. */
static char *cut_to_tokens(char *text, size_t tokens, const char *comment)
{
    if (!text || model_estimate_tokens(text) <= tokens)
        return text;
    size_t len = tokens * 7 / 2;
    while (len > 0 && text[len - 1] != '\n')
        len--;
    char *cut = text_format("%.*s%s (cut here)\n", (int)len, text, comment);
    free(text);
    return cut;
}

/* ---- the target ---- */

/* Is the symbol worth its full text in an outline: asked for, named in the request, or used by what is asked for? */
static bool matters(const struct gathering *gathering, const struct symbol *symbol)
{
    const struct context_request *request = gathering->request;
    const char *dot = strrchr(symbol->name, '.');
    const char *last = dot ? dot + 1 : symbol->name;
    const struct word *word = words_find(&gathering->words, last, strlen(last));
    if ((word && word->named) || (request->symbol && strcmp(request->symbol, symbol->name) == 0))
        return true;
    const struct symbol *asked = request->symbol ? symbols_find(&gathering->target, request->symbol) : NULL;
    return asked && symbol->kind != SYMBOL_CLASS &&
           text_has_word(gathering->target_text.data + asked->start, asked->end - asked->start, last, strlen(last));
}

/* Before it stand a licence and the module's own documentation. */
static size_t first_import(const struct symbols *symbols)
{
    size_t first = symbols->import_end;
    for (size_t i = 0; i < symbols->import_count; i++)
        if (symbols->imports[i].top_level && symbols->imports[i].start < first)
            first = symbols->imports[i].start;
    return first;
}

/* The file from its imports on, without the bodies that do not matter; with `least` without what does not matter. */
static char *outline(const struct gathering *gathering, bool least)
{
    const struct buf *text = &gathering->target_text;
    AUTO_BUF struct buf out = BUF_INIT(text->len * 2 + KiB(64));
    size_t shown = gathering->target.import_end;
    size_t first = first_import(&gathering->target);
    buf_add(&out, text->data + first, shown - first);
    for (size_t i = 0; i < gathering->target.count; i++) {
        const struct symbol *symbol = &gathering->target.items[i];
        if (symbol->start < shown)
            continue; /* inside a class that is shown whole */
        bool whole = matters(gathering, symbol);
        if (least && !whole && symbol->kind != SYMBOL_CLASS) /* a method that matters stands below its class */
            continue;
        if (!strchr(symbol->name, '.'))
            buf_putc(&out, '\n');
        if (symbol->kind == SYMBOL_VALUE ? symbol->end - symbol->start < 400 : whole) {
            buf_add(&out, text->data + symbol->start, symbol->end - symbol->start);
            shown = symbol->end;
        } else {
            symbol_add_brief(gathering->request->language, symbol, &out);
        }
    }
    return out.failed ? NULL : buf_steal(&out, NULL);
}

static int add_target(struct gathering *gathering)
{
    const struct context_request *request = gathering->request;
    if (!request->target)
        return put(gathering, "target", json_null());
    bool exists = gathering->target_text.data != NULL;
    AUTO_FREE char *text = context_clean_text(buf_text(&gathering->target_text));
    size_t most = share(gathering, SHARE_TARGET);
    bool whole = !text || model_estimate_tokens(text) <= most;
    for (int least = 0; least < 2 && text && model_estimate_tokens(text) > most; least++) {
        free(text);
        AUTO_FREE char *short_text = outline(gathering, least);
        text = short_text ? context_clean_text(short_text) : NULL;
    }
    text = cut_to_tokens(text, most, request->language->comment);
    if (!text)
        return out_of_memory(gathering);
    return put(gathering, "target",
               json_pack("{s:s,s:b,s:s,s:b}", "path", request->target, "exists", exists, "text", text, "whole", whole));
}

static int read_target(struct gathering *gathering)
{
    const struct context_request *request = gathering->request;
    struct error err = {0};
    if (!request->target)
        return 0;
    if (fs_read_beneath(request->tree, request->target, &gathering->target_text, &err) < 0) {
        if (err.code == ERROR_NOT_FOUND)
            return 0;
        error_set(gathering->err, err.code, "%s", err.message);
        return error_wrap(gathering->err, "read the target");
    }
    if (!gathering->target_text.data)
        buf_puts(&gathering->target_text, ""); /* an empty file exists, too */
    for (size_t i = 0; i < gathering->tree.count; i++)
        if (strcmp(gathering->tree.files[i].path, request->target) == 0)
            gathering->target_file = &gathering->tree.files[i];
    return symbols_parse(request->language, buf_text(&gathering->target_text), gathering->target_text.len,
                         &gathering->target, gathering->err);
}

/* ---- a test as an example of style ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* 3: a test of the target by its name, 2: it imports the target, 1: any other test with tests in it. */
static int test_rank(const struct gathering *gathering, const struct tree_file *file, const struct buf *text)
{
    const char *prefix = gathering->request->language->tests.function_prefix;
    if (prefix && !strstr(buf_text(text), prefix))
        return 0;
    const char *stem = gathering->request->target ? base_name(gathering->request->target) : "";
    AUTO_FREE char *name = strndup(stem, strcspn(stem, "."));
    AUTO_FREE char *own = strndup(base_name(file->path), strcspn(base_name(file->path), "."));
    const char *found = name && own && *name ? strstr(own, name) : NULL;
    if (found && (found == own || found[-1] == '_') && (!found[strlen(name)] || found[strlen(name)] == '_'))
        return 3;
    if (gathering->target_file && text_has_word(buf_text(text), text->len, gathering->target_file->module,
                                                strlen(gathering->target_file->module)))
        return 2;
    return 1;
}

/* The imports and the first definitions, as far as the share reaches. */
static char *start_of_tests(const struct gathering *gathering, const struct buf *text)
{
    struct symbols symbols = {0};
    size_t limit = share(gathering, SHARE_TEST) * 7 / 2, end = 0;
    if (text->len <= limit)
        return context_clean_text(buf_text(text));
    if (symbols_parse(gathering->request->language, buf_text(text), text->len, &symbols, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < symbols.count && symbols.items[i].end <= limit; i++)
        end = symbols.items[i].end;
    symbols_release(&symbols);
    AUTO_FREE char *start = strndup(buf_text(text), end);
    return end && start ? context_clean_text(start) : NULL;
}

static int add_test_example(struct gathering *gathering)
{
    AUTO_BUF struct buf text = BUF_INIT(TREE_FILE_BYTES), best_text = BUF_INIT(TREE_FILE_BYTES);
    const struct tree_file *best = NULL;
    int best_rank = 0;
    for (size_t i = 0, read = 0; i < gathering->tree.count && read < TEST_FILES_READ && best_rank < 3; i++) {
        const struct tree_file *file = &gathering->tree.files[i];
        buf_clear(&text);
        if (!file->test || !tree_read(&gathering->tree, file, &text))
            continue;
        read++;
        int rank = test_rank(gathering, file, &text);
        if (rank <= best_rank)
            continue;
        best_rank = rank;
        best = file;
        buf_clear(&best_text);
        buf_add(&best_text, buf_text(&text), text.len);
    }
    AUTO_FREE char *shown = best ? start_of_tests(gathering, &best_text) : NULL;
    if (!shown)
        return put(gathering, "test_example", json_null());
    return put(gathering, "test_example", json_pack("{s:s,s:s}", "path", best->path, "text", shown));
}

/* ---- conventions ---- */

static int add_conventions(struct gathering *gathering)
{
    json_t *list = json_array();
    size_t left = share(gathering, SHARE_CONVENTIONS);
    if (!list || json_object_set_new(gathering->out, "conventions", list) < 0)
        return out_of_memory(gathering);
    for (size_t i = 0; i < sizeof convention_files / sizeof convention_files[0] && left > 0; i++) {
        AUTO_BUF struct buf text = BUF_INIT(TREE_FILE_BYTES);
        if (fs_read_beneath(gathering->request->tree, convention_files[i], &text, NULL) < 0)
            continue;
        AUTO_FREE char *clean = cut_to_tokens(context_clean_text(buf_text(&text)), left, "");
        if (!clean ||
            json_array_append_new(list, json_pack("{s:s,s:s}", "path", convention_files[i], "text", clean)) < 0)
            return out_of_memory(gathering);
        size_t used = model_estimate_tokens(clean);
        gathering->tokens += used;
        left -= used < left ? used : left;
    }
    return 0;
}

/* ---- pieces ---- */

/* Shown already, alone or with its class? */
static bool is_shown(const struct pieces *pieces, size_t index)
{
    const struct piece *piece = &pieces->items[index];
    for (size_t i = 0; i < index; i++) {
        const struct piece *other = &pieces->items[i];
        size_t len = strlen(other->symbol);
        if (other->shown_whole && strcmp(other->path, piece->path) == 0 &&
            strncmp(other->symbol, piece->symbol, len) == 0 && piece->first_line >= other->first_line &&
            piece->last_line <= other->last_line && (piece->symbol[len] == '.' || !piece->symbol[len]))
            return true;
    }
    return false;
}

/* The whole definition where it fits, else its brief form, else it is left out. */
static int add_piece(struct gathering *gathering, json_t *shown, struct piece *piece, size_t one_piece)
{
    size_t budget = gathering->request->budget_tokens;
    size_t left = gathering->tokens < budget ? budget - gathering->tokens : 0;
    size_t most = one_piece < left ? one_piece : left;
    piece->shown_whole = model_estimate_tokens(piece->text) <= most;
    const char *text = piece->shown_whole ? piece->text : piece->brief;
    if (model_estimate_tokens(text) > left) {
        gathering->left_out++;
        return 0;
    }
    AUTO_FREE char *lines = text_format("%u-%u", piece->first_line, piece->last_line);
    gathering->tokens += model_estimate_tokens(text);
    return json_array_append_new(shown, json_pack("{s:s,s:s,s:s,s:s,s:s}", "path", piece->path, "symbol", piece->symbol,
                                                  "lines", lines ? lines : "", "why", piece->why, "text", text)) == 0
               ? 0
               : out_of_memory(gathering);
}

static int add_pieces(struct gathering *gathering)
{
    struct pieces pieces = {0};
    struct piece_request request = {.request = gathering->request,
                                    .words = &gathering->words,
                                    .target = &gathering->target,
                                    .target_text = buf_text(&gathering->target_text),
                                    .target_file = gathering->target_file};
    size_t budget = gathering->request->budget_tokens;
    size_t one_piece = (gathering->tokens < budget ? budget - gathering->tokens : 0) * SHARE_ONE_PIECE / 100;
    json_t *shown = json_array();
    int failed = !shown || json_object_set_new(gathering->out, "pieces", shown) < 0
                     ? out_of_memory(gathering)
                     : pieces_find(&gathering->tree, &request, &pieces, gathering->err);
    for (size_t i = 0; !failed && i < pieces.count; i++)
        if (!is_shown(&pieces, i))
            failed = add_piece(gathering, shown, &pieces.items[i], one_piece);
    pieces_release(&pieces);
    return failed;
}

/* ---- the whole ---- */

static int gather(struct gathering *gathering)
{
    const struct context_request *request = gathering->request;
    if (tree_list(&gathering->tree, request->tree, request->language, request->target, gathering->err) < 0 ||
        words_read(request->text ? request->text : "", &gathering->words, gathering->err) < 0 ||
        read_target(gathering) < 0 || add_target(gathering) < 0 || add_test_example(gathering) < 0 ||
        add_conventions(gathering) < 0 || add_pieces(gathering) < 0)
        return -1;
    return json_object_set_new(gathering->out, "tokens", json_integer((json_int_t)gathering->tokens)) == 0 &&
                   json_object_set_new(gathering->out, "left_out", json_integer((json_int_t)gathering->left_out)) == 0
               ? 0
               : out_of_memory(gathering);
}

json_t *context_gather(const struct context_request *request, struct error *err)
{
    struct gathering gathering = {
        .request = request, .target_text = BUF_INIT(TREE_FILE_BYTES), .out = json_object(), .err = err};
    int failed = !gathering.out ? out_of_memory(&gathering) : gather(&gathering);
    tree_release(&gathering.tree);
    words_release(&gathering.words);
    symbols_release(&gathering.target);
    buf_release(&gathering.target_text);
    if (failed)
        json_decref(gathering.out);
    return failed ? NULL : gathering.out;
}
