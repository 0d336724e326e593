/* GitHub: issues, comments, reactions, labels. Contracts: forge.h. */
#ifndef FORGE_ISSUE_H
#define FORGE_ISSUE_H

#include "forge/forge_internal.h"

int github_issue_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_issue *out,
                     struct error *err);
char *github_default_branch(struct forge *forge, const struct forge_repo *repo, struct error *err);
int github_react(struct forge *forge, const struct forge_repo *repo, enum forge_subject subject, int64_t id,
                 const char *content, struct error *err);
int github_comment_find(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                        int64_t *id, struct error *err);
int github_comment_put(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                       const char *body, int64_t *id, struct error *err);
int github_label_add(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                     struct error *err);
int github_label_remove(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                        struct error *err);

#endif
