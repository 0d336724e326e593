#include "app/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/config_internal.h"

#define FILE_MAX MiB(1)
#define DAY_MS   ((int64_t)24 * 60 * 60 * 1000)

#define SERVER(member) (offsetof(struct config, server.member) - offsetof(struct config, server))

static const struct yaml_field server_fields[] = {
    YAML_FIELD("listen", YAML_TEXT, SERVER(listen), "where webhooks and the dashboard are answered, as host:port"),
    YAML_FIELD("public_url", YAML_TEXT, SERVER(public_url),
               "how people reach the dashboard: used for links in comments"),
    {0},
};

#define LIMIT(member) offsetof(struct limits_config, member)

static const struct yaml_field limits_fields[] = {
    YAML_FIELD("samples", YAML_INT, LIMIT(samples), "implementations that may cross-examine the tests", .max = 16),
    YAML_FIELD("repair_rounds", YAML_INT, LIMIT(repair_rounds), "how often failing code is repaired", .max = 10),
    YAML_FIELD("context_tokens", YAML_INT, LIMIT(context_tokens), "how much of the repository a prompt may hold",
               .min = 500, .max = 1000000),
    YAML_FIELD("cost_per_job", YAML_NUMBER, LIMIT(cost_per_job), "USD that one job may cost; 0: no bound", .max = 1e6),
    YAML_FIELD("cost_per_month", YAML_NUMBER, LIMIT(cost_per_month),
               "USD that all jobs of a month may cost; 0: no bound", .max = 1e9),
    YAML_FIELD("jobs_per_repository", YAML_INT, LIMIT(jobs_per_repository), "jobs of one repository at once", .min = 1,
               .max = 100),
    YAML_FIELD("job_timeout", YAML_DURATION, LIMIT(job_timeout_ms), "wall time of one attempt at a job", .min = 1000,
               .max = 7.0 * 86400 * 1000),
    {0},
};

#define THRESHOLD(member) offsetof(struct thresholds, member)

static const struct yaml_field thresholds_fields[] = {
    YAML_FIELD("coverage", YAML_NUMBER, THRESHOLD(coverage),
               "least share of the changed lines and branches that tests run, 0 to 1", .max = 1),
    YAML_FIELD("mutation", YAML_NUMBER, THRESHOLD(mutation),
               "least share of small faults in the changed lines that tests find, 0 to 1", .max = 1),
    {0},
};

#define CATCH_UP(member) offsetof(struct catch_up_config, member)

static const struct yaml_field catch_up_fields[] = {
    YAML_FIELD("deliveries", YAML_DURATION, CATCH_UP(deliveries_ms),
               "how often the forge's list of deliveries is read; 0s: never", .max = 7.0 * 86400 * 1000),
    YAML_FIELD("repositories", YAML_DURATION, CATCH_UP(repositories_ms),
               "how often labels and comments are compared with the jobs; 0s: never", .max = 7.0 * 86400 * 1000),
    YAML_FIELD("everywhere", YAML_BOOL, CATCH_UP(everywhere),
               "look also at repositories that were never heard of: it takes a token for more than one repository"),
    YAML_FIELD("back", YAML_DURATION, CATCH_UP(back_ms), "how far back a look goes at most", .min = 60 * 1000,
               .max = 30.0 * 86400 * 1000),
    {0},
};

#define RETENTION(member) offsetof(struct retention_config, member)
#define YEARS             (366.0 * 86400 * 1000)

static const struct yaml_field retention_fields[] = {
    YAML_FIELD("deliveries", YAML_DURATION, RETENTION(deliveries_ms),
               "how long a delivery that is done is kept; 0s: for good", .max = 10 * YEARS),
    YAML_FIELD("journal", YAML_DURATION, RETENTION(journal_ms),
               "how long an ended job can go on where it stood, and what came to nothing is listed; 0s: for good",
               .max = 10 * YEARS),
    YAML_FIELD("artifacts", YAML_DURATION, RETENTION(artifacts_ms),
               "how long what an ended job has made is kept; 0s: for good", .max = 10 * YEARS),
    YAML_FIELD("evaluations", YAML_DURATION, RETENTION(evaluations_ms),
               "how long results of `assay eval` are kept; 0s: for good", .max = 10 * YEARS),
    YAML_FIELD("mirrors", YAML_DURATION, RETENTION(mirrors_ms),
               "how long a git mirror that nobody uses is kept; 0s: for good", .max = 10 * YEARS),
    YAML_FIELD("mirrors_size", YAML_SIZE, RETENTION(mirrors_size),
               "what all git mirrors may take, beyond it the longest unused go; 0: no bound", .max = 1e15),
    {0},
};

#define AT(member) offsetof(struct config, member)

