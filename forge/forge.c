#include "forge/forge_internal.h"

#include <stdlib.h>
#include <string.h>

/* The kinds of servers, in the order of enum forge_kind; the configuration's choices must match. */
static const struct forge_ops *const kinds[] = {[FORGE_GITHUB] = &github_ops};
static const char *const kind_names[] = {[FORGE_GITHUB] = "github", NULL};

#define FIELD(name, type, help, ...) YAML_FIELD(#name, type, offsetof(struct forge_config, name), help, ##__VA_ARGS__)

const struct yaml_field forge_config_fields[] = {
    FIELD(name, YAML_TEXT, "webhooks arrive at /webhooks/<name>", .required = true),
    FIELD(kind, YAML_CHOICE, "the kind of server", .choices = kind_names),
    FIELD(api_url, YAML_TEXT, "where the API is: https://api.github.com, https://HOST/api/v3"),
    FIELD(git_url, YAML_TEXT, "clones come from <git_url>/<owner>/<repo>.git"),
    FIELD(app_id, YAML_INT, "the GitHub App's id", .min = 1, .max = 9007199254740991.0),
    FIELD(private_key, YAML_TEXT, "the App's private key, as file:PATH or env:NAME"),
    FIELD(webhook_secret, YAML_TEXT, "what webhooks are signed with, as file:PATH or env:NAME"),
    FIELD(token, YAML_TEXT, "an access token in place of app_id and private_key, as file:PATH or env:NAME"),
    FIELD(dry_run, YAML_BOOL, "read everything, write nothing to the forge"),
    {.key = NULL},
};

void forge_repo_release(struct forge_repo *repo)
{
    free(repo->owner);
    free(repo->name);
    *repo = (struct forge_repo){0};
}

struct forge *forge_new(const struct forge_config *config, struct secrets *secrets, const struct log *log,
                        struct error *err)
{
    struct forge *forge = calloc(1, sizeof *forge);
    if (!forge) {
        error_set(err, ERROR_INTERNAL, "out of memory for forge %s", config->name);
        return NULL;
    }
    forge->config = config;
    forge->log = log;
    forge->ops = kinds[config->kind];
    if (forge->ops->start(forge, secrets, err) < 0) {
        error_wrap(err, "forge %s", config->name);
        forge_free(forge);
        return NULL;
    }
    return forge;
}

void forge_free(struct forge *forge)
{
    if (!forge)
        return;
    forge->ops->stop(forge);
    free(forge);
}

void forge_on_dry_run(struct forge *forge, void (*callback)(void *context, const json_t *request), void *context)
{
    forge->on_dry_run = callback;
    forge->dry_run_context = context;
}

bool forge_is_dry(const struct forge *forge)
{
    return forge->config->dry_run;
}

void forge_on_write(struct forge *forge, int (*callback)(void *context, struct error *err), void *context)
{
    forge->on_write = callback;
    forge->write_context = context;
}

char *forge_clone_url(const struct forge *forge, const struct forge_repo *repo)
{
    size_t len = strlen(forge->config->git_url);
    while (len > 0 && forge->config->git_url[len - 1] == '/')
        len--;
    return text_format("%.*s/%s/%s.git", (int)len, forge->config->git_url, repo->owner, repo->name);
}

const char *forge_login(struct forge *forge, struct error *err)
{
    return forge->ops->login(forge, err);
}

int forge_identity(struct forge *forge, char **name, char **email, struct error *err)
{
    return forge->ops->identity(forge, name, email, err);
}

const char *forge_git_user(struct forge *forge, struct error *err)
{
    return forge->ops->git_user(forge, err);
}

int forge_permission(struct forge *forge, const struct forge_repo *repo, const char *login,
                     enum forge_permission *permission, struct error *err)
{
    if (forge->ops->permission(forge, repo, login, permission, err) < 0)
        return error_wrap(err, "ask what %s may do on %s/%s", login, repo->owner, repo->name);
    return 0;
}

int forge_token(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err)
{
    if (forge->ops->token(forge, repo, out, err) < 0)
        return error_wrap(err, "get an access token for %s/%s", repo->owner, repo->name);
    return 0;
}

bool forge_token_forget(struct forge *forge, const struct forge_repo *repo)
{
    return forge->ops->token_forget(forge, repo);
}

int forge_issue_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_issue *out,
                    struct error *err)
{
    if (forge->ops->issue_get(forge, repo, number, out, err) < 0)
        return error_wrap(err, "read issue %s/%s#%lld", repo->owner, repo->name, (long long)number);
    return 0;
}

void forge_issue_release(struct forge_issue *issue)
{
    for (size_t i = 0; i < issue->label_count; i++)
        free(issue->labels[i]);
    free(issue->labels);
    free(issue->title);
    free(issue->body);
    free(issue->author);
    *issue = (struct forge_issue){0};
}

char *forge_default_branch(struct forge *forge, const struct forge_repo *repo, struct error *err)
{
    char *branch = forge->ops->default_branch(forge, repo, err);
    if (!branch)
        error_wrap(err, "ask for the default branch of %s/%s", repo->owner, repo->name);
    return branch;
}

int forge_pull_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_pull *out,
                   struct error *err)
{
    if (forge->ops->pull_get(forge, repo, number, out, err) < 0)
        return error_wrap(err, "read pull request %s/%s#%lld", repo->owner, repo->name, (long long)number);
    return 0;
}

int forge_pull_find(struct forge *forge, const struct forge_repo *repo, const char *branch, struct forge_pull *out,
                    struct error *err)
{
    if (forge->ops->pull_find(forge, repo, branch, out, err) < 0)
        return error_wrap(err, "find the pull request from %s in %s/%s", branch, repo->owner, repo->name);
    return 0;
}

