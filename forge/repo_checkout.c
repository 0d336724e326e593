/* Writes a commit's tree into a directory, as plain files: no .git, no filters, no hooks.
 *
 * The tree is outside data. Files go through fs_write_beneath(), which follows no link. Links are written last, so
 * that nothing can be written through them, and only when they stay inside. Counts and bytes are bounded, because a
 * few hundred bytes of nested trees can name billions of files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "forge/repo_internal.h"

#define ENTRIES_MAX 500000
#define BYTES_MAX   ((uint64_t)8 * 1024 * 1024 * 1024)
#define DEPTH_MAX   512  /* a path of fs_path_is_clean() has no more steps */
#define PATH_SIZE   1024 /* fs_path_is_clean() allows no more */

struct link {
    char *path, *target;
};

struct checkout {
    struct repo *repo;
    const char *directory;
    struct buf path; /* of the entry being written, relative */
    uint64_t bytes;
    struct link *links;
    size_t link_count;
};

static void checkout_release(struct checkout *checkout)
{
    for (size_t i = 0; i < checkout->link_count; i++) {
        free(checkout->links[i].path);
        free(checkout->links[i].target);
    }
    free(checkout->links);
    buf_release(&checkout->path);
}

/* A relative target that climbs only at its start, never above the top, and does not lead into .git. (A ".." behind a
 * name could climb out of what another link of the tree points to.) */
static bool is_harmless(const char *path, const char *target)
{
    size_t depth = 0;
    bool named = false;
    for (const char *at = path; (at = strchr(at, '/')); at++)
        depth++;
    if (!*target || *target == '/' || strlen(target) >= PATH_SIZE)
        return false;
    for (size_t len; *target; target += len + (target[len] == '/')) {
        len = strcspn(target, "/");
        if (len == 2 && !strncmp(target, "..", 2)) {
            if (named || depth-- == 0)
                return false;
        } else if (len > 0 && !(len == 1 && *target == '.')) {
            named = true;
            if (len == 4 && !strncasecmp(target, ".git", 4))
                return false;
        }
    }
    return true;
}

