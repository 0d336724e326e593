#include "forge/missed.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/clock.h"
#include "app/base/http.h"
#include "app/base/json.h"
#include "forge/github.h"

static int64_t time_at(const json_t *json, const char *path)
{
    int64_t ms = 0;
    return clock_parse_rfc3339(json_text_at(json, path, ""), &ms, NULL) == 0 ? ms : 0;
}

/* GitHub's `since` counts whole seconds. */
static const char *since_text(int64_t ms, char text[static CLOCK_TEXT_SIZE])
{
    return clock_rfc3339(ms > 0 ? ms / 1000 * 1000 : 0, text);
}

/* ---- deliveries ---- */

bool github_keeps_deliveries(const struct forge *forge)
{
    return auth_is_app(github_of(forge)->auth);
}

struct delivery_walk {
    int64_t since_ms;
    forge_each_delivery *each;
    void *context;
};

static int walk_deliveries(void *context, const json_t *page, struct error *err)
{
    const struct delivery_walk *walk = context;
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)page, i, item) {
        struct forge_delivery delivery = {
            .id = json_int_at(item, "id", 0),
            .guid = json_text_at(item, "guid", ""),
            .event = json_text_at(item, "event", ""),
            .at_ms = time_at(item, "delivered_at"),
            .status = json_int_at(item, "status_code", 0),
        };
        if (delivery.at_ms < walk->since_ms)
            return 1;
        int stop = delivery.id > 0 && *delivery.guid ? walk->each(walk->context, &delivery, err) : 0;
        if (stop)
            return stop;
    }
    return 0;
}

int github_deliveries(struct forge *forge, int64_t since_ms, forge_each_delivery *each, void *context,
                      struct error *err)
{
    struct github_request request = {.method = "GET", .path = "/app/hook/deliveries?per_page=100"};
    struct delivery_walk walk = {since_ms, each, context};
    return github_pages(forge, &request, walk_deliveries, &walk, err);
}

int github_redeliver(struct forge *forge, int64_t id, struct error *err)
{
    AUTO_FREE char *path = text_format("/app/hook/deliveries/%lld/attempts", (long long)id);
    struct github_request request = {.method = "POST", .path = path};
    AUTO_ANSWER struct github_answer answer = {0};
    return github_call(forge, &request, &answer, err);
}

int github_delivery_payload(struct forge *forge, int64_t id, json_t **payload, struct error *err)
{
    AUTO_FREE char *path = text_format("/app/hook/deliveries/%lld", (long long)id);
    struct github_request request = {.method = "GET", .path = path};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    json_t *found = json_at(answer.json, "request.payload");
    if (!json_is_object(found))
        return error_set(err, ERROR_FORGE, "%s: the answer has no payload", path);
    *payload = json_incref(found);
    return 0;
}

/* ---- repositories ---- */

struct repository_walk {
    struct forge *forge;
    forge_each_repository *each;
    void *context;
    int64_t installation, installed_ms;
};

static int walk_repositories(void *context, const json_t *page, struct error *err)
{
    const struct repository_walk *walk = context;
    size_t i;
    json_t *item;
    json_array_foreach (json_at(page, "repositories"), i, item) {
        struct forge_repo repo = {
            .owner = (char *)json_text_at(item, "owner.login", ""),
            .name = (char *)json_text_at(item, "name", ""),
            .installation = walk->installation,
        };
        bool usable = *repo.owner && *repo.name && !json_true_at(item, "archived") && !json_true_at(item, "disabled");
        int stop = usable ? walk->each(walk->context, &repo, walk->installed_ms, err) : 0;
        if (stop)
            return stop;
    }
    return 0;
}

static int walk_installations(void *context, const json_t *page, struct error *err)
{
    struct repository_walk *walk = context;
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)page, i, item) {
        walk->installation = json_int_at(item, "id", 0);
        walk->installed_ms = time_at(item, "created_at");
        if (walk->installation <= 0 || *json_text_at(item, "suspended_at", ""))
            continue;
        /* No repository's name: the token is for the installation's list, see auth.c. */
        AUTO_FREE char *owner = text_format("installation %lld", (long long)walk->installation);
        struct forge_repo whole = {.owner = owner, .name = "", .installation = walk->installation};
        struct github_request request = {
            .method = "GET", .path = "/installation/repositories?per_page=100", .repo = &whole};
        if (!owner || github_pages(walk->forge, &request, walk_repositories, walk, err) < 0)
            return owner ? -1 : error_set(err, ERROR_INTERNAL, "out of memory for an installation");
    }
    return 0;
}

