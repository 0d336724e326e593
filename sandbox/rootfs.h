/* What the guests' root is made of: which host folders are shown, or which image, and the PATH that follows.
 *
 * Decided once for a sandbox; mounted for each run by sandbox/workspace.h.
 */
#ifndef SANDBOX_ROOTFS_H
#define SANDBOX_ROOTFS_H

#include <stddef.h>

#include "app/base/error.h"
#include "sandbox/sandbox.h"

struct rootfs {
    char *image; /* an unpacked root file system, or NULL: the host's toolchain folders; owned */
    struct rootfs_entry {
        char *path; /* absolute, the same on both sides; none lies below another one; owned */
        enum { ROOTFS_FOLDER, ROOTFS_FILE, ROOTFS_LINK } kind;
    } *entries;
    size_t entry_count;
    char *search_path; /* the guest's PATH; owned */
};

/* Looks at what there is to show. `tools` may be NULL. ERROR_SANDBOX names a folder that is missing or may not be
 * shown, and the setting that names it. */
int rootfs_init(struct rootfs *rootfs, const struct sandbox_config *config, const char *tools, struct error *err);
void rootfs_release(struct rootfs *rootfs);

#endif
