/* The source files of a tree, nearest first, read under caps and a deadline. Private to pipeline/context*.c. */
#ifndef PIPELINE_CONTEXT_TREE_H
#define PIPELINE_CONTEXT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "pipeline/language.h"

enum {
    TREE_FILES_MAX = 100000,
    TREE_READ_FILES = 4000,
    TREE_READ_BYTES = 32 << 20,
    TREE_FILE_BYTES = 1 << 20,
    TREE_TIME_MS = 10000,
};

struct tree_file {
    char *path;
    char *module;
    bool test;
};

struct tree {
    const char *root;
    const struct language *language;
    struct tree_file *files; /* of the language, without ignored folders */
    size_t count, size;
    size_t files_left, bytes_left; /* what may still be read */
    int64_t deadline;
};

/* Lists the files; those in folders near `target` (may be NULL) come first, tests last. A tree with too many files is
 * taken as empty. */
int tree_list(struct tree *tree, const char *root, const struct language *language, const char *target,
              struct error *err);
void tree_release(struct tree *tree);

/* Appends the file's text; false when it cannot be read, is too large, or no more may be read. */
bool tree_read(struct tree *tree, const struct tree_file *file, struct buf *out);

const struct tree_file *tree_find_module(const struct tree *tree, const char *module);

/* Does the word stand in the text, not as a part of a longer one? */
bool text_has_word(const char *text, size_t len, const char *word, size_t word_len);

#endif
