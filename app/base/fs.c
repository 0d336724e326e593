#include "app/base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/base/digest.h"

enum {
    PATH_BYTES_MAX = 1024,
    WALK_DEPTH_MAX = 128,
    REMOVE_DEPTH_MAX = 64, /* open directories while removing a tree */
    REMOVE_ROUNDS_MAX = 1 << 16,
    OPEN_TRIES = 16, /* openat2(2) answers EAGAIN when something was renamed meanwhile */
};

static bool step_is_clean(const char *step, size_t len)
{
    if (len == 0 || (len <= 2 && memcmp(step, "..", len) == 0) || (len == 4 && strncasecmp(step, ".git", 4) == 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)step[i] < ' ' || step[i] == 0x7f || step[i] == '\\')
            return false;
    return true;
}

bool fs_path_is_clean(const char *path)
{
    if (!path || !*path || strnlen(path, PATH_BYTES_MAX + 1) > PATH_BYTES_MAX)
        return false;
    for (const char *step = path;; step++) {
        size_t len = strcspn(step, "/");
        if (!step_is_clean(step, len))
            return false;
        step += len;
        if (!*step)
            return true;
    }
}

static int need_clean(const char *path, struct error *err)
{
    if (fs_path_is_clean(path))
        return 0;
    return error_set(err, ERROR_INPUT, "\"%.200s\" is not a path that a file of a repository may have",
                     path ? path : "");
}

/* open(2) below `dir` that neither leaves it nor passes a link. */
static int open_beneath(int dir, const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    for (int i = 0; i < OPEN_TRIES; i++) {
        fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return (int)fd;
}

static int open_root(const char *root, struct error *err)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_NOT_FOUND, "there is no directory %s", root);
    return fd < 0 ? error_system(err, errno, "open directory %s", root) : fd;
}

static int open_failed(int errnum, const char *doing, const char *path, struct error *err)
{
    if (errnum == ENOENT || errnum == ENOTDIR)
        return error_set(err, ERROR_NOT_FOUND, "%s %s: there is no such file", doing, path);
    if (errnum == ELOOP || errnum == EXDEV)
        return error_set(err, ERROR_INPUT, "%s %s: a symbolic link is in the way", doing, path);
    if (errnum == ENXIO)
        return error_set(err, ERROR_INPUT, "%s %s: it is not a regular file", doing, path);
    return error_system(err, errnum, "%s %s", doing, path);
}

/* Appends all of `fd` to `out`; on failure `out` is as before. */
static int read_all(int fd, const char *path, struct buf *out, struct error *err)
{
    char chunk[16384];
    size_t before = out->len;
    int result = -1;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error_system(err, errno, "read %s", path);
        else if (got == 0)
            result = 0;
        else if ((size_t)got > out->max - out->len)
            error_set(err, ERROR_LIMIT, "read %s: it is larger than the %zu bytes allowed", path, out->max);
        else if (buf_add(out, chunk, (size_t)got) < 0)
            error_set(err, ERROR_IO, "read %s: out of memory", path);
        else
            continue;
        break;
    }
    explicit_bzero(chunk, sizeof chunk); /* it may have been a key */
    if (result < 0 && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return result;
}

