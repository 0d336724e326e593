/* Changes to a text, collected first and applied at once: what no splice names stays byte for byte. Private to
 * pipeline/edit*.c. */
#ifndef PIPELINE_EDIT_SPLICE_H
#define PIPELINE_EDIT_SPLICE_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"

/* Insertions of one kind at one place stand together, without blank lines between them. */
enum splice_group { GROUP_NONE, GROUP_IMPORTS, GROUP_VALUES };

struct splice {
    size_t start, end;    /* the range that goes; equal: an insertion of whole lines */
    char *text;           /* what comes; owned; an insertion's has no line end at its end */
    size_t blanks_before; /* blank lines that an insertion wants around it, */
    size_t blanks_after;  /* those already there counted; none at the ends of the file */
    enum splice_group group;
    size_t order;
};

struct splices {
    struct splice *items;
    size_t count, size;
};

/* Both take over `text`, also on failure. */
int splices_replace(struct splices *splices, size_t start, size_t end, char *text, struct error *err);
int splices_insert(struct splices *splices, struct splice insertion, struct error *err);

/* Appends the text with all splices applied. Insertions at one place stand in the order in which they were made;
 * of ranges that overlap, the first made wins. */
int splices_apply(struct splices *splices, const char *text, size_t len, const char *eol, struct buf *out,
                  struct error *err);
void splices_release(struct splices *splices);

#endif
