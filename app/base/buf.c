#include "app/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reserve(struct buf *buf, size_t extra)
{
    if (buf->failed)
        return -1;
    size_t max = buf->max < SIZE_MAX / 4 ? buf->max : SIZE_MAX / 4; /* so that doubling cannot wrap */
    if (extra > max || buf->len > max - extra) {
        buf->failed = true;
        return -1;
    }
    size_t need = buf->len + extra + 1;
    if (need <= buf->size)
        return 0;
    size_t size = buf->size ? buf->size : 64;
    while (size < need)
        size *= 2;
    char *data = realloc(buf->data, size);
    if (!data) {
        buf->failed = true;
        return -1;
    }
    buf->data = data;
    buf->size = size;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t len)
{
    if (reserve(buf, len) < 0)
        return -1;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int buf_puts(struct buf *buf, const char *text)
{
    return buf_add(buf, text, strlen(text));
}

int buf_putc(struct buf *buf, char c)
{
    return buf_add(buf, &c, 1);
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (need < 0) {
        buf->failed = true;
        return -1;
    }
    if (reserve(buf, (size_t)need) < 0)
        return -1;
    vsnprintf(buf->data + buf->len, (size_t)need + 1, format, args);
    buf->len += (size_t)need;
    return 0;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int result = buf_vprintf(buf, format, args);
    va_end(args);
    return result;
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

char *buf_steal(struct buf *buf, size_t *len)
{
    if (!buf->data && !(buf->data = calloc(1, 1)))
        return NULL;
    if (len)
        *len = buf->len;
    char *data = buf->data;
    *buf = BUF_INIT(buf->max);
    return data;
}

int buf_check(const struct buf *buf, const char *what, struct error *err)
{
    if (!buf->failed)
        return 0;
    return error_set(err, ERROR_LIMIT, "%s is larger than the %zu bytes allowed", what, buf->max);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_INIT(buf->max);
}

void auto_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

void auto_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

char *text_format(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return len < 0 ? NULL : text;
}
