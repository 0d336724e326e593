/* What a forge can do for us: one configured server, its credentials, and the few calls that Assay makes.
 *
 * `struct forge` is opaque; the kind of server sits behind a small vtable (forge/github.c fills it; Gitea
 * and Forgejo come later). A call that the server lacks (reactions, check runs, drafts on a server with
 * GitHub's API but not all of it) costs one log line and succeeds: see each function. All calls block, have
 * a deadline, retry what may be retried and obey the server's rate limits. One thread at a time.
 */
#ifndef FORGE_FORGE_H
#define FORGE_FORGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/base/log.h"
#include "app/base/secret.h"
#include "app/base/yaml.h"

enum forge_kind { FORGE_GITHUB };

/* One entry of `forges:` in the configuration. */
struct forge_config {
    char *name; /* webhooks arrive at /webhooks/<name> */
    int kind;
    char *api_url;
    char *git_url; /* clones <git_url>/<owner>/<repo>.git */
    int64_t app_id;
    char *private_key;    /* a reference: file:PATH or env:NAME */
    char *webhook_secret; /* likewise */
    char *token;          /* likewise; in place of app_id and private_key */
    bool dry_run;
    int64_t line; /* where it stands in the file */
};

extern const struct yaml_field forge_config_fields[];

/* A repository on the forge. */
struct forge_repo {
    char *owner;
    char *name;
    int64_t installation; /* GitHub App installation id; 0 with a token, or when not known yet */
};

void forge_repo_release(struct forge_repo *repo);

struct forge;

/* Reads the credentials (they are added to `secrets` for redaction). `config` and `log` are borrowed and must
 * outlive the forge. */
struct forge *forge_new(const struct forge_config *config, struct secrets *secrets, const struct log *log,
                        struct error *err);
void forge_free(struct forge *forge);

/* ---- who we are, who they are ---- */

/* The login that our comments carry ("assay[bot]", or the token's user). Borrowed from the forge; cached. */
const char *forge_login(struct forge *forge, struct error *err);

enum forge_permission { FORGE_NONE, FORGE_READ, FORGE_WRITE, FORGE_ADMIN };

/* What `login` may do on the repository ("maintain" counts as write, "triage" as read; GitBucket's DEVELOPER as write,
 * GUEST as read). Where the server cannot be asked about one person (404): the owner of a personal repository may do
 * everything, the list of collaborators tells about the others, and what stays unclear is FORGE_NONE. */
int forge_permission(struct forge *forge, const struct forge_repo *repo, const char *login,
                     enum forge_permission *permission, struct error *err);

/* An access token for git over HTTPS and the API, scoped to this one repository and to the permissions that
 * Assay uses, with at least ten minutes to live; cached. With `token:` that token. `out` is owned by the caller. */
int forge_token(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err);

/* The server refuses what forge_token() gave: forgets it. True when the next call gives another one. */
bool forge_token_forget(struct forge *forge, const struct forge_repo *repo);

/* The name and e-mail that our commits carry, so that the forge shows them as ours and repo_push() knows them: for an
 * App "<slug>[bot]" and its noreply address, for a token the user's. Heap, owned by the caller. */
int forge_identity(struct forge *forge, char **name, char **email, struct error *err);

/* The user name that goes with forge_token() for git over HTTPS: "x-access-token" for an App, the token's login
 * otherwise (GitBucket insists on it). Borrowed from the forge. */
const char *forge_git_user(struct forge *forge, struct error *err);

/* <git_url>/<owner>/<name>.git, heap; NULL only without memory. */
char *forge_clone_url(const struct forge *forge, const struct forge_repo *repo);

/* ---- reading ---- */

struct forge_issue {
    int64_t number;
    char *title, *body, *author;
    bool open, is_pull;
    char **labels;
    size_t label_count;
};
int forge_issue_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_issue *out,
                    struct error *err);
void forge_issue_release(struct forge_issue *issue);

/* The repository's default branch, heap. */
char *forge_default_branch(struct forge *forge, const struct forge_repo *repo, struct error *err);

struct forge_pull {
    int64_t number;                           /* 0: none */
    char *url;                                /* for people */
    char *head_branch, *head_sha, *head_repo; /* head_repo: "owner/name", NULL when the fork is gone */
    char *base_branch;
    bool open, draft, from_fork;
};
int forge_pull_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_pull *out,
                   struct error *err);
/* The open pull request from `branch` of this same repository; number 0 when there is none. */
int forge_pull_find(struct forge *forge, const struct forge_repo *repo, const char *branch, struct forge_pull *out,
                    struct error *err);
void forge_pull_release(struct forge_pull *pull);

/* Was this made? Each sets its output to 0 when the server does not know of it (or of such things at all). */

/* Our own comment that carries the marker. */
int forge_comment_find(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                       int64_t *id, struct error *err);
/* The pull request from `branch` of this same repository with that head commit, open or not. */
int forge_pull_made(struct forge *forge, const struct forge_repo *repo, const char *branch, const char *head_sha,
                    int64_t *number, struct error *err);
/* The check run of that name and external id on the commit. */
struct forge_check;
int forge_check_find(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                     struct error *err);

/* ---- what webhooks have not told us ---- */

/* False where the server keeps no list of its deliveries (no App): then the calls of this part fail. */
bool forge_keeps_deliveries(const struct forge *forge);

/* One attempt of the server at one delivery. */
struct forge_delivery {
    int64_t id;            /* of the attempt */
    const char *guid;      /* of the delivery: equal for all attempts, and what the webhook carries */
    const char *event;     /* "issues" */
    int64_t at_ms, status; /* what was answered to it; 0: nothing */
};

