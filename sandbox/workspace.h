/* What a guest sees of the file system: mounted before it starts, read back after it is dead.
 *
 * All of it happens in the runner (sandbox/runner.h): a process with a mount namespace of its own, whose working
 * directory is the run's folder with a small memory file system on it. There:
 *     rootfs        the guest's root: toolchain folders read-only, or an image
 *     lower         the tree, read-only
 *     disk          memory of bounded size: upper (what the guest writes in /workspace) and work
 *     merged        overlay of the two, shown to the guest as /workspace
 *     tmp           memory of bounded size, shown as /tmp
 */
#ifndef SANDBOX_WORKSPACE_H
#define SANDBOX_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "sandbox/rootfs.h"
#include "sandbox/sandbox.h"

/* What all guests of a sandbox have in common. */
struct workspace {
    struct rootfs rootfs; /* owned */
    int64_t disk;         /* bytes for /workspace, and as many for /tmp */
    bool user_namespace;  /* not root: the runner is root of a user namespace that holds our own user only */
    uid_t uid;            /* the guest's, as the runner sees it */
    gid_t gid;
};

/* Errors as rootfs_init(). */
int workspace_init(struct workspace *workspace, const struct sandbox_config *config, const char *tools,
                   struct error *err);
void workspace_release(struct workspace *workspace);

/* In the runner: takes a mount namespace (and without root a user namespace) for this process, puts the memory file
 * system on `folder` and makes it the working directory. */
int workspace_enter(const struct workspace *workspace, const char *folder, struct error *err);

/* In the runner: mounts root, tree (absolute; NULL: an empty one) and /tmp, and puts the request's files on top. */
int workspace_mount(const struct workspace *workspace, const char *tree, const struct sandbox_request *request,
                    struct error *err);

/* In the runner, when the guest is dead: true when /workspace or /tmp has no room or no inode left. */
bool workspace_is_full(void);

/* In the runner, when the guest is dead: one file below /workspace, no link followed; errors as fs_read_beneath(). */
int workspace_read(const char *path, struct buf *out, struct error *err);

#endif
