#include "app/base/log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/base/secret.h"

enum { MESSAGE_MAX = 8 * 1024, LINE_MAX_BYTES = 64 * 1024 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

struct log log_open(const char *component)
{
    struct log log = {.fd = STDERR_FILENO, .level = LOG_INFO, .component = component};
    const char *level = getenv("ASSAY_LOG_LEVEL");
    for (size_t i = 0; level && i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcmp(level, level_names[i]) == 0)
            log.level = (enum log_level)i;
    const char *format = getenv("ASSAY_LOG_FORMAT");
    log.json = format && strcmp(format, "json") == 0;
    return log;
}

/* Control characters would let outside text forge lines or move a terminal's cursor. */
static void clean(struct buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] < ' ' || text->data[i] == 0x7f)
            text->data[i] = ' ';
}

static void add_as_text(const struct log *log, const char *time, const char *level, const struct buf *message,
                        struct buf *line)
{
    buf_printf(line, "%s %-5s %s: %s", time, level, log->component ? log->component : "assay", buf_text(message));
    if (log->job)
        buf_printf(line, " job=%lld", (long long)log->job);
    if (log->delivery)
        buf_printf(line, " delivery=%s", log->delivery);
}

static void add_as_json(const struct log *log, const char *time, const char *level, const struct buf *message,
                        struct buf *line)
{
    json_auto_t *event = json_pack("{s:s, s:s, s:s, s:o}", /* in the order in which people read */
                                   "time", time, "level", level, "component", log->component ? log->component : "assay",
                                   "message", json_from_text(buf_text(message), message->len));
    if (event && log->job)
        json_object_set_new(event, "job", json_integer(log->job));
    if (event && log->delivery)
        json_object_set_new(event, "delivery", json_from_text(log->delivery, strlen(log->delivery)));
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text)
        buf_puts(line, text);
    free(text);
}

/* Formats and cuts to MESSAGE_MAX, before secrets are looked for: a cut one is hidden only when the whole was seen. */
static void format_message(const struct log *log, const char *format, va_list args, struct buf *message)
{
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    struct buf whole = BUF_INIT(SIZE_MAX / 2);
    if (len >= 0)
        buf_add(&whole, text, (size_t)len);
    free(text);
    secrets_redact(log->secrets, &whole);
    buf_add(message, buf_text(&whole), whole.len < MESSAGE_MAX ? whole.len : MESSAGE_MAX);
    if (whole.len > MESSAGE_MAX)
        buf_puts(message, " [cut]");
    buf_release(&whole);
}

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
    if (level < log->level || level > LOG_ERROR)
        return;
    char time[CLOCK_TEXT_SIZE];
    clock_rfc3339(clock_wall_ms(), time);
    AUTO_BUF struct buf message = BUF_INIT(MESSAGE_MAX + 16);
    AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
    va_list args;
    va_start(args, format);
    format_message(log, format, args, &message);
    va_end(args);
    clean(&message);
    (log->json ? add_as_json : add_as_text)(log, time, level_names[level], &message, &line);
    clean(&line);
    buf_putc(&line, '\n');
    /* There is nobody to tell when the log itself cannot be written. */
    if (write(log->fd, buf_text(&line), line.len) < 0)
        return;
}
