/* One run, seen from our side: starts the runner, reads what comes, enforces time, output and cancellation. */
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

/* Removes what runs have left whose processes are dead: their folders and groups. */
int run_sweep(const struct sandbox *sandbox, struct error *err);

#endif
