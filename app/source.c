#include "app/source.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/commits.h"

#define ORGANISATION_REPO ".github"

enum {
    LOCK_TIMEOUT_MS = 15 * 60 * 1000, /* for a neighbour's first clone of a large repository */
    LOG_MAX = 100,                    /* commits looked at on a branch that might be ours */
    BRANCH_TRIES = 6                  /* names */
};

/* An open mirror and the way to its remote. */
struct mirror {
    struct repo *repo;
    struct repo_remote remote;
    struct secret token;
    char *url;
};

static void mirror_close(struct mirror *mirror)
{
    repo_close(mirror->repo);
    secret_release(&mirror->token);
    free(mirror->url);
    *mirror = (struct mirror){0};
}

#define AUTO_MIRROR __attribute__((cleanup(mirror_close)))

static char *mirror_path(const struct attempt *attempt, const struct forge_repo *repo, struct error *err)
{
    AUTO_FREE char *name = text_format("%s/%s.git", repo->owner, repo->name);
    if (!name || !fs_path_is_clean(name)) {
        error_set(err, ERROR_INPUT, "mirror %s/%s: that is no name for a folder", repo->owner, repo->name);
        return NULL;
    }
    return text_format("%s/mirrors/%s/%s", attempt->config.state_dir, attempt->job.forge, name);
}

static int mirror_authorize(struct attempt *attempt, const struct forge_repo *repo, struct mirror *mirror,
                            struct error *err)
{
    struct secret token = {0};
    if (forge_token(attempt->forge, repo, &token, err) < 0)
        return -1;
    secret_release(&mirror->token);
    mirror->token = token;
    mirror->remote.token = mirror->token.value ? &mirror->token : NULL;
    return 0;
}

/* Runs `talk`, and once more with a new token when the server does not take this one any more. */
static int with_token(struct attempt *attempt, const struct forge_repo *repo, struct mirror *mirror,
                      int (*talk)(const void *context, struct error *err), const void *context, struct error *err)
{
    struct error failure = {0};
    if (talk(context, &failure) == 0)
        return 0;
    if (failure.code != ERROR_DENIED || !forge_token_forget(attempt->forge, repo))
        return *err = failure, -1;
    return mirror_authorize(attempt, repo, mirror, err) < 0 ? -1 : talk(context, err);
}

static int fetch_now(const void *context, struct error *err)
{
    const struct mirror *mirror = context;
    return repo_fetch(mirror->repo, &mirror->remote, err);
}

/* Opens and fetches. */
static int mirror_open(struct attempt *attempt, const struct forge_repo *repo, struct mirror *mirror, struct error *err)
{
    AUTO_FREE char *path = mirror_path(attempt, repo, err);
    const char *user = path ? forge_git_user(attempt->forge, err) : NULL;
    if (!user || mirror_authorize(attempt, repo, mirror, err) < 0)
        return -1;
    mirror->url = forge_clone_url(attempt->forge, repo);
    mirror->remote = (struct repo_remote){
        .url = mirror->url,
        .user = user,
        .token = mirror->remote.token,
        .cancelled = attempt_is_stopped,
        .cancel_context = attempt,
    };
    mirror->repo = mirror->url ? repo_mirror(path, LOCK_TIMEOUT_MS, err) : NULL;
    if (!mirror->repo)
        return mirror->url ? -1 : error_set(err, ERROR_INTERNAL, "out of memory for an address");
    if (with_token(attempt, repo, mirror, fetch_now, mirror, err) < 0)
        return error_wrap(err, "fetch %s/%s", repo->owner, repo->name);
    return 0;
}

/* ---- settings ---- */

/* A repository without the file has the settings of an empty one. */
static int read_settings(struct repo *repo, const char *commit, const char *file, struct repo_policy *policy,
                         bool *found, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(POLICY_MAX_BYTES);
    struct error failure = {0};
    *found = false;
    if (repo_read(repo, commit, POLICY_PATH, &text, &failure) < 0) {
        if (failure.code != ERROR_NOT_FOUND)
            return *err = failure, -1;
        buf_clear(&text);
    }
    *found = failure.code != ERROR_NOT_FOUND;
    return policy_read(buf_text(&text), text.len, file, policy, err);
}

/* Nobody has to have such a repository, or to let us see it. */
static bool is_absent(const struct error *failure)
{
    return failure->code == ERROR_NOT_FOUND || failure->code == ERROR_DENIED || failure->code == ERROR_INPUT;
}

