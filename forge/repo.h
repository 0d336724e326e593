/* Git by libgit2: one bare mirror for each repository, a checked-out tree for each job, commits made from a
 * base tree and a list of files, pushes with a credential callback.
 *
 * Commits are built in the object database, not from a working tree: what a job commits is exactly the bytes it
 * was given. Hooks, filters and the user's git configuration play no part.
 */
#ifndef FORGE_REPO_H
#define FORGE_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/secret.h"

#define REPO_ID_SIZE 41 /* a commit id in hexadecimal and the NUL */

struct repo; /* an open repository: a mirror of ours, or a person's own checkout */

/* Initialises and shuts down libgit2; once for a process. */
int repo_library_start(struct error *err);
void repo_library_stop(void);

/* Where a remote is and what opens it; token may be NULL (public, or file system). Borrowed. The token is the password
 * of `user` in HTTP's Basic scheme: never in a URL, argv or configuration file, and to that host only. http, https and
 * the file system are spoken. */
struct repo_remote {
    const char *url;
    const char *user; /* NULL: "x-access-token"; see forge_git_user() */
    const struct secret *token;
    const char *extra_ref; /* for repo_fetch(): one more ref, "refs/pull/7/head", whose commits are wanted; or NULL */
    bool (*cancelled)(void *context); /* or NULL */
    void *cancel_context;
    int64_t timeout_ms; /* 0: 10 minutes */
};

/* Opens the bare mirror at `path`, creating it when missing, under an exclusive file lock (`<path>.lock`) held until
 * repo_close(): waits for it at most `lock_timeout_ms`. */
struct repo *repo_mirror(const char *path, int64_t lock_timeout_ms, struct error *err);

/* Opens the repository that contains `path` (a checkout or a bare one); nothing is created. */
struct repo *repo_open(const char *path, struct error *err);
void repo_close(struct repo *repo);

/* Fetches all branches into refs/remotes/origin/ (pruned) incrementally; ERROR_DENIED, ERROR_NOT_FOUND, ERROR_FORGE. */
int repo_fetch(struct repo *repo, const struct repo_remote *remote, struct error *err);

/* Resolves a branch (origin's in a mirror), tag, id, HEAD or another revision to a commit. */
int repo_resolve(struct repo *repo, const char *revision, char id[static REPO_ID_SIZE], struct error *err);

/* Writes the commit's tree below `directory` (created; must be empty or missing). No .git there; links are written as
 * links; submodules and paths that are unsafe to check out are left out. */
int repo_checkout(struct repo *repo, const char *commit, const char *directory, struct error *err);

/* One file's bytes at a commit, appended to out; ERROR_NOT_FOUND when it is not there. */
struct buf;
int repo_read(struct repo *repo, const char *commit, const char *path, struct buf *out, struct error *err);

struct repo_file {
    const char *path;
    const char *data; /* NULL: the file is removed */
    size_t len;
    bool executable; /* for a new file; an existing one keeps its mode */
};

struct repo_person {
    const char *name, *email;
};

/* Makes a commit on top of `parent` with these files replaced; time in ms (so that a repeated attempt makes the same
 * id). */
int repo_commit(struct repo *repo, const char *parent, const struct repo_file *files, size_t count,
                const struct repo_person *author, const char *message, int64_t when_ms, char id[static REPO_ID_SIZE],
                struct error *err);

struct repo_commit_info {
    char id[REPO_ID_SIZE];
    char *author_email, *message; /* owned */
};

/* The commits of base..head, oldest first; at most `max` (ERROR_LIMIT past it). */
int repo_log(struct repo *repo, const char *base, const char *head, size_t max, struct repo_commit_info **out,
             size_t *count, struct error *err);
void repo_log_free(struct repo_commit_info *commits, size_t count);

/* The paths that differ between two commits, sorted; heap array of heap texts. */
int repo_changed_paths(struct repo *repo, const char *from, const char *to, char ***paths, size_t *count,
                       struct error *err);

/* The unified diff from one commit to another, appended to out. */
int repo_diff(struct repo *repo, const char *from, const char *to, struct buf *out, struct error *err);

/* Sets a local branch (`assay run`); ERROR_CONFLICT when it exists and is not at `expected` (NULL: must not exist). */
int repo_branch_set(struct repo *repo, const char *branch, const char *commit, const char *expected, struct error *err);

/* Pushes `commit` to the remote's `branch`. The branch must not exist there, or hold only commits by `own_email` above
 * `base` (then it is replaced by force): somebody else's commits are never overwritten: ERROR_CONFLICT names them. The
 * lease is checked against what the remote has at that moment. A commit on top of what is there only adds: always fine.
 * A branch that is at `commit` already is a success. */
int repo_push(struct repo *repo, const struct repo_remote *remote, const char *branch, const char *commit,
              const char *base, const char *own_email, struct error *err);

#endif
