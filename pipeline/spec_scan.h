/* Between the files that read a spec's examples: spec_examples.c walks over the text, spec_pairs.c reads what it finds.
 */
#ifndef PIPELINE_SPEC_SCAN_H
#define PIPELINE_SPEC_SCAN_H

#include <stdbool.h>

#include "app/base/buf.h"
#include "pipeline/markdown.h"
#include "pipeline/spec.h"

struct scan {
    struct spec *spec;
    const struct language *language;
    struct buf setup, call, expected, source; /* of the doctest being read */
    enum { NO_DOCTEST, IN_CALL, IN_EXPECTED } doctest;
    struct markdown_cell columns[MARKDOWN_MAX_CELLS]; /* of the table being read */
    size_t column_count;
    char label;       /* 'i' or 'o' when the last words were "input:" or "output:", else 0 */
    struct buf input; /* an input that waits for its output */
    struct buf fence_text;
};

/* Where a whole word stands in the text; NULL when nowhere. */
const char *find_word(const char *text, const char *word);
/* True for a name, dots included. */
bool is_word(const char *text);
/* The exception in "raises ValueError", "a `ValueError`", "ValueError: must be positive"; NULL when it names none. */
char *exception_in(const char *text);

/* All of these are false when the text is no example, which is no error: it stays prose. */
bool add_example(struct scan *scan, enum example_kind kind, const char *setup, const char *call, const char *expected,
                 const char *source);
/* `result` is what stands behind the call: a value with or without a remark, or an exception. */
bool take_pair(struct scan *scan, const char *call, const char *result, bool raises, const char *source);
/* Finds the place between call and result itself. */
bool split_pair(struct scan *scan, const char *text, const char *source);
/* "For text = 'a b' the result should be 2" */
bool scan_bindings(struct scan *scan, const char *line);
/* Do the words between two code spans say that the second is the first one's result? */
bool connects(const char *start, const char *end, bool *raises);

#endif
