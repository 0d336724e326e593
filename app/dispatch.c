#include "app/dispatch.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/command.h"
#include "app/heard.h"
#include "app/home.h"
#include "app/question.h"
#include "app/stop.h"

enum {
    IDLE_MS = 150,               /* between two looks for a delivery where nobody tells of one */
    LOOK_MS = 2 * 1000,          /* the same where somebody does, and the message was lost */
    LEASE_MS = 30 * 1000,        /* a delivery whose dispatcher died for good comes again after this */
    BATCH_MAX = 64,              /* deliveries that are taken, and ended, with one sync of the disk each */
    BATCH_MS = 5 * 1000,         /* after this the rest of a batch is given back */
    SAME_REQUEST_MS = 60 * 1000, /* opened and labeled of one issue lie this close */
    FAULT_PAUSE_MS = 2 * 1000,   /* after the store refused */
    LABEL_JOBS_SEARCHED = 50
};

/* Waits between the tries of a delivery; the last one repeats. */
static const int64_t try_again_after_ms[] = {2000, 10 * 1000, 30 * 1000, 2 * 60 * 1000, 10 * 60 * 1000, 30 * 60 * 1000};

/* ---- labels ---- */

/* Every job of a request by label has a key that starts so. */
static char *label_key(const struct trigger *trigger)
{
    const struct event *event = trigger->event;
    AUTO_BUF struct buf text = BUF_INIT(MiB(4));
    char digest[DIGEST_HEX_SIZE];
    buf_add(&text, event->title,
            strlen(event->title) + 1); /* with the NUL, so that title and body do not run together */
    buf_puts(&text, event->body);
    digest_sha256(buf_text(&text), text.len, digest);
    return text_format("%s:%s/%s#%lld:label:%s", trigger->forge_name, event->repo.owner, event->repo.name,
                       (long long)event->number, digest);
}

static bool has_ended(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_CANCELLED || job->state == JOB_FAILED;
}

/* Is this job the one that the event asks for? Two events of one moment are, and so is all that comes while it is at
 * work on the same text. Where one of the two was found afterwards, the text may be another: the moment alone tells. */
static bool is_same_request(const struct job *job, const char *key, const struct trigger *trigger)
{
    bool at_once = llabs(trigger->event->happened_ms - job->triggered_ms) <= SAME_REQUEST_MS;
    if (strncmp(job->request_key, key, strlen(key)) == 0)
        return at_once || !has_ended(job);
    bool by_label = strcmp(json_text_at(job->request, "trigger", ""), "label") == 0;
    bool found = trigger->as_of || json_text_at(job->request, "text_as_of", NULL);
    return at_once && by_label && found;
}

static int find_same(const struct trigger *trigger, const char *key, int64_t *id, bool *any, struct error *err)
{
    const struct event *event = trigger->event;
    struct job_filter filter = {
        .forge = trigger->forge_name,
        .owner = event->repo.owner,
        .repo = event->repo.name,
        .number = event->number,
        .state = -1,
        .limit = LABEL_JOBS_SEARCHED,
    };
    struct job *jobs = NULL;
    size_t count = 0;
    if (store_jobs(trigger->store, &filter, &jobs, &count, err) < 0)
        return -1;
    *id = 0;
    *any = false;
    for (size_t i = 0; i < count; i++) {
        *any = *any || strncmp(jobs[i].request_key, key, strlen(key)) == 0;
        if (*id == 0 && is_same_request(&jobs[i], key, trigger))
            *id = jobs[i].id;
    }
    jobs_free(jobs, count);
    return 0;
}

static int answer_replaced(const struct trigger *trigger, int64_t id, struct error *err)
{
    AUTO_BUF struct buf answer = BUF_INIT(KiB(16));
    AUTO_FREE char *to = text_format("job:%lld", (long long)id);
    if (trigger_tell_replaced(trigger, id, &answer, err) < 0 || buf_check(&answer, "answer", err) < 0)
        return -1;
    return answer.len && to ? trigger_answer(trigger, to, buf_text(&answer), err) : 0;
}

static int start_by_label(const struct trigger *trigger, struct buf *note, struct error *err)
{
    AUTO_FREE char *key = label_key(trigger);
    int64_t id;
    bool fresh = false;
    bool any;
    if (!key)
        return error_set(err, ERROR_INTERNAL, "note the request: out of memory");
    if (find_same(trigger, key, &id, &any, err) < 0)
        return -1;
    AUTO_FREE char *later = text_format("%s@%lld", key, (long long)trigger->event->happened_ms);
    if (id == 0 && trigger_add_job(trigger, "generate", any ? later : key, "label", "", &id, &fresh, err) < 0)
        return -1;
    trigger_acknowledge(trigger); /* once, whichever of its deliveries comes to it first */
    buf_printf(note, "%sjob %lld", fresh ? "" : "same as ", (long long)id);
    return answer_replaced(trigger, id, err);
}

static int on_label(const struct trigger *trigger, struct buf *note, struct error *err)
{
    const struct event *event = trigger->event;
    bool permitted;
    if (trigger_is_permitted(trigger, &permitted, err) < 0)
        return -1;
    if (permitted)
        return start_by_label(trigger, note, err);
    buf_printf(note, "ignored: %s has no write permission", event->sender);
    AUTO_FREE char *to = text_format("label:%s", event->sender);
    return event->sender_is_bot || !to ? 0 : trigger_refuse(trigger, to, err);
}

