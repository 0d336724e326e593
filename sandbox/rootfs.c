#include "sandbox/rootfs.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/base/buf.h"
#include "app/base/fs.h"

/* Image "host": what compilers and interpreters need. A pattern that matches nothing is fine; a link (/bin on merged
 * systems) is made again as a link. Never here: /home, /root, /var, /run, /sys, accounts, keys, settings of services.
 */
static const char *const host_paths[] = {
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/java*",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/perl",
    "/etc/protocols",
    "/etc/python3*",
    "/etc/services",
};

/* A toolchain may be neither one of these nor above it, and not below the last four. */
static const char *const reserved[] = {"/etc", "/home", "/root", "/run", "/var", "/dev", "/proc", "/sys", "/workspace"};
enum { RESERVED_EXACTLY = 5 };

/* True when `path` is `above` or lies below it. */
static bool is_within(const char *path, const char *above)
{
    size_t len = strlen(above);
    return strncmp(path, above, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static int add_entry(struct rootfs *rootfs, const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_system(err, errno, "show %s to guests", path);
    for (size_t i = 0; i < rootfs->entry_count; i++)
        if (is_within(path, rootfs->entries[i].path))
            return 0;
    struct rootfs_entry *entries = reallocarray(rootfs->entries, rootfs->entry_count + 1, sizeof *rootfs->entries);
    if (entries)
        rootfs->entries = entries;
    char *copy = entries ? strdup(path) : NULL;
    if (!copy)
        return error_system(err, ENOMEM, "show %s to guests", path);
    rootfs->entries[rootfs->entry_count++] = (struct rootfs_entry){
        .path = copy,
        .kind = S_ISLNK(st.st_mode)   ? ROOTFS_LINK
                : S_ISDIR(st.st_mode) ? ROOTFS_FOLDER
                                      : ROOTFS_FILE,
    };
    return 0;
}

static int add_host_paths(struct rootfs *rootfs, struct error *err)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof host_paths / sizeof *host_paths; i++) {
        glob_t found;
        if (glob(host_paths[i], 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; result == 0 && k < found.gl_pathc; k++)
            result = add_entry(rootfs, found.gl_pathv[k], err);
        globfree(&found);
    }
    return result;
}

/* Puts `<folder>/bin`, where there is one, in front of the guest's PATH. */
static int add_to_search_path(struct rootfs *rootfs, const char *folder)
{
    AUTO_FREE char *bin = text_format("%s/bin", folder);
    if (!bin || !fs_exists(bin) || strchr(bin, ':'))
        return bin ? 0 : -1;
    char *path = text_format("%s:%s", bin, rootfs->search_path);
    if (!path)
        return -1;
    free(rootfs->search_path);
    rootfs->search_path = path;
    return 0;
}

static int add_toolchain(struct rootfs *rootfs, const char *setting, const char *path, struct error *err)
{
    struct stat st;
    if (*path != '/' || !fs_path_is_clean(path + 1) || stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, ERROR_SANDBOX, "%s: %s is not a folder named by its absolute path; correct or create it",
                         setting, path);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (is_within(reserved[i], path) || (i >= RESERVED_EXACTLY && is_within(path, reserved[i])))
            return error_set(err, ERROR_SANDBOX, "%s: guests may not see all of %s; name the toolchain's own folder",
                             setting, path);
    size_t before = rootfs->entry_count;
    if (add_entry(rootfs, path, err) < 0)
        return error_wrap(err, "%s", setting);
    if (rootfs->entry_count > before)
        rootfs->entries[before].kind = ROOTFS_FOLDER; /* also when a link leads there */
    return add_to_search_path(rootfs, path) < 0 ? error_system(err, ENOMEM, "%s", setting) : 0;
}

static int set_image(struct rootfs *rootfs, const char *image, struct error *err)
{
    struct stat st;
    if (strcmp(image, "host") == 0)
        return add_host_paths(rootfs, err);
    if (*image != '/' || stat(image, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, ERROR_SANDBOX,
                         "sandbox.image: %s is neither \"host\" nor the absolute path of an unpacked root file system",
                         image);
    rootfs->image = strdup(image);
    return rootfs->image ? 0 : error_system(err, ENOMEM, "sandbox.image");
}

int rootfs_init(struct rootfs *rootfs, const struct sandbox_config *config, const char *tools, struct error *err)
{
    struct rootfs made = {.search_path = strdup("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")};
    int result = made.search_path ? set_image(&made, config->image, err) : error_system(err, ENOMEM, "sandbox");
    if (result == 0 && tools)
        result = add_toolchain(&made, "the folder of Assay's own tools", tools, err);
    for (size_t i = config->toolchains.count; result == 0 && i-- > 0;) /* backwards: the first comes first in PATH */
        result = add_toolchain(&made, "sandbox.toolchains", config->toolchains.items[i], err);
    if (result < 0)
        rootfs_release(&made);
    else
        *rootfs = made;
    return result;
}

void rootfs_release(struct rootfs *rootfs)
{
    for (size_t i = 0; i < rootfs->entry_count; i++)
        free(rootfs->entries[i].path);
    free(rootfs->entries);
    free(rootfs->search_path);
    free(rootfs->image);
    *rootfs = (struct rootfs){0};
}
