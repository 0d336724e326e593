/* The one error type: what failed, where, and what to do, in one line.
 *
 * A function that can fail takes `struct error *err` as its last parameter, returns -1 or NULL on
 * failure and leaves its outputs untouched. The lowest layer sets the error; each layer above adds its
 * own few words in front with error_wrap(), so the line reads from the outside in:
 *     open pull request: create branch assay/7-slugify: GitHub answered 422 (Reference already exists)
 * An error is a plain value owned by the caller; nothing in it needs to be freed. Every function below
 * accepts err == NULL, for callers that only need to know that something failed.
 */
#ifndef APP_BASE_ERROR_H
#define APP_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_USAGE,     /* the command line is wrong */
    ERROR_CONFIG,    /* the configuration is wrong */
    ERROR_INPUT,     /* outside data is malformed: a webhook, a model's answer, a file of the repository */
    ERROR_LIMIT,     /* a cap was reached: size, depth, count */
    ERROR_BUDGET,    /* the money or the tokens allowed are used up */
    ERROR_TIMEOUT,   /* a deadline passed */
    ERROR_CANCELLED, /* a person or a shutdown asked to stop */
    ERROR_NOT_FOUND, /* what was asked for does not exist */
    ERROR_CONFLICT,  /* somebody else got there first */
    ERROR_DENIED,    /* credentials are missing, wrong or too weak */
    ERROR_FORGE,     /* the forge failed or refused */
    ERROR_MODEL,     /* the model's server failed or refused */
    ERROR_SANDBOX,   /* the isolation asked for cannot be had */
    ERROR_STORE,     /* the database failed */
    ERROR_FULL,      /* a disk has no room left; always retryable */
    ERROR_IO,        /* the operating system refused */
    ERROR_INTERNAL,  /* a fault of our own */
};

#define ERROR_MESSAGE_MAX 1024

struct error {
    enum error_code code;
    bool retryable;         /* the same call may succeed later */
    int64_t retry_after_ms; /* how long to wait before that, 0 when unknown */
    char message[ERROR_MESSAGE_MAX];
};

/* Sets code and message, clears the retry fields. Always returns -1, so that a function can end with it. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, enum error_code code, const char *format, ...);

/* The same for a failed system call: appends ": " and the text of `errnum`; the code is ERROR_IO, or ERROR_FULL for a
 * disk without room. Returns -1. */
__attribute__((format(printf, 3, 4))) int error_system(struct error *err, int errnum, const char *format, ...);

/* Puts the formatted context and ": " before the message; keeps code and retry fields. Returns -1. */
__attribute__((format(printf, 2, 3))) int error_wrap(struct error *err, const char *format, ...);

/* Marks the error as worth another try after `after_ms` (0: when the caller likes). Returns -1. */
int error_retry(struct error *err, int64_t after_ms);

void error_clear(struct error *err);

/* The code's name in lower case, as logs and JSON show it: "timeout", "not-found". Static storage. */
const char *error_code_name(enum error_code code);

/* The program's exit status for an error: 2 for usage and configuration, 3 for what lies outside
 * (forge, model, sandbox, store, disk, deadline, operating system), 1 for the rest (design 1.4). */
int error_exit_status(const struct error *err);

#endif