static int read_organisation_settings(struct attempt *attempt, struct error *err)
{
    struct forge_repo repo = {attempt->repo.owner, (char *)ORGANISATION_REPO, attempt->repo.installation};
    struct error failure = {0};
    AUTO_MIRROR struct mirror mirror = {0};
    char head[REPO_ID_SIZE];
    bool found;
    AUTO_FREE char *branch = forge_default_branch(attempt->forge, &repo, &failure);
    if (!branch || mirror_open(attempt, &repo, &mirror, &failure) < 0 ||
        repo_resolve(mirror.repo, branch, head, &failure) < 0)
        return is_absent(&failure) ? 0 : (*err = failure, error_wrap(err, "the organisation's settings"));
    return read_settings(mirror.repo, head, ORGANISATION_REPO "/" POLICY_PATH, &attempt->policy, &found, err);
}

/* ---- the base ---- */

char *source_work_dir(const struct config *config)
{
    return text_format("%s/work", config->state_dir);
}

static int settle_base(struct attempt *attempt, struct repo *repo, bool *again, struct error *err)
{
    const char *noted = json_text_at(attempt->job.published, "base", "");
    *again = *again && *noted && repo_resolve(repo, noted, attempt->base, NULL) == 0;
    if (*again)
        return 0;
    if (repo_resolve(repo, attempt->branch, attempt->base, err) < 0)
        return error_wrap(err, "the default branch");
    return attempt_note(attempt, "base", json_string(attempt->base), err);
}

static int check_out(struct attempt *attempt, struct repo *repo, struct error *err)
{
    if (fs_remove_tree(attempt->tree, err) < 0 || fs_make_dirs(attempt->workspace, 0700, err) < 0 ||
        repo_checkout(repo, attempt->base, attempt->tree, err) < 0)
        return error_wrap(err, "check out %.12s", attempt->base);
    return 0;
}

int source_prepare(struct attempt *attempt, bool *again, bool checkout, struct error *err)
{
    bool found = false;
    free(attempt->branch);
    attempt->branch = forge_default_branch(attempt->forge, &attempt->repo, err);
    if (!attempt->branch)
        return -1;
    { /* the lock is given back before the next repository's is taken */
        AUTO_MIRROR struct mirror mirror = {0};
        if (mirror_open(attempt, &attempt->repo, &mirror, err) < 0 ||
            settle_base(attempt, mirror.repo, again, err) < 0 ||
            read_settings(mirror.repo, attempt->base, POLICY_PATH, &attempt->policy, &found, err) < 0 ||
            (checkout && check_out(attempt, mirror.repo, err) < 0))
            return -1;
    }
    return found ? 0 : read_organisation_settings(attempt, err);
}

/* ---- commits ---- */

