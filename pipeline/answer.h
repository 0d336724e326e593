/* Reads what a model wrote: code in fences, JSON in prose. Forgives what can be forgiven without guessing
 * (prose around, a missing closing fence, a misspelt language, CRLF, an unfenced answer that is all code when the
 * caller allows it) and refuses the rest with a sentence that can be fed back to the model. */
#ifndef PIPELINE_ANSWER_H
#define PIPELINE_ANSWER_H

#include <jansson.h>
#include <stddef.h>

#include "app/base/error.h"

struct answer_block {
    char *language; /* the fence's first word in lower case; "" when there is none */
    char *path; /* a file path given in the fence's info string (`python path/to/x.py`, `path=…`, `title="…"`), on the
                   line before the fence (bare, bold, in backticks, after "File:") or in a first comment line; NULL
                   otherwise. Not checked for safety here. */
    char *code; /* ends with a line end */
};

struct answer_blocks {
    struct answer_block *items;
    size_t count;
};

/* The fenced blocks (``` or ~~~, any length, indented fences too), in order; nested longer fences respected. No fence
 * at all: count 0, not an error. At most 64 blocks. */
int answer_blocks_read(const char *text, struct answer_blocks *blocks, struct error *err);
void answer_blocks_release(struct answer_blocks *blocks);

/* The one JSON object of the answer: the whole text, a ```json fence, or the first balanced {...} in prose that parses.
 * Owned by the caller; NULL with ERROR_INPUT and a sentence for the model. */
json_t *answer_json(const char *text, struct error *err);

/* Takes off a leading and trailing run of prose lines when the rest stands alone; reasoning tags
 * (<think>…</think>) are removed first. In place on heap text: returns a new heap text. */
char *answer_without_thinking(const char *text);

#endif
