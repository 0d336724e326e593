#include "forge/pull.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/http.h"
#include "app/base/json.h"
#include "forge/github.h"

#define TITLE_MAX    250
#define DRAFT_PREFIX "[draft] "
#define SEARCH_PAGES 20

/* ---- reading ---- */

static int read_pull(const json_t *json, struct forge_pull *out, struct error *err)
{
    const char *head_repo = json_text_at(json, "head.repo.full_name", NULL);
    const char *base_repo = json_text_at(json, "base.repo.full_name", "");
    struct forge_pull pull = {
        .number = json_int_at(json, "number", 0),
        .url = strdup(json_text_at(json, "html_url", "")),
        .head_branch = strdup(json_text_at(json, "head.ref", "")),
        .head_sha = strdup(json_text_at(json, "head.sha", "")),
        .head_repo = head_repo ? strdup(head_repo) : NULL,
        .base_branch = strdup(json_text_at(json, "base.ref", "")),
        .open = !strcmp(json_text_at(json, "state", ""), "open"),
        .draft = json_true_at(json, "draft"),
        .from_fork = !head_repo || strcasecmp(head_repo, base_repo) != 0,
    };
    bool whole = pull.url && pull.head_branch && pull.head_sha && pull.base_branch && (!head_repo || pull.head_repo);
    if (whole && pull.number > 0) {
        *out = pull;
        return 0;
    }
    forge_pull_release(&pull);
    return whole ? error_set(err, ERROR_FORGE, "the answer is no pull request: it has no number")
                 : error_set(err, ERROR_INTERNAL, "out of memory for a pull request");
}

int github_pull_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_pull *out,
                    struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/pulls/%lld", (long long)number);
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    return read_pull(answer.json, out, err);
}

/* Which pull requests from a branch are meant: the open one (head_sha NULL), or every one of that commit. */
struct from_branch {
    const struct forge_repo *repo;
    const char *branch, *head_sha;
};

static bool is_meant(const json_t *pull, const struct from_branch *wanted, const char *full_name)
{
    if (strcmp(json_text_at(pull, "head.ref", ""), wanted->branch) != 0 ||
        strcasecmp(json_text_at(pull, "head.repo.full_name", ""), full_name) != 0)
        return false;
    return wanted->head_sha ? !strcmp(json_text_at(pull, "head.sha", ""), wanted->head_sha)
                            : !strcmp(json_text_at(pull, "state", ""), "open");
}

static json_t *pick_from_branch(const json_t *page, const struct from_branch *wanted)
{
    AUTO_FREE char *full_name = text_format("%s/%s", wanted->repo->owner, wanted->repo->name);
    size_t i;
    json_t *pull;
    json_array_foreach ((json_t *)page, i, pull) {
        if (full_name && is_meant(pull, wanted, full_name))
            return pull;
    }
    return NULL;
}

/* One pull request from the branch as the server's JSON (new reference), or NULL in *found. GitBucket ignores
 * `head` and links no pages, so pages are counted until one is empty. */
static int find_meant(struct forge *forge, const struct from_branch *wanted, json_t **found, struct error *err)
{
    const struct forge_repo *repo = wanted->repo;
    AUTO_FREE char *head_owner = http_escape(repo->owner);
    AUTO_FREE char *head_branch = http_escape(wanted->branch);
    *found = NULL;
    for (int page = 1; head_owner && head_branch && page <= SEARCH_PAGES; page++) {
        AUTO_FREE char *path = github_path(repo, "/pulls?state=%s&head=%s:%s&per_page=100&page=%d",
                                           wanted->head_sha ? "all" : "open", head_owner, head_branch, page);
        struct github_request request = {.method = "GET", .path = path, .repo = repo};
        AUTO_ANSWER struct github_answer answer = {0};
        if (github_call(forge, &request, &answer, err) < 0)
            return -1;
        *found = json_incref(pick_from_branch(answer.json, wanted));
        if (*found || !json_array_size(answer.json))
            return 0;
    }
    return 0;
}

static int find(struct forge *forge, const struct forge_repo *repo, const char *branch, json_t **found,
                struct error *err)
{
    return find_meant(forge, &(struct from_branch){.repo = repo, .branch = branch}, found, err);
}

int github_pull_made(struct forge *forge, const struct forge_repo *repo, const char *branch, const char *head_sha,
                     int64_t *number, struct error *err)
{
    json_auto_t *found = NULL;
    if (find_meant(forge, &(struct from_branch){repo, branch, head_sha}, &found, err) < 0)
        return -1;
    *number = json_int_at(found, "number", 0);
    return 0;
}

int github_pull_find(struct forge *forge, const struct forge_repo *repo, const char *branch, struct forge_pull *out,
                     struct error *err)
{
    json_auto_t *found = NULL;
    if (find(forge, repo, branch, &found, err) < 0)
        return -1;
    if (found)
        return read_pull(found, out, err);
    *out = (struct forge_pull){0};
    return 0;
}

/* ---- writing ---- */

static json_t *title_text(const char *title, bool marked_draft)
{
    AUTO_FREE char *text = text_format("%s%s", marked_draft ? DRAFT_PREFIX : "", title);
    return text ? github_text(text, TITLE_MAX) : NULL;
}

/* In a dry run there is no answer; the caller gets what it asked for, with number 0. */
static int finish(const struct github_answer *answer, const struct forge_pull_request *request, struct forge_pull *out,
                  struct error *err)
{
    if (answer->json)
        return read_pull(answer->json, out, err);
    *out = (struct forge_pull){
        .url = strdup(""),
        .head_branch = strdup(request->branch),
        .head_sha = strdup(""),
        .base_branch = strdup(request->base),
        .open = true,
        .draft = request->draft,
    };
    return 0;
}

