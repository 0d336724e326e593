/* assay serve: the receiver, the dispatcher and the workers as processes of their own, each with what it needs.
 *
 * The listening socket is made here and outlives its receivers. The receiver gets the webhook secrets by a pipe and an
 * empty environment; the others read the configuration themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/children.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/listener.h"
#include "app/store.h"

enum { RECEIVER_SOCKET = 3 }; /* where app/children shows it */

struct serve {
    struct config config;
    struct log log;
    struct stop stop;
    int socket;
    char *url;                  /* where it listens */
    char *database;             /* its whole address: the receiver has no environment and no files to add to it */
    char *orders;               /* for the receiver's standard input; holds secrets */
    const char *environment[4]; /* the receiver's */
    char *variables[4];         /* what of it is ours */
};

static void serve_release(struct serve *serve)
{
    if (serve->orders)
        explicit_bzero(serve->orders, strlen(serve->orders));
    if (serve->database)
        explicit_bzero(serve->database, strlen(serve->database));
    free(serve->database);
    free(serve->orders);
    free(serve->url);
    for (size_t i = 0; i < sizeof serve->variables / sizeof serve->variables[0]; i++)
        free(serve->variables[i]);
    if (serve->socket >= 0)
        close(serve->socket);
    stop_release(&serve->stop);
    config_release(&serve->config);
}

/* ---- what the receiver is told ---- */

static int add_forge(json_t *forges, const struct forge_config *forge, struct error *err)
{
    struct secret secret = {0};
    if (secret_load(forge->webhook_secret, &secret, err) < 0)
        return error_wrap(err, "forges[%s].webhook_secret", forge->name);
    json_t *value = json_pack("{s:s, s:s}", "name", forge->name, "secret", secret.value);
    secret_release(&secret);
    if (!value || json_array_append_new(forges, value) < 0)
        return error_set(err, ERROR_CONFIG, "forges[%s].webhook_secret: it is not UTF-8 text", forge->name);
    return 0;
}

static int make_orders(struct serve *serve, struct error *err)
{
    const struct forge_config *forges = serve->config.forges.items;
    json_auto_t *orders =
        json_pack("{s:i, s:s, s:[]}", "socket", RECEIVER_SOCKET, "database", serve->database, "forges");
    for (size_t i = 0; orders && i < serve->config.forges.count; i++)
        if (add_forge(json_object_get(orders, "forges"), &forges[i], err) < 0)
            return -1;
    serve->orders = orders ? json_dumps(orders, JSON_COMPACT) : NULL;
    return serve->orders ? 0 : error_set(err, ERROR_INTERNAL, "out of memory");
}

static int make_environment(struct serve *serve, struct error *err)
{
    static const char *const names[] = {"PATH", "ASSAY_LOG_LEVEL", "ASSAY_LOG_FORMAT"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (!value)
            continue;
        serve->variables[count] = text_format("%s=%s", names[i], value);
        serve->environment[count] = serve->variables[count];
        if (!serve->variables[count++])
            return error_set(err, ERROR_INTERNAL, "out of memory");
    }
    return 0;
}

/* ---- before anything is started ---- */

/* Applies missing migrations here, so that a database that cannot be used is said once, before anything is started. */
static int check_database(struct serve *serve, struct error *err)
{
    struct store *store = store_open(serve->config.database, err);
    int status = store ? store_ping(store, err) : -1;
    if (status == 0 && !(serve->database = store_whole_url(store, err)))
        status = -1;
    store_close(store);
    return status;
}

static int prepare(struct serve *serve, const char *config_path, struct error *err)
{
    if (config_load(config_path, CONFIG_NEEDS_FORGES | CONFIG_NEEDS_MODELS, &serve->config, err) < 0)
        return -1;
    if (fs_make_dirs(serve->config.state_dir, 0700, err) < 0)
        return error_wrap(err, "state_dir");
    if (check_database(serve, err) < 0 || make_orders(serve, err) < 0 || make_environment(serve, err) < 0)
        return -1;
    serve->socket = listener_open(serve->config.server.listen, &serve->url, err);
    return serve->socket < 0 ? -1 : stop_watch(&serve->stop, err);
}

static void say_ready(void *context)
{
    const struct serve *serve = context;
    const struct forge_config *forges = serve->config.forges.items;
    printf("listening on %s", serve->url);
    for (size_t i = 0; i < serve->config.forges.count; i++)
        printf("%s /webhooks/%s", i ? "," : " for", forges[i].name);
    printf("\n");
    fflush(stdout);
}

static int run(struct serve *serve, struct error *err)
{
    /* Without a file the children read the same environment as we did. */
    bool has_file = fs_exists(serve->config.file);
    const char *const receiver[] = {"assay", "receiver", NULL};
    const char *const dispatch[] = {"assay", "dispatch", has_file ? "--config" : NULL, serve->config.file, NULL};
    const char *const work[] = {"assay", "work", has_file ? "--config" : NULL, serve->config.file, NULL};
    const struct child_spec specs[] = {
        {.name = "receiver",
         .program = "/proc/self/exe",
         .argv = receiver,
         .environment = serve->environment,
         .input = serve->orders,
         .input_len = strlen(serve->orders),
         .socket = serve->socket,
         .tells_ready = true},
        {.name = "dispatch", .program = "/proc/self/exe", .argv = dispatch, .socket = -1},
        {.name = "work", .program = "/proc/self/exe", .argv = work, .socket = -1},
    };
    const struct children_hooks hooks = {.ready = say_ready, .context = serve};
    return children_run(specs, sizeof specs / sizeof specs[0], &hooks, &serve->stop, &serve->log, err);
}

int cli_serve(int argc, char **argv, struct error *err)
{
    const char *config_path = NULL;
    const struct cli_option options[] = {{"config", NULL, &config_path}, {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_options(argc, argv, options, NULL, 0, err) < 0)
        return -1;
    struct serve serve = {.log = log_open("serve"), .socket = -1, .stop = {.fd = -1}};
    int status = prepare(&serve, config_path, err);
    if (status == 0)
        status = run(&serve, err);
    serve_release(&serve);
    return status;
}