const struct yaml_field config_fields[] = {
    YAML_FIELD("server", YAML_OBJECT, AT(server), "where Assay listens", .fields = server_fields),
    YAML_FIELD("database", YAML_TEXT, AT(database),
               "sqlite:///PATH or postgresql://USER@HOST/NAME; <state_dir>/assay.db when absent"),
    YAML_FIELD("state_dir", YAML_TEXT, AT(state_dir),
               "git mirrors, caches, workspaces; the XDG state directory when absent"),
    YAML_FIELD("workers", YAML_INT, AT(workers), "jobs at once", .min = 1, .max = 256),
    YAML_FIELD("forges", YAML_OBJECTS, AT(forges), "where issues and pull requests are", .fields = forge_config_fields,
               .size = sizeof(struct forge_config), .line = offsetof(struct forge_config, line) + 1),
    YAML_FIELD("models", YAML_OBJECTS, AT(models), "language models", .fields = model_config_fields,
               .size = sizeof(struct model_config), .line = offsetof(struct model_config, line) + 1),
    YAML_FIELD("routes", YAML_OBJECT, AT(routes), "which models do what, weakest first; later ones are the escalation",
               .fields = model_routes_fields),
    YAML_FIELD("sandbox", YAML_OBJECT, AT(sandbox), "how code is run", .fields = sandbox_config_fields),
    YAML_FIELD("limits", YAML_OBJECT, AT(limits), "bounds on work and money", .fields = limits_fields),
    YAML_FIELD("thresholds", YAML_OBJECT, AT(thresholds), "how much evidence is enough to call a change proven",
               .fields = thresholds_fields),
    YAML_FIELD("catch_up", YAML_OBJECT, AT(catch_up), "what webhooks have missed is looked for, at a start and then",
               .fields = catch_up_fields),
    YAML_FIELD("retention", YAML_OBJECT, AT(retention), "how long things are kept", .fields = retention_fields),
    YAML_FIELD("label", YAML_TEXT, AT(label), "the label that starts a job when it is put on an issue"),
    {0},
};

int config_set_text(char **text, const char *format, ...)
{
    va_list args;
    char *made = NULL;
    va_start(args, format);
    int len = vasprintf(&made, format, args);
    va_end(args);
    if (len < 0)
        return -1;
    free(*text);
    *text = made;
    return 0;
}

int config_set_defaults(struct config *config)
{
    *config = (struct config){
        .workers = 4,
        .sandbox =
            {
                .memory = (int64_t)2 << 30,
                .cpus = 2,
                .pids = 256,
                .timeout_ms = 120 * 1000,
                .disk = (int64_t)1 << 30,
            },
        .limits =
            {
                .samples = 10,
                .repair_rounds = 3,
                .context_tokens = 12000,
                .cost_per_job = 2.00,
                .cost_per_month = 200.00,
                .jobs_per_repository = 2,
                .job_timeout_ms = 2 * 60 * 60 * 1000,
            },
        .thresholds = {.coverage = 0.8, .mutation = 0.7},
        .catch_up =
            {
                .deliveries_ms = 10 * 60 * 1000,
                .repositories_ms = 60 * 60 * 1000,
                .back_ms = (int64_t)72 * 60 * 60 * 1000,
            },
        .retention =
            {
                .deliveries_ms = 30 * DAY_MS,
                .journal_ms = 90 * DAY_MS,
                .artifacts_ms = 90 * DAY_MS,
                .evaluations_ms = 365 * DAY_MS,
                .mirrors_ms = 30 * DAY_MS,
                .mirrors_size = (int64_t)20 << 30,
            },
    };
    struct {
        char **text;
        const char *value;
    } texts[] = {
        {&config->server.listen, "127.0.0.1:3000"},
        {&config->server.public_url, ""},
        {&config->sandbox.runtime, "runc"},
        {&config->sandbox.image, "host"},
        {&config->label, "assay"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (config_set_text(texts[i].text, "%s", texts[i].value) < 0)
            return -1;
    return 0;
}

void config_release(struct config *config)
{
    yaml_release(config_fields, config);
    free(config->file);
    config->file = NULL;
}

static int out_of_memory(struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "out of memory while reading the configuration");
}

/* ---- what is left open is derived ---- */

/* $XDG_STATE_HOME/assay, or ~/.local/state/assay (XDG base directory specification: relative values are ignored). */
static char *xdg_state_dir(void)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state && state[0] == '/')
        return text_format("%s/assay", state);
    return home && home[0] == '/' ? text_format("%s/.local/state/assay", home) : NULL;
}

