/* Mustache templates over JSON, and the files under templates/ that are embedded in the binary.
 *
 * The parts used of the Mustache specification: variables, sections, inverted sections, partials,
 * comments, dotted names, implicit iterators, standalone lines, set delimiters. {{name}} is escaped by
 * kind; {{{name}}} and {{&name}} are not. A section is empty for a missing value, null, false, 0, "" and []
 * (the specification leaves 0 and "" open). Objects and lists as values are printed as JSON. The public
 * specification's own test cases are run in tests/unit/base.
 */
#ifndef APP_BASE_TEMPLATE_H
#define APP_BASE_TEMPLATE_H

#include <jansson.h>
#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"

enum template_escape {
    TEMPLATE_PLAIN,    /* prompts, commit messages: as it is */
    TEMPLATE_HTML,     /* the dashboard: & < > " ' */
    TEMPLATE_MARKDOWN, /* comments, pull requests: what would start markup, a mention, a reference, a command or HTML is
                          made harmless, and a value stays on one line: markdown_text() in markdown.h says how. Inside
                          backticks a value needs markdown_code() or markdown_block() and {{{ }}} instead. */
};

/* Renders `source` (name is for errors) with `view`; partials are looked up by the callback, which returns
 * borrowed text or NULL (an unknown partial is empty, as the specification says). Appends to `out`. */
struct template_source {
    const char *name;
    const char *text;
    size_t len;
};

int template_render(struct template_source source, enum template_escape escape, const json_t *view,
                    const char *(*partial)(void *context, const char *name), void *context, struct buf *out,
                    struct error *err);

/* An embedded file by its path below templates/ ("prompts/implement.mustache"); NULL data when there is none. */
struct template_file {
    const char *path;
    const char *data; /* NUL-terminated */
    size_t len;
    const char *digest; /* SHA-256 of the bytes in hexadecimal, computed at build time */
};

const struct template_file *template_find(const char *path); /* NULL when missing; static storage */
const struct template_file *template_files(size_t *count);   /* all of them, sorted by path */

/* Renders an embedded template; partials are embedded files of the same folder: {{>footer}} is
 * `<folder>/footer.mustache`. The escape follows from the folder: html/ is HTML, replies/ is Markdown, the rest is
 * plain. */
int template_render_file(const char *path, const json_t *view, struct buf *out, struct error *err);

#endif
