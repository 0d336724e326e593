/* Time: wall clock for people and the store, monotonic clock for deadlines. All in milliseconds. */
#ifndef APP_BASE_CLOCK_H
#define APP_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"

int64_t clock_wall_ms(void);      /* since 1970-01-01 UTC */
int64_t clock_monotonic_ms(void); /* since some fixed point; never goes back */
void clock_sleep_ms(int64_t ms);  /* returns early only when a signal handler ran */

/* RFC 3339 in UTC with seconds: "2026-11-21T07:40:00Z". The wall time in ms; 21 bytes with the NUL. */
#define CLOCK_TEXT_SIZE 32
const char *clock_rfc3339(int64_t wall_ms, char text[static CLOCK_TEXT_SIZE]);

/* Reads RFC 3339 as GitHub writes it ("Z" or an offset, fractions allowed). 0 or -1 with ERROR_INPUT. */
int clock_parse_rfc3339(const char *text, int64_t *wall_ms, struct error *err);

/* A duration for people: "0.4 s", "12 s", "3 min 20 s". */
const char *clock_duration(int64_t ms, char text[static CLOCK_TEXT_SIZE]);

#endif