/* Jobs run in directories of their own, so a relative path would mean something else there. */
static int make_state_dir_absolute(struct config *config, struct error *err)
{
    if (!config->state_dir && !(config->state_dir = xdg_state_dir()))
        return error_set(err, ERROR_CONFIG, "%s: state_dir: neither XDG_STATE_HOME nor HOME is set; set state_dir",
                         config->file);
    if (config->state_dir[0] == '/')
        return 0;
    AUTO_FREE char *here = getcwd(NULL, 0);
    AUTO_FREE char *given = STEAL(config->state_dir);
    config->state_dir = here ? text_format("%s/%s", here, given) : NULL;
    return config->state_dir ? 0 : out_of_memory(err);
}

static void cut_slashes(char *url)
{
    for (size_t len = url ? strlen(url) : 0; len > 0 && url[len - 1] == '/'; len--)
        url[len - 1] = '\0';
}

static int complete_forge(struct forge_config *forge)
{
    if (!forge->api_url && config_set_text(&forge->api_url, "https://api.github.com") < 0)
        return -1;
    if (!forge->git_url && config_set_text(&forge->git_url, "https://github.com") < 0)
        return -1;
    cut_slashes(forge->api_url);
    cut_slashes(forge->git_url);
    return 0;
}

/* A role without a route takes all models in their order. */
static int complete_route(struct config *config, enum model_role role)
{
    struct yaml_texts *route = &config->routes.roles[role];
    const struct model_config *models = config->models.items;
    if (route->count || role == ROLE_EMBED || !config->models.count)
        return 0;
    free(route->items);
    route->items = calloc(config->models.count, sizeof *route->items);
    for (; route->items && route->count < config->models.count; route->count++)
        if (!(route->items[route->count] = strdup(models[route->count].name)))
            return -1;
    return route->items ? 0 : -1;
}

static int complete(struct config *config, struct error *err)
{
    struct forge_config *forges = config->forges.items;
    if (make_state_dir_absolute(config, err) < 0)
        return -1;
    if (!config->database && config_set_text(&config->database, "sqlite://%s/assay.db", config->state_dir) < 0)
        return out_of_memory(err);
    for (size_t i = 0; i < config->forges.count; i++)
        if (complete_forge(&forges[i]) < 0)
            return out_of_memory(err);
    for (int role = 0; role < ROLE_COUNT; role++)
        if (complete_route(config, (enum model_role)role) < 0)
            return out_of_memory(err);
    cut_slashes(config->server.public_url);
    return 0;
}

/* ---- loading ---- */

static const char *find_file(void)
{
    static const char *const places[] = {"assay.yml", "/etc/assay/assay.yml"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (fs_exists(places[i]))
            return places[i];
    return NULL;
}

static int read_file(const char *path, struct config *config, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(FILE_MAX);
    if (config_set_text(&config->file, "%s", path) < 0)
        return out_of_memory(err);
    if (fs_read(path, &text, err) < 0) {
        struct error inner = *err;
        return error_set(err, ERROR_CONFIG, "the configuration cannot be read: %s", inner.message);
    }
    return yaml_read(buf_text(&text), text.len, path, config_fields, config, err);
}

static int fill(const char *path, unsigned needs, struct config *config, struct error *err)
{
    const char *file = path ? path : find_file();
    if (config_set_defaults(config) < 0)
        return out_of_memory(err);
    if (!file && config_set_text(&config->file, "the environment") < 0)
        return out_of_memory(err);
    if ((file ? read_file(file, config, err) : config_from_environment(config, err)) < 0)
        return -1;
    if (complete(config, err) < 0)
        return -1;
    return config_check(config, needs, err);
}

int config_load(const char *path, unsigned needs, struct config *out, struct error *err)
{
    struct config config = {0};
    struct error own = {0};
    if (fill(path, needs, &config, err ? err : &own) < 0) {
        config_release(&config);
        return -1;
    }
    *out = config;
    return 0;
}

/* ---- questions to a loaded configuration ---- */

const struct forge_config *config_forge(const struct config *config, const char *name)
{
    const struct forge_config *forges = config->forges.items;
    for (size_t i = 0; i < config->forges.count; i++)
        if (strcmp(forges[i].name, name) == 0)
            return &forges[i];
    return NULL;
}

char *config_tools_dir(const struct config *config, struct error *err)
{
    const char *given = getenv("ASSAY_TOOLS");
    AUTO_FREE char *xdg = xdg_state_dir();
    char *places[] = {
        given && *given ? strdup(given) : NULL,
        text_format("%s/tools", config->state_dir),
        xdg ? text_format("%s/tools", xdg) : NULL,
        strdup("/usr/lib/assay/tools"),
    };
    char *found = NULL;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!found && places[i] && fs_exists(places[i]))
            found = STEAL(places[i]);
        free(places[i]);
    }
    if (!found)
        error_set(err, ERROR_CONFIG,
                  "the pinned tools are in none of $ASSAY_TOOLS, %s/tools and /usr/lib/assay/tools; install them with "
                  "`sh deploy/bootstrap tools`",
                  config->state_dir);
    return found;
}
