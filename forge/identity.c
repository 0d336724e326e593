#include "forge/identity.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/http.h"
#include "app/base/json.h"
#include "forge/github.h"

static bool is_app(const struct forge *forge)
{
    return auth_is_app(github_of(forge)->auth);
}

/* GET /app or GET /user, once. Borrowed. */
static const json_t *self(struct forge *forge, struct error *err)
{
    struct github *github = github_of(forge);
    if (github->self)
        return github->self;
    struct github_request request = {.method = "GET", .path = is_app(forge) ? "/app" : "/user"};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &request, &answer, err) < 0) {
        error_wrap(err, "ask who we are");
        return NULL;
    }
    if (!*json_text_at(answer.json, is_app(forge) ? "slug" : "login", "")) {
        error_set(err, ERROR_FORGE, "GET %s: the answer names nobody", request.path);
        return NULL;
    }
    github->self = json_incref(answer.json);
    return github->self;
}

const char *github_login(struct forge *forge, struct error *err)
{
    struct github *github = github_of(forge);
    const json_t *who = github->login ? NULL : self(forge, err);
    if (!github->login && !who)
        return NULL;
    if (!github->login)
        github->login = is_app(forge) ? text_format("%s[bot]", json_text_at(who, "slug", ""))
                                      : strdup(json_text_at(who, "login", ""));
    if (!github->login)
        error_set(err, ERROR_INTERNAL, "out of memory for our login");
    return github->login;
}

/* The id that GitHub's noreply addresses start with: the bot user's, which is not the App's. */
static int64_t user_id(struct forge *forge, const char *login, const json_t *who)
{
    if (!is_app(forge))
        return json_int_at(who, "id", 0);
    AUTO_FREE char *segment = http_escape(login);
    AUTO_FREE char *path = segment ? text_format("/users/%s", segment) : NULL;
    struct github_request request = {.method = "GET", .path = path, .anyone = true};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    int64_t id = github_call(forge, &request, &answer, &why) == 0 ? json_int_at(answer.json, "id", 0) : 0;
    if (!id)
        log_info(forge->log, "forge %s: our commits carry the App's id in place of its bot user's: %s",
                 forge->config->name, why.message);
    return id ? id : json_int_at(who, "id", 0);
}

/* users.noreply.github.com, or users.noreply.<host> of an enterprise server. */
static char *noreply_host(const char *api_url)
{
    const char *host = strstr(api_url, "://");
    host = host ? host + 3 : api_url;
    if (!strncasecmp(host, "api.", 4))
        host += 4;
    return text_format("users.noreply.%.*s", (int)strcspn(host, ":/"), host);
}

/* Borrowed, cached. */
static const char *noreply_address(struct forge *forge, const char *login, const json_t *who, struct error *err)
{
    struct github *github = github_of(forge);
    if (github->email)
        return github->email;
    AUTO_FREE char *host = noreply_host(forge->config->api_url);
    int64_t id = user_id(forge, login, who);
    github->email = host ? text_format("%lld+%s@%s", (long long)id, login, host) : NULL;
    if (!github->email)
        error_set(err, ERROR_INTERNAL, "out of memory for our address");
    return github->email;
}

int github_identity(struct forge *forge, char **name, char **email, struct error *err)
{
    const json_t *who = self(forge, err);
    const char *login = who ? github_login(forge, err) : NULL;
    const char *address = login ? noreply_address(forge, login, who, err) : NULL;
    if (!address)
        return -1;
    const char *called = is_app(forge) ? login : json_text_at(who, "name", "");
    AUTO_FREE char *our_name = strdup(*called ? called : login);
    AUTO_FREE char *our_email = strdup(address);
    if (!our_name || !our_email)
        return error_set(err, ERROR_INTERNAL, "out of memory for our name");
    *name = STEAL(our_name);
    *email = STEAL(our_email);
    return 0;
}

const char *github_git_user(struct forge *forge, struct error *err)
{
    return is_app(forge) ? "x-access-token" : github_login(forge, err);
}

int github_token(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err)
{
    const char *token = auth_token(forge, repo, err);
    if (!token)
        return -1;
    char *copy = strdup(token);
    if (!copy)
        return error_set(err, ERROR_INTERNAL, "out of memory for an access token");
    *out = (struct secret){.value = copy, .len = strlen(copy)};
    return 0;
}

bool github_token_forget(struct forge *forge, const struct forge_repo *repo)
{
    return is_app(forge) && auth_forget(github_of(forge)->auth, repo);
}

/* GitHub's words and GitBucket's; a word that is not here grants nothing. */
static enum forge_permission permission_of(const char *word)
{
    static const struct {
        const char *word;
        enum forge_permission permission;
    } words[] = {
        {"admin", FORGE_ADMIN}, {"maintain", FORGE_WRITE},  {"write", FORGE_WRITE},
        {"push", FORGE_WRITE},  {"developer", FORGE_WRITE}, {"triage", FORGE_READ},
        {"read", FORGE_READ},   {"pull", FORGE_READ},       {"guest", FORGE_READ},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcasecmp(words[i].word, word))
            return words[i].permission;
    return FORGE_NONE;
}

