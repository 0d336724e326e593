/* What the readers of answers share: lines, and the parts that answer.c asks of the others. */
#ifndef PIPELINE_ANSWER_INTERNAL_H
#define PIPELINE_ANSWER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/answer.h"

struct line {
    const char *start;
    size_t len; /* without CR and LF */
};

/* Reads the line that begins at `at`; returns where the next one begins. */
const char *line_next(const char *at, struct line *line);
/* Cuts characters of a set off each end. */
struct line line_trim(struct line line, const char *front, const char *back);
bool line_is_empty(struct line line);
static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}
/* Bytes of a list marker ("- ", "12. ") at the line's start, or 0. */
size_t list_marker(const char *text, size_t len);

/* The lines from `from` to `end` without `indent` columns of indentation and with plain line ends. Heap. */
char *answer_copy_code(const char *from, const char *end, size_t indent);

/* answer_path.c: language and path out of a fence's info string; a path out of the line before, out of the first line
 * of the code. Heap, or NULL. */
void answer_read_info(const struct line *info, struct answer_block *block);
char *answer_path_of_line(struct line line);
char *answer_path_of_comment(const char *code);

#endif
