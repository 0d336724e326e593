/* The configuration: files, the environment, and every way to get it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/config.h"
#include "pipeline/model.h"

static const char *const variables[] = {
    "APP_ID",          "PRIVATE_KEY",    "PRIVATE_KEY_PATH",  "WEBHOOK_SECRET",  "GHE_HOST",
    "GHE_PROTOCOL",    "PORT",           "ANTHROPIC_API_KEY", "ANTHROPIC_MODEL", "OPENAI_API_KEY",
    "OPENAI_BASE_URL", "OPENAI_MODEL",   "DEEPSEEK_API_KEY",  "DEEPSEEK_MODEL",  "OLLAMA_HOST",
    "OLLAMA_MODEL",    "XDG_STATE_HOME", "ASSAY_TOOLS",
};

/* A fresh working directory and an environment without anything that matters here. */
static int set_up(void **state)
{
    char *dir = fs_make_temp_dir("/tmp", "assay-config-", NULL);
    assert_non_null(dir);
    assert_int_equal(chdir(dir), 0);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    setenv("HOME", "/home/somebody", 1);
    setenv("TEST_KEY", "a-secret-value", 1);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    char *dir = *state;
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
    free(dir);
    return 0;
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(fs_write_atomic(name, text, strlen(text), 0600, NULL), 0);
}

static int load(const char *text, unsigned needs, struct config *config, struct error *err)
{
    write_file("assay.yml", text);
    return config_load("assay.yml", needs, config, err);
}

static const char full[] =
    "server: {listen: '0.0.0.0:8080', public_url: https://assay.example.com/}\n"
    "database: sqlite:///var/lib/assay/x.db\n"
    "state_dir: /var/lib/assay\n"
    "workers: 2\n"
    "forges:\n"
    "  - name: github\n"
    "    kind: github\n"
    "    app_id: 12345\n"
    "    private_key: env:TEST_KEY\n"
    "    webhook_secret: env:TEST_KEY\n"
    "  - {name: inner, api_url: 'https://git.example.com/api/v3/', git_url: 'https://git.example.com',\n"
    "     token: env:TEST_KEY, webhook_secret: env:TEST_KEY, dry_run: true}\n"
    "models:\n"
    "  - {name: small, kind: openai, base_url: 'http://127.0.0.1:11434/v1', model: qwen2.5-coder:7b}\n"
    "  - name: large\n"
    "    kind: anthropic\n"
    "    model: claude-sonnet-4-5\n"
    "    api_key: env:TEST_KEY\n"
    "    price: {input: 3.00, output: 15.00}\n"
    "routes: {tests: [large], repair: [small, large], embed: []}\n"
    "sandbox: {runtime: crun, memory: 4GiB, timeout: 60s}\n"
    "limits: {repair_rounds: 1, cost_per_job: 0.5}\n"
    "label: prove\n";

static void test_reads_a_whole_file(void **state)
{
    (void)state;
    struct config config;
    struct error err = {0};
    if (load(full, CONFIG_NEEDS_MODELS | CONFIG_NEEDS_FORGES, &config, &err) < 0)
        fail_msg("%s", err.message);
    const struct forge_config *forges = config.forges.items;
    const struct model_config *models = config.models.items;
    assert_string_equal(config.file, "assay.yml");
    assert_string_equal(config.server.listen, "0.0.0.0:8080");
    assert_string_equal(config.server.public_url, "https://assay.example.com");
    assert_int_equal(config.workers, 2);
    assert_int_equal(config.forges.count, 2);
    assert_string_equal(forges[0].api_url, "https://api.github.com");
    assert_string_equal(forges[0].git_url, "https://github.com");
    assert_int_equal(forges[0].app_id, 12345);
    assert_int_equal(forges[0].line, 6);
    assert_string_equal(forges[1].api_url, "https://git.example.com/api/v3");
    assert_true(forges[1].dry_run);
    assert_ptr_equal(config_forge(&config, "inner"), &forges[1]);
    assert_null(config_forge(&config, "none"));
    assert_int_equal(config.models.count, 2);
    assert_int_equal(models[1].kind, MODEL_ANTHROPIC);
    assert_true(models[1].price.output == 15.0);
    assert_string_equal(config.routes.roles[ROLE_TESTS].items[0], "large");
    assert_int_equal(config.routes.roles[ROLE_IMPLEMENT].count, 2); /* left out: all, in their order */
    assert_string_equal(config.routes.roles[ROLE_IMPLEMENT].items[0], "small");
    assert_int_equal(config.routes.roles[ROLE_EMBED].count, 0);
    assert_string_equal(config.sandbox.runtime, "crun");
    assert_string_equal(config.sandbox.image, "host");
    assert_int_equal(config.sandbox.memory, (int64_t)4 << 30);
    assert_int_equal(config.sandbox.pids, 256);
    assert_int_equal(config.limits.repair_rounds, 1);
    assert_int_equal(config.limits.context_tokens, 12000);
    assert_string_equal(config.label, "prove");
    assert_string_equal(config.database, "sqlite:///var/lib/assay/x.db");
    config_release(&config);
    assert_null(config.file);
    assert_null(config.label);
}

