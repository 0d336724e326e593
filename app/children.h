/* Child processes that are to run for as long as we do: started by us, started again when they die, stopped
 * together.
 *
 * Each child leads a process group of its own, so a terminal's Ctrl-C reaches only us and we stop the rest in order. A
 * child is killed by the kernel when we die, however we die.
 */
#ifndef APP_CHILDREN_H
#define APP_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/stop.h"

struct child_spec {
    const char *name;               /* for the log */
    const char *program;            /* a path; /proc/self/exe is us, even after an upgrade has replaced the file */
    const char *const *argv;        /* NULL-terminated */
    const char *const *environment; /* NULL-terminated "NAME=value"; NULL: ours */
    const char *input;              /* for its standard input, at most 64 KiB; NULL: /dev/null */
    size_t input_len;
    int socket;       /* shown to it as descriptor 3; -1: none */
    bool tells_ready; /* writes "ready" to its standard output, which is a pipe to us, when it has begun its work. The
                         others start then, or after two seconds */
};

struct children_hooks {
    void (*ready)(void *context);  /* once, when all that tell have told and the others are started; or NULL */
    void (*tick)(void *context);   /* at least once a second, also while all end; or NULL */
    bool (*reload)(void *context); /* on SIGHUP: may change the specs; true: every child is replaced by a new one */
    void *context;
    int64_t stop_ms;    /* from SIGTERM to SIGKILL, also of a child that is replaced; 0: 20 s */
    int64_t backoff_ms; /* the first pause before a restart, doubled up to thirty times itself; 0: 1 s */
    int64_t steady_ms;  /* a child that ran for so long is steady: the next pause is the first again; 0: 60 s */
};

/* Runs them until somebody asks to stop (0), or one ends with status 2, wrong use or configuration, which a restart
 * would not mend (ERROR_CONFIG). Returns when all have ended. A second signal to stop kills them. */
int children_run(const struct child_spec *specs, size_t count, const struct children_hooks *hooks, struct stop *stop,
                 const struct log *log, struct error *err);

#endif
