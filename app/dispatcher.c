/* assay dispatch: takes deliveries from the store, has each handled and says how it ended; what failed comes again. */
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/dispatch.h"
#include "app/heard.h"
#include "app/home.h"
#include "app/stop.h"

enum {
    IDLE_MS = 150,             /* between two looks for a delivery where nobody tells of one */
    LOOK_MS = 2 * 1000,        /* the same where somebody does, and the message was lost */
    LEASE_MS = 30 * 1000,      /* a delivery whose dispatcher died for good comes again after this */
    BATCH_MAX = 64,            /* deliveries that are taken, and ended, with one sync of the disk each */
    BATCH_MS = 5 * 1000,       /* after this the rest of a batch is given back */
    FAULT_PAUSE_MS = 2 * 1000, /* after the store refused */
};

/* Waits between the tries of a delivery; the last one repeats. */
static const int64_t try_again_after_ms[] = {2000, 10 * 1000, 30 * 1000, 2 * 60 * 1000, 10 * 60 * 1000, 30 * 60 * 1000};

/* A forge, made when it is first needed. */
struct served {
    const struct forge_config *config; /* borrowed */
    struct forge *forge;
};

struct dispatcher {
    struct config config;
    struct secrets *secrets;
    struct log log;
    struct store *store;
    struct served *forges; /* one for each of config.forges */
    struct stop stop;
    struct home home;
};

static struct forge *forge_of(struct dispatcher *dispatcher, const char *name, struct error *err)
{
    for (size_t i = 0; i < dispatcher->config.forges.count; i++) {
        struct served *served = &dispatcher->forges[i];
        if (strcmp(served->config->name, name) != 0)
            continue;
        if (!served->forge)
            served->forge = forge_new(served->config, dispatcher->secrets, &dispatcher->log, err);
        return served->forge;
    }
    error_set(err, ERROR_CONFIG, "forge \"%s\" is not in the configuration any more; name it again, or let this go",
              name);
    return NULL;
}

static int handle(struct dispatcher *dispatcher, const struct delivery *delivery, int64_t *again_ms, struct buf *note,
                  struct error *err)
{
    json_auto_t *payload = json_read(delivery->payload, delivery->payload_len, JSON_LIMITS_WEBHOOK, err);
    struct event event;
    if (!payload || event_read(delivery->event, payload, &event, err) < 0)
        return -1;
    if (heard_note(dispatcher->store, delivery->forge, delivery->event, payload, err) < 0) {
        event_release(&event);
        return -1;
    }
    struct trigger trigger = {
        .config = &dispatcher->config,
        .store = dispatcher->store,
        .forge = forge_of(dispatcher, delivery->forge, err),
        .forge_name = delivery->forge,
        .event = &event,
        .sender_id = json_int_at(payload, "sender.id", 0),
        .delivery = delivery->id,
        .received_ms = delivery->received_ms,
        .as_of = json_text_at(payload, FORGE_FOUND_KEY ".as_of", NULL),
        .log = &dispatcher->log,
    };
    int status = trigger.forge ? dispatch_event(&trigger, again_ms, note, err) : -1;
    event_release(&event);
    return status;
}

static int64_t pause_before_try(const struct delivery *delivery, const struct error *err)
{
    size_t last = sizeof try_again_after_ms / sizeof try_again_after_ms[0] - 1;
    size_t try = delivery->attempts > 0 ? (size_t)delivery->attempts - 1 : 0;
    int64_t pause = try_again_after_ms[try < last ? try : last];
    return err->retry_after_ms > pause ? err->retry_after_ms : pause;
}

/* What can never succeed is done with; everything else comes again, until it has had its tries. `end->note` is set to
 * heap memory. */
static void end_failed(const struct dispatcher *dispatcher, const struct error *failure, struct delivery_end *end)
{
    bool for_good = failure->code == ERROR_INPUT || failure->code == ERROR_LIMIT || failure->code == ERROR_NOT_FOUND;
    log_warn(&dispatcher->log, "%s: %s", end->delivery->event, failure->message);
    end->note = text_format("failed: %s", failure->message);
    if (for_good && !failure->retryable)
        return;
    end->how = DELIVERY_DEFERRED;
    end->again_ms = store_now_ms(dispatcher->store) + pause_before_try(end->delivery, failure);
}

/* Handles one and says how it ends; `note` is the caller's to free. */
static struct delivery_end try_one(struct dispatcher *dispatcher, const struct delivery *delivery)
{
    AUTO_BUF struct buf note = BUF_INIT(KiB(4));
    struct delivery_end end = {.delivery = delivery, .how = DELIVERY_DONE};
    struct error failure = {0};
    int64_t again_ms = 0;
    dispatcher->log.delivery = delivery->id;
    if (handle(dispatcher, delivery, &again_ms, &note, &failure) < 0) {
        end_failed(dispatcher, &failure, &end);
    } else {
        log_info(&dispatcher->log, "%s: %s", delivery->event, buf_text(&note));
        end.how = again_ms ? DELIVERY_DEFERRED : DELIVERY_DONE;
        end.again_ms = again_ms;
        end.note = strdup(buf_text(&note));
    }
    dispatcher->log.delivery = NULL;
    return end;
}