static void test_an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct config config;
    struct error err = {0};
    if (load("# nothing yet\n", 0, &config, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(config.server.listen, "127.0.0.1:3000");
    assert_string_equal(config.server.public_url, "");
    assert_string_equal(config.state_dir, "/home/somebody/.local/state/assay");
    assert_string_equal(config.database, "sqlite:///home/somebody/.local/state/assay/assay.db");
    assert_int_equal(config.workers, 4);
    assert_string_equal(config.sandbox.runtime, "runc");
    assert_int_equal(config.sandbox.memory, (int64_t)2 << 30);
    assert_int_equal(config.sandbox.timeout_ms, 120000);
    assert_true(config.limits.cost_per_job == 2.0);
    assert_true(config.limits.cost_per_month == 200.0);
    assert_int_equal(config.limits.repair_rounds, 3);
    assert_int_equal(config.limits.jobs_per_repository, 2);
    assert_int_equal(config.limits.job_timeout_ms, 7200000);
    assert_string_equal(config.label, "assay");
    config_release(&config);
}

static void test_the_state_directory_is_absolute(void **state)
{
    const char *dir = *state;
    struct config config;
    setenv("XDG_STATE_HOME", "/xdg", 1);
    assert_int_equal(load("", 0, &config, NULL), 0);
    assert_string_equal(config.state_dir, "/xdg/assay");
    config_release(&config);
    setenv("XDG_STATE_HOME", "relative", 1); /* the XDG specification says to ignore it */
    assert_int_equal(load("", 0, &config, NULL), 0);
    assert_string_equal(config.state_dir, "/home/somebody/.local/state/assay");
    config_release(&config);
    assert_int_equal(load("state_dir: state\n", 0, &config, NULL), 0);
    AUTO_FREE char *expected = text_format("%s/state", dir);
    assert_string_equal(config.state_dir, expected);
    config_release(&config);
    unsetenv("HOME");
    struct error err = {0};
    assert_int_equal(load("", 0, &config, &err), -1);
    assert_string_equal(err.message, "assay.yml: state_dir: neither XDG_STATE_HOME nor HOME is set; set state_dir");
}

#define FORGE "forges:\n  - name: github\n"
#define MODEL "models:\n  - {name: a, kind: openai, model: m}\n"

static const struct {
    const char *text;
    unsigned needs;
    const char *message;
} mistakes[] = {
    {"wrokers: 1\n", 0, "assay.yml:1: wrokers: unknown key; did you mean workers?"},
    {"workers: 0\n", 0, "assay.yml:1: workers: expected 1 to 256, got 0"},
    {"limits: {job_timeout: 500ms}\n", 0, "assay.yml:1: limits.job_timeout: expected 1000 to 604800000 ms, got 500ms"},
    {"sandbox: {memory: lots}\n", 0, "assay.yml:1: sandbox.memory: expected a size such as 2GiB, got \"lots\""},
    {"server: {listen: '3000'}\n", 0,
     "assay.yml: server.listen: expected host:port such as 127.0.0.1:3000, got \"3000\""},
    {"server: {listen: 'localhost:99999'}\n", 0,
     "assay.yml: server.listen: expected host:port such as 127.0.0.1:3000, got \"localhost:99999\""},
    {"server: {listen: '::1:3000'}\n", 0,
     "assay.yml: server.listen: expected host:port such as 127.0.0.1:3000, got \"::1:3000\""},
    {"server: {public_url: example.com}\n", 0,
     "assay.yml: server.public_url: expected an address such as https://assay.example.com"},
    {"database: mysql://x\n", 0,
     "assay.yml: database: \"mysql\" is not a kind of database known here; use sqlite:///PATH or "
     "postgresql://USER@HOST/NAME"},
    {"retention: {deliveries: 2d}\n", 0,
     "assay.yml: retention.deliveries: at least 4d: a delivery may be sent again for three days, and found again "
     "within "
     "catch_up.back"},
    {"catch_up: {back: 7d}\nretention: {deliveries: 7d}\n", 0,
     "assay.yml: retention.deliveries: at least 8d: a delivery may be sent again for three days, and found again "
     "within "
     "catch_up.back"},
    {"label: ''\n", 0, "assay.yml: label: a label has to have a name"},
    {FORGE "  - name: github\n", 0, "assay.yml:3: forges[1].name: another forge is called \"github\""},
    {"forges:\n  - name: Git Hub\n", 0,
     "assay.yml:2: forges[0].name: it is part of the webhook's address: use a-z, 0-9, - and _"},
    {"forges:\n  - kind: github\n", 0,
     "assay.yml:2: forges[0].name: this key is required: webhooks arrive at "
     "/webhooks/<name>"},
    {FORGE "    api_url: api.github.com\n", 0,
     "assay.yml:2: forges[0].api_url: expected an address such as https://github.example.com"},
    {FORGE "    token: ghp_0123456789\n", 0,
     "assay.yml:2: forges[0].token: a secret is named as file:PATH or env:NAME, never written out; put the value "
     "there"},
    {FORGE, CONFIG_NEEDS_FORGES, "assay.yml:2: forges[0]: app_id and private_key are needed, or token in their place"},
    {FORGE "    app_id: 7\n", CONFIG_NEEDS_FORGES,
     "assay.yml:2: forges[0]: app_id and private_key are needed, or token in their place"},
    {FORGE "    token: env:TEST_KEY\n", CONFIG_NEEDS_FORGES,
     "assay.yml:2: forges[0]: webhook_secret is needed: file:PATH or env:NAME"},
    {FORGE "    token: env:TEST_KEY\n    private_key: env:TEST_KEY\n    webhook_secret: env:TEST_KEY\n",
     CONFIG_NEEDS_FORGES, "assay.yml:2: forges[0]: either token or app_id and private_key, not both"},
    {FORGE "    token: env:TEST_NONE\n", CONFIG_NEEDS_FORGES,
     "assay.yml:2: forges[0].token: env:TEST_NONE: the environment has no such variable; set it"},
    {FORGE "    app_id: 7\n    private_key: file:/nonexistent.pem\n", CONFIG_NEEDS_FORGES,
     "assay.yml:2: forges[0].private_key: file:/nonexistent.pem: read /nonexistent.pem: there is no such file; give "
     "the "
     "path of a readable file that holds the secret"},
    {MODEL, CONFIG_NEEDS_FORGES, "assay.yml: forges: at least one forge is needed"},
    {"", CONFIG_NEEDS_MODELS, "assay.yml: models: at least one model is needed"},
    {MODEL "  - {name: a, kind: openai, model: n}\n", 0,
     "assay.yml:3: models[1].name: another model is called \"a\", or the name is empty"},
    {"models:\n  - {name: a, kind: opnai, model: m}\n", 0,
     "assay.yml:2: models[0].kind: expected openai or anthropic, got \"opnai\""},
    {"models:\n  - {name: a, kind: openai, model: m, base_url: 'localhost:1'}\n", 0,
     "assay.yml:2: models[0].base_url: expected an address such as http://127.0.0.1:11434/v1"},
    {"models:\n  - {name: a, kind: openai, model: m, api_key: sk-0123}\n", 0,
     "assay.yml:2: models[0].api_key: a secret is named as file:PATH or env:NAME, never written out; put the value "
     "there"},
    {"models:\n  - {name: a, kind: openai, model: m, api_key: env:TEST_NONE}\n", CONFIG_NEEDS_MODELS,
     "assay.yml:2: models[0].api_key: env:TEST_NONE: the environment has no such variable; set it"},
    {MODEL "routes: {repair: [a, b]}\n", 0,
     "assay.yml: routes.repair[1]: no model is called \"b\"; add it to models or correct the name"},
};

static void test_mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct config config = {.workers = 77};
        struct error err = {0};
        if (load(mistakes[i].text, mistakes[i].needs, &config, &err) == 0)
            fail_msg("accepted: %s", mistakes[i].text);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_string_equal(err.message, mistakes[i].message);
        assert_int_equal(config.workers, 77);
        assert_null(config.file);
    }
}

