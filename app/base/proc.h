/* Child processes: argv only (no shell), a deadline, capped output, the whole process group killed. */
#ifndef APP_BASE_PROC_H
#define APP_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"

struct proc_request {
    const char *const *argv;        /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *environment; /* NULL-terminated "NAME=value"; NULL: an empty environment but PATH */
    const char *directory;          /* working directory, or NULL for ours */
    const char *input;              /* bytes for standard input, or NULL for /dev/null */
    size_t input_len;
    int64_t timeout_ms;               /* > 0; past it the group gets SIGTERM, two seconds later SIGKILL */
    bool (*cancelled)(void *context); /* asked about five times a second, or NULL */
    void *cancel_context;
};

struct proc_result {
    int exit_status; /* 0..255 when it exited, else -1 */
    int signal;      /* the signal that ended it, else 0 */
    bool timed_out;
    bool output_cut; /* one of the outputs hit its cap; the rest was read and thrown away */
    int64_t elapsed_ms;
    struct buf out, err; /* caps set by the caller before the call; owned by the caller */
};

/* Runs to the end. 0 when the child was started and reaped, whatever its status; -1 when it could not be
 * started (ERROR_NOT_FOUND for a missing program) or ERROR_CANCELLED. The child dies with us (PDEATHSIG). */
int proc_run(const struct proc_request *request, struct proc_result *result, struct error *err);

void proc_result_release(struct proc_result *result);

#endif
