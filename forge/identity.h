/* GitHub: who we are there, and what a person may do on a repository. Contracts: forge.h. */
#ifndef FORGE_IDENTITY_H
#define FORGE_IDENTITY_H

#include "forge/forge_internal.h"

const char *github_login(struct forge *forge, struct error *err);
int github_identity(struct forge *forge, char **name, char **email, struct error *err);
const char *github_git_user(struct forge *forge, struct error *err);
int github_token(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err);
bool github_token_forget(struct forge *forge, const struct forge_repo *repo);
int github_permission(struct forge *forge, const struct forge_repo *repo, const char *login,
                      enum forge_permission *permission, struct error *err);
int github_doctor(struct forge *forge, struct buf *line, struct error *err);

#endif
