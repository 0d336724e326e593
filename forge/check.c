#include "forge/check.h"

#include <string.h>

#include "app/base/http.h"
#include "app/base/json.h"
#include "forge/github.h"

#define ANNOTATIONS_A_CALL     50
#define STATUS_DESCRIPTION_MAX 140
#define TITLE_MAX              250

static const char *const status_words[] = {
    [FORGE_CHECK_QUEUED] = "queued",
    [FORGE_CHECK_IN_PROGRESS] = "in_progress",
    [FORGE_CHECK_COMPLETED] = "completed",
};

/* ---- check runs ---- */

struct run_search {
    const char *external_id;
    int64_t found;
};

static int look_for_run(void *context, const json_t *page, struct error *err)
{
    (void)err;
    struct run_search *search = context;
    size_t i;
    json_t *run;
    json_array_foreach (json_at(page, "check_runs"), i, run) {
        if (!strcmp(json_text_at(run, "external_id", ""), search->external_id))
            search->found = json_int_at(run, "id", 0);
    }
    return search->found > 0;
}

static int find_run(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                    struct error *err)
{
    AUTO_FREE char *sha = http_escape(check->head_sha);
    AUTO_FREE char *name = http_escape(check->name);
    AUTO_FREE char *path = NULL;
    if (sha && name)
        path = github_path(repo, "/commits/%s/check-runs?check_name=%s&filter=all&per_page=100", sha, name);
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    struct run_search search = {.external_id = check->external_id};
    if (github_pages(forge, &request, look_for_run, &search, err) < 0)
        return -1;
    *id = search.found;
    return 0;
}

/* GitHub wants a title and a summary that are not empty. */
static json_t *filled(const char *text, const char *otherwise, size_t max)
{
    return github_text(text && *text ? text : otherwise, max);
}

static json_t *output(const struct forge_check *check, json_t *annotations)
{
    json_t *text = check->text && *check->text ? github_text(check->text, GITHUB_BODY_MAX) : NULL;
    return json_pack(
        "{s:o, s:o, s:o*, s:o*}", "title", filled(check->title, check->name, TITLE_MAX), "summary",
        filled(check->summary, check->title && *check->title ? check->title : check->name, GITHUB_BODY_MAX), "text",
        text, "annotations", annotations);
}

/* Fifty annotations from `start` on, or NULL when there are none left. New reference. */
static json_t *slice(const json_t *annotations, size_t start)
{
    size_t count = json_array_size(annotations);
    json_t *part = start < count ? json_array() : NULL;
    for (size_t i = start; part && i < count && i < start + ANNOTATIONS_A_CALL; i++)
        json_array_append(part, json_array_get(annotations, i));
    return part;
}

static json_t *run_body(const struct forge_check *check, size_t first_annotation, bool annotate)
{
    bool completed = check->status == FORGE_CHECK_COMPLETED;
    json_t *annotations = annotate ? slice(check->annotations, first_annotation) : NULL;
    return json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:o}", "name", check->name, "status", status_words[check->status],
                     "conclusion", completed ? check->conclusion : NULL, "external_id", check->external_id,
                     "details_url", check->details_url, "output", output(check, annotations));
}

static int create_run(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check,
                      struct github_answer *answer, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/check-runs");
    json_auto_t *body = run_body(check, 0, true);
    if (!body || json_object_set_new(body, "head_sha", json_string(check->head_sha)) < 0)
        return error_set(err, ERROR_INTERNAL, "out of memory for a check run");
    struct github_request request = {.method = "POST", .path = path, .body = body, .repo = repo};
    return github_call(forge, &request, answer, err);
}

static int update_run(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t id,
                      json_t *body, struct github_answer *answer, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/check-runs/%lld", (long long)id);
    if (!body)
        return error_set(err, ERROR_INTERNAL, "out of memory for check run %s", check->name);
    struct github_request request = {.method = "PATCH", .path = path, .body = body, .repo = repo};
    return github_call(forge, &request, answer, err);
}

/* The server appends what each call brings, so an update first asks (by its answer) how many are there already: a
 * repeated attempt adds only the rest. */
static int add_annotations(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check,
                           int64_t id, size_t there, struct error *err)
{
    for (size_t start = there; start < json_array_size(check->annotations); start += ANNOTATIONS_A_CALL) {
        json_auto_t *body = run_body(check, start, true);
        AUTO_ANSWER struct github_answer answer = {0};
        if (update_run(forge, repo, check, id, body, &answer, err) < 0)
            return -1;
    }
    return 0;
}

