/* GitHub: what webhooks have not told us. Contracts: forge.h. */
#ifndef FORGE_MISSED_H
#define FORGE_MISSED_H

#include "forge/forge_internal.h"

bool github_keeps_deliveries(const struct forge *forge);
int github_deliveries(struct forge *forge, int64_t since_ms, forge_each_delivery *each, void *context,
                      struct error *err);
int github_redeliver(struct forge *forge, int64_t id, struct error *err);
int github_delivery_payload(struct forge *forge, int64_t id, json_t **payload, struct error *err);
int github_repositories(struct forge *forge, forge_each_repository *each, void *context, struct error *err);
int github_installed(struct forge *forge, const struct forge_repo *repo, int64_t *installed_ms, struct error *err);
int github_closed_payload(struct forge *forge, const struct forge_repo *repo, int64_t number, json_t **payload,
                          int64_t *closed_ms, struct error *err);
int github_find_labelled(struct forge *forge, const struct forge_repo *repo, const char *label, int64_t since_ms,
                         forge_each_found *each, void *context, struct error *err);
int github_find_comments(struct forge *forge, const struct forge_repo *repo, int64_t since_ms, forge_each_found *each,
                         void *context, struct error *err);
int github_found_payload(struct forge *forge, const struct forge_repo *repo, const struct forge_found *found,
                         json_t **payload, struct error *err);

#endif
