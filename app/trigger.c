#include "app/trigger.h"

#include <string.h>
#include <strings.h>

#include "app/base/json.h"
#include "app/progress.h"
#include "app/reply.h"

enum { JOBS_SEARCHED = 1000 }; /* for the job of a pull request, newest first */

struct effects trigger_effects(const struct trigger *trigger)
{
    return (struct effects){
        .store = trigger->store,
        .forge = trigger->forge,
        .forge_name = trigger->forge_name,
        .repo = &trigger->event->repo,
        .log = trigger->log,
        .delivery = trigger->delivery,
    };
}

int trigger_is_permitted(const struct trigger *trigger, bool *permitted, struct error *err)
{
    const struct event *event = trigger->event;
    enum forge_permission permission = FORGE_NONE;
    if (forge_permission(trigger->forge, &event->repo, event->sender, &permission, err) < 0)
        return error_wrap(err, "ask what %s may do", event->sender);
    *permitted = permission >= FORGE_WRITE;
    return 0;
}

int trigger_is_ours(const struct trigger *trigger, bool *ours, struct error *err)
{
    const struct event *event = trigger->event;
    const char *login = forge_login(trigger->forge, err);
    if (!login)
        return -1;
    *ours = strcasecmp(event->comment_author, login) == 0 && strstr(event->comment_body, REPLY_MARK);
    return 0;
}

int trigger_is_handled(const struct trigger *trigger, bool *handled, struct error *err)
{
    struct effects effects = trigger_effects(trigger);
    return reply_is_anothers(&effects, trigger->event->number, trigger->event->comment_id, handled, err);
}

void trigger_acknowledge(const struct trigger *trigger)
{
    const struct event *event = trigger->event;
    struct error err = {0};
    enum forge_subject subject = event->comment_id ? FORGE_ISSUE_COMMENT : FORGE_ISSUE;
    int64_t id = event->comment_id ? event->comment_id : event->number;
    struct effects effects = trigger_effects(trigger);
    if (effect_react(&effects, subject, id, "eyes", &err) < 0)
        log_warn(trigger->log, "react to what %s wrote: %s", event->sender, err.message);
}

static json_t *text_of(const char *text)
{
    return json_from_text(text, strlen(text));
}

static json_t *request_of(const struct trigger *trigger, const char *cause, const char *text)
{
    const struct event *event = trigger->event;
    /* As it was at the trigger; or at the time of text_as_of, when nothing older can be known. */
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:s, s:[], s:s*}", "title", text_of(event->title), "body",
                     text_of(event->body), "text", text_of(text), "requester", text_of(event->sender), "requester_id",
                     (json_int_t)trigger->sender_id, "comment_id", (json_int_t)event->comment_id, "trigger", cause,
                     "answers", "text_as_of", trigger->as_of);
}

int trigger_add_job(const struct trigger *trigger, const char *kind, const char *key, const char *cause,
                    const char *text, int64_t *id, bool *fresh, struct error *err)
{
    const struct event *event = trigger->event;
    json_auto_t *request = request_of(trigger, cause, text);
    if (!request)
        return error_set(err, ERROR_INTERNAL, "note the request on #%lld: out of memory", (long long)event->number);
    struct job job = {
        .forge = (char *)trigger->forge_name,
        .owner = event->repo.owner,
        .repo = event->repo.name,
        .installation = event->repo.installation,
        .number = event->number,
        .on_pull = event->on_pull,
        .kind = (char *)kind,
        .request_key = (char *)key,
        .title = event->title,
        .request = request,
        .triggered_ms = event->happened_ms,
        .urgent = event->on_pull, /* somebody is at work there */
    };
    return store_job_add(trigger->store, &job, id, fresh, err);
}

