/* Growing bytes with a cap from birth.
 *
 * Invariants: `data` is NUL-terminated whenever it is not NULL; `len` excludes that NUL and never
 * passes `max`. A buffer that hits its cap or runs out of memory stays as it was, remembers it in
 * `failed`, and refuses every later append, so a caller may append many times and check once.
 */
#ifndef APP_BASE_BUF_H
#define APP_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"

struct buf {
    char *data; /* NULL until the first append; owned */
    size_t len;
    size_t size; /* bytes allocated */
    size_t max;  /* the cap on len */
    bool failed;
};

#define BUF_INIT(cap) ((struct buf){.max = (cap)})
#define KiB(n)        ((size_t)(n)*1024)
#define MiB(n)        ((size_t)(n)*1024 * 1024)

/* Each returns 0, or -1 when the cap or memory is exhausted. */
int buf_add(struct buf *buf, const void *data, size_t len);
int buf_puts(struct buf *buf, const char *text);
int buf_putc(struct buf *buf, char c);
__attribute__((format(printf, 2, 3))) int buf_printf(struct buf *buf, const char *format, ...);
int buf_vprintf(struct buf *buf, const char *format, va_list args);

/* The text, "" for an empty buffer. Borrowed: valid until the next append. */
const char *buf_text(const struct buf *buf);

/* Hands the bytes to the caller, who frees them with free(); the buffer is empty again. Never NULL
 * unless memory is exhausted: an empty buffer gives "". `len` may be NULL. */
char *buf_steal(struct buf *buf, size_t *len);

/* 0 when every append so far fitted; else sets ERROR_LIMIT naming `what` and the cap. */
int buf_check(const struct buf *buf, const char *what, struct error *err);

void buf_clear(struct buf *buf);   /* keeps memory and cap, forgets content and failure */
void buf_release(struct buf *buf); /* frees the memory; the cap stays */

/* Scope clean-up: `AUTO_BUF struct buf text = BUF_INIT(KiB(64));` and `AUTO_FREE char *name = …;` */
#define AUTO_BUF   __attribute__((cleanup(buf_release)))
#define AUTO_FREE  __attribute__((cleanup(auto_free)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close)))
void auto_free(void *pointer_to_pointer);
void auto_close(int *fd); /* closes when >= 0 */

/* Takes the value out of a clean-up variable, leaving NULL: `return STEAL(name);` */
#define STEAL(pointer)                                                                                                 \
    ({                                                                                                                 \
        __typeof__(pointer) stolen_ = (pointer);                                                                       \
        (pointer) = NULL;                                                                                              \
        stolen_;                                                                                                       \
    })

/* Like asprintf: heap text owned by the caller, or NULL without memory. */
__attribute__((format(printf, 1, 2))) char *text_format(const char *format, ...);

#endif
