/* assay serve: the receiver, the dispatcher, the catch-up and the workers as processes of their own, each with what it
 * needs.
 *
 * The listening socket is made here, or handed to us by systemd, and outlives its receivers. The receiver gets the
 * webhook secrets by a pipe and an empty environment; the others read the configuration themselves. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/children.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/listener.h"
#include "app/service.h"
#include "app/store.h"

#define RECEIVER "assay-receiver" /* and the kind of database; beside our own file */

enum {
    RECEIVER_SOCKET = 3,   /* where app/children shows it */
    RECEIVER_PROGRAM = 10, /* or higher: above those that a child uses */
    NEEDS = CONFIG_NEEDS_FORGES | CONFIG_NEEDS_MODELS,
    CONFIG_MAX = 1024 * 1024
};

struct serve {
    struct config config;
    struct log log;
    struct stop stop;
    struct service service;
    struct child_spec *receiver; /* its input changes with the configuration */
    int program;                 /* the receiver's, held open: the same after an upgrade has replaced the file */
    char program_by_number[32];
    const char *program_path;
    char *serving; /* our copy of the configuration that is in force, for the children; NULL without a file */
    bool stopping; /* and the service manager knows it */
    int socket;
    char *url;                  /* where it listens */
    char *database;             /* its whole address: the receiver has no environment and no files to add to it */
    char *orders;               /* for the receiver's standard input; holds secrets */
    const char *environment[4]; /* the receiver's */
    char *variables[4];         /* what of it is ours */
};

/* Frees a text that holds secrets. */
static void forget(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void serve_release(struct serve *serve)
{
    forget(serve->orders);
    forget(serve->database);
    free(serve->serving);
    free(serve->url);
    for (size_t i = 0; i < sizeof serve->variables / sizeof serve->variables[0]; i++)
        free(serve->variables[i]);
    if (serve->socket >= 0)
        close(serve->socket);
    if (serve->program >= 0)
        close(serve->program);
    stop_release(&serve->stop);
    service_release(&serve->service);
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

/* Heap; NULL on failure. */
static char *make_orders(const struct config *config, const char *database, struct error *err)
{
    const struct forge_config *forges = config->forges.items;
    json_auto_t *orders = json_pack("{s:i, s:s, s:[]}", "socket", RECEIVER_SOCKET, "database", database, "forges");
    for (size_t i = 0; orders && i < config->forges.count; i++)
        if (add_forge(json_object_get(orders, "forges"), &forges[i], err) < 0)
            return NULL;
    char *text = orders ? json_dumps(orders, JSON_COMPACT) : NULL;
    if (!text)
        error_set(err, ERROR_INTERNAL, "out of memory");
    return text;
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

/* A program of its own, smaller than ours; where somebody has taken only ours along, that is one, too. */
static int find_receiver(struct serve *serve, struct error *err)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self);
    const char *slash = len > 0 ? memrchr(self, '/', (size_t)len) : NULL;
    if (!slash)
        return error_system(err, errno, "find out where assay is");
    const char *database = serve->config.database;
    AUTO_FREE char *path =
        text_format("%.*s/" RECEIVER "-%.*s", (int)(slash - self), self, (int)strcspn(database, ":"), database);
    AUTO_CLOSE int found = path ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (found < 0 && errno == ENOENT) {
        serve->program_path = "/proc/self/exe";
        return 0;
    }
    serve->program = found < 0 ? -1 : fcntl(found, F_DUPFD_CLOEXEC, RECEIVER_PROGRAM);
    if (serve->program < 0)
        return error_system(err, errno, "start " RECEIVER);
    snprintf(serve->program_by_number, sizeof serve->program_by_number, "/proc/self/fd/%d", serve->program);
    serve->program_path = serve->program_by_number;
    return 0;
}

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

/* The children read a copy of the file as it was accepted: while a person edits it, or when it is wrong and the old one
 * stays in force, a child that is started again must not trip over it. */
static int keep_copy(struct serve *serve, const char *file, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX);
    struct config check = {0};
    AUTO_FREE char *next = text_format("%s.next", serve->serving);
    if (!next)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    if (fs_read(file, &text, err) < 0 || fs_write_atomic(next, buf_text(&text), text.len, 0600, err) < 0)
        return -1;
    if (config_load(next, NEEDS, &check, err) < 0) /* it was changed since it was found to be right */
        return -1;
    config_release(&check);
    return rename(next, serve->serving) < 0 ? error_system(err, errno, "replace %s", serve->serving) : 0;
}

static int open_socket(struct serve *serve, struct error *err)
{
    serve->socket = serve->service.socket >= 0 ? listener_adopt(serve->service.socket, &serve->url, err)
                                               : listener_open(serve->config.server.listen, &serve->url, err);
    return serve->socket < 0 ? -1 : 0;
}