int github_repositories(struct forge *forge, forge_each_repository *each, void *context, struct error *err)
{
    struct github_request request = {.method = "GET", .path = "/app/installations?per_page=100"};
    struct repository_walk walk = {.forge = forge, .each = each, .context = context};
    return github_pages(forge, &request, walk_installations, &walk, err);
}

int github_installed(struct forge *forge, const struct forge_repo *repo, int64_t *installed_ms, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/installation");
    struct github_request request = {.method = "GET", .path = path};
    AUTO_ANSWER struct github_answer answer = {0};
    *installed_ms = 0;
    if (!github_keeps_deliveries(forge))
        return 0;
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    *installed_ms = time_at(answer.json, "created_at");
    return 0;
}

/* ---- labelled issues ---- */

struct label_walk {
    struct forge *forge;
    const struct forge_repo *repo;
    const char *label;
    int64_t since_ms;
    forge_each_found *each;
    void *context;
};

struct label_search {
    const char *label;
    json_t *event; /* the newest one that put it on; NULL: none, or it was taken off again */
};

static int look_for_label(void *context, const json_t *page, struct error *err)
{
    struct label_search *search = context;
    size_t i;
    json_t *event;
    (void)err;
    json_array_foreach ((json_t *)page, i, event) {
        const char *what = json_text_at(event, "event", "");
        bool on = strcmp(what, "labeled") == 0;
        if ((!on && strcmp(what, "unlabeled") != 0) ||
            strcasecmp(json_text_at(event, "label.name", ""), search->label) != 0)
            continue;
        json_decref(search->event);
        search->event = on ? json_incref(event) : NULL;
    }
    return 0;
}

static int find_label(const struct label_walk *walk, const json_t *issue, json_t **event, struct error *err)
{
    AUTO_FREE char *path =
        github_path(walk->repo, "/issues/%lld/events?per_page=100", (long long)json_int_at(issue, "number", 0));
    struct github_request request = {.method = "GET", .path = path, .repo = walk->repo};
    struct label_search search = {.label = walk->label};
    if (github_pages(walk->forge, &request, look_for_label, &search, err) < 0) {
        json_decref(search.event);
        return -1;
    }
    *event = search.event;
    return 0;
}

static int look_at_issue(const struct label_walk *walk, json_t *issue, struct error *err)
{
    json_auto_t *event = NULL;
    if (json_is_object(json_at(issue, "pull_request")))
        return 0;
    if (find_label(walk, issue, &event, err) < 0)
        return -1;
    struct forge_found found = {
        .event = "issues",
        .number = json_int_at(issue, "number", 0),
        .happened_ms = time_at(event, "created_at"),
        .who = json_text_at(event, "actor.login", ""),
        .text = json_text_at(issue, "body", ""),
        .subject = issue,
        .cause = event,
    };
    if (!event || !*found.who || found.number <= 0 || found.happened_ms < walk->since_ms)
        return 0;
    return walk->each(walk->context, &found, err);
}

static int walk_issues(void *context, const json_t *page, struct error *err)
{
    size_t i;
    json_t *issue;
    json_array_foreach ((json_t *)page, i, issue) {
        int stop = look_at_issue(context, issue, err);
        if (stop)
            return stop;
    }
    return 0;
}

int github_find_labelled(struct forge *forge, const struct forge_repo *repo, const char *label, int64_t since_ms,
                         forge_each_found *each, void *context, struct error *err)
{
    char since[CLOCK_TEXT_SIZE];
    AUTO_FREE char *name = http_escape(label);
    AUTO_FREE char *path = name ? github_path(repo, "/issues?state=open&labels=%s&since=%s&per_page=100", name,
                                              since_text(since_ms, since))
                                : NULL;
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    struct label_walk walk = {forge, repo, label, since_ms, each, context};
    return github_pages(forge, &request, walk_issues, &walk, err);
}

/* ---- comments ---- */

struct comment_walk {
    int64_t since_ms;
    forge_each_found *each;
    void *context;
};

static int64_t number_in(const char *issue_url)
{
    const char *slash = strrchr(issue_url, '/');
    return slash ? strtoll(slash + 1, NULL, 10) : 0;
}

static bool is_bot(const json_t *comment)
{
    const char *login = json_text_at(comment, "user.login", "");
    size_t len = strlen(login);
    size_t suffix = strlen("[bot]");
    return strcmp(json_text_at(comment, "user.type", ""), "Bot") == 0 ||
           (len > suffix && strcasecmp(login + len - suffix, "[bot]") == 0);
}