static int put_run(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                   struct error *err)
{
    int64_t run = *id;
    size_t there = ANNOTATIONS_A_CALL;
    AUTO_ANSWER struct github_answer answer = {0};
    if (!run && check->external_id && find_run(forge, repo, check, &run, err) < 0)
        return -1;
    if (!run) {
        if (create_run(forge, repo, check, &answer, err) < 0)
            return -1;
        run = json_int_at(answer.json, "id", 0);
    } else {
        json_auto_t *body = run_body(check, 0, false);
        if (update_run(forge, repo, check, run, body, &answer, err) < 0)
            return -1;
        json_int_t count = json_int_at(answer.json, "output.annotations_count", 0);
        there = count > 0 ? (size_t)count : 0;
    }
    if (run && add_annotations(forge, repo, check, run, there, err) < 0)
        return -1;
    *id = run;
    return 0;
}

/* ---- commit statuses ---- */

static const char *state_of(const struct forge_check *check)
{
    static const struct {
        const char *conclusion, *state;
    } states[] = {
        {"success", "success"}, {"neutral", "success"}, {"skipped", "success"},
        {"failure", "failure"}, {"cancelled", "error"}, {"action_required", "failure"},
    };
    if (check->status != FORGE_CHECK_COMPLETED)
        return "pending";
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (check->conclusion && !strcmp(states[i].conclusion, check->conclusion))
            return states[i].state;
    return "error";
}

/* A description has 140 characters and no room for the usual note. */
static json_t *description_of(const struct forge_check *check)
{
    const char *title = check->title && *check->title ? check->title : check->name;
    size_t len = strlen(title);
    if (len <= STATUS_DESCRIPTION_MAX)
        return json_from_text(title, len);
    len = STATUS_DESCRIPTION_MAX - strlen("…");
    while (len > 0 && ((unsigned char)title[len] & 0xc0) == 0x80)
        len--;
    AUTO_FREE char *cut = text_format("%.*s…", (int)len, title);
    return cut ? json_from_text(cut, strlen(cut)) : NULL;
}

static int put_status(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check,
                      struct error *err)
{
    AUTO_FREE char *sha = http_escape(check->head_sha);
    AUTO_FREE char *path = sha ? github_path(repo, "/statuses/%s", sha) : NULL;
    json_auto_t *body = json_pack("{s:s, s:s, s:o, s:s*}", "state", state_of(check), "context", check->name,
                                  "description", description_of(check), "target_url", check->details_url);
    struct github_request request = {.method = "POST", .path = path, .body = body, .repo = repo, .repeatable = true};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    if (github_of(forge)->lacks[GITHUB_STATUSES] || github_call(forge, &request, &answer, &why) == 0)
        return 0;
    if (github_is_missing(&why)) {
        github_note_lack(forge, GITHUB_STATUSES, "no commit statuses either", &why);
        return 0;
    }
    if (err)
        *err = why;
    return -1;
}

int github_check_find(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                      struct error *err)
{
    struct error why = {0};
    if (github_of(forge)->lacks[GITHUB_CHECK_RUNS]) {
        *id = 0;
        return 0;
    }
    if (find_run(forge, repo, check, id, &why) == 0)
        return 0;
    if (github_is_missing(&why) || why.code == ERROR_DENIED) {
        *id = 0; /* github_check_put() says what stands in */
        return 0;
    }
    if (err)
        *err = why;
    return -1;
}

int github_check_put(struct forge *forge, const struct forge_repo *repo, const struct forge_check *check, int64_t *id,
                     struct error *err)
{
    struct github *github = github_of(forge);
    struct error why = {0};
    if (github->lacks[GITHUB_CHECK_RUNS])
        return put_status(forge, repo, check, err);
    if (put_run(forge, repo, check, id, &why) == 0)
        return 0;
    /* Check runs belong to Apps: a token is refused with 403. */
    if (github_is_missing(&why) || (why.code == ERROR_DENIED && !auth_is_app(github->auth))) {
        github_note_lack(forge, GITHUB_CHECK_RUNS, "no check runs, a commit status stands in", &why);
        return put_status(forge, repo, check, err);
    }
    if (err)
        *err = why;
    return -1;
}
