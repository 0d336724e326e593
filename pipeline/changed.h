/* Which lines of a file a change wrote: evidence is asked for about these, not about what was there before. */
#ifndef PIPELINE_CHANGED_H
#define PIPELINE_CHANGED_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"

struct changed_lines {
    bool *is;     /* by line, from 1 */
    size_t count; /* lines of the text after the change */
};

/* Compares two texts as git does. A line that only moved counts as written. Released by the caller. */
int changed_lines_find(const char *before, size_t before_len, const char *after, size_t after_len,
                       struct changed_lines *out, struct error *err);
bool changed_lines_has(const struct changed_lines *lines, size_t line);
void changed_lines_release(struct changed_lines *lines);

/* The same for a file of the change, against the base tree. */
struct change_file;
int changed_lines_of(const struct change_file *file, const char *tree, struct changed_lines *out, struct error *err);

#endif
