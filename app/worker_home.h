/* A worker's state directory: one worker in it at a time, under a name that outlives restarts. So whatever carries that
 * name when a worker starts is known to be dead. */
#ifndef APP_WORKER_HOME_H
#define APP_WORKER_HOME_H

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/stop.h"

struct worker_home {
    int lock;       /* -1: not ours */
    char name[128]; /* of the worker, among all that share a store */
};

/* Waits until the directory is free; ERROR_CANCELLED when somebody asks to stop meanwhile. */
int worker_home_open(struct worker_home *home, const char *state_dir, struct stop *stop, const struct log *log,
                     struct error *err);
void worker_home_close(struct worker_home *home);

#endif
