/* What one kind of server must be able to do, and what every kind shares. Only forge/ includes this.
 *
 * A new kind (Gitea, Forgejo) is one file that fills a `struct forge_ops`, and one line in forge.c's table.
 * The contracts of the calls are those of forge.h.
 */
#ifndef FORGE_FORGE_INTERNAL_H
#define FORGE_FORGE_INTERNAL_H

#include "forge/forge.h"

struct forge_ops {
    int (*start)(struct forge *forge, struct secrets *secrets, struct error *err); /* fills forge->server */
    void (*stop)(struct forge *forge);
    const char *(*login)(struct forge *forge, struct error *err);
    int (*identity)(struct forge *forge, char **name, char **email, struct error *err);
    const char *(*git_user)(struct forge *forge, struct error *err);
    int (*permission)(struct forge *forge, const struct forge_repo *repo, const char *login,
                      enum forge_permission *permission, struct error *err);
    int (*token)(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err);
    bool (*token_forget)(struct forge *forge, const struct forge_repo *repo);
    int (*issue_get)(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_issue *out,
                     struct error *err);
    char *(*default_branch)(struct forge *forge, const struct forge_repo *repo, struct error *err);
    int (*pull_get)(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_pull *out,
                    struct error *err);
    int (*pull_find)(struct forge *forge, const struct forge_repo *repo, const char *branch, struct forge_pull *out,
                     struct error *err);
    int (*comment_find)(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                        int64_t *id, struct error *err);
    int (*pull_made)(struct forge *forge, const struct forge_repo *repo, const char *branch, const char *head_sha,
                     int64_t *number, struct error *err);
    int (*check_find)(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                      struct error *err);
    bool (*keeps_deliveries)(const struct forge *forge);
    int (*deliveries)(struct forge *forge, int64_t since_ms, forge_each_delivery *each, void *context,
                      struct error *err);
    int (*redeliver)(struct forge *forge, int64_t id, struct error *err);
    int (*delivery_payload)(struct forge *forge, int64_t id, json_t **payload, struct error *err);
    int (*repositories)(struct forge *forge, forge_each_repository *each, void *context, struct error *err);
    int (*installed)(struct forge *forge, const struct forge_repo *repo, int64_t *installed_ms, struct error *err);
    int (*closed_payload)(struct forge *forge, const struct forge_repo *repo, int64_t number, json_t **payload,
                          int64_t *closed_ms, struct error *err);
    int (*find_labelled)(struct forge *forge, const struct forge_repo *repo, const char *label, int64_t since_ms,
                         forge_each_found *each, void *context, struct error *err);
    int (*find_comments)(struct forge *forge, const struct forge_repo *repo, int64_t since_ms, forge_each_found *each,
                         void *context, struct error *err);
    int (*found_payload)(struct forge *forge, const struct forge_repo *repo, const struct forge_found *found,
                         json_t **payload, struct error *err);
    int (*react)(struct forge *forge, const struct forge_repo *repo, enum forge_subject subject, int64_t id,
                 const char *content, struct error *err);
    int (*comment_put)(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                       const char *body, int64_t *id, struct error *err);
    int (*label_add)(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                     struct error *err);
    int (*label_remove)(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                        struct error *err);
    int (*pull_put)(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                    struct forge_pull *out, struct error *err);
    int (*check_put)(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                     struct error *err);
    int (*doctor)(struct forge *forge, struct buf *line, struct error *err);
};

struct forge {
    const struct forge_config *config;
    const struct log *log;
    const struct forge_ops *ops;
    void *server; /* what the kind of server keeps; owned by it */
    void (*on_dry_run)(void *context, const json_t *request);
    void *dry_run_context;
    int (*on_write)(void *context, struct error *err);
    void *write_context;
};

extern const struct forge_ops github_ops;

#endif
