#include "forge/auth.h"

#include <jwt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "forge/github.h"

enum {
    JWT_BACKDATE_S = 60,      /* GitHub's advice against clocks that differ */
    JWT_LIFE_S = 9 * 60,      /* ten minutes are the most that GitHub accepts, counted from its own clock */
    TOKEN_MARGIN_MS = 600000, /* what forge_token() promises to leave */
    TOKENS_MAX = 32,
};

struct installation_token {
    char *owner, *name; /* NULL: empty */
    int64_t installation;
    struct secret token;
    int64_t expires_ms; /* wall time */
};

struct auth {
    int64_t app_id;
    struct secret key;   /* PEM; empty with a fixed token */
    struct secret fixed; /* `token:` */
    struct secrets *secrets;
    int64_t skew_ms;
    struct installation_token tokens[TOKENS_MAX];
    size_t oldest;
};

static int load(struct auth *auth, const struct forge_config *config, struct error *err)
{
    if (config->token) {
        if (secret_load(config->token, &auth->fixed, err) < 0)
            return error_wrap(err, "token");
        secrets_add(auth->secrets, auth->fixed.value);
        return 0;
    }
    if (!config->app_id || !config->private_key)
        return error_set(err, ERROR_CONFIG, "no credentials: set app_id and private_key, or token");
    if (secret_load(config->private_key, &auth->key, err) < 0)
        return error_wrap(err, "private_key");
    secrets_add(auth->secrets, auth->key.value);
    struct secret proof = {0};
    if (auth_jwt(auth, clock_wall_ms(), &proof, err) < 0)
        return -1;
    secret_release(&proof);
    return 0;
}

struct auth *auth_new(const struct forge_config *config, struct secrets *secrets, struct error *err)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth) {
        error_set(err, ERROR_INTERNAL, "out of memory for credentials");
        return NULL;
    }
    auth->app_id = config->app_id;
    auth->secrets = secrets;
    if (load(auth, config, err) < 0) {
        auth_free(auth);
        return NULL;
    }
    return auth;
}

static void token_release(struct installation_token *token)
{
    free(token->owner);
    free(token->name);
    secret_release(&token->token);
    *token = (struct installation_token){0};
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    for (size_t i = 0; i < TOKENS_MAX; i++)
        token_release(&auth->tokens[i]);
    secret_release(&auth->key);
    secret_release(&auth->fixed);
    free(auth);
}

bool auth_is_app(const struct auth *auth)
{
    return !auth->fixed.value;
}

void auth_set_skew(struct auth *auth, int64_t skew_ms)
{
    auth->skew_ms = skew_ms;
}

int auth_jwt(const struct auth *auth, int64_t now_ms, struct secret *out, struct error *err)
{
    jwt_t *jwt = NULL;
    char *text = NULL;
    long now = (long)((now_ms + auth->skew_ms) / 1000);
    if (auth->key.len <= INT_MAX && jwt_new(&jwt) == 0 && jwt_add_grant_int(jwt, "iat", now - JWT_BACKDATE_S) == 0 &&
        jwt_add_grant_int(jwt, "exp", now + JWT_LIFE_S) == 0 &&
        jwt_add_grant_int(jwt, "iss", (long)auth->app_id) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_RS256, (const unsigned char *)auth->key.value, (int)auth->key.len) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    if (!text)
        return error_set(
            err, ERROR_CONFIG,
            "private_key: cannot sign with it; it must be the RSA key in PEM form that GitHub offers on the "
            "App's settings page");
    *out = (struct secret){.value = text, .len = strlen(text)};
    return 0;
}

static struct installation_token *find_token(struct auth *auth, const struct forge_repo *repo)
{
    for (size_t i = 0; i < TOKENS_MAX; i++) {
        struct installation_token *token = &auth->tokens[i];
        if (token->owner && !strcasecmp(token->owner, repo->owner) && !strcasecmp(token->name, repo->name))
            return token;
    }
    return NULL;
}

bool auth_forget(struct auth *auth, const struct forge_repo *repo)
{
    struct installation_token *token = find_token(auth, repo);
    if (token)
        token_release(token);
    return token;
}

/* A 404 or 422 for a token is no missing part of the API: it is the App that may not. */
static int pass_refusal(const struct error *why, const struct forge_repo *repo, struct error *err)
{
    if (err)
        *err = *why;
    if (why->code != ERROR_NOT_FOUND && why->code != ERROR_INPUT)
        return -1;
    if (err)
        err->code = ERROR_DENIED;
    return error_wrap(
        err, "the App must be installed on %s/%s, with write access to contents, issues, pull requests and checks",
        repo->owner, repo->name);
}

static int find_installation(struct forge *forge, const struct forge_repo *repo, int64_t *id, struct error *err)
{
    AUTO_FREE char *path = github_path(repo, "/installation");
    struct github_request request = {.method = "GET", .path = path};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    if (github_call(forge, &request, &answer, &why) < 0)
        return pass_refusal(&why, repo, err);
    int64_t found = json_int_at(answer.json, "id", 0);
    if (found <= 0)
        return error_set(err, ERROR_FORGE, "%s: the answer has no installation id", path);
    *id = found;
    return 0;
}

