#include "app/mirrors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/fs.h"

#define REMOVED ".removed" /* behind the name of a mirror that is being removed */

enum { DEPTH_MAX = 3 }; /* forge, owner, repository */

struct list {
    struct mirror_place *items;
    size_t count;
    size_t top_len; /* of <state_dir>/mirrors/ */
};

void mirrors_free(struct mirror_place *mirrors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(mirrors[i].path);
        free(mirrors[i].name);
    }
    free(mirrors);
}

static int64_t last_use(const char *path)
{
    AUTO_FREE char *lock = text_format("%s.lock", path);
    struct stat st;
    if (!lock || (stat(lock, &st) < 0 && stat(path, &st) < 0))
        return 0;
    return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

static int add(struct list *list, const char *path, struct error *err)
{
    struct mirror_place *grown = reallocarray(list->items, list->count + 1, sizeof *grown);
    if (!grown)
        return error_set(err, ERROR_INTERNAL, "out of memory for mirrors");
    list->items = grown;
    struct mirror_place *added = &grown[list->count++];
    *added = (struct mirror_place){.path = strdup(path),
                                   .name = strdup(path + list->top_len),
                                   .bytes = fs_disk_usage(path),
                                   .used_ms = last_use(path)};
    return added->path && added->name ? 0 : error_set(err, ERROR_INTERNAL, "out of memory for mirrors");
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

static bool is_mirror(const char *path)
{
    AUTO_FREE char *head = text_format("%s/HEAD", path);
    return head && fs_exists(head);
}

static int scan(struct list *list, const char *folder, int depth, struct error *err);

static int scan_one(struct list *list, const char *path, int depth, struct error *err)
{
    if (ends_with(path, REMOVED))
        return fs_remove_tree(path, err);
    if (is_mirror(path))
        return add(list, path, err);
    return depth > 1 ? scan(list, path, depth - 1, err) : 0;
}

static int scan(struct list *list, const char *folder, int depth, struct error *err)
{
    DIR *dir = opendir(folder);
    int status = 0;
    if (!dir)
        return errno == ENOENT ? 0 : error_system(err, errno, "look through %s", folder);
    for (struct dirent *entry; status == 0 && (entry = readdir(dir));) {
        AUTO_FREE char *path = text_format("%s/%s", folder, entry->d_name);
        struct stat st;
        bool is_folder = path && entry->d_name[0] != '.' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
        if (is_folder)
            status = scan_one(list, path, depth, err);
    }
    closedir(dir);
    return status;
}

static int by_use(const void *a, const void *b)
{
    int64_t first = ((const struct mirror_place *)a)->used_ms;
    int64_t second = ((const struct mirror_place *)b)->used_ms;
    return (first > second) - (first < second);
}

int mirrors_list(const char *state_dir, struct mirror_place **out, size_t *count, struct error *err)
{
    AUTO_FREE char *top = text_format("%s/mirrors", state_dir);
    if (!top)
        return error_set(err, ERROR_INTERNAL, "out of memory for mirrors");
    struct list list = {.top_len = strlen(top) + 1};
    if (scan(&list, top, DEPTH_MAX, err) < 0) {
        mirrors_free(list.items, list.count);
        return -1;
    }
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_use);
    *out = list.items;
    *count = list.count;
    return 0;
}

/* The lock file stays: whoever waits for it has it open. The folder goes by its name first, so that nobody finds half
 * of it. */
int mirror_remove(const struct mirror_place *mirror, bool *removed, struct error *err)
{
    AUTO_FREE char *name = text_format("%s.lock", mirror->path);
    AUTO_FREE char *gone = text_format("%s" REMOVED, mirror->path);
    if (!name || !gone)
        return error_set(err, ERROR_INTERNAL, "out of memory for mirrors");
    AUTO_CLOSE int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return error_system(err, errno, "open the lock of mirror %s", mirror->path);
    *removed = flock(lock, LOCK_EX | LOCK_NB) == 0;
    if (!*removed)
        return 0;
    if (fs_remove_tree(gone, err) < 0)
        return -1;
    if (rename(mirror->path, gone) < 0)
        return error_system(err, errno, "remove mirror %s", mirror->path);
    return fs_remove_tree(gone, err);
}
