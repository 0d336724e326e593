/* Which definition of the file does one of the code stand for? Names can be defined more than once: overloads,
 * accessors, a function that replaces another. */
#include <string.h>

#include "pipeline/edit_merge.h"

size_t symbols_count(const struct symbol *const *symbols)
{
    size_t count = 0;
    while (symbols[count])
        count++;
    return count;
}

/* Two ranges that differ in space only. */
bool merge_same_words(const char *a, size_t a_len, const char *b, size_t b_len)
{
    for (size_t i = 0, j = 0;; i++, j++) {
        while (i < a_len && a[i] && strchr(" \t\r\n", a[i]))
            i++;
        while (j < b_len && b[j] && strchr(" \t\r\n", b[j]))
            j++;
        if (i >= a_len || j >= b_len)
            return i >= a_len && j >= b_len;
        if (a[i] != b[j])
            return false;
    }
}

static bool same_decorators(const struct merge *merge, const struct symbol *code, const struct symbol *file)
{
    return merge_same_words(merge->code.text + code->code_start, code->head_start - code->code_start,
                            merge->file.text + file->code_start, file->head_start - file->code_start);
}

enum pairing_rule { SAME_HEAD, SAME_DECORATORS, SAME_NAME };

static bool pairs_by(const struct merge *merge, enum pairing_rule rule, const struct symbol *code,
                     const struct symbol *file)
{
    if (strcmp(symbol_last_name(code), symbol_last_name(file)) != 0)
        return false;
    switch (rule) {
    case SAME_HEAD:
        return code->kind == file->kind && strcmp(code->signature, file->signature) == 0 &&
               same_decorators(merge, code, file);
    case SAME_DECORATORS:
        return same_decorators(merge, code, file);
    default:
        return !code->further;
    }
}

/* The file's free symbol for one of the code's: the last that fits, so that the definition in force is meant; an
 * overload or accessor only when nothing else is left. */
static size_t partner(const struct merge *merge, const struct pairing *pairing, enum pairing_rule rule,
                      const struct symbol *code)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; pairing->files[i]; i++) {
        const struct symbol *file = pairing->files[i];
        if (!pairing->taken[i] && pairs_by(merge, rule, code, file) &&
            (found == SIZE_MAX || pairing->files[found]->further || !file->further))
            found = i;
    }
    return found;
}

static size_t count_name(const struct symbol *const *symbols, const char *name)
{
    size_t count = 0;
    for (; *symbols; symbols++)
        count += strcmp(symbol_last_name(*symbols), name) == 0;
    return count;
}

/* Models repeat themselves: of several definitions of a name, more than the file has, the last one counts. */
static void drop_repetitions(struct merge *merge, struct pairing *pairing)
{
    for (size_t i = 0; pairing->codes[i]; i++) {
        const struct symbol *code = pairing->codes[i];
        const char *name = symbol_last_name(code);
        if (code->further || count_name(pairing->codes, name) <= count_name(pairing->files, name))
            continue;
        for (size_t j = i + 1; pairing->codes[j] && !pairing->dropped[i]; j++)
            pairing->dropped[i] = !pairing->codes[j]->further && strcmp(symbol_last_name(pairing->codes[j]), name) == 0;
        if (pairing->dropped[i])
            merge_skip(merge, code->head_start, code->end, "left out, it is defined again below");
    }
}

static void pair_all(const struct merge *merge, struct pairing *pairing)
{
    for (int rule = SAME_HEAD; rule <= SAME_NAME; rule++)
        for (size_t i = symbols_count(pairing->codes); i-- > 0;) {
            if (pairing->pairs[i] || pairing->dropped[i])
                continue;
            size_t file = partner(merge, pairing, (enum pairing_rule)rule, pairing->codes[i]);
            if (file == SIZE_MAX)
                continue;
            pairing->pairs[i] = pairing->files[file];
            pairing->taken[file] = true;
        }
}

void pairing_fill(struct merge *merge, struct pairing *pairing)
{
    drop_repetitions(merge, pairing);
    pair_all(merge, pairing);
}
