/* The OCI runtime, driven by argv: found once, then one `run` for each guest.
 *
 * There is no `kill` and no `delete`: the guest lives in a process namespace that ends with the runner
 * (sandbox/runner.h), the runtime's own state lies on a memory file system that goes with it, and the
 * group is removed by sandbox/cgroup.h. So nothing depends on a second call that might fail.
 */
#ifndef SANDBOX_RUNTIME_H
#define SANDBOX_RUNTIME_H

#include <stdbool.h>
#include <sys/types.h>

#include "app/base/buf.h"
#include "app/base/error.h"

struct runtime {
    char *path;                 /* absolute; owned */
    const char *network_option; /* said before the command, or NULL; static storage */
    bool detaches;              /* it leaves the guest to us: real wait status, and the group outlives the guest */
};

/* Looks the runtime up by name (in PATH and the usual folders) or path. ERROR_SANDBOX when it is not there. */
int runtime_find(const char *name, struct runtime *runtime, struct error *err);
void runtime_release(struct runtime *runtime);

/* What `--version` says, first line, as "runc 1.1.5". */
int runtime_version(const struct runtime *runtime, struct buf *line, struct error *err);

/* Replaces this process by the runtime: bundle in the working directory, state in ./runtime, the process id of the
 * guest in ./pid. Returns only when exec fails, with errno. */
void runtime_exec(const struct runtime *runtime, const char *id);

/* The id written to ./pid, or -1. */
pid_t runtime_guest_pid(void);

#endif
