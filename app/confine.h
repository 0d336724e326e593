/* Gives up, for good, what a process that talks to strangers does not need. */
#ifndef APP_CONFINE_H
#define APP_CONFINE_H

#include <stdbool.h>

#include "app/base/error.h"
#include "app/base/log.h"

struct confinement {
    const char *folder; /* may be read and written; NULL: none */
    bool connects;      /* to a database server: sockets, and reading what a connection needs (names, certificates) */
    const char *const *files; /* may be read; NULL-terminated, or NULL for none */
};

/* After this the process has no capabilities, cannot gain any, leaves no core, cannot run programs, look into other
 * processes or (unless it `connects`) connect anywhere, and (where the kernel has Landlock; a log line says when not)
 * opens no file but those that were named. What is open stays open. */
int confine_self(const struct confinement *rights, const struct log *log, struct error *err);

#endif
