/* What can be wrong with a configuration that has the right shape. */
#include "app/config_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/secret.h"
#include "app/store.h"

/* Sets "file:line: path: …"; without a line for what comes from the environment or stands nowhere. */
__attribute__((format(printf, 5, 6))) static int bad(const struct config *config, struct error *err, int64_t line,
                                                     const char *path, const char *format, ...)
{
    char problem[512];
    char place[24] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(problem, sizeof problem, format, args);
    va_end(args);
    if (line > 0)
        snprintf(place, sizeof place, ":%lld", (long long)line);
    return error_set(err, ERROR_CONFIG, "%s%s: %s: %s", config->file, place, path, problem);
}

static bool is_url(const char *url)
{
    bool known = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
    return known && strstr(url, "://")[3] && !strpbrk(url, " \t\r\n");
}

/* host:port, with [ ] around an IPv6 address. */
static bool is_listen_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1])
        return false;
    if (strlen(colon + 1) > 5 || strtol(colon + 1, NULL, 10) > 65535)
        return false;
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    return bracketed || memchr(text, ':', (size_t)(colon - text)) == NULL;
}

static int check_server(const struct config *config, struct error *err)
{
    if (!is_listen_address(config->server.listen))
        return bad(config, err, 0, "server.listen", "expected host:port such as 127.0.0.1:3000, got \"%s\"",
                   config->server.listen);
    if (*config->server.public_url && !is_url(config->server.public_url))
        return bad(config, err, 0, "server.public_url", "expected an address such as https://assay.example.com");
    struct error inner = {0};
    if (store_check_url(config->database, &inner) < 0)
        return bad(config, err, 0, "database", "%s", inner.message);
    if (!*config->label)
        return bad(config, err, 0, "label", "a label has to have a name");
    return 0;
}

/* Whether the secret is named properly and, when `load`, whether it can be read. A missing one is fine here. */
static int check_secret(const struct config *config, struct error *err, int64_t line, const char *path,
                        const char *reference, bool load)
{
    struct secret secret = {0};
    struct error inner = {0};
    if (!reference)
        return 0;
    bool named = strncmp(reference, "file:", 5) == 0 || strncmp(reference, "env:", 4) == 0;
    if ((named && !load) || secret_load(reference, &secret, &inner) == 0) {
        secret_release(&secret);
        return 0;
    }
    return bad(config, err, line, path, "%s", inner.message);
}

static bool is_route_name(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(name);
}

static int check_credentials(const struct config *config, const struct forge_config *forge, size_t i, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "forges[%zu]", i);
    if (!forge->token && !(forge->app_id && forge->private_key))
        return bad(config, err, forge->line, path, "app_id and private_key are needed, or token in their place");
    if (forge->token && forge->private_key)
        return bad(config, err, forge->line, path, "either token or app_id and private_key, not both");
    if (!forge->webhook_secret)
        return bad(config, err, forge->line, path, "webhook_secret is needed: file:PATH or env:NAME");
    return 0;
}

static int check_forge(const struct config *config, size_t i, bool needed, struct error *err)
{
    const struct forge_config *forge = (const struct forge_config *)config->forges.items + i;
    const struct {
        const char *key, *value;
    } urls[] = {{"api_url", forge->api_url}, {"git_url", forge->git_url}},
      secrets[] = {
          {"private_key", forge->private_key},
          {"webhook_secret", forge->webhook_secret},
          {"token", forge->token},
      };
    char path[64];
    snprintf(path, sizeof path, "forges[%zu].name", i);
    if (!is_route_name(forge->name))
        return bad(config, err, forge->line, path, "it is part of the webhook's address: use a-z, 0-9, - and _");
    if (config_forge(config, forge->name) != forge)
        return bad(config, err, forge->line, path, "another forge is called \"%s\"", forge->name);
    for (size_t n = 0; n < sizeof urls / sizeof urls[0]; n++) {
        snprintf(path, sizeof path, "forges[%zu].%s", i, urls[n].key);
        if (!is_url(urls[n].value))
            return bad(config, err, forge->line, path, "expected an address such as https://github.example.com");
    }
    for (size_t n = 0; n < sizeof secrets / sizeof secrets[0]; n++) {
        snprintf(path, sizeof path, "forges[%zu].%s", i, secrets[n].key);
        if (check_secret(config, err, forge->line, path, secrets[n].value, needed) < 0)
            return -1;
    }
    return needed ? check_credentials(config, forge, i, err) : 0;
}