static int keep_link(struct checkout *checkout, const char *path, const git_blob *blob, struct error *err)
{
    AUTO_FREE char *target = strndup(git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    if (target && (strlen(target) != (size_t)git_blob_rawsize(blob) || !is_harmless(path, target)))
        return 0;
    struct link *links = reallocarray(checkout->links, checkout->link_count + 1, sizeof *links);
    if (links)
        checkout->links = links;
    char *copy = strdup(path);
    if (!links || !copy || !target) {
        free(copy);
        return error_set(err, ERROR_INTERNAL, "out of memory for link %s", path);
    }
    links[checkout->link_count++] = (struct link){.path = copy, .target = STEAL(target)};
    return 0;
}

static int write_blob(struct checkout *checkout, const git_tree_entry *entry, const char *path, struct error *err)
{
    REPO_AUTO(git_blob) *blob = NULL;
    git_filemode_t mode = git_tree_entry_filemode(entry);
    int status = git_blob_lookup(&blob, checkout->repo->git, git_tree_entry_id(entry));
    if (status < 0)
        return repo_git_error(err, status, ERROR_IO, "file %s", path);
    git_object_size_t size = git_blob_rawsize(blob);
    checkout->bytes += size;
    if (checkout->bytes > BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %llu bytes", (unsigned long long)BYTES_MAX);
    if (mode == GIT_FILEMODE_LINK)
        return keep_link(checkout, path, blob, err);
    return fs_write_beneath(checkout->directory, path, git_blob_rawcontent(blob), (size_t)size,
                            mode == GIT_FILEMODE_BLOB_EXECUTABLE, err);
}

/* Before anything is written: would it be too much? */
static int count_entries(struct repo *repo, const git_tree *tree, size_t depth, size_t *count, struct error *err)
{
    size_t here = git_tree_entrycount(tree);
    *count += here;
    if (*count > ENTRIES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d entries", ENTRIES_MAX);
    for (size_t i = 0; i < here && depth < DEPTH_MAX; i++) {
        REPO_AUTO(git_tree) *below = NULL;
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        if (git_tree_entry_type(entry) != GIT_OBJECT_TREE)
            continue;
        int status = git_tree_lookup(&below, repo->git, git_tree_entry_id(entry));
        if (status < 0)
            return repo_git_error(err, status, ERROR_IO, "directory %s", git_tree_entry_name(entry));
        if (count_entries(repo, below, depth + 1, count, err) < 0)
            return -1;
    }
    return 0;
}

static int write_tree(struct checkout *checkout, const git_tree *tree, struct error *err);

static int write_entry(struct checkout *checkout, const git_tree_entry *entry, struct error *err)
{
    const char *path = buf_text(&checkout->path);
    REPO_AUTO(git_tree) *tree = NULL;
    if (checkout->path.failed || !fs_path_is_clean(path))
        return 0; /* left out: unsafe to check out */
    switch (git_tree_entry_type(entry)) {
    case GIT_OBJECT_BLOB:
        return write_blob(checkout, entry, path, err);
    case GIT_OBJECT_TREE: {
        int status = git_tree_lookup(&tree, checkout->repo->git, git_tree_entry_id(entry));
        if (status < 0)
            return repo_git_error(err, status, ERROR_IO, "directory %s", path);
        return write_tree(checkout, tree, err);
    }
    default: /* a submodule's commit */
        return 0;
    }
}

/* The depth of recursion is bounded by the length that a path may have. */
static int write_tree(struct checkout *checkout, const git_tree *tree, struct error *err)
{
    struct buf *path = &checkout->path;
    size_t len = path->len;
    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        if (len)
            buf_putc(path, '/');
        buf_puts(path, git_tree_entry_name(entry));
        if (write_entry(checkout, entry, err) < 0)
            return -1;
        path->failed = false;
        path->len = len;
        if (path->data)
            path->data[len] = '\0';
    }
    return 0;
}

/* The directory that holds `path`, made step by step without following a link; its descriptor, or -1. */
static int open_parent(const char *directory, const char *path)
{
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        AUTO_FREE char *step = strndup(path, (size_t)(slash - path));
        AUTO_CLOSE int above = at;
        at = -1;
        if (step && (mkdirat(above, step, 0755) == 0 || errno == EEXIST))
            at = openat(above, step, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    return at;
}

static int write_links(const struct checkout *checkout, struct error *err)
{
    for (size_t i = 0; i < checkout->link_count; i++) {
        const struct link *link = &checkout->links[i];
        const char *slash = strrchr(link->path, '/');
        AUTO_CLOSE int parent = open_parent(checkout->directory, link->path);
        /* In the way: a tree that names the same path as a file and as a link. It is left out like other odd paths. */
        if (parent < 0 && (errno == ELOOP || errno == ENOTDIR))
            continue;
        if (parent < 0 || (symlinkat(link->target, parent, slash ? slash + 1 : link->path) < 0 && errno != EEXIST))
            return error_system(err, errno, "link %s", link->path);
    }
    return 0;
}

static int check_empty(const char *directory, struct error *err)
{
    if (fs_make_dirs(directory, 0755, err) < 0)
        return -1;
    DIR *open_directory = opendir(directory);
    if (!open_directory)
        return error_system(err, errno, "open %s", directory);
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(open_directory));)
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    closedir(open_directory);
    return empty ? 0 : error_set(err, ERROR_CONFLICT, "%s is not empty", directory);
}

int repo_checkout(struct repo *repo, const char *commit, const char *directory, struct error *err)
{
    REPO_AUTO(git_tree) *tree = repo_tree_of(repo, commit, err);
    size_t count = 0;
    if (!tree || count_entries(repo, tree, 0, &count, err) < 0 || check_empty(directory, err) < 0)
        return error_wrap(err, "check out %.12s", commit);
    struct checkout checkout = {.repo = repo, .directory = directory, .path = BUF_INIT(2 * PATH_SIZE)};
    int result = write_tree(&checkout, tree, err);
    if (result == 0)
        result = write_links(&checkout, err);
    checkout_release(&checkout);
    return result < 0 ? error_wrap(err, "check out %.12s", commit) : 0;
}
