#include "forge/repo.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "forge/repo_internal.h"

#define LOCK_POLL_MS 50

int repo_git_error(struct error *err, int status, enum error_code code, const char *format, ...)
{
    const git_error *last = git_error_last();
    AUTO_FREE char *what = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&what, format, args) < 0)
        what = NULL;
    va_end(args);
    return error_set(err, status == GIT_ENOTFOUND ? ERROR_NOT_FOUND : code, "%s: %s", what ? what : "git",
                     last && last->message ? last->message : "libgit2 gives no reason");
}

/* No configuration but the repository's own: what a job does must not depend on whose machine it runs on. */
static int forget_user_configuration(void)
{
    static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                                                GIT_CONFIG_LEVEL_PROGRAMDATA};
    int status = 0;
    for (size_t i = 0; !status && i < sizeof levels / sizeof levels[0]; i++)
        status = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    return status;
}

int repo_library_start(struct error *err)
{
    int status = git_libgit2_init();
    if (status >= 0)
        status = forget_user_configuration();
    /* Mirrors are ours; for a person's repository repo_open() looks itself: without any user configuration libgit2 1.5
     * reports a foreign owner as a missing setting. */
    if (status >= 0)
        status = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    if (status < 0)
        return repo_git_error(err, status, ERROR_INTERNAL, "start libgit2");
    return 0;
}

void repo_library_stop(void)
{
    git_libgit2_shutdown();
}

/* ---- opening ---- */

/* Takes a descriptor out of its clean-up variable, as STEAL() does for pointers. */
static int hand_over(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static int take_lock(const char *path, int64_t timeout_ms, struct error *err)
{
    AUTO_FREE char *name = text_format("%s.lock", path);
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    AUTO_CLOSE int fd = name ? open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd < 0)
        return error_system(err, errno, "open the lock of mirror %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_system(err, errno, "lock mirror %s", path);
        if (clock_monotonic_ms() >= deadline) {
            char limit[CLOCK_TEXT_SIZE];
            error_set(err, ERROR_TIMEOUT, "lock mirror %s: another job has held it for %s", path,
                      clock_duration(timeout_ms, limit));
            return error_retry(err, 0);
        }
        clock_sleep_ms(LOCK_POLL_MS);
    }
    futimens(fd, NULL); /* when the mirror was used last */
    return hand_over(&fd);
}

/* Git's own lock files and half-written objects are left behind by a killed process. Ours is the only process here
 * while we hold the mirror's lock, so any that exist are stale. (No branch can end in ".lock".) */
static int remove_lock(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)walk;
    size_t len = strlen(path);
    if (type == FTW_F && len > 5 && !strcmp(path + len - 5, ".lock"))
        unlink(path);
    return 0;
}

static int remove_half_written(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    const char *name = path + walk->base;
    if (type == FTW_F && (!strncmp(name, "pack_git2_", 10) || !strncmp(name, "tmp_", 4)))
        unlink(path);
    return 0;
}

static void remove_stale(const char *path)
{
    AUTO_FREE char *objects = text_format("%s/objects", path);
    nftw(path, remove_lock, 16, FTW_PHYS);
    if (objects)
        nftw(objects, remove_half_written, 16, FTW_PHYS);
}

static struct repo *new_repo(git_repository *git, bool mirror, int lock, struct error *err)
{
    struct repo *repo = malloc(sizeof *repo);
    if (!repo) {
        error_set(err, ERROR_INTERNAL, "out of memory for a repository");
        return NULL;
    }
    *repo = (struct repo){.git = git, .mirror = mirror, .lock = lock};
    return repo;
}

static git_repository *open_or_create_mirror(const char *path, struct error *err)
{
    git_repository *git = NULL;
    int status = git_repository_open_bare(&git, path);
    if (status < 0) {
        git_repository_init_options options;
        git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
        options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
        status = git_repository_init_ext(&git, path, &options);
    }
    if (status < 0) {
        repo_git_error(err, status, ERROR_IO, "create mirror %s", path);
        return NULL;
    }
    return git;
}

struct repo *repo_mirror(const char *path, int64_t lock_timeout_ms, struct error *err)
{
    AUTO_FREE char *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    if (slash && slash != parent) {
        *slash = '\0';
        if (fs_make_dirs(parent, 0700, err) < 0)
            return NULL;
    }
    AUTO_CLOSE int lock = take_lock(path, lock_timeout_ms, err);
    if (lock < 0)
        return NULL;
    remove_stale(path);
    git_repository *git = open_or_create_mirror(path, err);
    if (!git)
        return NULL;
    struct repo *repo = new_repo(git, true, lock, err);
    if (repo)
        hand_over(&lock);
    else
        git_repository_free(git);
    return repo;
}

/* As git itself: what another user has set up is not acted on. */
static int check_owner(const char *path, struct error *err)
{
    struct stat status;
    if (path && stat(path, &status) == 0 && status.st_uid != geteuid())
        return error_set(err, ERROR_DENIED, "%s belongs to another user (id %u); run as that user", path,
                         (unsigned)status.st_uid);
    return 0;
}

struct repo *repo_open(const char *path, struct error *err)
{
    git_repository *git = NULL;
    int status = git_repository_open_ext(&git, path, 0, NULL);
    if (status < 0) {
        repo_git_error(err, status, ERROR_NOT_FOUND, "open %s", path);
        return NULL;
    }
    bool trusted =
        check_owner(git_repository_path(git), err) == 0 && check_owner(git_repository_workdir(git), err) == 0;
    struct repo *repo = trusted ? new_repo(git, false, -1, err) : NULL;
    if (!repo)
        git_repository_free(git);
    return repo;
}

