/* Secrets: read from a file or the environment, wiped when released, known to the redactor.
 *
 * A configuration names a secret as "file:PATH" or "env:NAME", never by value.
 */
#ifndef APP_BASE_SECRET_H
#define APP_BASE_SECRET_H

#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"

struct secret {
    char *value; /* NUL-terminated, owned; NULL when there is none */
    size_t len;
};

/* Reads what `reference` names; trailing line ends are cut. ERROR_CONFIG names the reference and the fix:
 * a missing file or variable, an empty value, a value written in place of a reference. 64 KiB at most. */
int secret_load(const char *reference, struct secret *out, struct error *err);

/* Wipes and frees. */
void secret_release(struct secret *secret);

/* The set of values that must not appear in output. Opaque; add copies the value. */
struct secrets;
struct secrets *secrets_new(void);
void secrets_free(struct secrets *secrets);
void secrets_add(struct secrets *secrets,
                 const char *value); /* values under 6 bytes are ignored: they would blank out words */

/* Replaces every occurrence of every known value in the buffer by "[redacted]". */
void secrets_redact(const struct secrets *secrets, struct buf *text);

#endif
