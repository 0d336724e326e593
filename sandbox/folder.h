/* The runs' folders: one for each run, empty on disk (its content lives in the runner's mount namespace), locked as
 * long as any of the run's processes lives. So a folder that can be locked belongs to a dead run, whose name is also
 * that of its group.
 */
#ifndef SANDBOX_FOLDER_H
#define SANDBOX_FOLDER_H

#include "app/base/digest.h"
#include "app/base/error.h"
#include "sandbox/cgroup.h"

/* Makes a folder with a fresh name below `above` and locks it; `lock` is for the caller to close. Heap, owned by the
 * caller. */
char *folder_make(const char *above, char id[static RANDOM_ID_SIZE], int *lock, struct error *err);

/* Removes the run's group and, when that is gone, its folder; closes the lock. What stays is swept later. */
void folder_remove(const char *folder, const char *id, const struct cgroups *cgroups, int lock);

/* Removes the groups and folders of dead runs. */
int folder_sweep(const char *above, const struct cgroups *cgroups, struct error *err);

#endif