static int read_regular(int fd, const char *path, struct buf *out, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_system(err, errno, "read %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "read %s: it is not a regular file", path);
    return read_all(fd, path, out, err);
}

int fs_read_beneath(const char *root, const char *path, struct buf *out, struct error *err)
{
    if (need_clean(path, err) < 0)
        return -1;
    AUTO_CLOSE int dir = open_root(root, err);
    if (dir < 0)
        return -1;
    /* O_NONBLOCK: opening a pipe that a guest left there must not wait for a writer. */
    AUTO_CLOSE int fd = open_beneath(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return open_failed(errno, "read", path, err);
    return read_regular(fd, path, out, err);
}

int fs_read(const char *path, struct buf *out, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(errno, "read", path, err);
    return read_regular(fd, path, out, err);
}

int fs_write_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

/* Writes a new file beside `name` in `dir` and moves it into place, so that an old file's other names
 * (hard links), readers and type do not matter. -1 with errno. */
static int replace_file(int dir, const char *name, const void *data, size_t len, mode_t mode, bool sync)
{
    char id[RANDOM_ID_SIZE];
    char temporary[sizeof ".assay-" + RANDOM_ID_SIZE];
    snprintf(temporary, sizeof temporary, ".assay-%s", random_id(id));
    AUTO_CLOSE int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (fs_write_all(fd, data, len) == 0 && fchmod(fd, mode) == 0 && (!sync || fsync(fd) == 0) &&
        renameat(dir, temporary, dir, name) == 0)
        return 0;
    int errnum = errno;
    unlinkat(dir, temporary, 0);
    errno = errnum;
    return -1;
}

/* Opens (and makes, where missing) the directory that is to hold `path`; `*name` becomes the last step. */
static int open_parent(const char *root, const char *path, const char **name, struct error *err)
{
    int dir = open_root(root, err);
    const char *step = path;
    for (size_t len; dir >= 0 && step[len = strcspn(step, "/")]; step += len + 1) {
        AUTO_FREE char *one = strndup(step, len);
        AUTO_CLOSE int above = dir;
        if (!one || (mkdirat(above, one, 0755) < 0 && errno != EEXIST))
            return error_system(err, one ? errno : ENOMEM, "make the directories of %s", path);
        dir = open_beneath(above, one, O_PATH | O_DIRECTORY);
        if (dir < 0 && (errno == ENOTDIR || errno == ELOOP))
            return error_set(err, ERROR_INPUT, "write %s: %s is not a directory", path, one);
        if (dir < 0)
            return open_failed(errno, "write", path, err);
    }
    *name = step;
    return dir;
}

int fs_write_beneath(const char *root, const char *path, const void *data, size_t len, bool executable,
                     struct error *err)
{
    if (need_clean(path, err) < 0)
        return -1;
    const char *name = path;
    AUTO_CLOSE int dir = open_parent(root, path, &name, err);
    if (dir < 0)
        return -1;
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "write %s: what is there is not a regular file", path);
    if (replace_file(dir, name, data, len, executable ? 0755 : 0644, false) < 0)
        return error_system(err, errno, "write %s", path);
    return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t len, unsigned mode, struct error *err)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *parent = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    AUTO_CLOSE int dir = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir < 0 || replace_file(dir, slash ? slash + 1 : path, data, len, (mode_t)mode, true) < 0 || fsync(dir) < 0)
        return error_system(err, errno, "write %s", path);
    return 0;
}

int fs_make_dirs(const char *path, unsigned mode, struct error *err)
{
    AUTO_FREE char *copy = strdup(path);
    if (!copy)
        return error_system(err, ENOMEM, "make directory %s", path);
    for (char *at = copy + 1; *copy; at++) {
        char c = *at;
        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, (mode_t)mode) < 0 && errno != EEXIST)
            return error_system(err, errno, "make directory %s", copy);
        *at = c;
        if (c == '\0')
            break;
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return error_system(err, errno, "make directory %s", path);
    return S_ISDIR(st.st_mode) ? 0 : error_set(err, ERROR_IO, "make directory %s: a file has that name", path);
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *fs_make_temp_dir(const char *parent, const char *prefix, struct error *err)
{
    AUTO_FREE char *path = text_format("%s/%sXXXXXX", parent, prefix);
    if (path && mkdtemp(path))
        return STEAL(path);
    error_system(err, path ? errno : ENOMEM, "make a directory in %s", parent);
    return NULL;
}

static DIR *open_dir(int above, const char *name)
{
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(above, name, 0700, 0) == 0)
        fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    if (dir)
        (void)!fchmod(fd, 0700); /* where it fails, removing the entries will say why */
    return dir;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties and removes the directory `name` in `above`. A guest can nest directories without end, so those below
 * REMOVE_DEPTH_MAX are moved up to `top` under a fresh name and removed by the caller's next round. -1 with errno. */