/* Least privilege: one repository, and only what some call of ours needs; without a name, no more than the list of the
 * installation's repositories. */
static json_t *token_wish(const struct forge_repo *repo)
{
    if (!*repo->name)
        return json_pack("{s:{s:s}}", "permissions", "metadata", "read");
    return json_pack("{s:[s], s:{s:s, s:s, s:s, s:s, s:s}}", "repositories", repo->name, "permissions", "contents",
                     "write", "issues", "write", "pull_requests", "write", "checks", "write", "metadata", "read");
}

static int keep_token(struct auth *auth, const struct forge_repo *repo, int64_t installation, const json_t *json,
                      struct error *err)
{
    const char *value = json_text_at(json, "token", "");
    int64_t expires_ms = 0;
    if (!*value || clock_parse_rfc3339(json_text_at(json, "expires_at", ""), &expires_ms, err) < 0)
        return error_set(err, ERROR_FORGE, "access_tokens: the answer lacks token or expires_at");
    struct installation_token fresh = {
        .owner = strdup(repo->owner),
        .name = strdup(repo->name),
        .installation = installation,
        .token = {.value = strdup(value), .len = strlen(value)},
        .expires_ms = expires_ms - auth->skew_ms,
    };
    if (!fresh.owner || !fresh.name || !fresh.token.value) {
        token_release(&fresh);
        return error_set(err, ERROR_INTERNAL, "out of memory for an access token");
    }
    secrets_add(auth->secrets, value);
    struct installation_token *slot = find_token(auth, repo);
    if (!slot) {
        slot = &auth->tokens[auth->oldest];
        auth->oldest = (auth->oldest + 1) % TOKENS_MAX;
    }
    token_release(slot);
    *slot = fresh;
    return 0;
}

static int ask_token(struct forge *forge, const struct forge_repo *repo, int64_t installation, struct error *err)
{
    struct auth *auth = github_of(forge)->auth;
    json_auto_t *wish = token_wish(repo);
    AUTO_FREE char *path = text_format("/app/installations/%lld/access_tokens", (long long)installation);
    struct github_request request = {.method = "POST", .path = path, .body = wish, .repeatable = true, .always = true};
    AUTO_ANSWER struct github_answer answer = {0};
    struct error why = {0};
    if (github_call(forge, &request, &answer, &why) < 0)
        return pass_refusal(&why, repo, err);
    return keep_token(auth, repo, installation, answer.json, err);
}

const char *auth_token(struct forge *forge, const struct forge_repo *repo, struct error *err)
{
    struct auth *auth = github_of(forge)->auth;
    if (auth->fixed.value)
        return auth->fixed.value;
    struct installation_token *token = find_token(auth, repo);
    /* A minute more than promised, so that a caller still has its ten minutes when it comes to use it. */
    if (token && token->expires_ms - clock_wall_ms() > TOKEN_MARGIN_MS + 60000)
        return token->token.value;
    int64_t installation = repo->installation ? repo->installation : token ? token->installation : 0;
    if (!installation && find_installation(forge, repo, &installation, err) < 0)
        return NULL;
    if (ask_token(forge, repo, installation, err) < 0)
        return NULL;
    return find_token(auth, repo)->token.value;
}

/* "token" is what GitHub's older servers and GitBucket know; a JWT must be a Bearer. */
static int write_header(const char *scheme, const char *credentials, struct secret *out, struct error *err)
{
    char *text = text_format("Authorization: %s %s", scheme, credentials);
    if (!text)
        return error_set(err, ERROR_INTERNAL, "out of memory for the authorization header");
    *out = (struct secret){.value = text, .len = strlen(text)};
    return 0;
}

int auth_header(struct forge *forge, const struct forge_repo *repo, struct secret *out, struct error *err)
{
    struct auth *auth = github_of(forge)->auth;
    if (repo || !auth_is_app(auth)) {
        const char *token = auth_token(forge, repo, err);
        return token ? write_header("token", token, out, err) : -1;
    }
    struct secret jwt = {0};
    if (auth_jwt(auth, clock_wall_ms(), &jwt, err) < 0)
        return -1;
    int result = write_header("Bearer", jwt.value, out, err);
    secret_release(&jwt);
    return result;
}

int auth_header_of_anyone(struct forge *forge, struct secret *out, struct error *err)
{
    const struct auth *auth = github_of(forge)->auth;
    const char *token = auth->fixed.value;
    for (size_t i = 0; !token && i < TOKENS_MAX; i++)
        if (auth->tokens[i].owner && auth->tokens[i].expires_ms > clock_wall_ms() + TOKEN_MARGIN_MS / 10)
            token = auth->tokens[i].token.value;
    return token ? write_header("token", token, out, err) : 0;
}
