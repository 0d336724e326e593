/* What was configured about models: the tables for YAML, defaults, addresses, keys, routes. */
#include "pipeline/model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/model_anthropic.h"
#include "pipeline/model_internal.h"
#include "pipeline/model_openai.h"

enum {
    DEFAULT_MAX_TOKENS = 4096,
    DEFAULT_TIMEOUT_MS = 10 * 60 * 1000,
    DEFAULT_STALL_MS = 90 * 1000,
};

/* Both by enum model_kind. */
static const struct model_provider *const providers[] = {
    [MODEL_OPENAI] = &model_openai,
    [MODEL_ANTHROPIC] = &model_anthropic,
};
static const char *const kind_choices[] = {
    [MODEL_OPENAI] = "openai",
    [MODEL_ANTHROPIC] = "anthropic",
    NULL,
};
/* By enum model_format. */
static const char *const format_choices[] = {"fenced", "json_schema", NULL};

#define PRICE(member) (offsetof(struct model_config, price.member) - offsetof(struct model_config, price))

static const struct yaml_field price_fields[] = {
    YAML_FIELD("input", YAML_NUMBER, PRICE(input), "USD for a million tokens read", .required = true, .max = 10000),
    YAML_FIELD("output", YAML_NUMBER, PRICE(output), "USD for a million tokens written", .required = true,
               .max = 10000),
    YAML_FIELD("cached_input", YAML_NUMBER, PRICE(cached_input),
               "USD for a million tokens read from the provider's cache; the input price when absent", .max = 10000),
    {0},
};

#define AT(member) offsetof(struct model_config, member)

const struct yaml_field model_config_fields[] = {
    YAML_FIELD("name", YAML_TEXT, AT(name), "what routes call this model", .required = true),
    YAML_FIELD("kind", YAML_CHOICE, AT(kind),
               "how the server is spoken to: openai (and all that are compatible) or anthropic", .required = true,
               .choices = kind_choices),
    YAML_FIELD("model", YAML_TEXT, AT(model),
               "the provider's name for it, such as claude-sonnet-4-5 or qwen2.5-coder:7b", .required = true),
    YAML_FIELD("base_url", YAML_TEXT, AT(base_url),
               "the server's address, such as http://127.0.0.1:11434/v1; the provider's own when absent"),
    YAML_FIELD("api_key", YAML_TEXT, AT(api_key), "where the key is: file:PATH or env:NAME; none is sent when absent"),
    YAML_FIELD("price", YAML_OBJECT, AT(price), "what tokens cost; without it the model counts as free",
               .fields = price_fields),
    YAML_FIELD(
        "format", YAML_CHOICE, AT(format),
        "how answers are asked for: fenced (small models) or json_schema (servers that hold the model to a schema)",
        .choices = format_choices),
    YAML_FIELD("max_tokens", YAML_INT, AT(max_tokens), "cap on one answer in tokens; 4096 when absent", .min = 1,
               .max = 1000000),
    YAML_FIELD("context_tokens", YAML_INT, AT(context_tokens),
               "how many tokens the model can read, of which a prompt gives three fifths at most to the repository; "
               "unknown when absent",
               .min = 1, .max = 100000000),
    YAML_FIELD("timeout", YAML_DURATION, AT(timeout_ms), "for one whole answer, such as 10m (the default)"),
    YAML_FIELD("stall", YAML_DURATION, AT(stall_ms),
               "how long the server may be silent before an attempt is given up, such as 90s (the default)"),
    {0},
};

#define ROLE(role) offsetof(struct model_routes, roles[role])

const struct yaml_field model_routes_fields[] = {
    YAML_FIELD("tests", YAML_TEXTS, ROLE(ROLE_TESTS), "names of the models that write tests, weakest first"),
    YAML_FIELD("implement", YAML_TEXTS, ROLE(ROLE_IMPLEMENT), "names of the models that write code, weakest first"),
    YAML_FIELD("repair", YAML_TEXTS, ROLE(ROLE_REPAIR), "names of the models that repair code, weakest first"),
    YAML_FIELD("embed", YAML_TEXTS, ROLE(ROLE_EMBED), "names of the models that make embeddings; may be empty"),
    {0},
};

const char *model_role_name(enum model_role role)
{
    return role < ROLE_COUNT ? model_routes_fields[role].key : "unknown";
}