/* ---- handlers ---- */

static int on_issue_labeled(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    (void)again_ms;
    if (strcasecmp(trigger->event->label, trigger->config->label) == 0)
        return on_label(trigger, note, err);
    buf_puts(note, "ignored: another label");
    return 0;
}

static int on_issue_opened(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    (void)again_ms;
    for (size_t i = 0; i < trigger->event->label_count; i++)
        if (strcasecmp(trigger->event->labels[i], trigger->config->label) == 0)
            return on_label(trigger, note, err);
    buf_puts(note, "ignored: without the label");
    return 0;
}

static int on_comment_created(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    const struct event *event = trigger->event;
    bool ours;
    bool handled;
    bool found;
    (void)again_ms;
    if (event->comment_author_is_bot || event->sender_is_bot) {
        buf_puts(note, "ignored: a bot's comment");
        return 0;
    }
    if (trigger_is_ours(trigger, &ours, err) < 0)
        return -1;
    if (ours) {
        buf_puts(note, "ignored: own comment");
        return 0;
    }
    if (trigger_is_handled(trigger, &handled, err) < 0)
        return -1;
    if (handled) {
        buf_puts(note, "ignored: it has come in another way before");
        return 0;
    }
    if (command_obey(trigger, &found, note, err) < 0)
        return -1;
    return found ? 0 : question_take_reply(trigger, note, err);
}

static int on_comment_edited(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    bool ours;
    if (trigger->event->sender_is_bot) {
        buf_puts(note, "ignored: edited by a bot");
        return 0;
    }
    if (trigger_is_ours(trigger, &ours, err) < 0)
        return -1;
    if (ours)
        return question_take_ticks(trigger, again_ms, note, err);
    buf_puts(note, "ignored: an edited comment");
    return 0;
}

/* What was asked on the pull request before it was closed, and waits. */
static int end_waiting(const struct trigger *trigger, enum job_state state, size_t *ended, struct error *err)
{
    const struct event *event = trigger->event;
    const struct job_filter filter = {.forge = trigger->forge_name,
                                      .owner = event->repo.owner,
                                      .repo = event->repo.name,
                                      .number = event->number,
                                      .state = (int)state};
    struct job *jobs = NULL;
    size_t count = 0;
    int status = store_jobs(trigger->store, &filter, &jobs, &count, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        struct error late = {0};
        bool was_running;
        if (jobs[i].triggered_ms > event->happened_ms)
            continue;
        if (store_job_cancel(trigger->store, jobs[i].id, &was_running, &late) == 0) {
            trigger_show_cancelled(trigger, &jobs[i]);
            (*ended)++;
        } else if (late.code != ERROR_CONFLICT) { /* which is: it has ended meanwhile */
            *err = late;
            status = -1;
        }
    }
    jobs_free(jobs, count);
    return status;
}

static int note_ended(const struct trigger *trigger, size_t *ours, struct error *err)
{
    const struct event *event = trigger->event;
    char at[CLOCK_TEXT_SIZE];
    struct open_pull *pulls = NULL;
    json_auto_t *when = json_string(clock_rfc3339(event->happened_ms, at));
    if (store_open_pulls(trigger->store, trigger->forge_name, event->repo.owner, event->repo.name, event->number,
                         &pulls, ours, err) < 0)
        return -1;
    int status = 0;
    for (size_t i = 0; status == 0 && i < *ours; i++)
        status = store_job_publish(trigger->store, pulls[i].job, "pull_ended", when, err);
    free(pulls);
    return status;
}

/* Closed or merged: whatever still waits for it ends, and what it needed may be let go of. */
static int on_pull_closed(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    size_t ours = 0;
    size_t ended = 0;
    (void)again_ms;
    if (end_waiting(trigger, JOB_QUEUED, &ended, err) < 0 || end_waiting(trigger, JOB_QUESTION, &ended, err) < 0 ||
        note_ended(trigger, &ours, err) < 0)
        return -1;
    buf_printf(note, "%s pull request has ended, and with it %zu waiting jobs", ours ? "our" : "another's", ended);
    return 0;
}

static int on_ping(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    (void)trigger, (void)again_ms, (void)err;
    buf_puts(note, "pong");
    return 0;
}

static const struct handler {
    enum event_kind kind;
    const char *action; /* NULL: every one */
    int (*run)(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err);
    const char *help;
} handlers[] = {
    {EVENT_ISSUE, "labeled", on_issue_labeled, "the configured label makes a job of the issue's text"},
    {EVENT_ISSUE, "opened", on_issue_opened, "the same for an issue that is opened with the label on it"},
    {EVENT_ISSUE_COMMENT, "created", on_comment_created, "commands; a reply to a question"},
    {EVENT_ISSUE_COMMENT, "edited", on_comment_edited, "a box ticked in a question of ours"},
    {EVENT_PULL, "closed", on_pull_closed, "what waits for the pull request ends"},
    {EVENT_PING, NULL, on_ping, "the forge tries the address"},
};

int dispatch_event(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    const struct event *event = trigger->event;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i].kind == event->kind && (!handlers[i].action || strcmp(handlers[i].action, event->action) == 0))
            return handlers[i].run(trigger, again_ms, note, err);
    buf_puts(note, "ignored: nothing is set off by it");
    return 0;
}

/* ---- the loop ---- */

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
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'c')
            return error_set(err, ERROR_USAGE, "dispatch: unknown option; see assay dispatch --help");
        config_path = optarg;
    }
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
