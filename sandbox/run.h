/* A prepared sandbox, shared by sandbox.c (makes it) and run.c (one run: starts the runner, reads what comes,
 * enforces time, output and cancellation).
 */
#ifndef SANDBOX_RUN_H
#define SANDBOX_RUN_H

#include <stdint.h>

#include "app/base/error.h"
#include "sandbox/cgroup.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox.h"
#include "sandbox/workspace.h"

struct sandbox {
    struct runtime runtime;
    struct workspace workspace;
    struct cgroups cgroups;
    struct cgroup_limits limits;
    int64_t timeout_ms;
    char *folder; /* <state_dir>/sandbox, absolute: a folder for each run, locked while it lives */
};

#endif
