/* The wish to stop (SIGTERM, SIGINT) as something a loop can wait for: no handler, no flag of the whole program. */
#ifndef APP_STOP_H
#define APP_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "app/base/error.h"

struct stop {
    int fd;      /* a signalfd */
    int asked;   /* how often, so far; a second signal means: at once */
    bool reload; /* SIGHUP has come; whoever obeys it clears this */
};

/* Blocks both signals for this process, so that they arrive here only. A child started by fork must unblock them:
 * stop_unblock() (proc_run does it by itself). */
int stop_watch(struct stop *stop, struct error *err);
int stop_watch_and_reload(struct stop *stop, struct error *err); /* SIGHUP too, which else ends the process */
void stop_unblock(void);
void stop_release(struct stop *stop);

/* Waits at most `ms` (0: not at all). True when somebody asked to stop, now or before. */
bool stop_wait(struct stop *stop, int64_t ms);

#endif