char *source_co_author(const json_t *request, const char *git_url)
{
    const char *login = json_text_at(request, "requester", "");
    json_int_t id = json_int_at(request, "requester_id", 0);
    const char *host = strstr(git_url ? git_url : "", "://");
    host = host ? host + strlen("://") : "";
    const char *at = memchr(host, '@', strcspn(host, "/"));
    host = at ? at + 1 : host;
    int len = (int)strcspn(host, "/:");
    for (const char *c = login; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.[]", *c))
            return strdup(""); /* no login that could stand in a trailer */
    if (!*login)
        return strdup("");
    AUTO_FREE char *number = id ? text_format("%lld+", (long long)id) : strdup("");
    return text_format("%s <%s%s@users.noreply.%.*s>", login, number ? number : "", login, len ? len : 9,
                       len ? host : "localhost");
}

/* ---- the branch ---- */

static bool is_of_this_job(const struct repo_commit_info *commit, const char *own_email, int64_t job)
{
    AUTO_FREE char *trailer = text_format("\nAssay-Job: %lld\n", (long long)job);
    AUTO_FREE char *message = text_format("\n%s\n", commit->message);
    return trailer && message && strcmp(commit->author_email, own_email) == 0 && strstr(message, trailer);
}

/* True when the branch is not there, is what we want it to be, or holds commits of this job only. */
static bool may_take_branch(const struct attempt *attempt, struct repo *repo, const char *branch,
                            const struct source_change *change, const char *own_email)
{
    char head[REPO_ID_SIZE];
    struct repo_commit_info *commits = NULL;
    size_t count = 0;
    AUTO_FREE char *name = text_format("refs/remotes/origin/%s", branch);
    if (!name || repo_resolve(repo, name, head, NULL) < 0)
        return true;
    if (strcmp(head, change->head) == 0)
        return true;
    if (repo_log(repo, attempt->base, head, LOG_MAX, &commits, &count, NULL) < 0)
        return false;
    size_t ours = 0;
    while (ours < count && is_of_this_job(&commits[ours], own_email, attempt->job.id))
        ours++;
    repo_log_free(commits, count);
    return count > 0 && ours == count;
}

/* The one used before, then the plain name, then names with the job's number. */
static char *branch_candidate(const struct attempt *attempt, int try)
{
    const char *noted = json_text_at(attempt->job.published, "branch", "");
    AUTO_FREE char *slug = commits_slug(attempt->job.title);
    AUTO_FREE char *plain = text_format("assay/%lld-%s", (long long)attempt->job.number, slug);
    long long id = (long long)attempt->job.id;
    if (try == 0)
        return strdup(noted);
    if (try == 1)
        return STEAL(plain);
    return try == 2 ? text_format("%s-%lld", plain, id) : text_format("%s-%lld-%d", plain, id, try - 1);
}

struct push {
    struct attempt *attempt;
    struct mirror *mirror;
    const char *branch, *own_email;
    const struct source_change *change;
};

static int push_now(const void *context, struct error *err)
{
    const struct push *push = context;
    return repo_push(push->mirror->repo, &push->mirror->remote, push->branch, push->change->head, push->attempt->base,
                     push->own_email, err);
}

static int push_with_token(void *context, struct error *err)
{
    const struct push *push = context;
    return with_token(push->attempt, &push->attempt->repo, push->mirror, push_now, push, err);
}

static int push_to(const struct push *push, struct error *err)
{
    const struct attempt *attempt = push->attempt;
    return effect_branch(&attempt->effects, push->branch, push->change->head, attempt->job.started_ms, push_with_token,
                         (void *)push, err);
}

/* Somebody else's commits are never overwritten: another name is found. */
static int push_somewhere(struct attempt *attempt, struct mirror *mirror, const char *own_email,
                          struct source_change *change, struct error *err)
{
    for (int try = 0; try < BRANCH_TRIES; try++) {
        AUTO_FREE char *branch = branch_candidate(attempt, try);
        struct error failure = {0};
        if (!branch || !*branch || !may_take_branch(attempt, mirror->repo, branch, change, own_email))
            continue;
        if (push_to(&(struct push){attempt, mirror, branch, own_email, change}, &failure) == 0) {
            change->branch = STEAL(branch);
            return 0;
        }
        if (failure.code != ERROR_CONFLICT)
            return *err = failure, error_wrap(err, "push %s", branch);
        log_info(&attempt->log, "branch %s is somebody else's: %s", branch, failure.message);
    }
    return error_set(err, ERROR_CONFLICT, "push: every branch name for job %lld is taken; remove one",
                     (long long)attempt->job.id);
}

static int push_change(struct attempt *attempt, const struct run *run, const struct repo_person *author,
                       struct source_change *change, struct error *err)
{
    AUTO_FREE char *co_author = source_co_author(attempt->job.request, attempt->forge_config->git_url);
    AUTO_MIRROR struct mirror mirror = {0};
    struct commits_request commits = {
        .base = attempt->base,
        .run = run,
        .author = author,
        .co_author = co_author && *co_author ? co_author : NULL,
        .job = attempt->job.id,
        .when_ms = attempt->job.created_ms,
    };
    if (mirror_open(attempt, &attempt->repo, &mirror, err) < 0)
        return -1;
    commits.repo = mirror.repo;
    if (commits_make(&commits, change->tests, change->head, err) < 0 ||
        push_somewhere(attempt, &mirror, author->email, change, err) < 0)
        return -1;
    if (attempt_note(attempt, "branch", json_string(change->branch), err) < 0)
        return -1;
    return attempt_note(attempt, "head", json_string(change->head), err);
}

int source_push(struct attempt *attempt, const struct run *run, struct source_change *out, struct error *err)
{
    AUTO_FREE char *name = NULL;
    AUTO_FREE char *email = NULL;
    struct source_change change = {0};
    if (forge_identity(attempt->forge, &name, &email, err) < 0)
        return -1;
    struct repo_person author = {name, email};
    if (push_change(attempt, run, &author, &change, err) < 0) {
        source_change_release(&change);
        return -1;
    }
    *out = change;
    return 0;
}

void source_change_release(struct source_change *change)
{
    free(change->branch);
    *change = (struct source_change){0};
}
