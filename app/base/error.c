#include "app/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control characters would let outside text forge log lines or move a terminal's cursor. */
static void clean(char *text)
{
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
}

static void reset(struct error *err, enum error_code code)
{
    err->code = code;
    err->retryable = false;
    err->retry_after_ms = 0;
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (!err)
        return -1;
    va_list args;
    char message[ERROR_MESSAGE_MAX]; /* the arguments may point into err->message */
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    clean(message);
    reset(err, code);
    memcpy(err->message, message, sizeof message);
    return -1;
}

int error_system(struct error *err, int errnum, const char *format, ...)
{
    if (!err)
        return -1;
    va_list args;
    char message[ERROR_MESSAGE_MAX];
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    bool full = errnum == ENOSPC || errnum == EDQUOT;
    error_set(err, full ? ERROR_FULL : ERROR_IO, "%s: %s", message,
              strerrordesc_np(errnum) ? strerrordesc_np(errnum) : "unknown error");
    return full ? error_retry(err, 0) : -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    va_list args;
    char context[ERROR_MESSAGE_MAX];
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    struct error inner = *err;
    error_set(err, inner.code, "%s: %s", context, inner.message);
    err->retryable = inner.retryable;
    err->retry_after_ms = inner.retry_after_ms;
    return -1;
}

int error_retry(struct error *err, int64_t after_ms)
{
    if (err) {
        err->retryable = true;
        err->retry_after_ms = after_ms;
    }
    return -1;
}

void error_clear(struct error *err)
{
    if (err) {
        reset(err, ERROR_NONE);
        err->message[0] = '\0';
    }
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",
        [ERROR_USAGE] = "usage",
        [ERROR_CONFIG] = "config",
        [ERROR_INPUT] = "input",
        [ERROR_LIMIT] = "limit",
        [ERROR_BUDGET] = "budget",
        [ERROR_TIMEOUT] = "timeout",
        [ERROR_CANCELLED] = "cancelled",
        [ERROR_NOT_FOUND] = "not-found",
        [ERROR_CONFLICT] = "conflict",
        [ERROR_DENIED] = "denied",
        [ERROR_FORGE] = "forge",
        [ERROR_MODEL] = "model",
        [ERROR_SANDBOX] = "sandbox",
        [ERROR_STORE] = "store",
        [ERROR_FULL] = "full",
        [ERROR_IO] = "io",
        [ERROR_INTERNAL] = "internal",
    };
    return code <= ERROR_INTERNAL ? names[code] : "unknown";
}

int error_exit_status(const struct error *err)
{
    switch (err->code) {
    case ERROR_NONE:
        return 0;
    case ERROR_USAGE:
    case ERROR_CONFIG:
        return 2;
    case ERROR_TIMEOUT:
    case ERROR_DENIED:
    case ERROR_FORGE:
    case ERROR_MODEL:
    case ERROR_SANDBOX:
    case ERROR_STORE:
    case ERROR_FULL:
    case ERROR_IO:
        return 3;
    default:
        return 1;
    }
}