static int remove_dir(int above, const char *name, int top, int depth)
{
    DIR *dir = open_dir(above, name);
    if (!dir)
        return -1;
    int fd = dirfd(dir);
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));) {
        if (is_dots(entry->d_name))
            continue;
        result = unlinkat(fd, entry->d_name, 0);
        if (result == 0 || (errno != EISDIR && errno != EPERM))
            continue;
        if (depth < REMOVE_DEPTH_MAX) {
            result = remove_dir(fd, entry->d_name, top, depth + 1);
            continue;
        }
        char id[RANDOM_ID_SIZE];
        result = renameat(fd, entry->d_name, top, random_id(id));
    }
    int errnum = errno;
    closedir(dir);
    errno = errnum;
    return result < 0 ? -1 : unlinkat(above, name, AT_REMOVEDIR);
}

int fs_remove_tree(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_system(err, errno, "remove %s", path);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) == 0 || errno == ENOENT ? 0 : error_system(err, errno, "remove %s", path);
    AUTO_CLOSE int top = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return error_system(err, errno, "remove %s", path);
    /* Each round shortens the deepest branch by REMOVE_DEPTH_MAX, and ENOTEMPTY says that one was moved up. */
    for (int round = 1; remove_dir(AT_FDCWD, path, top, 0) < 0; round++)
        if (errno != ENOTEMPTY || round == REMOVE_ROUNDS_MAX)
            return error_system(err, errno, "remove %s", path);
    return 0;
}

struct walk {
    char **paths;
    size_t count, size, max;
    struct error *err;
};

static int walk_add(struct walk *walk, char *path)
{
    if (walk->count == walk->max) {
        free(path);
        return error_set(walk->err, ERROR_LIMIT, "there are more than the %zu files allowed", walk->max);
    }
    if (walk->count == walk->size) {
        size_t size = walk->size ? walk->size * 2 : 64;
        char **paths = reallocarray(walk->paths, size, sizeof *paths);
        if (!paths) {
            free(path);
            return error_system(walk->err, ENOMEM, "list files");
        }
        walk->paths = paths;
        walk->size = size;
    }
    walk->paths[walk->count++] = path;
    return 0;
}

static int walk_dir(struct walk *walk, int above, const char *name, const char *path, int depth);

static int walk_entry(struct walk *walk, int dir, const char *name, const char *path, int depth)
{
    struct stat st;
    if (is_dots(name) || strcasecmp(name, ".git") == 0)
        return 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_system(walk->err, errno, "list %s/%s", path, name);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;
    AUTO_FREE char *below = text_format("%s%s%s", path, *path ? "/" : "", name);
    if (!below)
        return error_system(walk->err, ENOMEM, "list %s", path);
    return S_ISDIR(st.st_mode) ? walk_dir(walk, dir, name, below, depth + 1) : walk_add(walk, STEAL(below));
}

static int walk_dir(struct walk *walk, int above, const char *name, const char *path, int depth)
{
    if (depth > WALK_DEPTH_MAX)
        return error_set(walk->err, ERROR_LIMIT, "directories are nested deeper than the %d levels allowed",
                         WALK_DEPTH_MAX);
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0);
    int fd = openat(above, name, flags);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        error_system(walk->err, errno, "list %s", depth ? path : name);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        result = walk_entry(walk, fd, entry->d_name, path, depth);
    closedir(dir);
    return result;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int fs_walk(const char *root, size_t max, int (*each)(void *context, const char *path), void *context,
            struct error *err)
{
    struct walk walk = {.max = max, .err = err};
    int result = walk_dir(&walk, AT_FDCWD, root, "", 0);
    if (result == 0 && walk.count)
        qsort(walk.paths, walk.count, sizeof *walk.paths, by_path);
    for (size_t i = 0; result == 0 && i < walk.count; i++)
        result = each(context, walk.paths[i]);
    for (size_t i = 0; i < walk.count; i++)
        free(walk.paths[i]);
    free(walk.paths);
    return result;
}

int64_t fs_disk_usage(const char *path)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int64_t blocks = 0;
    for (FTSENT *entry; walk && (entry = fts_read(walk));)
        if (entry->fts_info != FTS_DP && entry->fts_info != FTS_NS)
            blocks += entry->fts_statp->st_blocks;
    if (walk)
        fts_close(walk);
    return blocks * 512;
}
