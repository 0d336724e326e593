/* A state directory as one kind of process has it: one of the kind in it at a time, under a name that outlives
 * restarts. So whatever carries that name when such a process starts is known to be dead. */
#ifndef APP_HOME_H
#define APP_HOME_H

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/stop.h"

struct home {
    int lock;       /* -1: not ours */
    char name[128]; /* of the process, among all of its kind that share a store */
};

/* `kind`: "worker". Waits until no other is in the directory; ERROR_CANCELLED when somebody asks to stop meanwhile. */
int home_open(struct home *home, const char *state_dir, const char *kind, struct stop *stop, const struct log *log,
              struct error *err);
void home_close(struct home *home);

#endif