static void test_secrets_of_other_parts_may_be_missing(void **state)
{
    (void)state;
    static const char text[] = MODEL "  - {name: b, kind: openai, model: n, api_key: env:TEST_NONE}\n" FORGE
                                     "    app_id: 7\n    private_key: file:/nonexistent\n";
    struct config config;
    struct error err = {0};
    if (load(text, 0, &config, &err) < 0)
        fail_msg("%s", err.message);
    config_release(&config);
    assert_int_equal(load(text, CONFIG_NEEDS_FORGES, &config, &err), -1);
    assert_non_null(strstr(err.message, "private_key"));
    assert_int_equal(load(text, CONFIG_NEEDS_MODELS, &config, &err), -1);
    assert_non_null(strstr(err.message, "models[1].api_key"));
}

static void test_a_named_file_must_exist(void **state)
{
    (void)state;
    struct config config;
    struct error err = {0};
    assert_int_equal(config_load("none.yml", 0, &config, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_string_equal(err.message, "the configuration cannot be read: read none.yml: there is no such file");
    assert_int_equal(config_load("none.yml", 0, &config, NULL), -1);
}

static void test_a_file_here_is_found(void **state)
{
    (void)state;
    struct config config;
    write_file("assay.yml", "label: here\n");
    setenv("ANTHROPIC_API_KEY", "k", 1); /* a file wins over the environment */
    assert_int_equal(config_load(NULL, 0, &config, NULL), 0);
    assert_string_equal(config.label, "here");
    assert_int_equal(config.models.count, 0);
    config_release(&config);
}

/* Without a file the tests below depend on there being none in /etc. */
static void need_no_system_file(void)
{
    if (!fs_exists("/etc/assay/assay.yml"))
        return;
    print_message("skipped: this machine has /etc/assay/assay.yml\n");
    skip();
}

static void test_probots_variables_are_enough(void **state)
{
    (void)state;
    struct config config;
    struct error err = {0};
    need_no_system_file();
    write_file("key.pem", "-----BEGIN X-----\nabc\n-----END X-----\n");
    setenv("APP_ID", "4711", 1);
    setenv("PRIVATE_KEY_PATH", "key.pem", 1);
    setenv("WEBHOOK_SECRET", "hook", 1);
    setenv("PORT", "8088", 1);
    setenv("ANTHROPIC_API_KEY", "sk-ant", 1);
    setenv("OPENAI_API_KEY", "", 1); /* empty means not set */
    if (config_load(NULL, CONFIG_NEEDS_FORGES | CONFIG_NEEDS_MODELS, &config, &err) < 0)
        fail_msg("%s", err.message);
    const struct forge_config *forge = config_forge(&config, "github");
    const struct model_config *models = config.models.items;
    assert_non_null(forge);
    assert_string_equal(config.file, "the environment");
    assert_string_equal(config.server.listen, "127.0.0.1:8088");
    assert_int_equal(forge->app_id, 4711);
    assert_string_equal(forge->private_key, "file:key.pem");
    assert_string_equal(forge->webhook_secret, "env:WEBHOOK_SECRET");
    assert_string_equal(forge->api_url, "https://api.github.com");
    assert_int_equal(config.models.count, 1);
    assert_string_equal(models[0].name, "anthropic");
    assert_int_equal(models[0].kind, MODEL_ANTHROPIC);
    assert_string_equal(models[0].api_key, "env:ANTHROPIC_API_KEY");
    assert_true(models[0].price.input > 0);
    assert_string_equal(config.routes.roles[ROLE_TESTS].items[0], "anthropic");
    config_release(&config);
}

static void test_an_enterprise_server_has_other_addresses(void **state)
{
    (void)state;
    struct config config;
    need_no_system_file();
    setenv("APP_ID", "1", 1);
    setenv("PRIVATE_KEY", "-----BEGIN X-----\\nabc\\n-----END X-----", 1);
    setenv("WEBHOOK_SECRET", "hook", 1);
    setenv("GHE_HOST", "git.example.com", 1);
    assert_int_equal(config_load(NULL, CONFIG_NEEDS_FORGES, &config, NULL), 0);
    assert_string_equal(config_forge(&config, "github")->api_url, "https://git.example.com/api/v3");
    assert_string_equal(config_forge(&config, "github")->git_url, "https://git.example.com");
    assert_string_equal(config_forge(&config, "github")->private_key, "env:PRIVATE_KEY");
    config_release(&config);
}

static void test_models_come_from_their_own_variables(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *second, *second_value, *url, *model;
        bool priced;
    } cases[] = {
        {"OPENAI_API_KEY", "k", NULL, NULL, NULL, "gpt-4.1", true},
        {"OPENAI_API_KEY", "k", "OPENAI_BASE_URL", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1", "gpt-4.1", false},
        {"OPENAI_API_KEY", "k", "OPENAI_MODEL", "other", NULL, "other", false},
        {"DEEPSEEK_API_KEY", "k", NULL, NULL, "https://api.deepseek.com/v1", "deepseek-chat", true},
        {"OLLAMA_HOST", "127.0.0.1", NULL, NULL, "http://127.0.0.1:11434/v1", "qwen2.5-coder:7b", false},
        {"OLLAMA_HOST", "0.0.0.0:8000", NULL, NULL, "http://127.0.0.1:8000/v1", "qwen2.5-coder:7b", false},
        {"OLLAMA_HOST", "0.0.0.0", NULL, NULL, "http://127.0.0.1:11434/v1", "qwen2.5-coder:7b", false},
        {"OLLAMA_HOST", "https://o.example.com:443/", "OLLAMA_MODEL", "m", "https://o.example.com:443/v1", "m", false},
        {"OLLAMA_HOST", "http://0.0.0.0:1", NULL, NULL, "http://127.0.0.1:1/v1", "qwen2.5-coder:7b", false},
    };
    need_no_system_file();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        struct error err = {0};
        setenv(cases[i].name, cases[i].value, 1);
        if (cases[i].second)
            setenv(cases[i].second, cases[i].second_value, 1);
        if (config_load(NULL, CONFIG_NEEDS_MODELS, &config, &err) < 0)
            fail_msg("%s", err.message);
        const struct model_config *model = config.models.items;
        assert_int_equal(config.models.count, 1);
        assert_int_equal(model->kind, MODEL_OPENAI);
        assert_string_equal(model->base_url ? model->base_url : "none", cases[i].url ? cases[i].url : "none");
        assert_string_equal(model->model, cases[i].model);
        assert_int_equal(model->price.input > 0, cases[i].priced);
        config_release(&config);
        unsetenv(cases[i].name);
        if (cases[i].second)
            unsetenv(cases[i].second);
    }
}

static void test_missing_variables_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *app_id, *key, *secret;
        unsigned needs;
        const char *part;
    } cases[] = {
        {"x1", "k", "s", 0, "the environment: APP_ID: expected the number of the GitHub App"},
        {"1x", "k", "s", 0, "the environment: APP_ID: expected the number of the GitHub App"},
        {"1", NULL, "s", 0, "the environment: APP_ID: PRIVATE_KEY or PRIVATE_KEY_PATH is needed with it"},
        {"1", "k", NULL, 0, "the environment: APP_ID: WEBHOOK_SECRET is needed with it"},
        {NULL, NULL, NULL, CONFIG_NEEDS_FORGES, "APP_ID is not set; set APP_ID, PRIVATE_KEY and WEBHOOK_SECRET"},
        {NULL, NULL, NULL, CONFIG_NEEDS_MODELS,
         "none of ANTHROPIC_API_KEY, OPENAI_API_KEY, DEEPSEEK_API_KEY and OLLAMA_HOST is set"},
    };
    need_no_system_file();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *values[] = {cases[i].app_id, cases[i].key, cases[i].secret};
        static const char *const names[] = {"APP_ID", "PRIVATE_KEY", "WEBHOOK_SECRET"};
        struct config config;
        struct error err = {0};
        for (size_t n = 0; n < 3; n++) {
            unsetenv(names[n]);
            if (values[n])
                setenv(names[n], values[n], 1);
        }
        assert_int_equal(config_load(NULL, cases[i].needs, &config, &err), -1);
        assert_int_equal(err.code, ERROR_CONFIG);
        if (!strstr(err.message, cases[i].part))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].part, err.message);
    }
}