/* Handles what was taken together and ends it together. When the forge is slow, or we are to stop, the rest is given
 * back untried: long before its lease has passed. */
static int work_through(struct dispatcher *dispatcher, const struct delivery *deliveries, size_t count,
                        struct error *err)
{
    struct delivery_end ends[BATCH_MAX];
    size_t late = 0;
    int64_t until = clock_monotonic_ms() + BATCH_MS;
    for (size_t i = 0; i < count; i++) {
        bool stop = i > 0 && (clock_monotonic_ms() >= until || stop_wait(&dispatcher->stop, 0));
        ends[i] = stop ? (struct delivery_end){.delivery = &deliveries[i], .how = DELIVERY_UNTRIED}
                       : try_one(dispatcher, &deliveries[i]);
    }
    int status = store_deliveries_end(dispatcher->store, ends, count, &late, err);
    if (late)
        log_warn(&dispatcher->log, "%zu of %zu deliveries took longer than their lease: they come again", late, count);
    for (size_t i = 0; i < count; i++)
        free((char *)ends[i].note);
    return status;
}

/* Takes what there is, a batch at most; *idle when there was nothing. */
static int work_once(struct dispatcher *dispatcher, bool *idle, struct error *err)
{
    struct delivery deliveries[BATCH_MAX];
    size_t count = 0;
    if (store_deliveries_take(dispatcher->store, dispatcher->home.name, store_now_ms(dispatcher->store), LEASE_MS,
                              deliveries, BATCH_MAX, &count, err) < 0)
        return -1;
    *idle = count == 0;
    int status = count ? work_through(dispatcher, deliveries, count, err) : 0;
    for (size_t i = 0; i < count; i++)
        delivery_release(&deliveries[i]);
    return status;
}

static void loop(struct dispatcher *dispatcher)
{
    int64_t look_ms = 0; /* monotonic: look by then, news or not */
    while (!stop_wait(&dispatcher->stop, 0)) {
        struct error err = {0};
        bool idle = false;
        if (work_once(dispatcher, &idle, &err) < 0) {
            log_error(&dispatcher->log, "%s", err.message);
            stop_wait(&dispatcher->stop, FAULT_PAUSE_MS);
        }
        look_ms = clock_monotonic_ms() + LOOK_MS;
        while (idle && clock_monotonic_ms() < look_ms &&
               !store_wait(dispatcher->store, STORE_NEWS_DELIVERY, dispatcher->stop.fd, IDLE_MS))
            if (stop_wait(&dispatcher->stop, 0))
                break;
    }
}

/* Deliveries that were ours when we died need not wait for their lease to pass. */
static int take_up(struct dispatcher *dispatcher, struct error *err)
{
    size_t count = 0;
    if (store_deliveries_let_go(dispatcher->store, dispatcher->home.name, store_now_ms(dispatcher->store), &count,
                                err) < 0)
        return -1;
    if (count)
        log_info(&dispatcher->log, "%zu deliveries were ours when the dispatcher died", count);
    return 0;
}

static int dispatcher_open(struct dispatcher *dispatcher, const char *config_path, struct error *err)
{
    if (config_load(config_path, CONFIG_NEEDS_FORGES, &dispatcher->config, err) < 0)
        return -1;
    const struct forge_config *configs = dispatcher->config.forges.items;
    size_t count = dispatcher->config.forges.count;
    dispatcher->secrets = secrets_new();
    dispatcher->log.secrets = dispatcher->secrets;
    dispatcher->forges = calloc(count + 1, sizeof *dispatcher->forges);
    if (!dispatcher->forges)
        return error_set(err, ERROR_INTERNAL, "start the dispatcher: out of memory");
    for (size_t i = 0; i < count; i++)
        dispatcher->forges[i].config = &configs[i];
    dispatcher->store = store_open(dispatcher->config.database, err);
    if (!dispatcher->store || stop_watch(&dispatcher->stop, err) < 0 ||
        home_open(&dispatcher->home, dispatcher->config.state_dir, "dispatch", &dispatcher->stop, &dispatcher->log,
                  err) < 0)
        return -1;
    return take_up(dispatcher, err);
}

static void dispatcher_close(struct dispatcher *dispatcher)
{
    for (size_t i = 0; dispatcher->forges && i < dispatcher->config.forges.count; i++)
        forge_free(dispatcher->forges[i].forge);
    free(dispatcher->forges);
    if (dispatcher->store)
        store_close(dispatcher->store);
    home_close(&dispatcher->home);
    stop_release(&dispatcher->stop);
    secrets_free(dispatcher->secrets);
    config_release(&dispatcher->config);
}

int cli_dispatch(int argc, char **argv, struct error *err)
{
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_only(argc, argv, &config_path, err) < 0)
        return -1;
    struct dispatcher dispatcher = {.log = log_open("dispatch"), .stop = {.fd = -1}, .home = {.lock = -1}};
    int status = dispatcher_open(&dispatcher, config_path, err);
    if (status == 0) {
        log_info(&dispatcher.log, "ready");
        loop(&dispatcher);
        log_info(&dispatcher.log, "stopped");
    }
    dispatcher_close(&dispatcher);
    return status;
}
