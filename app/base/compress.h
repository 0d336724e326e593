/* Bytes made smaller for keeping (Zstandard, RFC 8878), at a speed that does not hold up a receiver. */
#ifndef APP_BASE_COMPRESS_H
#define APP_BASE_COMPRESS_H

#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"

/* Holds the working memory, some hundred kB, so that it need not be made for each piece. One thread at a time. */
struct compressor;
struct compressor *compressor_new(void); /* NULL without memory */
void compressor_free(struct compressor *compressor);

/* Appends one frame that says how long its content is. */
int compress_bytes(struct compressor *compressor, const void *data, size_t len, struct buf *out, struct error *err);

/* Appends the content of one frame; ERROR_LIMIT when it would be longer than `max`, ERROR_INPUT for anything that
 * compress_bytes() did not write. */
int decompress_bytes(const void *data, size_t len, size_t max, struct buf *out, struct error *err);

#endif