static int prepare(struct serve *serve, const char *config_path, struct error *err)
{
    if (service_open(&serve->service, err) < 0 || config_load(config_path, NEEDS, &serve->config, err) < 0)
        return -1;
    if (fs_make_dirs(serve->config.state_dir, 0700, err) < 0)
        return error_wrap(err, "state_dir");
    bool has_file = fs_exists(serve->config.file); /* without one the children read the same environment as we did */
    if (has_file && !(serve->serving = text_format("%s/serving.yml", serve->config.state_dir)))
        return error_set(err, ERROR_INTERNAL, "out of memory");
    if (has_file && keep_copy(serve, serve->config.file, err) < 0)
        return -1;
    if (find_receiver(serve, err) < 0 || check_database(serve, err) < 0 || make_environment(serve, err) < 0 ||
        !(serve->orders = make_orders(&serve->config, serve->database, err)))
        return -1;
    return open_socket(serve, err) < 0 ? -1 : stop_watch_and_reload(&serve->stop, err);
}

/* ---- while it runs ---- */

/* What a running installation stands on cannot be changed under it. */
static int check_unmoved(const struct config *now, const struct config *next, struct error *err)
{
    const struct {
        const char *key, *now, *next;
    } fixed[] = {
        {"server.listen", now->server.listen, next->server.listen},
        {"database", now->database, next->database},
        {"state_dir", now->state_dir, next->state_dir},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(fixed[i].now, fixed[i].next) != 0)
            return error_set(err, ERROR_CONFIG, "%s: %s: it changes at a restart only", next->file, fixed[i].key);
    return 0;
}

static int load_again(struct serve *serve, struct error *err)
{
    struct config next = {0};
    if (!serve->serving)
        return error_set(err, ERROR_CONFIG, "the configuration is the environment's; restart to change it");
    if (config_load(serve->config.file, NEEDS, &next, err) < 0)
        return -1;
    int status = check_unmoved(&serve->config, &next, err);
    char *orders = status == 0 ? make_orders(&next, serve->database, err) : NULL;
    if (!orders || keep_copy(serve, next.file, err) < 0) {
        forget(orders);
        config_release(&next);
        return -1;
    }
    forget(serve->orders);
    config_release(&serve->config);
    serve->orders = orders;
    serve->config = next;
    serve->receiver->input = orders;
    serve->receiver->input_len = strlen(orders);
    return 0;
}

static bool reload(void *context)
{
    struct serve *serve = context;
    struct error err = {0};
    service_tell_reloading(&serve->service);
    bool loaded = load_again(serve, &err) == 0;
    if (loaded)
        log_info(&serve->log, "%s is in force; each process is replaced", serve->config.file);
    else
        log_error(&serve->log, "%s; what was read before stays in force", err.message);
    service_tell(&serve->service, "READY=1"); /* connections wait in the socket for the new receiver */
    return loaded;
}

static void tick(void *context)
{
    struct serve *serve = context;
    if (serve->stop.asked && !serve->stopping) {
        serve->stopping = true;
        service_tell(&serve->service, "STOPPING=1");
    }
    service_tick(&serve->service);
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
    service_tell(&serve->service, "READY=1");
}

static int run(struct serve *serve, struct error *err)
{
    const char *option = serve->serving ? "--config" : NULL;
    const char *const receiver[] = {"assay", "receiver", NULL};
    const char *const dispatch[] = {"assay", "dispatch", option, serve->serving, NULL};
    const char *const catch_up[] = {"assay", "catch-up", option, serve->serving, NULL};
    const char *const work[] = {"assay", "work", option, serve->serving, NULL};
    struct child_spec specs[] = {
        {.name = "receiver",
         .program = serve->program_path,
         .argv = receiver,
         .environment = serve->environment,
         .input = serve->orders,
         .input_len = strlen(serve->orders),
         .socket = serve->socket,
         .tells_ready = true},
        {.name = "dispatch", .program = "/proc/self/exe", .argv = dispatch, .socket = -1},
        {.name = "catch-up", .program = "/proc/self/exe", .argv = catch_up, .socket = -1},
        {.name = "work", .program = "/proc/self/exe", .argv = work, .socket = -1},
    };
    const struct children_hooks hooks = {.ready = say_ready, .tick = tick, .reload = reload, .context = serve};
    serve->receiver = &specs[0];
    return children_run(specs, sizeof specs / sizeof specs[0], &hooks, &serve->stop, &serve->log, err);
}

int cli_serve(int argc, char **argv, struct error *err)
{
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_only(argc, argv, &config_path, err) < 0)
        return -1;
    struct serve serve = {
        .log = log_open("serve"), .socket = -1, .program = -1, .stop = {.fd = -1}, .service = {-1, -1, 0, 0}};
    int status = prepare(&serve, config_path, err);
    if (status == 0)
        status = run(&serve, err);
    serve_release(&serve);
    return status;
}
