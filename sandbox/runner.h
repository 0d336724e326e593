/* One run, seen from the side that has the guest: two processes between us and the OCI runtime.
 *
 *     we ── runner ── init ── runtime ── guest
 *            mount      process namespace of its own
 *            namespace
 *
 * The runner mounts the guest's world in a mount namespace of its own, and reads the results when the guest is dead.
 * Init is the first process of a process namespace: when it dies, the kernel kills the runtime, the guest and all that
 * they have started. Each dies with its parent (PDEATHSIG), so kill -9 of our process at any instant leaves nothing
 * that runs and no mount; what stays is an empty folder and an empty group, removed by the next sandbox_new().
 *
 * The runner talks in frames over a pipe. Their content is data: the reader caps and checks it.
 */
#ifndef SANDBOX_RUNNER_H
#define SANDBOX_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "sandbox/cgroup.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox.h"
#include "sandbox/workspace.h"

/* All borrowed. */
struct runner {
    const struct runtime *runtime;
    const struct workspace *workspace;
    const struct cgroups *cgroups;
    const struct sandbox_request *request;
    const char *tree; /* request->tree made absolute, or NULL */
    const char *id;
    const char *folder; /* the run's, absolute */
    const char *config; /* the bundle's config.json */
    size_t collect_max;
    /* Open files. The runner owns them in its process; the guest gets the first two. */
    int out, err;
    int frames;
    int stop; /* a byte, or its other end closed, means: kill the guest */
};

enum frame_kind {
    FRAME_STARTED, /* the guest runs: no data */
    FRAME_FAILED,  /* the run is over before it began: struct error */
    FRAME_REFUSED, /* the runtime would not start the guest; it said why on standard error: int, its wait status */
    FRAME_FILE,    /* `index` into request->collect: the file's bytes */
    FRAME_ENDED,   /* last: struct frame_end */
};

struct frame {
    uint32_t kind;
    uint32_t index;
    uint64_t len;
    const char *data; /* borrowed; meaningless on the pipe */
};

struct frame_end {
    int wait_status; /* as from waitpid(); meaningless when stopped */
    bool stopped;    /* killed because we asked for it */
    bool full;       /* workspace_is_full() */
};

/* Runs in the child of a fork() and ends it. */
_Noreturn void runner_main(const struct runner *runner);

/* Takes the next whole frame from bytes[*at…]: 1, and *at moves on; 0 when more bytes are needed. */
int frame_next(const struct buf *bytes, size_t *at, struct frame *frame);

#endif