/* One that was edited is passed over: what it said when it was written is not known. */
static int walk_comments(void *context, const json_t *page, struct error *err)
{
    const struct comment_walk *walk = context;
    size_t i;
    json_t *comment;
    json_array_foreach ((json_t *)page, i, comment) {
        int64_t created_ms = time_at(comment, "created_at");
        struct forge_found found = {
            .event = "issue_comment",
            .number = number_in(json_text_at(comment, "issue_url", "")),
            .comment_id = json_int_at(comment, "id", 0),
            .happened_ms = created_ms,
            .who = json_text_at(comment, "user.login", ""),
            .text = json_text_at(comment, "body", ""),
            .subject = comment,
        };
        bool meant = created_ms >= walk->since_ms && created_ms == time_at(comment, "updated_at") && !is_bot(comment) &&
                     *found.who && found.number > 0 && found.comment_id > 0;
        int stop = meant ? walk->each(walk->context, &found, err) : 0;
        if (stop)
            return stop;
    }
    return 0;
}

int github_find_comments(struct forge *forge, const struct forge_repo *repo, int64_t since_ms, forge_each_found *each,
                         void *context, struct error *err)
{
    char since[CLOCK_TEXT_SIZE];
    AUTO_FREE char *path = github_path(repo, "/issues/comments?sort=created&direction=asc&since=%s&per_page=100",
                                       since_text(since_ms, since));
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    struct comment_walk walk = {since_ms, each, context};
    return github_pages(forge, &request, walk_comments, &walk, err);
}

/* ---- as the webhook would have told it ---- */

/* `subject` is what `what` ("issue", "pull_request") holds: stolen. */
static json_t *payload_of(const struct forge_repo *repo, const char *action, const char *what, json_t *subject,
                          json_t *sender)
{
    char now[CLOCK_TEXT_SIZE];
    return json_pack("{s:s, s:o, s:{s:s, s:{s:s}}, s:O, s:{s:I}, s:{s:s}}", "action", action, what, subject,
                     "repository", "name", repo->name, "owner", "login", repo->owner, "sender", sender, "installation",
                     "id", (json_int_t)repo->installation, FORGE_FOUND_KEY, "as_of",
                     clock_rfc3339(clock_wall_ms(), now));
}

/* The issue as it is now, dated by the label: that is the moment which was missed. */
static int labelled_payload(const struct forge_repo *repo, const struct forge_found *found, json_t **payload,
                            struct error *err)
{
    json_t *issue = json_copy((json_t *)found->subject);
    json_object_set(issue, "updated_at", json_at(found->cause, "created_at"));
    json_auto_t *made = payload_of(repo, "labeled", "issue", issue, json_at(found->cause, "actor"));
    if (!made || json_object_set(made, "label", json_at(found->cause, "label")) < 0)
        return error_set(err, ERROR_INTERNAL, "out of memory for an event");
    *payload = json_incref(made);
    return 0;
}

static int comment_payload(struct forge *forge, const struct forge_repo *repo, const struct forge_found *found,
                           json_t **payload, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/issues/%lld", (long long)found->number);
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    json_auto_t *made = payload_of(repo, "created", "issue", json_incref(answer.json), json_at(found->subject, "user"));
    if (!made || json_object_set(made, "comment", (json_t *)found->subject) < 0)
        return error_set(err, ERROR_INTERNAL, "out of memory for an event");
    *payload = json_incref(made);
    return 0;
}

int github_found_payload(struct forge *forge, const struct forge_repo *repo, const struct forge_found *found,
                         json_t **payload, struct error *err)
{
    return found->comment_id ? comment_payload(forge, repo, found, payload, err)
                             : labelled_payload(repo, found, payload, err);
}

/* Who closed it is told by the pull request of a merge only; nothing is asked of that person. */
int github_closed_payload(struct forge *forge, const struct forge_repo *repo, int64_t number, json_t **payload,
                          int64_t *closed_ms, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/pulls/%lld", (long long)number);
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0)
        return -1;
    *payload = NULL;
    if (strcmp(json_text_at(answer.json, "state", ""), "closed") != 0)
        return 0;
    json_t *author = json_at(answer.json, "user");
    json_t *merger = json_at(answer.json, "merged_by");
    json_t *pull = json_copy(answer.json);
    json_object_set(pull, "updated_at", json_at(pull, "closed_at")); /* the moment which was missed */
    json_t *made = payload_of(repo, "closed", "pull_request", pull, json_is_object(merger) ? merger : author);
    if (!made)
        return error_set(err, ERROR_FORGE, "%s: the answer has no author", path);
    *closed_ms = time_at(answer.json, "closed_at");
    *payload = made;
    return 0;
}
