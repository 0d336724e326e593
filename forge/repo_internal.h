/* What the files of repo share. Only forge/repo*.c include this. */
#ifndef FORGE_REPO_INTERNAL_H
#define FORGE_REPO_INTERNAL_H

#include <git2.h>

#include "app/base/buf.h"
#include "forge/repo.h"

#define REPO_ORIGIN "refs/remotes/origin/"

struct repo {
    git_repository *git;
    bool mirror;
    int lock; /* descriptor of <path>.lock, or -1 */
};

/* Sets the error from libgit2's last one behind the formatted words; `code` as fits the caller, but a missing object
 * is ERROR_NOT_FOUND. Always -1. */
__attribute__((format(printf, 4, 5))) int repo_git_error(struct error *err, int status, enum error_code code,
                                                         const char *format, ...);

/* A commit by its full id. Owned by the caller: git_commit_free(). */
git_commit *repo_commit_of(struct repo *repo, const char *id, struct error *err);

/* Its tree: git_tree_free(). */
git_tree *repo_tree_of(struct repo *repo, const char *commit, struct error *err);

/* Scope clean-up for libgit2's objects. */
#define REPO_AUTO(type) __attribute__((cleanup(repo_auto_##type))) type
#define REPO_DEFINE_AUTO(type)                                                                                         \
    static inline void repo_auto_##type(type **object)                                                                 \
    {                                                                                                                  \
        type##_free(*object);                                                                                          \
    }
REPO_DEFINE_AUTO(git_commit)
REPO_DEFINE_AUTO(git_tree)
REPO_DEFINE_AUTO(git_tree_entry)
REPO_DEFINE_AUTO(git_blob)
REPO_DEFINE_AUTO(git_object)
REPO_DEFINE_AUTO(git_reference)
REPO_DEFINE_AUTO(git_revwalk)
REPO_DEFINE_AUTO(git_diff)
REPO_DEFINE_AUTO(git_signature)
REPO_DEFINE_AUTO(git_remote)

#endif