static int update(struct forge *forge, const struct forge_repo *repo, int64_t number,
                  const struct forge_pull_request *request, bool marked_draft, struct github_answer *answer,
                  struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/pulls/%lld", (long long)number);
    json_auto_t *body = json_pack("{s:o, s:o, s:s}", "title", title_text(request->title, marked_draft), "body",
                                  github_text(request->body, GITHUB_BODY_MAX), "base", request->base);
    if (!body)
        return error_set(err, ERROR_INTERNAL, "out of memory for a pull request");
    struct github_request call = {.method = "PATCH", .path = path, .body = body, .repo = repo};
    return github_call(forge, &call, answer, err);
}

/* REST cannot end a draft; GraphQL can. Without it the pull request stays a draft: a log line. */
static bool mark_ready(struct forge *forge, const struct forge_repo *repo, const json_t *pull)
{
    static const char mutation[] = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) "
                                   "{ pullRequest { isDraft } } }";
    json_auto_t *body =
        json_pack("{s:s, s:{s:s}}", "query", mutation, "variables", "id", json_text_at(pull, "node_id", ""));
    struct github_request call = {
        .method = "POST", .path = "/graphql", .body = body, .repo = repo, .repeatable = true, .graphql = true};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    int result = github_call(forge, &call, &answer, &why);
    const json_t *problem = json_array_get(json_at(answer.json, "errors"), 0);
    if (result == 0 && !problem)
        return true;
    log_warn(forge->log, "forge %s: pull request #%lld stays a draft; mark it ready by hand: %s", forge->config->name,
             (long long)json_int_at(pull, "number", 0), problem ? json_text_at(problem, "message", "") : why.message);
    return false;
}

static int bring_up_to_date(struct forge *forge, const struct forge_repo *repo, const json_t *existing,
                            const struct forge_pull_request *request, struct forge_pull *out, struct error *err)
{
    /* A pull request that a person has marked ready stays ready; only our own stand-in for a draft is kept up. */
    bool stands_in = !strncmp(json_text_at(existing, "title", ""), DRAFT_PREFIX, strlen(DRAFT_PREFIX));
    AUTO_ANSWER struct github_answer answer = {0};
    int64_t number = json_int_at(existing, "number", 0);
    if (update(forge, repo, number, request, request->draft && stands_in, &answer, err) < 0)
        return -1;
    bool ready = !request->draft && json_true_at(existing, "draft") && mark_ready(forge, repo, existing);
    if (finish(&answer, request, out, err) < 0)
        return -1;
    if (ready)
        out->draft = false;
    return 0;
}

static int create(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                  bool draft, bool marked_draft, struct github_answer *answer, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "%s", "/pulls");
    json_auto_t *body =
        json_pack("{s:o, s:s, s:s, s:o}", "title", title_text(request->title, marked_draft), "head", request->branch,
                  "base", request->base, "body", github_text(request->body, GITHUB_BODY_MAX));
    if (!body || (draft && json_object_set_new(body, "draft", json_true()) < 0))
        return error_set(err, ERROR_INTERNAL, "out of memory for a pull request");
    struct github_request call = {.method = "POST", .path = path, .body = body, .repo = repo};
    return github_call(forge, &call, answer, err);
}

/* The server opened it ready although a draft was asked for: the title says it instead. */
static int mark_in_title(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                         struct github_answer *answer, struct error *err)
{
    static const struct error ignored = {.message = "the server ignores the field"};
    int64_t number = json_int_at(answer->json, "number", 0);
    github_note_lack(forge, GITHUB_DRAFTS, "no draft pull requests, the title says [draft]", &ignored);
    github_answer_release(answer);
    return update(forge, repo, number, request, true, answer, err);
}

static int open_pull(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                     struct forge_pull *out, struct error *err)
{
    bool no_drafts = github_of(forge)->lacks[GITHUB_DRAFTS];
    bool draft = request->draft && !no_drafts;
    AUTO_ANSWER struct github_answer answer = {0};
    int result = create(forge, repo, request, draft, request->draft && no_drafts, &answer, err);
    if (result < 0 && draft && err->code == ERROR_INPUT && strcasestr(err->message, "draft")) {
        github_note_lack(forge, GITHUB_DRAFTS, "no draft pull requests, the title says [draft]", err);
        github_answer_release(&answer);
        result = create(forge, repo, request, false, true, &answer, err);
    } else if (result == 0 && draft && answer.json && !json_true_at(answer.json, "draft")) {
        result = mark_in_title(forge, repo, request, &answer, err);
    }
    return result < 0 ? -1 : finish(&answer, request, out, err);
}

int github_pull_put(struct forge *forge, const struct forge_repo *repo, const struct forge_pull_request *request,
                    struct forge_pull *out, struct error *err)
{
    json_auto_t *existing = NULL;
    struct error why = {0};
    if (find(forge, repo, request->branch, &existing, err) < 0)
        return -1;
    if (!existing && open_pull(forge, repo, request, out, &why) == 0)
        return 0;
    /* Refused or the answer lost: somebody, or an earlier attempt of ours, may have opened it in between. */
    bool may_exist = why.retryable || why.code == ERROR_INPUT || why.code == ERROR_CONFLICT;
    if (!existing && (!may_exist || find(forge, repo, request->branch, &existing, NULL) < 0 || !existing)) {
        if (err)
            *err = why;
        return -1;
    }
    return bring_up_to_date(forge, repo, existing, request, out, err);
}
