/* A commit of some repository as a tree in a folder of ours, for as long as a command runs. */
#ifndef APP_CHECKOUT_H
#define APP_CHECKOUT_H

#include "app/base/error.h"
#include "app/config.h"
#include "forge/repo.h"

struct checkout {
    struct repo *repo; /* the person's own, or a mirror of ours for a URL */
    bool is_mirror;
    char base[REPO_ID_SIZE];
    char *folder; /* removed with the checkout */
};

/* `where`: a folder inside a repository, or a URL (fetched into a mirror below the state directory; https credentials
 * are not asked for). `revision`: NULL for HEAD (the default branch of a URL). */
int checkout_open(struct checkout *checkout, const struct config *config, const char *where, const char *revision,
                  struct error *err);

/* Writes the tree of a commit to a fresh folder below the checkout's; heap path. */
char *checkout_tree(struct checkout *checkout, const char *commit, const char *name, struct error *err);
void checkout_close(struct checkout *checkout);

#endif
