/* The configuration without a file: the variables that Probot and the model providers' own tools use. */
#include "app/config_internal.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"

/* A provider that one variable is enough for. Prices in USD for a million tokens, of the named model. */
struct provider {
    const char *variable;       /* it is used when this is set */
    const char *url_variable;   /* another address, or NULL */
    const char *model_variable; /* another model */
    const char *name;
    enum model_kind kind;
    const char *base_url; /* NULL: the kind's own */
    const char *model;
    double input, output;
    bool keyless; /* `variable` holds the address, not a key */
};

static const struct provider providers[] = {
    {"ANTHROPIC_API_KEY", NULL, "ANTHROPIC_MODEL", "anthropic", MODEL_ANTHROPIC, NULL, "claude-sonnet-4-5", 3.00, 15.00,
     false},
    {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "openai", MODEL_OPENAI, NULL, "gpt-4.1", 2.00, 8.00, false},
    {"DEEPSEEK_API_KEY", NULL, "DEEPSEEK_MODEL", "deepseek", MODEL_OPENAI, "https://api.deepseek.com/v1",
     "deepseek-chat", 0.28, 0.42, false},
    {"OLLAMA_HOST", NULL, "OLLAMA_MODEL", "ollama", MODEL_OPENAI, NULL, "qwen2.5-coder:7b", 0, 0, true},
};

enum { PROVIDERS = sizeof providers / sizeof providers[0] };

const char config_model_variables[] = "ANTHROPIC_API_KEY, OPENAI_API_KEY, DEEPSEEK_API_KEY and OLLAMA_HOST";

/* NULL when unset or empty: an empty line in an environment file means "not set". */
static const char *variable(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

static int bad(const struct config *config, struct error *err, const char *name, const char *problem)
{
    return error_set(err, ERROR_CONFIG, "%s: %s: %s", config->file, name, problem);
}

/* OLLAMA_HOST as Ollama reads it ("host", "host:port", "http://host:port") as an OpenAI-compatible address. */
static char *ollama_url(const char *host)
{
    const char *scheme = strstr(host, "://");
    const char *rest = scheme ? scheme + 3 : host;
    size_t len = strcspn(rest, "/");
    bool any = strncmp(rest, "0.0.0.0", 7) == 0; /* what a server binds; a client means this machine */
    bool port = memchr(rest, ':', len) != NULL;
    if (any) {
        rest += 7;
        len -= 7;
    }
    return text_format("%.*s%s%.*s%s/v1", scheme ? (int)(scheme + 3 - host) : 7, scheme ? host : "http://",
                       any ? "127.0.0.1" : "", (int)len, rest, port ? "" : ":11434");
}

/* `value` is that of the provider's variable. */
static int fill_model(const struct provider *provider, const char *value, struct model_config *model)
{
    const char *url = variable(provider->url_variable);
    const char *other = variable(provider->model_variable);
    model->kind = (int)provider->kind;
    if (!url && !other) { /* of other models, or elsewhere, we do not know the price */
        model->price.input = provider->input;
        model->price.output = provider->output;
    }
    if (config_set_text(&model->name, "%s", provider->name) < 0 ||
        config_set_text(&model->model, "%s", other ? other : provider->model) < 0)
        return -1;
    if (provider->keyless)
        return (model->base_url = ollama_url(value)) ? 0 : -1;
    if (!url)
        url = provider->base_url;
    if (url && config_set_text(&model->base_url, "%s", url) < 0)
        return -1;
    return config_set_text(&model->api_key, "env:%s", provider->variable);
}

static int read_models(struct config *config)
{
    struct model_config *models = calloc(PROVIDERS, sizeof *models);
    config->models.items = models;
    for (size_t i = 0; models && i < PROVIDERS; i++) {
        const char *value = variable(providers[i].variable);
        if (value && fill_model(&providers[i], value, &models[config->models.count++]) < 0)
            return -1;
    }
    return models ? 0 : -1;
}

static int read_addresses(struct forge_config *forge)
{
    const char *host = variable("GHE_HOST");
    const char *protocol = variable("GHE_PROTOCOL");
    if (!host)
        return 0;
    if (!protocol)
        protocol = "https";
    if (config_set_text(&forge->api_url, "%s://%s/api/v3", protocol, host) < 0)
        return -1;
    return config_set_text(&forge->git_url, "%s://%s", protocol, host);
}

static int read_references(struct forge_config *forge)
{
    const char *path = variable("PRIVATE_KEY_PATH");
    if (variable("PRIVATE_KEY") && config_set_text(&forge->private_key, "env:PRIVATE_KEY") < 0)
        return -1;
    if (!forge->private_key && path && config_set_text(&forge->private_key, "file:%s", path) < 0)
        return -1;
    if (variable("WEBHOOK_SECRET") && config_set_text(&forge->webhook_secret, "env:WEBHOOK_SECRET") < 0)
        return -1;
    return 0;
}

static int read_forge(struct config *config, struct error *err)
{
    const char *app_id = variable("APP_ID");
    char *end = NULL;
    if (!app_id)
        return 0;
    struct forge_config *forge = calloc(1, sizeof *forge);
    config->forges = (struct yaml_objects){forge, forge != NULL};
    if (!forge || config_set_text(&forge->name, "github") < 0 || read_addresses(forge) < 0 ||
        read_references(forge) < 0)
        return error_set(err, ERROR_INTERNAL, "out of memory while reading the configuration");
    forge->kind = (int)FORGE_GITHUB;
    forge->app_id = strtoll(app_id, &end, 10);
    if (*end || forge->app_id <= 0)
        return bad(config, err, "APP_ID", "expected the number of the GitHub App");
    if (!forge->private_key)
        return bad(config, err, "APP_ID", "PRIVATE_KEY or PRIVATE_KEY_PATH is needed with it");
    if (!forge->webhook_secret)
        return bad(config, err, "APP_ID", "WEBHOOK_SECRET is needed with it");
    return 0;
}

int config_from_environment(struct config *config, struct error *err)
{
    const char *port = variable("PORT");
    if (read_forge(config, err) < 0)
        return -1;
    if (read_models(config) < 0 || (port && config_set_text(&config->server.listen, "127.0.0.1:%s", port) < 0))
        return error_set(err, ERROR_INTERNAL, "out of memory while reading the configuration");
    return 0;
}
