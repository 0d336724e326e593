#include "forge/issue.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/http.h"
#include "app/base/json.h"
#include "forge/github.h"
#include "forge/identity.h"

static int read_labels(const json_t *labels, struct forge_issue *issue)
{
    size_t count = json_array_size(labels);
    issue->labels = calloc(count + 1, sizeof *issue->labels);
    for (size_t i = 0; issue->labels && i < count; i++) {
        issue->labels[i] = strdup(json_text_at(json_array_get(labels, i), "name", ""));
        if (!issue->labels[i])
            return -1;
        issue->label_count++;
    }
    return issue->labels ? 0 : -1;
}

static int read_issue(const json_t *json, struct forge_issue *out, struct error *err)
{
    struct forge_issue issue = {
        .number = json_int_at(json, "number", 0),
        .title = strdup(json_text_at(json, "title", "")),
        .body = strdup(json_text_at(json, "body", "")),
        .author = strdup(json_text_at(json, "user.login", "")),
        .open = !strcmp(json_text_at(json, "state", ""), "open"),
        .is_pull = json_is_object(json_at(json, "pull_request")),
    };
    bool whole = read_labels(json_at(json, "labels"), &issue) == 0 && issue.title && issue.body && issue.author;
    if (whole && issue.number > 0) {
        *out = issue;
        return 0;
    }
    forge_issue_release(&issue);
    return whole ? error_set(err, ERROR_FORGE, "the answer is no issue: it has no number")
                 : error_set(err, ERROR_INTERNAL, "out of memory for an issue");
}

int github_issue_get(struct forge *forge, const struct forge_repo *repo, int64_t number, struct forge_issue *out,
                     struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/issues/%lld", (long long)number);
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    return read_issue(answer.json, out, err);
}

char *github_default_branch(struct forge *forge, const struct forge_repo *repo, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "%s", "");
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return NULL;
    const char *branch = json_text_at(answer.json, "default_branch", "");
    if (!*branch) {
        error_set(err, ERROR_FORGE, "the repository has no default branch: is it empty?");
        return NULL;
    }
    char *copy = strdup(branch);
    if (!copy)
        error_set(err, ERROR_INTERNAL, "out of memory for a branch name");
    return copy;
}

int github_react(struct forge *forge, const struct forge_repo *repo, enum forge_subject subject, int64_t id,
                 const char *content, struct error *err)
{
    static const char *const places[] = {
        [FORGE_ISSUE] = "issues",
        [FORGE_ISSUE_COMMENT] = "issues/comments",
        [FORGE_REVIEW_COMMENT] = "pulls/comments",
    };
    AUTO_FREE char *path = github_path(repo, "/%s/%lld/reactions", places[subject], (long long)id);
    json_auto_t *body = json_pack("{s:s}", "content", content);
    struct github_request request = {.method = "POST", .path = path, .body = body, .repo = repo, .repeatable = true};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    if (github_call(forge, &request, &answer, &why) == 0)
        return 0;
    /* A reaction is a courtesy: no server's refusal of it stops anything. It is asked for again next time, since the
     * refusal may be about this one comment (deleted, locked). */
    if (github_is_missing(&why) || why.code == ERROR_DENIED || why.code == ERROR_INPUT) {
        github_note_lack(forge, GITHUB_REACTIONS, "no reactions", &why);
        return 0;
    }
    if (err)
        *err = why;
    return -1;
}

/* ---- comments ---- */

struct comment_search {
    const char *login, *marker;
    int64_t found;
};

static int look_for_comment(void *context, const json_t *page, struct error *err)
{
    (void)err;
    struct comment_search *search = context;
    size_t i;
    json_t *comment;
    json_array_foreach ((json_t *)page, i, comment) {
        if (strcasecmp(json_text_at(comment, "user.login", ""), search->login) != 0 ||
            !strstr(json_text_at(comment, "body", ""), search->marker))
            continue;
        search->found = json_int_at(comment, "id", 0);
        return search->found > 0;
    }
    return 0;
}

