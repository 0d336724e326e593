/* The OCI runtime bundle of one run: what config.json says (OCI runtime specification 1.0).
 *
 * Everything of the guest's file system is mounted by sandbox/workspace.h below "rootfs" before the runtime
 * starts, so the bundle itself holds only what a runtime has to make: namespaces, /proc, /dev, limits,
 * credentials, the filter of system calls.
 */
#ifndef SANDBOX_BUNDLE_H
#define SANDBOX_BUNDLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/base/error.h"
#include "sandbox/cgroup.h"

/* All borrowed. */
struct bundle {
    const char *const *argv;
    const char *search_path;        /* PATH */
    const char *const *environment; /* NULL-terminated, or NULL; a name that is set here wins over the three defaults */
    const char *directory;          /* below /workspace, or NULL for its top */
    uid_t uid;
    gid_t gid;
    struct cgroup_limits limits;
    bool limits_swap;
    int64_t disk;       /* bytes that the guest may write: bounds the largest file */
    const char *cgroup; /* linux.cgroupsPath */
};

/* The configuration as a JSON object, owned by the caller. NULL with ERROR_INPUT for text that is not UTF-8 or an
 * environment entry that is not NAME=value. */
json_t *bundle_config(const struct bundle *bundle, struct error *err);

#endif