/* ---- one model ---- */

static bool ends_with(const char *text, size_t len, const char *tail)
{
    size_t tail_len = strlen(tail);
    return len >= tail_len && memcmp(text + len - tail_len, tail, tail_len) == 0;
}

static bool is_http(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static size_t without_slashes(const char *text, size_t len)
{
    while (len > 0 && text[len - 1] == '/')
        len--;
    return len;
}

static char *make_url(const struct model_config *config, const struct model_provider *provider, struct error *err)
{
    const char *base = config->base_url && *config->base_url ? config->base_url : provider->base_url;
    size_t authority = is_http(base) ? strcspn(strstr(base, "//") + 2, "/") : 0;
    if (authority == 0 || memchr(strstr(base, "//") + 2, '@', authority) || strpbrk(base, "?# \t\r\n")) {
        error_set(err, ERROR_CONFIG,
                  "base_url has to be an address such as https://host/v1, without user, query or blanks");
        return NULL;
    }
    size_t len = without_slashes(base, strlen(base));
    if (provider->tail && ends_with(base, len, provider->tail))
        len = without_slashes(base, len - strlen(provider->tail));
    char *url = text_format("%.*s%s", (int)len, base, provider->path);
    if (!url)
        error_set(err, ERROR_INTERNAL, "no memory");
    return url;
}

static int load_key(struct model_entry *entry, struct models *models, struct error *err)
{
    const char *reference = entry->config->api_key;
    if (!reference || !*reference)
        return 0;
    if (secret_load(reference, &entry->key, err) < 0)
        return error_wrap(err, "api_key");
    secrets_add(models->secrets, entry->key.value);
    for (const char *at = entry->key.value; *at; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
            return error_set(err, ERROR_CONFIG,
                             "api_key: what %s holds cannot be a key: it has blanks or other such characters",
                             reference);
    return 0;
}

static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strncasecmp(url, hosts[i], strlen(hosts[i])) == 0)
            return true;
    return false;
}

static void warn(const struct model_entry *entry, const struct models *models)
{
    const struct model_config *config = entry->config;
    bool own = !config->base_url || !*config->base_url;
    if (!models->log)
        return;
    if (own && config->price.input <= 0 && config->price.output <= 0)
        log_warn(models->log, "model %s has no price: its calls count as free and no bound on money holds them",
                 config->name);
    if (entry->key.value && strncasecmp(entry->url, "http://", 7) == 0 && !is_loopback(entry->url))
        log_warn(models->log, "model %s: its key travels unencrypted; use https in base_url", config->name);
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

int model_entry_init(struct model_entry *entry, const struct model_config *config, struct models *models,
                     struct error *err)
{
    if (config->kind < 0 || (size_t)config->kind >= sizeof providers / sizeof providers[0])
        return error_set(err, ERROR_CONFIG, "kind %d is unknown", config->kind);
    struct model_entry made = {
        .config = config,
        .provider = providers[config->kind],
        .max_tokens = or_default(config->max_tokens, DEFAULT_MAX_TOKENS),
        .timeout_ms = or_default(config->timeout_ms, DEFAULT_TIMEOUT_MS),
        .stall_ms = or_default(config->stall_ms, DEFAULT_STALL_MS),
    };
    made.url = make_url(config, made.provider, err);
    if (!made.url || load_key(&made, models, err) < 0) {
        model_entry_release(&made);
        return -1;
    }
    warn(&made, models);
    *entry = made;
    return 0;
}

void model_entry_release(struct model_entry *entry)
{
    free(entry->url);
    secret_release(&entry->key);
}

/* ---- routes ---- */

int model_routes_check(const struct models *models, struct error *err)
{
    for (int role = 0; role < ROLE_COUNT; role++) {
        const struct yaml_texts *names = &models->routes->roles[role];
        for (size_t i = 0; i < names->count; i++) {
            size_t n = 0;
            while (n < models->count && strcmp(models->entries[n].config->name, names->items[i]) != 0)
                n++;
            if (n == models->count)
                return error_set(err, ERROR_CONFIG,
                                 "routes.%s names the model \"%s\", which is not under models: add it there or change "
                                 "the route",
                                 model_role_name((enum model_role)role), names->items[i]);
        }
    }
    return 0;
}