void trigger_show_cancelled(const struct trigger *trigger, const struct job *job)
{
    struct effects effects = trigger_effects(trigger);
    effects.job = job->id;
    struct progress progress = {
        .config = trigger->config,
        .effects = &effects,
        .number = job->number,
        .comment_id = json_int_at(job->published, "comment_id", 0),
    };
    if (progress.comment_id)
        progress_close(&progress, JOB_CANCELLED, "", "");
}

static int tell_replaced(const struct trigger *trigger, int64_t id, const struct job *earlier, struct buf *answer,
                         struct error *err)
{
    json_auto_t *view = json_pack("{s:I, s:I}", "id", (json_int_t)id, "earlier", (json_int_t)earlier->id);
    AUTO_FREE char *text = reply_render("replaces", view, err);
    if (!text)
        return -1;
    buf_printf(answer, "%s%s", answer->len ? "\n\n" : "", text);
    if (earlier->state == JOB_CANCELLED)
        trigger_show_cancelled(trigger, earlier);
    return 0;
}

struct job_filter trigger_jobs(const struct trigger *trigger)
{
    const struct event *event = trigger->event;
    return (struct job_filter){.forge = trigger->forge_name,
                               .owner = event->repo.owner,
                               .repo = event->repo.name,
                               .number = event->number,
                               .state = -1};
}

int trigger_tell_replaced(const struct trigger *trigger, int64_t id, struct buf *answer, struct error *err)
{
    struct job_filter filter = trigger_jobs(trigger);
    filter.superseded_by = id;
    struct job *jobs = NULL;
    size_t count = 0;
    if (store_jobs(trigger->store, &filter, &jobs, &count, err) < 0)
        return -1;
    int status = 0;
    for (size_t i = count; status == 0 && i-- > 0;)
        status = tell_replaced(trigger, id, &jobs[i], answer, err);
    jobs_free(jobs, count);
    return status;
}

/* Takes the wanted job out of a list and frees the rest. */
static void pick(struct job *jobs, size_t count, size_t index, struct job *out, bool *found)
{
    *found = index < count;
    if (*found) {
        *out = jobs[index];
        jobs[index] = (struct job){0};
    }
    jobs_free(jobs, count);
}

static bool is_wanted(const struct job *job, const struct event *event)
{
    if (event->on_pull && json_int_at(job->published, "pull", 0) == event->number)
        return true;
    return job->number == event->number && job->on_pull == event->on_pull;
}

int trigger_find_job(const struct trigger *trigger, struct job *job, bool *found, struct error *err)
{
    const struct event *event = trigger->event;
    struct job_filter filter = trigger_jobs(trigger);
    filter.limit = JOBS_SEARCHED;
    if (event->on_pull) /* the one that published it may have been for an issue */
        filter.number = 0;
    struct job *jobs = NULL;
    size_t count = 0;
    if (store_jobs(trigger->store, &filter, &jobs, &count, err) < 0)
        return -1;
    size_t index = 0;
    while (index < count && !is_wanted(&jobs[index], event))
        index++;
    pick(jobs, count, index, job, found);
    return 0;
}

int trigger_answer(const struct trigger *trigger, const char *to, const char *body, struct error *err)
{
    const struct event *event = trigger->event;
    AUTO_FREE char *marker = reply_marker(to);
    int64_t id = 0;
    if (!marker)
        return error_set(err, ERROR_INTERNAL, "answer %s: out of memory", event->sender);
    struct effects effects = trigger_effects(trigger);
    return reply_put(&effects, event->number, marker, body, &id, err);
}

int trigger_refuse(const struct trigger *trigger, const char *to, struct error *err)
{
    json_auto_t *view = json_pack("{s:o}", "person", text_of(trigger->event->sender));
    AUTO_FREE char *body = reply_render("not-permitted", view, err);
    return body ? trigger_answer(trigger, to, body, err) : -1;
}

bool trigger_is_known(const json_t *array, const char *source)
{
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        if (strcmp(json_text_at(item, "source", ""), source) == 0)
            return true;
    return false;
}