static void test_a_database_may_be_a_server_but_not_with_its_password(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(load("database: postgresql://u@h/assay\n", 0, &config, NULL), 0);
    assert_string_equal(config.database, "postgresql://u@h/assay");
    config_release(&config);
    const char *const bad[] = {"postgresql://u:hunter2@h/assay", "postgresql://u@h/assay?password=hunter2",
                               "postgresql://u@h/assay?hunter2=1", "postgresql://[hunter2/assay"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = {0};
        AUTO_FREE char *text = text_format("database: '%s'\n", bad[i]);
        assert_int_equal(load(text, 0, &config, &err), -1);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_non_null(strstr(err.message, "database: "));
        assert_null(strstr(err.message, "hunter2"));
    }
}

static void test_tools_are_looked_for_in_order(void **state)
{
    const char *dir = *state;
    struct config config;
    struct error err = {0};
    AUTO_FREE char *mine = text_format("%s/mine", dir);
    AUTO_FREE char *in_state = text_format("%s/state/tools", dir);
    AUTO_FREE char *in_xdg = text_format("%s/xdg/assay/tools", dir);
    AUTO_FREE char *xdg = text_format("%s/xdg", dir);
    assert_int_equal(load("state_dir: state\n", 0, &config, NULL), 0);
    if (fs_exists("/usr/lib/assay/tools"))
        print_message("the last place exists on this machine, so a missing folder is not tried\n");
    else {
        assert_null(config_tools_dir(&config, &err));
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_non_null(strstr(err.message, "install them with"));
    }
    setenv("XDG_STATE_HOME", xdg, 1);
    setenv("ASSAY_TOOLS", mine, 1);
    const char *const places[] = {in_xdg, in_state, mine};
    for (size_t i = 0; i < 3; i++) { /* each is preferred to those before it */
        assert_int_equal(fs_make_dirs(places[i], 0755, NULL), 0);
        AUTO_FREE char *found = config_tools_dir(&config, &err);
        assert_string_equal(found, places[i]);
    }
    config_release(&config);
}

