/* Reads what a model wrote: code in fences, JSON in prose.
 *
 * What can be forgiven without guessing is forgiven: prose around, a missing closing fence, a misspelt language, CRLF,
 * trailing commas and raw line ends in JSON (each can mean one thing only), an unfenced answer that is all code when
 * the caller allows it. The rest is refused with a sentence that can be fed back to the model: two different JSON
 * objects, JSON that is cut off or broken otherwise.
 */
#ifndef PIPELINE_ANSWER_H
#define PIPELINE_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"

struct answer_block {
    char *language; /* the fence's first word in lower case, as written; "" when there is none */
    char *path; /* a file path given in the fence's info string (`python path/to/x.py`, `path=…`, `title="…"`), on the
                   line before the fence (bare, bold, in backticks, after "File:") or in a first comment line; NULL
                   otherwise. Not checked for safety here. */
    char *code; /* ends with a line end, or is "": an empty block is kept only when a path is given */
};

struct answer_blocks {
    struct answer_block *items;
    size_t count;
};

/* The fenced blocks (``` or ~~~, any length, indented fences and those of list items too), in order; nested longer or
 * deeper fences belong to the block around them. No fence at all: count 0, not an error. At most 64 blocks. */
int answer_blocks_read(const char *text, struct answer_blocks *blocks, struct error *err);
void answer_blocks_release(struct answer_blocks *blocks);

/* True when a fence's word means the language of this name: the same in any case, or one slip of the keys away from a
 * name of five letters or more ("pyhton"). */
bool answer_language_is(const char *word, const char *name);

/* The one JSON object of the answer: the whole text, a fence, or a balanced {...} in prose. Several are fine when they
 * are equal. Owned by the caller; NULL with ERROR_INPUT and a sentence for the model. */
json_t *answer_json(const char *text, struct error *err);

/* The answer without its reasoning: a leading <think>…</think> (or thinking, reasoning), and all before a lone
 * </think>. Reasoning that never ends leaves "". Heap; NULL without memory. */
char *answer_without_thinking(const char *text);

/* For callers that accept an unfenced answer which is all code: takes off paragraphs of prose at its start and end when
 * something stays. The result is a candidate: the caller has to parse it. Heap; NULL without memory. */
char *answer_bare_code(const char *text);

#endif
