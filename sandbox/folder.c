#include "sandbox/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/buf.h"

char *folder_make(const char *above, char id[static RANDOM_ID_SIZE], int *lock, struct error *err)
{
    /* The shared lock keeps a sweep from taking the folder between its making and its locking. */
    AUTO_CLOSE int fence = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_FREE char *folder = text_format("%s/%s", above, random_id(id));
    int fd = -1;
    if (fence >= 0 && folder && flock(fence, LOCK_SH) == 0 && mkdir(folder, 0700) == 0)
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0) {
        *lock = fd;
        return STEAL(folder);
    }
    error_system(err, errno, "make a folder for a run in %s", above);
    if (fd >= 0)
        close(fd);
    return NULL;
}

void folder_remove(const char *folder, const char *id, const struct cgroups *cgroups, int lock)
{
    if (cgroup_remove(cgroups, id))
        rmdir(folder);
    close(lock);
}

/* Leaves a living run alone. */
static void sweep_one(int above, const char *id, const struct cgroups *cgroups)
{
    AUTO_CLOSE int fd = openat(above, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && cgroup_remove(cgroups, id))
        unlinkat(above, id, AT_REMOVEDIR);
}

int folder_sweep(const char *above, const struct cgroups *cgroups, struct error *err)
{
    DIR *dir = opendir(above);
    if (!dir || flock(dirfd(dir), LOCK_EX) < 0) {
        error_system(err, errno, "look through %s", above);
        if (dir)
            closedir(dir);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strlen(entry->d_name) == RANDOM_ID_SIZE - 1)
            sweep_one(dirfd(dir), entry->d_name, cgroups);
    closedir(dir);
    return 0;
}
