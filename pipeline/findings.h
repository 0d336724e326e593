/* What linters and type checkers say, as one shape; and what of it a change has introduced. */
#ifndef PIPELINE_FINDINGS_H
#define PIPELINE_FINDINGS_H

#include <jansson.h>
#include <stddef.h>

#include "app/base/error.h"

struct finding {
    char *tool;    /* "ruff", "mypy" */
    char *path;    /* relative to the workspace */
    int line;      /* from 1; 0 when unknown */
    char *code;    /* "F821", "arg-type" */
    char *message; /* one line */
};

struct findings {
    struct finding *items;
    size_t count;
};

/* Reads a tool's output by the language table's format name: "ruff-json" (ruff check --output-format json), "mypy"
 * (file:line:column: error: message [code]; notes are left out), "gcc" (file:line:column: error|warning: message
 * [code]). Lines of another form are passed over. Appends; more than 20,000 are ERROR_LIMIT. Paths lose a leading
 * "/workspace/". */
int findings_read(const char *format, const char *tool, const char *text, size_t len, struct findings *out,
                  struct error *err);

/* Removes from `after` what `before` already had: same tool, path, code and message, whatever the line (line numbers
 * inside the message count as equal too), as many times as it had it. */
void findings_subtract(struct findings *after, const struct findings *before);

json_t *
findings_to_json(const struct findings *findings); /* array of {tool, path, line, code, message}; owned by the caller */
void findings_release(struct findings *findings);

#endif