void repo_close(struct repo *repo)
{
    if (!repo)
        return;
    git_repository_free(repo->git);
    if (repo->lock >= 0)
        close(repo->lock);
    free(repo);
}

/* ---- reading ---- */

git_commit *repo_commit_of(struct repo *repo, const char *id, struct error *err)
{
    git_oid oid;
    git_commit *commit = NULL;
    int status = git_oid_fromstr(&oid, id);
    if (status == 0)
        status = git_commit_lookup(&commit, repo->git, &oid);
    if (status < 0)
        repo_git_error(err, status, ERROR_IO, "commit %.40s", id);
    return commit;
}

git_tree *repo_tree_of(struct repo *repo, const char *id, struct error *err)
{
    REPO_AUTO(git_commit) *commit = repo_commit_of(repo, id, err);
    git_tree *tree = NULL;
    if (!commit)
        return NULL;
    int status = git_commit_tree(&tree, commit);
    if (status < 0)
        repo_git_error(err, status, ERROR_IO, "tree of commit %.40s", id);
    return tree;
}

static bool is_full_id(const char *text)
{
    return strlen(text) == GIT_OID_HEXSZ && strspn(text, "0123456789abcdef") == GIT_OID_HEXSZ;
}

/* Names in the order in which they are tried. In a mirror a plain name means origin's branch: the mirror has no
 * branches of its own, and its HEAD is origin's. */
static int look_up(struct repo *repo, const char *revision, git_object **object)
{
    AUTO_FREE char *remote = text_format(REPO_ORIGIN "%s", revision);
    AUTO_FREE char *tag = text_format("refs/tags/%s", revision);
    const char *names[3] = {remote, tag, revision};
    if (!repo->mirror || is_full_id(revision)) {
        names[0] = revision;
        names[1] = remote;
        names[2] = NULL;
    }
    int status = GIT_ENOTFOUND;
    for (size_t i = 0; i < 3 && names[i] && status < 0; i++)
        status = git_revparse_single(object, repo->git, names[i]);
    return status;
}

int repo_resolve(struct repo *repo, const char *revision, char id[static REPO_ID_SIZE], struct error *err)
{
    REPO_AUTO(git_object) *object = NULL;
    REPO_AUTO(git_object) *commit = NULL;
    int status = look_up(repo, revision, &object);
    if (status == 0)
        status = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    if (status < 0)
        return repo_git_error(err, GIT_ENOTFOUND, ERROR_NOT_FOUND, "revision %.200s", revision);
    git_oid_tostr(id, REPO_ID_SIZE, git_object_id(commit));
    return 0;
}

int repo_read(struct repo *repo, const char *commit, const char *path, struct buf *out, struct error *err)
{
    REPO_AUTO(git_tree) *tree = repo_tree_of(repo, commit, err);
    REPO_AUTO(git_tree_entry) *entry = NULL;
    REPO_AUTO(git_blob) *blob = NULL;
    if (!tree)
        return -1;
    int status = git_tree_entry_bypath(&entry, tree, path);
    if (status < 0)
        return repo_git_error(err, status, ERROR_IO, "read %s", path);
    git_filemode_t mode = git_tree_entry_filemode(entry);
    if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
        return error_set(err, ERROR_INPUT, "read %s: not a regular file", path);
    status = git_blob_lookup(&blob, repo->git, git_tree_entry_id(entry));
    if (status < 0)
        return repo_git_error(err, status, ERROR_IO, "read %s", path);
    git_object_size_t size = git_blob_rawsize(blob);
    if (out->failed || size > out->max - out->len)
        return error_set(err, ERROR_LIMIT, "read %s: its %llu bytes are more than the %zu allowed", path,
                         (unsigned long long)size, out->max);
    buf_add(out, git_blob_rawcontent(blob), (size_t)size);
    return buf_check(out, path, err);
}

/* ---- local branches ---- */

int repo_branch_set(struct repo *repo, const char *branch, const char *commit, const char *expected, struct error *err)
{
    AUTO_FREE char *name = text_format("refs/heads/%s", branch);
    REPO_AUTO(git_reference) *made = NULL;
    git_oid id, old;
    int valid = 0;
    if (!name || git_reference_name_is_valid(&valid, name) < 0 || !valid)
        return error_set(err, ERROR_INPUT, "branch %.200s: not a name that git allows", branch);
    if (git_oid_fromstr(&id, commit) < 0 || (expected && git_oid_fromstr(&old, expected) < 0))
        return error_set(err, ERROR_INPUT, "branch %s: %.60s is no commit id", branch, commit);
    int status = expected ? git_reference_create_matching(&made, repo->git, name, &id, 1, &old, NULL)
                          : git_reference_create(&made, repo->git, name, &id, 0, NULL);
    if (status == GIT_EEXISTS || status == GIT_EMODIFIED || (expected && status == GIT_ENOTFOUND))
        return error_set(err, ERROR_CONFLICT, "branch %s: %s", branch,
                         expected ? "somebody has moved it in the meantime" : "it exists already; choose another name");
    return status < 0 ? repo_git_error(err, status, ERROR_IO, "set branch %s", branch) : 0;
}