void forge_pull_release(struct forge_pull *pull)
{
    free(pull->url);
    free(pull->head_branch);
    free(pull->head_sha);
    free(pull->head_repo);
    free(pull->base_branch);
    *pull = (struct forge_pull){0};
}

int forge_comment_find(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                       int64_t *id, struct error *err)
{
    if (forge->ops->comment_find(forge, repo, number, marker, id, err) < 0)
        return error_wrap(err, "look for our comment on %s/%s#%lld", repo->owner, repo->name, (long long)number);
    return 0;
}

int forge_pull_made(struct forge *forge, const struct forge_repo *repo, const char *branch, const char *head_sha,
                    int64_t *number, struct error *err)
{
    if (forge->ops->pull_made(forge, repo, branch, head_sha, number, err) < 0)
        return error_wrap(err, "look for the pull request from %s in %s/%s", branch, repo->owner, repo->name);
    return 0;
}

int forge_check_find(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                     struct error *err)
{
    if (forge->ops->check_find(forge, repo, check, id, err) < 0)
        return error_wrap(err, "look for check %s on %.12s", check->name, check->head_sha);
    return 0;
}

bool forge_keeps_deliveries(const struct forge *forge)
{
    return forge->ops->keeps_deliveries(forge);
}

int forge_deliveries(struct forge *forge, int64_t since_ms, forge_each_delivery *each, void *context, struct error *err)
{
    return forge->ops->deliveries(forge, since_ms, each, context, err) < 0 ? error_wrap(err, "list the deliveries") : 0;
}

int forge_redeliver(struct forge *forge, int64_t id, struct error *err)
{
    return forge->ops->redeliver(forge, id, err) < 0 ? error_wrap(err, "ask for a delivery again") : 0;
}

int forge_delivery_payload(struct forge *forge, int64_t id, json_t **payload, struct error *err)
{
    return forge->ops->delivery_payload(forge, id, payload, err) < 0 ? error_wrap(err, "read a delivery") : 0;
}

int forge_repositories(struct forge *forge, forge_each_repository *each, void *context, struct error *err)
{
    return forge->ops->repositories(forge, each, context, err) < 0 ? error_wrap(err, "go through the repositories") : 0;
}

int forge_installed(struct forge *forge, const struct forge_repo *repo, int64_t *installed_ms, struct error *err)
{
    int status = forge->ops->installed(forge, repo, installed_ms, err);
    return status < 0 ? error_wrap(err, "ask about %s/%s", repo->owner, repo->name) : 0;
}

int forge_closed_payload(struct forge *forge, const struct forge_repo *repo, int64_t number, json_t **payload,
                         int64_t *closed_ms, struct error *err)
{
    int status = forge->ops->closed_payload(forge, repo, number, payload, closed_ms, err);
    return status < 0 ? error_wrap(err, "look at pull request %lld", (long long)number) : 0;
}

int forge_find_labelled(struct forge *forge, const struct forge_repo *repo, const char *label, int64_t since_ms,
                        forge_each_found *each, void *context, struct error *err)
{
    if (forge->ops->find_labelled(forge, repo, label, since_ms, each, context, err) < 0)
        return error_wrap(err, "look for label %s in %s/%s", label, repo->owner, repo->name);
    return 0;
}

int forge_find_comments(struct forge *forge, const struct forge_repo *repo, int64_t since_ms, forge_each_found *each,
                        void *context, struct error *err)
{
    if (forge->ops->find_comments(forge, repo, since_ms, each, context, err) < 0)
        return error_wrap(err, "look for comments in %s/%s", repo->owner, repo->name);
    return 0;
}

int forge_found_payload(struct forge *forge, const struct forge_repo *repo, const struct forge_found *found,
                        json_t **payload, struct error *err)
{
    return forge->ops->found_payload(forge, repo, found, payload, err);
}

int forge_react(struct forge *forge, const struct forge_repo *repo, enum forge_subject subject, int64_t id,
                const char *content, struct error *err)
{
    if (forge->ops->react(forge, repo, subject, id, content, err) < 0)
        return error_wrap(err, "react with %s", content);
    return 0;
}

int forge_comment_put(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                      const char *body, int64_t *id, struct error *err)
{
    if (forge->ops->comment_put(forge, repo, number, marker, body, id, err) < 0)
        return error_wrap(err, "comment on %s/%s#%lld", repo->owner, repo->name, (long long)number);
    return 0;
}

int forge_label_add(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                    struct error *err)
{
    if (forge->ops->label_add(forge, repo, number, label, err) < 0)
        return error_wrap(err, "add label %s to #%lld", label, (long long)number);
    return 0;
}

int forge_label_remove(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                       struct error *err)
{
    if (forge->ops->label_remove(forge, repo, number, label, err) < 0)
        return error_wrap(err, "remove label %s from #%lld", label, (long long)number);
    return 0;
}

int forge_pull_put(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                   struct forge_pull *out, struct error *err)
{
    if (forge->ops->pull_put(forge, repo, request, out, err) < 0)
        return error_wrap(err, "open the pull request from %s", request->branch);
    return 0;
}

int forge_check_put(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                    struct error *err)
{
    if (forge->ops->check_put(forge, repo, check, id, err) < 0)
        return error_wrap(err, "report check %s on %.12s", check->name, check->head_sha);
    return 0;
}

int forge_doctor(struct forge *forge, struct buf *line, struct error *err)
{
    return forge->ops->doctor(forge, line, err);
}
