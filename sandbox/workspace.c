#include "sandbox/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/fs.h"

enum {
    GUEST_ID = 65532, /* belongs to nobody: systemd and the distributions leave it free; "nonroot" in many images */
    OWN_FOLDER_BYTES = 16 << 20,
    BYTES_PER_INODE = 8192,
    INODES_MIN = 1024,
    NO_ROOM_BYTES = 65536, /* less than this is "full": a large write fails before the last page is taken */
    NO_ROOM_INODES = 2,    /* an overlay needs a second one to copy a file up */
};

int workspace_init(struct workspace *workspace, const struct sandbox_config *config, const char *tools,
                   struct error *err)
{
    bool root = geteuid() == 0;
    struct workspace made = {
        .disk = config->disk,
        .user_namespace = !root,
        .uid = root ? GUEST_ID : 0, /* without root the only user there is; it has no capability all the same */
        .gid = root ? GUEST_ID : 0,
    };
    if (rootfs_init(&made.rootfs, config, tools, err) < 0)
        return -1;
    *workspace = made;
    return 0;
}

void workspace_release(struct workspace *workspace)
{
    rootfs_release(&workspace->rootfs);
}

static int mount_memory(const char *at, int64_t size, unsigned mode, struct error *err)
{
    char options[128];
    int64_t inodes = size / BYTES_PER_INODE > INODES_MIN ? size / BYTES_PER_INODE : INODES_MIN;
    snprintf(options, sizeof options, "size=%" PRId64 ",nr_inodes=%" PRId64 ",mode=%o", size, inodes, mode);
    if (mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return error_system(err, errno, "mount a memory file system on %s", at);
    return 0;
}

/* Into a file of /proc, which wants all in one write. */
static int write_text(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) >= 0 ? 0 : -1;
}

/* Becomes root of a user namespace in which our own user is the only one. */
static int enter_user_namespace(struct error *err)
{
    char uid_map[64], gid_map[64];
    snprintf(uid_map, sizeof uid_map, "0 %u 1", geteuid());
    snprintf(gid_map, sizeof gid_map, "0 %u 1", getegid());
    prctl(PR_SET_DUMPABLE, 1); /* or /proc/self is root's, in a program that has changed its user or hides its memory */
    if (unshare(CLONE_NEWUSER) < 0)
        return error_set(err, ERROR_SANDBOX,
                         "this user may not make a user namespace (%s); allow it (sysctl user.max_user_namespaces, "
                         "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0), or run "
                         "Assay as root",
                         strerrordesc_np(errno));
    if (write_text("/proc/self/setgroups", "deny") < 0 || write_text("/proc/self/uid_map", uid_map) < 0 ||
        write_text("/proc/self/gid_map", gid_map) < 0)
        return error_system(err, errno, "map this user into its user namespace");
    return 0;
}

int workspace_enter(const struct workspace *workspace, const char *folder, struct error *err)
{
    if (workspace->user_namespace && enter_user_namespace(err) < 0)
        return -1;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_set(err, ERROR_SANDBOX,
                         "no mount namespace of its own for the guest (%s); in a container, Assay needs CAP_SYS_ADMIN "
                         "or user namespaces",
                         strerrordesc_np(errno));
    if (mount_memory(folder, OWN_FOLDER_BYTES, 0755, err) < 0)
        return -1;
    return chdir(folder) == 0 ? 0 : error_system(err, errno, "enter %s", folder);
}

/* Opens `path` below rootfs as the guest would, so that a link in an image cannot lead out of it. -1 with errno. */
static int open_in_root(int rootfs, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, rootfs, path, &how, sizeof how);
}

/* Opens the place where something will be mounted; makes it, and the folders above it, where missing. */
static int open_place(const char *path, bool folder, struct error *err)
{
    AUTO_CLOSE int rootfs = open("rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_FREE char *copy = strdup(path);
    int at = -1;
    for (char *step = copy; rootfs >= 0 && step; *step = '/') {
        AUTO_CLOSE int above = at;
        char *name = step + 1;
        step = strchr(name, '/');
        if (step)
            *step = '\0';
        at = open_in_root(rootfs, copy);
        if (at < 0 && errno == ENOENT) {
            int parent = above < 0 ? rootfs : above;
            int made = step || folder ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0);
            at = made < 0 ? -1 : open_in_root(rootfs, copy);
        }
        if (at < 0 || !step)
            break;
    }
    return at >= 0 ? at : error_system(err, errno, "make %s in the guest's root", path);
}

