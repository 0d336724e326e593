/* Gives up, for good, what a process that talks to strangers does not need. */
#ifndef APP_CONFINE_H
#define APP_CONFINE_H

#include "app/base/error.h"
#include "app/base/log.h"

/* After this the process has no capabilities, cannot gain any, leaves no core, cannot run programs, connect anywhere or
 * look into other processes, and (where the kernel has Landlock; a log line says when not) opens no file but those
 * below `folder`. What is open stays open. */
int confine_self(const char *folder, const struct log *log, struct error *err);

#endif
