/* Files, with untrusted trees in mind.
 *
 * The "beneath" calls resolve a relative path below a directory and refuse "..", absolute paths and
 * every symbolic link on the way (openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so a tree that
 * a model or a guest has written cannot lead us outside.
 */
#ifndef APP_BASE_FS_H
#define APP_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"

/* True for a path that may name a file inside a repository: relative, "/"-separated, no empty, "." or
 * ".." step, no ".git" step (any case), no backslash or control character, at most 1,024 bytes. */
bool fs_path_is_clean(const char *path);

/* Appends the file's bytes to `out`, whose cap is the limit. A path that fs_path_is_clean() refuses, a
 * link or anything but a regular file is ERROR_INPUT, a missing file ERROR_NOT_FOUND, a larger one ERROR_LIMIT. */
int fs_read_beneath(const char *root, const char *path, struct buf *out, struct error *err);

/* Creates or replaces a file and its missing parents below root, mode 0644, or 0755 when `executable`. */
int fs_write_beneath(const char *root, const char *path, const void *data, size_t len, bool executable,
                     struct error *err);

/* A regular file of ours (configuration, key): links are followed. */
int fs_read(const char *path, struct buf *out, struct error *err);

/* Writes beside the target, syncs, renames: the file is old or new, never half. `mode` as for chmod. */
int fs_write_atomic(const char *path, const void *data, size_t len, unsigned mode, struct error *err);

/* All of it, however often write(2) stops short: 0, or -1 with errno. */
int fs_write_all(int fd, const void *data, size_t len);

int fs_make_dirs(const char *path, unsigned mode, struct error *err); /* like mkdir -p */
int fs_remove_tree(const char *path, struct error *err); /* a missing path is fine; links are removed, not followed */
/* What the tree takes on disk, in bytes; links are not followed, what cannot be read counts as nothing. */
int64_t fs_disk_usage(const char *path);
bool fs_exists(const char *path);

/* A fresh private directory `<parent>/<prefix>XXXXXX`; heap text, owned by the caller. */
char *fs_make_temp_dir(const char *parent, const char *prefix, struct error *err);

/* Calls `each` with every regular file below root (paths relative to it, sorted, ".git" left out, links
 * not followed), at most `max` of them; stops when it returns non-zero and returns that. ERROR_LIMIT past max. */
int fs_walk(const char *root, size_t max, int (*each)(void *context, const char *path), void *context,
            struct error *err);

#endif