/* In all of these: 0 to go on, 1 to stop, -1 with an error. Everything is borrowed for the call. */
typedef int forge_each_delivery(void *context, const struct forge_delivery *delivery, struct error *err);

/* The attempts since then, newest first. ERROR_LIMIT past 10,000 of them. */
int forge_deliveries(struct forge *forge, int64_t since_ms, forge_each_delivery *each, void *context,
                     struct error *err);
/* Asks for another attempt. */
int forge_redeliver(struct forge *forge, int64_t id, struct error *err);
/* What was in it; *payload is owned by the caller. */
int forge_delivery_payload(struct forge *forge, int64_t id, json_t **payload, struct error *err);

/* Every repository on which we are installed; `installed_ms`: since when, 0 when unknown. */
typedef int forge_each_repository(void *context, const struct forge_repo *repo, int64_t installed_ms,
                                  struct error *err);
int forge_repositories(struct forge *forge, forge_each_repository *each, void *context, struct error *err);

/* Since when we are installed on it; 0 where there is no App. ERROR_DENIED when we are not (any more). */
int forge_installed(struct forge *forge, const struct forge_repo *repo, int64_t *installed_ms, struct error *err);

/* Something that a person did, found by reading the state. */
struct forge_found {
    const char *event;          /* of the webhook that would have told it: "issues", "issue_comment" */
    int64_t number, comment_id; /* comment_id is 0 for a label */
    int64_t happened_ms;
    const char *who, *text;        /* the comment's; for a label the issue's as it is now */
    const json_t *subject, *cause; /* as the server gave it */
};
typedef int forge_each_found(void *context, const struct forge_found *found, struct error *err);

/* Open issues with the label on them, put there since then. */
int forge_find_labelled(struct forge *forge, const struct forge_repo *repo, const char *label, int64_t since_ms,
                        forge_each_found *each, void *context, struct error *err);
/* People's comments on issues and pull requests, written since then and not edited. */
int forge_find_comments(struct forge *forge, const struct forge_repo *repo, int64_t since_ms, forge_each_found *each,
                        void *context, struct error *err);
/* The payload that a webhook would have had, and below FORGE_FOUND_KEY {"as_of": when the texts were read}; owned by
 * the caller. Webhooks of the server itself have no such key. */
#define FORGE_FOUND_KEY "found_by_assay"
int forge_found_payload(struct forge *forge, const struct forge_repo *repo, const struct forge_found *found,
                        json_t **payload, struct error *err);

/* The same for a pull request that was closed or merged, with the moment in *closed_ms; *payload is NULL while it is
 * open. */
int forge_closed_payload(struct forge *forge, const struct forge_repo *repo, int64_t number, json_t **payload,
                         int64_t *closed_ms, struct error *err);

/* ---- writing ---- */

enum forge_subject { FORGE_ISSUE, FORGE_ISSUE_COMMENT, FORGE_REVIEW_COMMENT };

/* Adds a reaction ("eyes"); doing it twice is the same as once. A server without reactions: a log line. */
int forge_react(struct forge *forge, const struct forge_repo *repo, enum forge_subject subject, int64_t id,
                const char *content, struct error *err);

/* Creates the comment, or edits it in place. With *id 0 our own comments on the issue are searched for one that
 * contains `marker` (an HTML comment that the body carries), so a crash after creation does not make a second; without
 * a marker ("") a new one is made. A comment that somebody has deleted is made again. Too long a body is cut. */
int forge_comment_put(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                      const char *body, int64_t *id, struct error *err);

int forge_label_add(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                    struct error *err);
int forge_label_remove(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                       struct error *err); /* a label that is not there is fine */

struct forge_pull_request {
    const char *branch, *base, *title, *body;
    bool draft;
};
/* Opens the pull request from `branch`, or brings the open one from that branch up to date: title, body, base, and from
 * draft to ready (never back: a person may have marked it ready). A server that refuses or ignores drafts gets a ready
 * one whose title starts with "[draft] ", and a log line. */
int forge_pull_put(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                   struct forge_pull *out, struct error *err);

enum forge_check_status { FORGE_CHECK_QUEUED, FORGE_CHECK_IN_PROGRESS, FORGE_CHECK_COMPLETED };

struct forge_check {
    const char *head_sha, *name; /* "assay" */
    const char *external_id;     /* "job-12": found again by it */
    enum forge_check_status status;
    const char *conclusion; /* when completed: success, failure, neutral, cancelled, action_required */
    const char *title, *summary, *text;
    const char *details_url; /* or NULL */
    const json_t
        *annotations; /* array of {path, start_line, end_line, annotation_level, message}, or NULL; sent 50 a call */
};
/* Creates or updates the check run of that name and external id on the commit; long texts are cut, and annotations that
 * an earlier attempt has sent are not sent again. Without check runs (404, 403 for a
 * token) a commit status stands in: context = name, description = title. */
int forge_check_put(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                    struct error *err);

/* For `assay doctor`: one line on who we are there and what is granted ("app assay, 3 installations"). */
int forge_doctor(struct forge *forge, struct buf *line, struct error *err);

/* With dry_run, what would have been written, as one JSON object a line: {"method", "path", "body"}; handed to the
 * callback in place of the server. Reads still go to the server. */
void forge_on_dry_run(struct forge *forge, void (*callback)(void *context, const json_t *request), void *context);
bool forge_is_dry(const struct forge *forge);

/* Asked right before each write leaves, so also before it is tried again: -1 with an error keeps it back. NULL: none.
 */
void forge_on_write(struct forge *forge, int (*callback)(void *context, struct error *err), void *context);

#endif
