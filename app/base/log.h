/* The log: one line for each event, as text for people or JSON for machines.
 *
 * A `struct log` is passed to whoever logs; there is no global one. Values of known secrets are replaced
 * by "[redacted]" before a line leaves the process.
 */
#ifndef APP_BASE_LOG_H
#define APP_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct secrets;

struct log {
    int fd;               /* where lines go, normally 2 */
    enum log_level level; /* lines below it are dropped */
    bool json;
    const char *component;         /* "receiver", "dispatch", "job"; borrowed */
    const char *delivery;          /* current delivery id, or NULL; borrowed */
    int64_t job;                   /* current job id, or 0 */
    const struct secrets *secrets; /* what to redact, or NULL; borrowed */
};

/* To standard error; level from ASSAY_LOG_LEVEL (debug, info, warn, error; info when unset), JSON when
 * ASSAY_LOG_FORMAT is "json". */
struct log log_open(const char *component);

/* Writes one line with a single write(2), so that lines of several processes do not mix. */
__attribute__((format(printf, 3, 4))) void log_write(const struct log *log, enum log_level level, const char *format,
                                                     ...);

#define log_debug(log, ...) log_write(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...)  log_write(log, LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...)  log_write(log, LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) log_write(log, LOG_ERROR, __VA_ARGS__)

#endif
