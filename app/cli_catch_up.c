/* assay catch-up: the process that asks the forges, at its start and then when it is due, what webhooks have not told.
 */
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/catch_up.h"
#include "app/cli.h"
#include "app/stop.h"

enum {
    RETRY_MS = 30 * 1000, /* after a failure */
    TICK_MIN_MS = 250,
    GRACE_MS =
        10 * 1000 /* for what was asked for again: it brings the text of its moment, the repository that of now */
};

struct process {
    struct config config;
    struct secrets *secrets;
    struct log log;
    struct store *store;
    struct stop stop;
    struct watched {
        struct forge *forge;       /* NULL until it could be opened */
        int64_t wait_until;        /* monotonic: after a failure */
        int64_t grace_until;       /* monotonic */
        bool told, read, compared; /* said that there is no list; looked at it, and at the repositories, once */
    } *forges;                     /* one for each of config.forges */
};

static bool is_stopped(void *context)
{
    struct process *process = context;
    return stop_wait(&process->stop, 0);
}

static int read_deliveries(struct process *process, const struct catch_up *catch_up, struct watched *watched,
                           struct error *err)
{
    size_t found = 0;
    if (catch_up_deliveries(catch_up, !watched->read, &found, err) < 0)
        return -1;
    watched->read = true;
    if (!found)
        return 0;
    watched->grace_until = clock_monotonic_ms() + GRACE_MS;
    log_info(&process->log, "%s: %zu deliveries had not arrived", catch_up->forge_config->name, found);
    return 0;
}

static int compare_repositories(struct process *process, const struct catch_up *catch_up, struct watched *watched,
                                struct error *err)
{
    size_t found = 0;
    if (clock_monotonic_ms() < watched->grace_until)
        return 0;
    if (catch_up_repositories(catch_up, !watched->compared, &found, err) < 0)
        return -1;
    watched->compared = true;
    if (found)
        log_info(&process->log, "%s: %zu events were found that no delivery told of", catch_up->forge_config->name,
                 found);
    return 0;
}

static int look(struct process *process, const struct catch_up *catch_up, struct watched *watched, struct error *err)
{
    const struct catch_up_config *every = &process->config.catch_up;
    bool has_list = forge_keeps_deliveries(watched->forge);
    if (!has_list && !watched->told)
        log_info(&process->log,
                 "%s: no App, so no list of deliveries: what webhooks miss is looked for in the "
                 "repositories only",
                 catch_up->forge_config->name);
    watched->told = true;
    if (has_list && every->deliveries_ms && read_deliveries(process, catch_up, watched, err) < 0)
        return -1;
    return every->repositories_ms ? compare_repositories(process, catch_up, watched, err) : 0;
}

static int look_at(struct process *process, const struct forge_config *config, struct watched *watched,
                   struct error *err)
{
    if (!watched->forge && !(watched->forge = forge_new(config, process->secrets, &process->log, err)))
        return -1;
    struct catch_up catch_up = {
        .config = &process->config,
        .forge_config = config,
        .forge = watched->forge,
        .store = process->store,
        .log = &process->log,
        .stopped = is_stopped,
        .stop_context = process,
    };
    return look(process, &catch_up, watched, err);
}

/* What failed is tried again soon: the first look after a start matters most. */
static void note_failure(struct process *process, const char *name, struct watched *watched,
                         const struct error *failure)
{
    int64_t wait = failure->retry_after_ms > RETRY_MS ? failure->retry_after_ms : RETRY_MS;
    watched->wait_until = clock_monotonic_ms() + wait;
    if (failure->code != ERROR_CANCELLED)
        log_warn(&process->log, "%s: catching up: %s", name, failure->message);
}

static int64_t tick_ms(const struct catch_up_config *every)
{
    int64_t tick = GRACE_MS;
    if (every->deliveries_ms && every->deliveries_ms / 2 < tick)
        tick = every->deliveries_ms / 2;
    if (every->repositories_ms && every->repositories_ms / 2 < tick)
        tick = every->repositories_ms / 2;
    return tick < TICK_MIN_MS ? TICK_MIN_MS : tick;
}

static void loop(struct process *process)
{
    const struct forge_config *configs = process->config.forges.items;
    int64_t pause = 0;
    while (!stop_wait(&process->stop, process->stop.asked ? 0 : pause)) { /* a look may have heard it */
        for (size_t i = 0; i < process->config.forges.count; i++) {
            struct error failure = {0};
            struct watched *watched = &process->forges[i];
            if (clock_monotonic_ms() >= watched->wait_until && look_at(process, &configs[i], watched, &failure) < 0)
                note_failure(process, configs[i].name, watched, &failure);
        }
        pause = tick_ms(&process->config.catch_up);
    }
}

static int process_open(struct process *process, const char *config_path, struct error *err)
{
    if (config_load(config_path, CONFIG_NEEDS_FORGES, &process->config, err) < 0)
        return -1;
    process->secrets = secrets_new();
    process->log.secrets = process->secrets;
    process->forges = calloc(process->config.forges.count + 1, sizeof *process->forges);
    if (!process->forges)
        return error_set(err, ERROR_INTERNAL, "start to catch up: out of memory");
    process->store = store_open(process->config.database, err);
    return process->store ? stop_watch(&process->stop, err) : -1;
}

static void process_close(struct process *process)
{
    for (size_t i = 0; process->forges && i < process->config.forges.count; i++)
        forge_free(process->forges[i].forge);
    free(process->forges);
    store_close(process->store);
    stop_release(&process->stop);
    secrets_free(process->secrets);
    config_release(&process->config);
}

int cli_catch_up(int argc, char **argv, struct error *err)
{
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_only(argc, argv, &config_path, err) < 0)
        return -1;
    struct process process = {.log = log_open("catch-up"), .stop = {.fd = -1}};
    int status = process_open(&process, config_path, err);
    if (status == 0)
        loop(&process);
    process_close(&process);
    return status;
}