/* Lists of forges and models, and routes to them, need values of one's own. */
static bool has_defaults(const char *line)
{
    static const char *const keys[] = {"server:", "workers:", "sandbox:", "limits:", "label:"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strncmp(line, keys[i], strlen(keys[i])) == 0)
            return true;
    return false;
}

/* What it prints is a configuration once the comment marks are gone. */
static void test_the_description_is_itself_valid(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    AUTO_BUF struct buf yaml = BUF_INIT(KiB(64));
    struct config config;
    struct error err = {0};
    assert_int_equal(config_describe(&text, &err), 0);
    assert_non_null(strstr(buf_text(&text), "# workers: 4  # jobs at once\n"));
    assert_non_null(strstr(buf_text(&text), "#   memory: 2GiB  #"));
    assert_non_null(strstr(buf_text(&text), "#   job_timeout: 2h  #"));
    assert_non_null(strstr(buf_text(&text), "#   - name:"));
    bool wanted = false;
    for (const char *line = buf_text(&text); *line; line += strcspn(line, "\n") + 1) {
        int len = (int)strcspn(line, "\n");
        assert_memory_equal(line, "# ", 2);
        if (line[2] != ' ')
            wanted = has_defaults(line + 2);
        const char *colon = strchr(line, ':');
        bool section = line[2] != ' ' && strncmp(colon, ":  #", 4) == 0;
        bool valued = strncmp(colon, ":  #", 4) != 0; /* the others have no default to show */
        if (wanted && (section || valued))
            buf_printf(&yaml, "%.*s\n", len - 2, line + 2);
    }
    write_file("assay.yml", buf_text(&yaml));
    if (config_load("assay.yml", 0, &config, &err) < 0)
        fail_msg("%s\n%s", err.message, buf_text(&yaml));
    assert_int_equal(config.sandbox.disk, (int64_t)1 << 30);
    assert_true(config.limits.cost_per_month == 200.0);
    config_release(&config);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_reads_a_whole_file),
        IN_FOLDER(test_an_empty_file_gives_the_defaults),
        IN_FOLDER(test_the_state_directory_is_absolute),
        IN_FOLDER(test_mistakes_are_named),
        IN_FOLDER(test_secrets_of_other_parts_may_be_missing),
        IN_FOLDER(test_a_named_file_must_exist),
        IN_FOLDER(test_a_file_here_is_found),
        IN_FOLDER(test_probots_variables_are_enough),
        IN_FOLDER(test_an_enterprise_server_has_other_addresses),
        IN_FOLDER(test_models_come_from_their_own_variables),
        IN_FOLDER(test_missing_variables_are_named),
        IN_FOLDER(test_a_database_may_be_a_server_but_not_with_its_password),
        IN_FOLDER(test_tools_are_looked_for_in_order),
        IN_FOLDER(test_the_description_is_itself_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