static const struct model_config *find_model(const struct config *config, const char *name)
{
    const struct model_config *models = config->models.items;
    for (size_t i = 0; i < config->models.count; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

static int check_model(const struct config *config, size_t i, bool needed, struct error *err)
{
    const struct model_config *model = (const struct model_config *)config->models.items + i;
    char path[64];
    snprintf(path, sizeof path, "models[%zu].name", i);
    if (!*model->name || find_model(config, model->name) != model)
        return bad(config, err, model->line, path, "another model is called \"%s\", or the name is empty", model->name);
    snprintf(path, sizeof path, "models[%zu].base_url", i);
    if (model->base_url && !is_url(model->base_url))
        return bad(config, err, model->line, path, "expected an address such as http://127.0.0.1:11434/v1");
    snprintf(path, sizeof path, "models[%zu].api_key", i);
    return check_secret(config, err, model->line, path, model->api_key, needed);
}

static int check_routes(const struct config *config, struct error *err)
{
    for (int role = 0; role < ROLE_COUNT; role++) {
        const struct yaml_texts *route = &config->routes.roles[role];
        for (size_t i = 0; i < route->count; i++) {
            char path[64];
            snprintf(path, sizeof path, "routes.%s[%zu]", model_role_name((enum model_role)role), i);
            if (!find_model(config, route->items[i]))
                return bad(config, err, 0, path, "no model is called \"%s\"; add it to models or correct the name",
                           route->items[i]);
        }
    }
    return 0;
}

/* A delivery may be sent again for three days, and a look back may find it again: it must still be known then. */
static int check_retention(const struct config *config, struct error *err)
{
    static const int64_t day_ms = (int64_t)24 * 60 * 60 * 1000;
    int64_t least_ms = config->catch_up.back_ms > 3 * day_ms ? config->catch_up.back_ms + day_ms : 4 * day_ms;
    if (config->retention.deliveries_ms && config->retention.deliveries_ms < least_ms)
        return bad(config, err, 0, "retention.deliveries",
                   "at least %lldd: a delivery may be sent again for three days, and found again within catch_up.back",
                   (long long)((least_ms + day_ms - 1) / day_ms));
    return 0;
}

int config_check(const struct config *config, unsigned needs, struct error *err)
{
    bool from_environment = strcmp(config->file, "the environment") == 0;
    if (check_server(config, err) < 0 || check_retention(config, err) < 0)
        return -1;
    for (size_t i = 0; i < config->forges.count; i++)
        if (check_forge(config, i, needs & CONFIG_NEEDS_FORGES, err) < 0)
            return -1;
    for (size_t i = 0; i < config->models.count; i++)
        if (check_model(config, i, needs & CONFIG_NEEDS_MODELS, err) < 0)
            return -1;
    if (check_routes(config, err) < 0)
        return -1;
    if ((needs & CONFIG_NEEDS_MODELS) && !config->models.count && from_environment)
        return error_set(
            err, ERROR_CONFIG,
            "no model is configured: there is neither ./assay.yml nor /etc/assay/assay.yml, and none of %s "
            "is set; set one, or write assay.yml",
            config_model_variables);
    if ((needs & CONFIG_NEEDS_MODELS) && !config->models.count)
        return bad(config, err, 0, "models", "at least one model is needed");
    if ((needs & CONFIG_NEEDS_FORGES) && !config->forges.count && from_environment)
        return error_set(err, ERROR_CONFIG,
                         "no forge is configured: there is neither ./assay.yml nor /etc/assay/assay.yml, and APP_ID is "
                         "not set; set APP_ID, PRIVATE_KEY and WEBHOOK_SECRET, or write assay.yml");
    if ((needs & CONFIG_NEEDS_FORGES) && !config->forges.count)
        return bad(config, err, 0, "forges", "at least one forge is needed");
    return 0;
}