/* Mounts a copy of what is at `from` on the open place. */
static int attach(const char *from, struct mount_attr *attr, int place, struct error *err)
{
    /* An id-mapped tree is taken without mounts below it; elsewhere the kernel wants them along. */
    unsigned recursive = attr->attr_set & MOUNT_ATTR_IDMAP ? 0 : AT_RECURSIVE;
    AUTO_CLOSE int tree = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
    if (tree < 0)
        return error_system(err, errno, "show %s to the guest", from);
    if (mount_setattr(tree, "", AT_EMPTY_PATH | recursive, attr, sizeof *attr) < 0)
        return error_set(err, ERROR_SANDBOX, "show %s to the guest %s: %s; %s", from,
                         recursive ? "read-only" : "as its own", strerrordesc_np(errno),
                         recursive ? "Linux 5.12 or later is needed"
                                   : "keep state_dir on a file system with id-mapped mounts (ext4, xfs, btrfs; tmpfs "
                                     "since Linux 6.3), or run Assay as a user that is not root");
    if (move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return error_system(err, errno, "show %s to the guest", from);
    return 0;
}

#define READ_ONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* Shows a path of ours at a path of the guest. */
static int show(const char *from, const char *to, bool folder, unsigned attributes, struct error *err)
{
    struct mount_attr attr = {.attr_set = attributes};
    AUTO_CLOSE int place = open_place(to, folder, err);
    return place < 0 ? -1 : attach(from, &attr, place, err);
}

static int show_entry(const struct rootfs_entry *entry, struct error *err)
{
    if (entry->kind != ROOTFS_LINK)
        return show(entry->path, entry->path, entry->kind == ROOTFS_FOLDER, READ_ONLY, err);
    char target[PATH_MAX], link[PATH_MAX];
    ssize_t len = readlink(entry->path, target, sizeof target - 1);
    target[len < 0 ? 0 : len] = '\0';
    snprintf(link, sizeof link, "rootfs%s", entry->path);
    if (len < 0 || symlink(target, link) < 0)
        return error_system(err, errno, "make the link %s in the guest's root", entry->path);
    return 0;
}

/* The accounts and names that programs look up. */
static int write_etc(const struct workspace *workspace, struct error *err)
{
    char passwd[160], group[64];
    snprintf(passwd, sizeof passwd, "%sguest:x:%u:%u:guest:/tmp:/bin/sh\n",
             workspace->uid ? "root:x:0:0:root:/:/usr/sbin/nologin\n" : "", workspace->uid, workspace->gid);
    snprintf(group, sizeof group, "guest:x:%u:\n", workspace->gid);
    const struct {
        const char *path, *text;
    } files[] = {
        {"etc/passwd", passwd},
        {"etc/group", group},
        {"etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n"},
        {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (fs_write_beneath("rootfs", files[i].path, files[i].text, strlen(files[i].text), false, err) < 0)
            return -1;
    return 0;
}

/* With root, a folder of a lower layer can be renamed. In a user namespace it cannot (rename(2) says EXDEV, which mv
 * and the like expect), and before Linux 6.6, whose tmpfs has no user attributes, a folder that was removed cannot be
 * made again. */
static int mount_overlay(const char *at, const char *layers, const struct workspace *workspace, struct error *err)
{
    bool user = workspace->user_namespace;
    AUTO_FREE char *options = text_format("%s,%s", layers, user ? "userxattr" : "redirect_dir=on");
    if (!options)
        return error_system(err, ENOMEM, "mount an overlay");
    if (mount("overlay", at, "overlay", MS_NOSUID | MS_NODEV, options) < 0)
        return error_set(err, ERROR_SANDBOX,
                         "cannot mount an overlay file system on %s: %s; the kernel needs overlayfs (modprobe overlay) "
                         "and must be Linux %s or later",
                         at, strerrordesc_np(errno), user ? "5.11" : "5.19");
    return 0;
}

/* An image gets a writable layer of its own, for the places that it lacks; the guest sees all of it read-only. */
static int mount_image(const struct workspace *workspace, struct error *err)
{
    struct mount_attr attr = {.attr_set = READ_ONLY};
    if (mkdir("image", 0755) < 0 || mkdir("places", 0755) < 0 || mkdir("places-work", 0755) < 0)
        return error_system(err, errno, "make the guest's root");
    AUTO_CLOSE int image = open("image", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (image < 0)
        return error_system(err, errno, "make the guest's root");
    if (attach(workspace->rootfs.image, &attr, image, err) < 0)
        return -1;
    return mount_overlay("rootfs", "lowerdir=image,upperdir=places,workdir=places-work", workspace, err);
}

static int mount_root(const struct workspace *workspace, struct error *err)
{
    const struct rootfs *rootfs = &workspace->rootfs;
    static const char *const places[] = {"/proc", "/dev", "/sys"};
    if (mkdir("rootfs", 0755) < 0 || mkdir("tmp", 0755) < 0)
        return error_system(err, errno, "make the guest's root");
    if (rootfs->image ? mount_image(workspace, err) < 0 : write_etc(workspace, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        AUTO_CLOSE int place = open_place(places[i], true, err);
        if (place < 0)
            return -1;
    }
    if (mount_memory("tmp", workspace->disk, 01777, err) < 0 || show("tmp", "/tmp", true, 0, err) < 0)
        return -1;
    for (size_t i = 0; i < rootfs->entry_count; i++)
        if (show_entry(&rootfs->entries[i], err) < 0)
            return -1;
    return 0;
}

/* Lives as long as it takes to open its user namespace, in which `from` on disk is `to` seen through a mount. */
static pid_t start_namespace_holder(int ready)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWUSER) == 0 && write(ready, "", 1) == 1)
        pause();
    _exit(1);
}

static int map_ids(pid_t holder, const char *file, unsigned from, unsigned to)
{
    char path[64], map[64];
    snprintf(path, sizeof path, "/proc/%d/%s", holder, file);
    snprintf(map, sizeof map, "%u %u 1", from, to);
    return write_text(path, map);
}

/* An open user namespace for id-mapped mounts: the tree's owner becomes the guest. -1 with errno. */
static int open_owner_map(const struct workspace *workspace, const struct stat *tree)
{
    int ready[2], map = -1;
    char byte, path[64];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return -1;
    pid_t holder = start_namespace_holder(ready[1]);
    close(ready[1]);
    ssize_t told = holder > 0 ? read(ready[0], &byte, 1) : -1;
    if (told == 0)
        errno = ESRCH; /* it was killed */
    if (told == 1 && map_ids(holder, "uid_map", tree->st_uid, workspace->uid) == 0 &&
        map_ids(holder, "gid_map", tree->st_gid, workspace->gid) == 0) {
        snprintf(path, sizeof path, "/proc/%d/ns/user", holder);
        map = open(path, O_RDONLY | O_CLOEXEC);
    }
    int errnum = errno;
    close(ready[0]);
    if (holder > 0) {
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
    }
    errno = errnum;
    return map;
}

/* Shows the tree at "lower", owned by the guest whoever owns it on disk, so that the guest can change all of it. */
static int mount_tree(const struct workspace *workspace, const char *tree, struct error *err)
{
    struct stat st;
    struct mount_attr attr = {.attr_set = READ_ONLY};
    AUTO_CLOSE int place = open("lower", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place < 0 || stat(tree, &st) < 0)
        return error_system(err, errno, "show the tree %s to the guest", tree);
    AUTO_CLOSE int owner = -1;
    if (!workspace->user_namespace) {
        if ((owner = open_owner_map(workspace, &st)) < 0)
            return error_system(err, errno, "make a user namespace for the guest's files");
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (unsigned)owner;
    }
    return attach(tree, &attr, place, err);
}

/* The layer above the tree starts with the request's files, which belong to the guest. */
static int write_files(const struct workspace *workspace, const struct sandbox_request *request, struct error *err)
{
    setfsuid(workspace->uid);
    setfsgid(workspace->gid);
    int result = 0;
    for (size_t i = 0; result == 0 && i < request->file_count; i++) {
        const struct sandbox_file *file = &request->files[i];
        bool script = file->len > 2 && memcmp(file->data, "#!", 2) == 0;
        result = fs_write_beneath("disk/upper", file->path, file->data, file->len, script, err);
    }
    setfsuid(geteuid());
    setfsgid(getegid());
    return result < 0 ? error_wrap(err, "put a file into the guest's tree") : 0;
}

int workspace_mount(const struct workspace *workspace, const char *tree, const struct sandbox_request *request,
                    struct error *err)
{
    static const char *const owned[] = {"lower", "disk/upper"};
    if (mount_root(workspace, err) < 0)
        return -1;
    if (mkdir("disk", 0755) < 0 || mkdir("merged", 0755) < 0)
        return error_system(err, errno, "make the guest's tree");
    if (mount_memory("disk", workspace->disk, 0755, err) < 0)
        return -1;
    if (mkdir("disk/work", 0755) < 0)
        return error_system(err, errno, "make the guest's tree");
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        if (mkdir(owned[i], 0755) < 0 || chown(owned[i], workspace->uid, workspace->gid) < 0)
            return error_system(err, errno, "make the guest's tree");
    if (write_files(workspace, request, err) < 0 || (tree && mount_tree(workspace, tree, err) < 0) ||
        mount_overlay("merged", "lowerdir=lower,upperdir=disk/upper,workdir=disk/work", workspace, err) < 0)
        return -1;
    return show("merged", "/workspace", true, 0, err);
}

bool workspace_is_full(void)
{
    static const char *const places[] = {"disk", "tmp"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct statvfs fs;
        if (statvfs(places[i], &fs) == 0 && (fs.f_bfree * fs.f_frsize < NO_ROOM_BYTES || fs.f_ffree < NO_ROOM_INODES))
            return true;
    }
    return false;
}

int workspace_read(const char *path, struct buf *out, struct error *err)
{
    return fs_read_beneath("merged", path, out, err);
}
