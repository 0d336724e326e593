/* Reads a comment as people mean it: the commands in it, and the boxes that they ticked.
 *
 * A command stands at the start of a line (up to three spaces) outside code blocks and quotes; HTML comments
 * are not seen. A line that runs on from a quote belongs to the quote, as Markdown has it.
 */
#ifndef APP_COMMENT_H
#define APP_COMMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"

enum { COMMENT_COMMANDS_MAX = 5, COMMENT_WORD_MAX = 32 };

struct comment_command {
    char *word; /* without the slash, in lower case */
    char *text; /* what follows: the rest of the line and the lines up to the next command; before the first command
                   stands what came before it */
};

struct comment_commands {
    struct comment_command items[COMMENT_COMMANDS_MAX];
    size_t count;
    bool more; /* there were others, left out */
};

/* `begins` says which words are commands (in lower case): a line with another one is text like any other. */
int comment_read_commands(const char *body, bool (*begins)(const char *word), struct comment_commands *out,
                          struct error *err);
void comment_commands_release(struct comment_commands *commands);

struct comment_box {
    char *text; /* as it stands behind the box */
    bool ticked;
};

/* The task list items of a comment, in order, outside code blocks. Heap array. */
int comment_read_boxes(const char *body, struct comment_box **boxes, size_t *count, struct error *err);
void comment_boxes_free(struct comment_box *boxes, size_t count);

/* True when one letter too many, too few, wrong, or two swapped is all that differs; false for equal words. */
bool comment_is_typo_of(const char *word, const char *meant);

#endif
