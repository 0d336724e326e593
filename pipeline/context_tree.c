#include "pipeline/context_tree.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "pipeline/context.h"
#include "pipeline/symbols.h"
#include "pipeline/symbols_scan.h"

struct listing {
    struct tree *tree;
    struct error *err;
};

static bool has_extension(const struct language *language, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < language->extensions.count; i++) {
        size_t extension_len = strlen(language->extensions.items[i]);
        if (len > extension_len && strcmp(path + len - extension_len, language->extensions.items[i]) == 0)
            return true;
    }
    return false;
}

static int list_file(void *context, const char *path)
{
    struct listing *listing = context;
    struct tree *tree = listing->tree;
    if (!has_extension(tree->language, path) || language_ignores(tree->language, path))
        return 0;
    if (scan_grow(&tree->files, tree->count, &tree->size, sizeof *tree->files, listing->err) < 0)
        return -1;
    struct tree_file file = {.path = strdup(path),
                             .module = language_module_of(tree->language, tree->root, path),
                             .test = language_is_test(tree->language, path)};
    tree->files[tree->count++] = file;
    return file.path && file.module ? 0 : error_system(listing->err, ENOMEM, "list the tree");
}

/* How many folders two paths share. */
static size_t shared_folders(const char *a, const char *b)
{
    size_t shared = 0;
    for (; *a && *a == *b; a++, b++)
        shared += *a == '/';
    return shared;
}

static int by_nearness(const void *a, const void *b, void *target)
{
    const struct tree_file *left = a, *right = b;
    if (left->test != right->test)
        return left->test ? 1 : -1;
    size_t left_shared = target ? shared_folders(left->path, target) : 0;
    size_t right_shared = target ? shared_folders(right->path, target) : 0;
    if (left_shared != right_shared)
        return left_shared > right_shared ? -1 : 1;
    return strcmp(left->path, right->path);
}

int tree_list(struct tree *tree, const char *root, const struct language *language, const char *target,
              struct error *err)
{
    *tree = (struct tree){.root = root,
                          .language = language,
                          .files_left = TREE_READ_FILES,
                          .bytes_left = TREE_READ_BYTES,
                          .deadline = clock_monotonic_ms() + TREE_TIME_MS};
    struct error failed = {0};
    struct listing listing = {tree, &failed};
    if (fs_walk(root, TREE_FILES_MAX, list_file, &listing, &failed) != 0 && failed.code != ERROR_LIMIT) {
        tree_release(tree);
        error_set(err, failed.code, "%s", failed.message);
        return error_wrap(err, "list the tree");
    }
    if (tree->count)
        qsort_r(tree->files, tree->count, sizeof *tree->files, by_nearness, (void *)(uintptr_t)target);
    return 0;
}

void tree_release(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->files[i].path);
        free(tree->files[i].module);
    }
    free(tree->files);
    *tree = (struct tree){0};
}

bool tree_read(struct tree *tree, const struct tree_file *file, struct buf *out)
{
    if (tree->files_left == 0 || clock_monotonic_ms() > tree->deadline)
        return false;
    size_t cap = tree->bytes_left < TREE_FILE_BYTES ? tree->bytes_left : TREE_FILE_BYTES;
    AUTO_BUF struct buf text = BUF_INIT(cap);
    tree->files_left--;
    if (fs_read_beneath(tree->root, file->path, &text, NULL) < 0)
        return false;
    tree->bytes_left -= text.len;
    return buf_add(out, buf_text(&text), text.len) == 0;
}

const struct tree_file *tree_find_module(const struct tree *tree, const char *module)
{
    for (size_t i = 0; i < tree->count; i++)
        if (strcmp(tree->files[i].module, module) == 0)
            return &tree->files[i];
    return NULL;
}

static bool is_word_character(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

bool text_has_word(const char *text, size_t len, const char *word, size_t word_len)
{
    const char *end = text + len;
    for (const char *at = text; word_len && (at = memmem(at, (size_t)(end - at), word, word_len)); at++)
        if ((at == text || !is_word_character(at[-1])) && (at + word_len == end || !is_word_character(at[word_len])))
            return true;
    return false;
}

/* ---- one definition in the whole tree ---- */

static bool defines(const struct language *language, const struct buf *text, const char *symbol)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, buf_text(text), text->len, &symbols, NULL) < 0)
        return false;
    bool found = symbols_find(&symbols, symbol) != NULL;
    symbols_release(&symbols);
    return found;
}

char *context_find_definition(const char *root, const struct language *language, const char *symbol)
{
    struct tree tree;
    const struct tree_file *found = NULL;
    bool several = false;
    if (!symbol || !*symbol || tree_list(&tree, root, language, NULL, NULL) < 0)
        return NULL;
    AUTO_BUF struct buf text = BUF_INIT(TREE_FILE_BYTES);
    for (size_t i = 0; i < tree.count && !several; i++) {
        buf_clear(&text);
        if (tree.files[i].test || !tree_read(&tree, &tree.files[i], &text) ||
            !text_has_word(buf_text(&text), text.len, symbol, strcspn(symbol, ".")) ||
            !defines(language, &text, symbol))
            continue;
        several = found != NULL;
        found = &tree.files[i];
    }
    char *path = found && !several ? strdup(found->path) : NULL;
    tree_release(&tree);
    return path;
}