/* The strongest that an object such as {"admin": false, "push": true, "pull": true} grants. */
static enum forge_permission strongest(json_t *grants)
{
    enum forge_permission best = FORGE_NONE;
    const char *word;
    json_t *granted;
    json_object_foreach (grants, word, granted) {
        enum forge_permission permission = json_is_true(granted) ? permission_of(word) : FORGE_NONE;
        best = permission > best ? permission : best;
    }
    return best;
}

struct search {
    const char *login;
    enum forge_permission found;
};

static int look_for_collaborator(void *context, const json_t *page, struct error *err)
{
    (void)err;
    struct search *search = context;
    size_t i;
    json_t *person;
    json_array_foreach ((json_t *)page, i, person) {
        if (strcasecmp(json_text_at(person, "login", ""), search->login) != 0)
            continue;
        json_t *grants = json_at(person, "permissions");
        /* A list without permissions shows that somebody may read; more is not known, so more is not given. */
        search->found = grants ? strongest(grants) : FORGE_READ;
        return 1;
    }
    return 0;
}

/* The server does not have the question, or not this person. The owner of a personal repository may do everything;
 * otherwise the list of collaborators tells. Whatever stays unclear grants nothing. */
static int permission_by_list(struct forge *forge, const struct forge_repo *repo, const char *login,
                              enum forge_permission *permission, struct error *err)
{
    AUTO_FREE char *repo_path = github_path(repo, "%s", "");
    AUTO_FREE char *list_path = github_path(repo, "/collaborators?per_page=100");
    struct github_request about = {.method = "GET", .path = repo_path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    if (github_call(forge, &about, &answer, err) < 0)
        return -1;
    if (!strcasecmp(json_text_at(answer.json, "owner.login", ""), login) &&
        strcasecmp(json_text_at(answer.json, "owner.type", "User"), "Organization") != 0) {
        *permission = FORGE_ADMIN;
        return 0;
    }
    struct github_request list = {.method = "GET", .path = list_path, .repo = repo};
    struct search search = {.login = login};
    struct error why = {0};
    if (github_pages(forge, &list, look_for_collaborator, &search, &why) < 0 && why.code != ERROR_NOT_FOUND &&
        why.code != ERROR_DENIED) {
        if (err)
            *err = why;
        return -1;
    }
    *permission = search.found;
    return 0;
}

int github_permission(struct forge *forge, const struct forge_repo *repo, const char *login,
                      enum forge_permission *permission, struct error *err)
{
    AUTO_FREE char *segment = http_escape(login);
    AUTO_FREE char *path = segment ? github_path(repo, "/collaborators/%s/permission", segment) : NULL;
    struct github_request request = {.method = "GET", .path = path, .repo = repo};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    if (github_call(forge, &request, &answer, &why) == 0) {
        *permission = permission_of(json_text_at(answer.json, "permission", ""));
        return 0;
    }
    if (github_is_missing(&why))
        return permission_by_list(forge, repo, login, permission, err);
    if (err)
        *err = why;
    return -1;
}

/* What the App must be granted and hear of; `assay doctor` names what is missing. */
static const char *const app_permissions[] = {"contents", "issues", "pull_requests", "checks", NULL};
static const char *const app_events[] = {
    "issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment", NULL};

static bool hears(const json_t *app, const char *event)
{
    size_t i;
    json_t *heard;
    json_array_foreach (json_at(app, "events"), i, heard) {
        if (!strcmp(json_string_value(heard) ? json_string_value(heard) : "", event))
            return true;
    }
    return false;
}

static void list_missing(const json_t *app, struct buf *missing)
{
    for (const char *const *name = app_permissions; *name; name++)
        if (strcmp(json_text_at(json_at(app, "permissions"), *name, ""), "write") != 0)
            buf_printf(missing, "%spermission %s: write", missing->len ? ", " : "", *name);
    for (const char *const *name = app_events; *name; name++)
        if (!hears(app, *name))
            buf_printf(missing, "%sevent %s", missing->len ? ", " : "", *name);
}

int github_doctor(struct forge *forge, struct buf *line, struct error *err)
{
    const json_t *who = self(forge, err);
    if (!who)
        return -1;
    if (!is_app(forge)) {
        buf_printf(line, "user %s, by token", json_text_at(who, "login", ""));
        return 0;
    }
    AUTO_BUF struct buf missing = BUF_INIT(KiB(1));
    list_missing(who, &missing);
    if (missing.len)
        return error_set(err, ERROR_DENIED, "app %s lacks %s; add it in the App's settings",
                         json_text_at(who, "slug", ""), buf_text(&missing));
    json_int_t count = json_int_at(who, "installations_count", -1);
    buf_printf(line, "app %s", json_text_at(who, "slug", ""));
    if (count >= 0)
        buf_printf(line, ", %lld installation%s", (long long)count, count == 1 ? "" : "s");
    return 0;
}
