/* Text from issues, models and tools, made safe to put into Markdown that GitHub renders.
 *
 * GitHub looks for mentions and references in the rendered text, so neither a backslash nor an entity for
 * the character itself stops them; a zero-width space after it does, written as the entity &#8203; so that
 * it can be seen in the source.
 */
#ifndef APP_BASE_MARKDOWN_H
#define APP_BASE_MARKDOWN_H

#include <stddef.h>

#include "app/base/buf.h"

/* Appends `text` as one line of plain prose:
 *   - a backslash before \ ` * [ ] | ~ and before _ unless letters or digits stand on both sides;
 *   - < as &lt;, and & as &amp; where it would begin an entity: both also hold inside an HTML block;
 *   - @name, #12 and GH-12 get &#8203; after the @, # or -;
 *   - at the start: # > + - = / and the mark of a numbered list get a backslash (headings, quotes, lists, commands);
 *   - line ends, tabs and other control characters become spaces; spaces at the start go away.
 * Everything else, addresses included, stays as written. */
int markdown_text(struct buf *out, const char *text, size_t len);

/* Appends `text` as a code span, with as many backticks as it needs; line ends become spaces, "" appends nothing. */
int markdown_code(struct buf *out, const char *text);

/* Appends `text` as a fenced block on lines of its own, with a fence longer than any in the text. `info` is the
 * language or "". */
int markdown_block(struct buf *out, const char *info, const char *text);

#endif
