/* GitHub: check runs, and commit statuses where there are none. Contract: forge.h. */
#ifndef FORGE_CHECK_H
#define FORGE_CHECK_H

#include "forge/forge_internal.h"

int github_check_find(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                      struct error *err);
int github_check_put(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                     struct error *err);

#endif