int github_comment_find(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                        int64_t *id, struct error *err)
{
    const char *login = github_login(forge, err);
    if (!login)
        return -1;
    AUTO_FREE char *path = github_path(repo, "/issues/%lld/comments?per_page=100", (long long)number);
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    struct comment_search search = {.login = login, .marker = marker};
    if (github_pages(forge, &request, look_for_comment, &search, err) < 0)
        return -1;
    *id = search.found;
    return 0;
}

/* {"body": …}; the marker is in it even when the text had to be cut. */
static json_t *comment_body(const char *marker, const char *body)
{
    AUTO_FREE char *cut = github_cut(body, GITHUB_BODY_MAX - strlen(marker) - 1);
    AUTO_FREE char *text = cut && !strstr(cut, marker) ? text_format("%s\n%s", cut, marker) : STEAL(cut);
    return text ? json_pack("{s:o}", "body", json_from_text(text, strlen(text))) : NULL;
}

/* `gone` tells a comment that somebody has deleted from other failures. */
static int edit_comment(struct forge *forge, const struct forge_repo *repo, int64_t id, const json_t *body, bool *gone,
                        struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/issues/comments/%lld", (long long)id);
    struct github_request request = {.method = "PATCH", .path = path, .body = body, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    int result = github_call(forge, &request, &answer, err);
    *gone = result < 0 && github_is_missing(err);
    return result;
}

static int create_comment(struct forge *forge, const struct forge_repo *repo, int64_t number, const json_t *body,
                          int64_t *id, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/issues/%lld/comments", (long long)number);
    struct github_request request = {.method = "POST", .path = path, .body = body, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    *id = json_int_at(answer.json, "id", 0);
    return 0;
}

/* Finds our comment and edits it, or creates it. */
static int find_and_put(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                        const json_t *body, int64_t *id, struct error *err)
{
    int64_t found = 0;
    bool gone;
    if (*marker && github_comment_find(forge, repo, number, marker, &found, err) < 0)
        return -1;
    if (!found)
        return create_comment(forge, repo, number, body, id, err);
    if (edit_comment(forge, repo, found, body, &gone, err) < 0)
        return -1;
    *id = found;
    return 0;
}

int github_comment_put(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *marker,
                       const char *text, int64_t *id, struct error *err)
{
    struct error why = {0};
    marker = marker ? marker : "";
    json_auto_t *body = comment_body(marker, text);
    if (!body)
        return error_set(err, ERROR_INTERNAL, "out of memory for a comment");
    bool gone = true;
    int result = *id ? edit_comment(forge, repo, *id, body, &gone, &why) : -1;
    if (result < 0 && gone)
        result = find_and_put(forge, repo, number, marker, body, id, &why);
    /* The answer to a creation may be lost after the server has acted: the search finds what it made. */
    if (result < 0 && gone && why.retryable && !why.retry_after_ms && *marker)
        result = find_and_put(forge, repo, number, marker, body, id, &why);
    if (result < 0 && err)
        *err = why;
    return result;
}

/* ---- labels ---- */

static int finish_label(struct forge *forge, const struct github_request *request, struct error *err)
{
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    if (github_call(forge, request, &answer, &why) == 0)
        return 0;
    if (github_is_missing(&why)) {
        /* Nothing to remove is fine without a word. */
        if (strcmp(request->method, "DELETE") != 0)
            github_note_lack(forge, GITHUB_LABELS, "no labels", &why);
        return 0;
    }
    if (err)
        *err = why;
    return -1;
}

int github_label_add(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                     struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/issues/%lld/labels", (long long)number);
    json_auto_t *body = json_pack("{s:[s]}", "labels", label);
    struct github_request request = {.method = "POST", .path = path, .body = body, .repo = repo, .repeatable = true};
    return finish_label(forge, &request, err);
}

int github_label_remove(struct forge *forge, const struct forge_repo *repo, int64_t number, const char *label,
                        struct error *err)
{
    AUTO_FREE char *segment = http_escape(label);
    AUTO_FREE char *path = segment ? github_path(repo, "/issues/%lld/labels/%s", (long long)number, segment) : NULL;
    struct github_request request = {.method = "DELETE", .path = path, .repo = repo};
    return finish_label(forge, &request, err);
}
