#include "app/checkout.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/digest.h"
#include "app/base/fs.h"

enum { LOCK_TIMEOUT_MS = 60000 };

static bool is_url(const char *where)
{
    return strstr(where, "://") != NULL;
}

static struct repo *open_mirror(const struct config *config, const char *url, struct error *err)
{
    char digest[DIGEST_HEX_SIZE];
    digest_sha256(url, strlen(url), digest);
    AUTO_FREE char *folder = text_format("%s/mirrors/run", config->state_dir);
    AUTO_FREE char *path = folder ? text_format("%s/%.16s.git", folder, digest) : NULL;
    if (!path || fs_make_dirs(folder, 0700, err) < 0)
        return NULL;
    struct repo *repo = repo_mirror(path, LOCK_TIMEOUT_MS, err);
    struct repo_remote remote = {.url = url};
    if (repo && repo_fetch(repo, &remote, err) < 0) {
        repo_close(repo);
        return NULL;
    }
    return repo;
}

/* What a person named and is not there is a wrong use, not a job that went wrong. */
static int not_there(const char *where, const char *revision, struct error *err)
{
    if (!err || err->code != ERROR_NOT_FOUND)
        return error_wrap(err, "%s", where);
    if (!revision)
        return error_set(err, ERROR_USAGE, "%s: there is no git repository", where);
    return error_set(err, ERROR_USAGE, "%s: there is no branch, tag or commit \"%s\"", where, revision);
}

int checkout_open(struct checkout *checkout, const struct config *config, const char *where, const char *revision,
                  struct error *err)
{
    struct checkout fresh = {.is_mirror = is_url(where)};
    AUTO_FREE char *work = text_format("%s/work", config->state_dir);
    revision = revision ? revision : "HEAD";
    fresh.repo = fresh.is_mirror ? open_mirror(config, where, err) : repo_open(where, err);
    int status = fresh.repo ? 0 : not_there(where, NULL, err);
    if (status == 0 && repo_resolve(fresh.repo, revision, fresh.base, err) < 0)
        status = not_there(where, revision, err);
    if (status == 0 && work && fs_make_dirs(work, 0700, err) == 0 &&
        (fresh.folder = fs_make_temp_dir(work, "run-", err))) {
        *checkout = fresh;
        return 0;
    }
    checkout_close(&fresh);
    return status < 0 ? -1 : error_wrap(err, "%s", where);
}

char *checkout_tree(struct checkout *checkout, const char *commit, const char *name, struct error *err)
{
    AUTO_FREE char *tree = text_format("%s/%s", checkout->folder, name);
    if (!tree || repo_checkout(checkout->repo, commit, tree, err) < 0)
        return NULL;
    return STEAL(tree);
}

void checkout_close(struct checkout *checkout)
{
    if (checkout->repo)
        repo_close(checkout->repo);
    if (checkout->folder)
        fs_remove_tree(checkout->folder, NULL);
    free(checkout->folder);
    *checkout = (struct checkout){0};
}
