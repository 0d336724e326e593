#include "app/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/json.h"
#include "app/command.h"
#include "app/question.h"

enum {
    SAME_REQUEST_MS = 60 * 1000, /* opened and labeled of one issue lie this close */
    LABEL_JOBS_SEARCHED = 50
};

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
    struct job_filter filter = trigger_jobs(trigger);
    filter.limit = LABEL_JOBS_SEARCHED;
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
    struct job_filter filter = trigger_jobs(trigger);
    filter.state = (int)state;
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
