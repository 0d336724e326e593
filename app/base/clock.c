#include "app/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t now_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

void clock_sleep_ms(int64_t ms)
{
    if (ms <= 0)
        return;
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

const char *clock_rfc3339(int64_t wall_ms, char text[static CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0)); /* before 1970 round down, too */
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text, CLOCK_TEXT_SIZE, "0000-00-00T00:00:00Z");
    return text;
}

/* Exactly `count` digits; moves `*at` behind them. -1 when there are fewer. */
static int digits(const char **at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

/* Two digits or more, a mark in front of them unless it is NUL, at most `max`. */
static int part(const char **at, char mark, int count, int max)
{
    if (mark && *(*at)++ != mark)
        return -1;
    int value = digits(at, count);
    return value > max ? -1 : value;
}

/* ".25" in milliseconds, further digits dropped; 0 when there is no fraction, -1 for a "." alone. */
static int fraction_ms(const char **at)
{
    if (**at != '.')
        return 0;
    int value = 0;
    int scale = 100;
    const char *start = ++*at;
    for (; **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
        value += (**at - '0') * scale;
    return *at == start ? -1 : value;
}

/* "Z" or "+hh:mm" in minutes east of Greenwich; false when it is neither. */
static bool offset_minutes(const char **at, int *minutes)
{
    char sign = *(*at)++;
    *minutes = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if (sign != '+' && sign != '-')
        return false;
    int h = part(at, '\0', 2, 23);
    int m = h < 0 ? -1 : part(at, ':', 2, 59);
    *minutes = (sign == '-' ? -1 : 1) * (h * 60 + m);
    return m >= 0;
}

static bool days_fit(const struct tm *tm)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = tm->tm_year + 1900;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return tm->tm_mday >= 1 && tm->tm_mday <= days[tm->tm_mon] - (tm->tm_mon == 1 && !leap);
}

static bool read_date_time(const char **at, struct tm *tm)
{
    int year = part(at, '\0', 4, 9999);
    int month = year < 0 ? -1 : part(at, '-', 2, 12);
    if (month < 1)
        return false;
    *tm = (struct tm){.tm_year = year - 1900, .tm_mon = month - 1};
    if ((tm->tm_mday = part(at, '-', 2, 31)) < 0 || !days_fit(tm))
        return false;
    if (**at != 'T' && **at != 't' && **at != ' ')
        return false;
    (*at)++;
    return (tm->tm_hour = part(at, '\0', 2, 23)) >= 0 && (tm->tm_min = part(at, ':', 2, 59)) >= 0 &&
           (tm->tm_sec = part(at, ':', 2, 60)) >= 0; /* 60: a leap second */
}

int clock_parse_rfc3339(const char *text, int64_t *wall_ms, struct error *err)
{
    struct tm tm;
    int minutes = 0;
    int fraction = 0;
    const char *at = text;
    if (!read_date_time(&at, &tm) || (fraction = fraction_ms(&at)) < 0 || !offset_minutes(&at, &minutes) || *at)
        return error_set(err, ERROR_INPUT, "\"%.64s\" is not a time such as 2026-11-21T07:40:00Z", text);
    *wall_ms = ((int64_t)timegm(&tm) - (int64_t)minutes * 60) * 1000 + fraction;
    return 0;
}

const char *clock_duration(int64_t ms, char text[static CLOCK_TEXT_SIZE])
{
    if (ms < 0)
        ms = 0;
    long long tenths = ms / 100 + (ms % 100 >= 50);
    long long seconds = ms / 1000 + (ms % 1000 >= 500);
    if (tenths < 100)
        snprintf(text, CLOCK_TEXT_SIZE, "%lld.%lld s", tenths / 10, tenths % 10);
    else if (seconds < 60)
        snprintf(text, CLOCK_TEXT_SIZE, "%lld s", seconds);
    else if (seconds < 3600)
        snprintf(text, CLOCK_TEXT_SIZE, "%lld min %lld s", seconds / 60, seconds % 60);
    else
        snprintf(text, CLOCK_TEXT_SIZE, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    return text;
}
