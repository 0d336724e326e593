/* GitHub: pull requests. Contracts: forge.h. */
#ifndef FORGE_PULL_H
#define FORGE_PULL_H

#include "forge/forge_internal.h"

int github_pull_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_pull *out,
                    struct error *err);
int github_pull_find(struct forge *forge, const struct forge_repo *repo, const char *branch, struct forge_pull *out,
                     struct error *err);
int github_pull_made(struct forge *forge, const struct forge_repo *repo, const char *branch, const char *head_sha,
                     int64_t *number, struct error *err);
int github_pull_put(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                    struct forge_pull *out, struct error *err);

#endif
