#include "app/base/compress.h"

#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = -1 }; /* JSON shrinks to a quarter at some 500 MB a second; higher levels gain little and cost much */

struct compressor {
    ZSTD_CCtx *context;
};

struct compressor *compressor_new(void)
{
    struct compressor *compressor = calloc(1, sizeof *compressor);
    if (compressor && (compressor->context = ZSTD_createCCtx()))
        return compressor;
    free(compressor);
    return NULL;
}

void compressor_free(struct compressor *compressor)
{
    if (compressor)
        ZSTD_freeCCtx(compressor->context);
    free(compressor);
}

int compress_bytes(struct compressor *compressor, const void *data, size_t len, struct buf *out, struct error *err)
{
    size_t most = ZSTD_compressBound(len);
    AUTO_FREE void *frame = malloc(most);
    size_t used = frame ? ZSTD_compressCCtx(compressor->context, frame, most, data, len, LEVEL) : 0;
    if (!frame || ZSTD_isError(used))
        return error_set(err, ERROR_INTERNAL, "compress: %s", frame ? ZSTD_getErrorName(used) : "out of memory");
    buf_add(out, frame, used);
    return buf_check(out, "what was compressed", err);
}

int decompress_bytes(const void *data, size_t len, size_t max, struct buf *out, struct error *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(data, len);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN ||
        ZSTD_findFrameCompressedSize(data, len) != len)
        return error_set(err, ERROR_INPUT, "decompress: it is not one whole frame with its length");
    if (size > max)
        return error_set(err, ERROR_LIMIT, "decompress: it holds %llu bytes; at most %zu are read", size, max);
    AUTO_FREE void *content = malloc(size ? size : 1);
    size_t used = content ? ZSTD_decompress(content, size, data, len) : 0;
    if (!content || ZSTD_isError(used))
        return error_set(err, content ? ERROR_INPUT : ERROR_INTERNAL, "decompress: %s",
                         content ? ZSTD_getErrorName(used) : "out of memory");
    buf_add(out, content, used);
    return buf_check(out, "what was decompressed", err);
}
