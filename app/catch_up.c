#include "app/catch_up.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/command.h"
#include "app/comment.h"
#include "app/effect.h"
#include "app/reply.h"

enum {
    OVERLAP_MS = 10 * 60 * 1000, /* of two looks: what the server lists late */
    SAME_REQUEST_MS = 60 * 1000, /* a label's event and its webhook lie this close */
    MISSED_MAX = 10000,          /* deliveries handled in one look */
    TRIES_MAX = 5,               /* for one of them, in as many looks */
    STATUS_OURS = 202,           /* what our receiver answers when a delivery is on disk */
    JOBS_SEARCHED = 50,
    REPOSITORIES_MAX = 200 /* in one look, the longest not looked at first */
};

/* One look. */
struct look {
    const struct catch_up *catch_up;
    int64_t since_ms;
    size_t *found; /* counts */
    json_t *guids; /* seen in this look; keys */
    struct missing {
        int64_t id;
        char *guid, *event;
    } *missing;
    size_t missing_count;
    const struct forge_repo *repo; /* at which it looks */
};

static void look_release(struct look *look)
{
    for (size_t i = 0; i < look->missing_count; i++) {
        free(look->missing[i].guid);
        free(look->missing[i].event);
    }
    free(look->missing);
    json_decref(look->guids);
}

static int check_stopped(const struct catch_up *catch_up, struct error *err)
{
    bool stopped = catch_up->stopped && catch_up->stopped(catch_up->stop_context);
    return stopped ? error_set(err, ERROR_CANCELLED, "asked to stop") : 0;
}

static int begin(const struct catch_up *catch_up, const char *what, int64_t every_ms, bool always, struct look *look,
                 bool *claimed, struct error *err)
{
    int64_t now_ms = clock_wall_ms();
    int64_t seen_ms = 0;
    struct catch_up_claim claim = {catch_up->forge_config->name, what, now_ms, now_ms + every_ms, always};
    if (store_catch_up_claim(catch_up->store, &claim, &seen_ms, claimed, err) < 0)
        return -1;
    int64_t oldest_ms = now_ms - catch_up->config->catch_up.back_ms;
    look->catch_up = catch_up;
    look->since_ms = seen_ms - OVERLAP_MS > oldest_ms ? seen_ms - OVERLAP_MS : oldest_ms;
    return 0;
}

/* Into the store, as if it had come; *fresh false when it was there. */
static int add(const struct catch_up *catch_up, const char *id, const char *event, const json_t *payload, bool *fresh,
               struct error *err)
{
    AUTO_FREE char *text = json_write(payload, err);
    if (!text)
        return -1;
    struct delivery delivery = {
        .forge = catch_up->forge_config->name,
        .id = (char *)id,
        .event = (char *)event,
        .payload = text,
        .payload_len = strlen(text),
        .received_ms = clock_wall_ms(),
    };
    return store_delivery_add(catch_up->store, &delivery, fresh, err);
}

/* ---- deliveries ---- */

static int add_missing(struct look *look, const struct forge_delivery *delivery, struct error *err)
{
    struct missing *grown = reallocarray(look->missing, look->missing_count + 1, sizeof *grown);
    if (!grown)
        return error_set(err, ERROR_INTERNAL, "out of memory for missed deliveries");
    look->missing = grown;
    grown[look->missing_count++] =
        (struct missing){.id = delivery->id, .guid = strdup(delivery->guid), .event = strdup(delivery->event)};
    const struct missing *added = &grown[look->missing_count - 1];
    return added->guid && added->event ? 0 : error_set(err, ERROR_INTERNAL, "out of memory for missed deliveries");
}

/* The newest attempt at each delivery decides. What we have acknowledged is in the store, or was kept as long as it
 * had to be. */
static int look_at_delivery(void *context, const struct forge_delivery *delivery, struct error *err)
{
    struct look *look = context;
    bool known = false;
    if (json_object_get(look->guids, delivery->guid))
        return 0;
    if (json_object_set_new(look->guids, delivery->guid, json_true()) < 0)
        return error_set(err, ERROR_INTERNAL, "out of memory for deliveries");
    if (delivery->status == STATUS_OURS)
        return 0;
    const struct catch_up *catch_up = look->catch_up;
    if (store_delivery_known(catch_up->store, catch_up->forge_config->name, delivery->guid, &known, err) < 0)
        return -1;
    return known ? 0 : look->missing_count == MISSED_MAX ? 1 : add_missing(look, delivery, err);
}

static int read_missing(const struct catch_up *catch_up, const struct missing *missing, struct error *err)
{
    json_auto_t *payload = NULL;
    bool fresh;
    if (forge_delivery_payload(catch_up->forge, missing->id, &payload, err) < 0 ||
        add(catch_up, missing->guid, missing->event, payload, &fresh, err) < 0)
        return -1;
    log_info(catch_up->log, "%s %s was missed: read from the list of deliveries", missing->event, missing->guid);
    return 0;
}

static bool is_for_good(const struct error *failure)
{
    return !failure->retryable && (failure->code == ERROR_INPUT || failure->code == ERROR_NOT_FOUND ||
                                   failure->code == ERROR_LIMIT || failure->code == ERROR_DENIED);
}

/* First the server is asked to send it again, which proves the way; when that was in vain it is read. */
static int ask_for(const struct catch_up *catch_up, const struct missing *missing, struct error *err)
{
    int64_t tries;
    struct error failure = {0};
    if (store_missed_try(catch_up->store, catch_up->forge_config->name, missing->guid, &tries, err) < 0)
        return -1;
    if (tries > TRIES_MAX)
        return 0;
    if (tries == 1 && !forge_is_dry(catch_up->forge)) {
        if (forge_redeliver(catch_up->forge, missing->id, &failure) == 0) {
            log_info(catch_up->log, "%s %s was missed: asked for again", missing->event, missing->guid);
            return 0;
        }
        if (!is_for_good(&failure))
            return *err = failure, -1;
    }
    if (read_missing(catch_up, missing, &failure) == 0)
        return 0;
    if (!is_for_good(&failure))
        return *err = failure, -1;
    log_warn(catch_up->log, "%s %s was missed and cannot be had: %s", missing->event, missing->guid, failure.message);
    return 0;
}

static int list_and_ask(struct look *look, struct error *err)
{
    const struct catch_up *catch_up = look->catch_up;
    struct error failure = {0};
    if (forge_deliveries(catch_up->forge, look->since_ms, look_at_delivery, look, &failure) < 0) {
        if (failure.code != ERROR_LIMIT)
            return *err = failure, -1;
        log_warn(catch_up->log, "%s; the older ones are not looked at", failure.message);
    }
    *look->found = look->missing_count;
    for (size_t i = look->missing_count; i-- > 0;) /* oldest first */
        if (check_stopped(catch_up, err) < 0 || ask_for(catch_up, &look->missing[i], err) < 0)
            return -1;
    return 0;
}

int catch_up_deliveries(const struct catch_up *catch_up, bool always, size_t *found, struct error *err)
{
    struct look look = {.found = found, .guids = json_object()};
    int64_t began_ms = clock_wall_ms();
    bool claimed = false;
    *found = 0;
    int status = begin(catch_up, "deliveries", catch_up->config->catch_up.deliveries_ms, always, &look, &claimed, err);
    if (status == 0 && claimed)
        status = list_and_ask(&look, err);
    if (status == 0 && claimed)
        status = store_catch_up_seen(catch_up->store, catch_up->forge_config->name, "deliveries", began_ms, err);
    look_release(&look);
    return status;
}

/* ---- repositories ---- */

static int add_found(struct look *look, const struct forge_found *found, const char *id, struct error *err)
{
    const struct catch_up *catch_up = look->catch_up;
    json_auto_t *payload = NULL;
    bool fresh = false;
    if (check_stopped(catch_up, err) < 0 ||
        forge_found_payload(catch_up->forge, look->repo, found, &payload, err) < 0 ||
        add(catch_up, id, found->event, payload, &fresh, err) < 0)
        return -1;
    if (fresh) {
        log_info(catch_up->log, "%s/%s#%lld: %s by %s was missed: found", look->repo->owner, look->repo->name,
                 (long long)found->number, found->comment_id ? "a comment" : "the label", found->who);
        (*look->found)++;
    }
    return 0;
}

static struct job_filter jobs_at(const struct look *look, int64_t number, int state)
{
    return (struct job_filter){
        .forge = look->catch_up->forge_config->name,
        .owner = look->repo->owner,
        .repo = look->repo->name,
        .number = number,
        .state = state,
        .limit = JOBS_SEARCHED,
    };
}

/* Has this label made its job? */
static int has_job(const struct look *look, const struct forge_found *found, bool *has, struct error *err)
{
    struct job_filter filter = jobs_at(look, found->number, -1);
    struct job *jobs = NULL;
    size_t count = 0;
    if (store_jobs(look->catch_up->store, &filter, &jobs, &count, err) < 0)
        return -1;
    *has = false;
    for (size_t i = 0; i < count; i++)
        *has = *has || (strcmp(json_text_at(jobs[i].request, "trigger", ""), "label") == 0 &&
                        llabs(jobs[i].triggered_ms - found->happened_ms) <= SAME_REQUEST_MS);
    jobs_free(jobs, count);
    return 0;
}

static int on_labelled(void *context, const struct forge_found *found, struct error *err)
{
    struct look *look = context;
    bool has;
    if (has_job(look, found, &has, err) < 0)
        return -1;
    AUTO_FREE char *id = text_format("found:%s/%s#%lld:label@%lld", look->repo->owner, look->repo->name,
                                     (long long)found->number, (long long)found->happened_ms);
    return has || !id ? 0 : add_found(look, found, id, err);
}

static int is_command(const struct forge_found *found, bool *is, struct error *err)
{
    struct comment_commands written;
    if (comment_read_commands(found->text, command_begins, &written, err) < 0)
        return -1;
    *is = written.count > 0;
    comment_commands_release(&written);
    return 0;
}

/* When the job's question was asked; 0: never. */
static int asked_at(const struct look *look, const struct job *job, int64_t *asked_ms, struct error *err)
{
    struct effect_row row = {0};
    bool there = false;
    AUTO_FREE char *marker = reply_job_marker(job->id, "question");
    AUTO_FREE char *key = marker ? effect_comment_key(job->number, marker) : NULL;
    struct effect_row wanted = {.forge = look->catch_up->forge_config->name,
                                .owner = look->repo->owner,
                                .repo = look->repo->name,
                                .kind = "comment",
                                .key = key};
    if (!key)
        return error_set(err, ERROR_INTERNAL, "look for a question: out of memory");
    if (store_effect_find(look->catch_up->store, &wanted, &row, &there, err) < 0)
        return -1;
    *asked_ms = there ? row.first_ms : 0;
    effect_row_release(&row);
    return 0;
}

/* A person's words after a question of ours are the answer. */
static int is_answer(const struct look *look, const struct forge_found *found, bool *is, struct error *err)
{
    struct job_filter filter = jobs_at(look, found->number, JOB_QUESTION);
    struct job *jobs = NULL;
    size_t count = 0;
    int64_t asked_ms = 0;
    if (store_jobs(look->catch_up->store, &filter, &jobs, &count, err) < 0)
        return -1;
    int status = count > 0 ? asked_at(look, &jobs[0], &asked_ms, err) : 0;
    *is = asked_ms > 0 && found->happened_ms > asked_ms;
    jobs_free(jobs, count);
    return status;
}

/* Our own words, with a person's token in place of an App. */
static int is_ours(const struct look *look, const struct forge_found *found, bool *ours, struct error *err)
{
    const char *login = forge_login(look->catch_up->forge, err);
    if (!login)
        return -1;
    *ours = strcasecmp(login, found->who) == 0 && strstr(found->text, REPLY_MARK);
    return 0;
}

static int on_comment(void *context, const struct forge_found *found, struct error *err)
{
    struct look *look = context;
    bool wanted = false;
    bool ours = false;
    bool handled = false;
    if (is_command(found, &wanted, err) < 0 || (!wanted && is_answer(look, found, &wanted, err) < 0))
        return -1;
    if (!wanted)
        return 0;
    AUTO_FREE char *id =
        text_format("found:%s/%s:comment:%lld", look->repo->owner, look->repo->name, (long long)found->comment_id);
    struct effects effects = {.store = look->catch_up->store,
                              .forge_name = look->catch_up->forge_config->name,
                              .repo = look->repo,
                              .delivery = id};
    if (!id)
        return error_set(err, ERROR_INTERNAL, "note a comment: out of memory");
    if (is_ours(look, found, &ours, err) < 0 ||
        reply_is_anothers(&effects, found->number, found->comment_id, &handled, err) < 0)
        return -1;
    return ours || handled ? 0 : add_found(look, found, id, err);
}

/* ---- pull requests of ours ---- */

static int look_at_pull(struct look *look, const struct open_pull *pull, struct error *err)
{
    const struct catch_up *catch_up = look->catch_up;
    json_auto_t *payload = NULL;
    int64_t closed_ms = 0;
    bool fresh = false;
    if (check_stopped(catch_up, err) < 0 ||
        forge_closed_payload(catch_up->forge, look->repo, pull->number, &payload, &closed_ms, err) < 0)
        return -1;
    AUTO_FREE char *id = text_format("found:%s/%s#%lld:closed@%lld", look->repo->owner, look->repo->name,
                                     (long long)pull->number, (long long)closed_ms);
    if (!payload || !id)
        return 0;
    if (add(catch_up, id, "pull_request", payload, &fresh, err) < 0)
        return -1;
    *look->found += fresh;
    return 0;
}

/* Those that our notes call open. */
static int look_at_pulls(struct look *look, struct error *err)
{
    struct open_pull *pulls = NULL;
    size_t count = 0;
    int status = store_open_pulls(look->catch_up->store, look->catch_up->forge_config->name, look->repo->owner,
                                  look->repo->name, 0, &pulls, &count, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = look_at_pull(look, &pulls[i], err);
    free(pulls);
    return status;
}

/* ---- one repository after the other ---- */

/* What a forge says of times are whole seconds: what came in the same second counts. */
static int64_t whole_second(int64_t at_ms)
{
    return at_ms - at_ms % 1000;
}

/* A label may have been put on before the first event that we heard of, and words may not have been meant for us. */
static int find_in(struct look *look, const struct repository_row *row, struct error *err)
{
    const struct catch_up *catch_up = look->catch_up;
    int64_t since_ms = row->seen_ms - OVERLAP_MS;
    since_ms = since_ms > row->installed_ms ? since_ms : row->installed_ms;
    since_ms = since_ms > look->since_ms ? since_ms : look->since_ms;
    since_ms = whole_second(since_ms);
    int64_t heard_ms = row->heard_ms > since_ms ? whole_second(row->heard_ms) : since_ms;
    if (forge_find_labelled(catch_up->forge, look->repo, catch_up->config->label, since_ms, on_labelled, look, err) < 0)
        return -1;
    if (forge_find_comments(catch_up->forge, look->repo, row->seen_ms ? since_ms : heard_ms, on_comment, look, err) < 0)
        return -1;
    return look_at_pulls(look, err);
}

static int ask_installed(struct look *look, struct repository_row *row, struct error *err)
{
    if (row->installed_ms)
        return 0;
    if (forge_installed(look->catch_up->forge, look->repo, &row->installed_ms, err) < 0)
        return -1;
    if (!row->installed_ms)
        row->installed_ms = row->heard_ms; /* no App: nothing else is known */
    return 0;
}

/* One repository that cannot be read (issues switched off, moved, no access) does not keep the others from it. */
static int look_at_repository(struct look *look, struct repository_row *row, struct error *err)
{
    const struct forge_repo repo = {.owner = row->owner, .name = row->name, .installation = row->installation};
    const struct catch_up *catch_up = look->catch_up;
    struct error failure = {0};
    int64_t began_ms = clock_wall_ms();
    if (check_stopped(catch_up, err) < 0)
        return -1;
    look->repo = &repo;
    int status = ask_installed(look, row, &failure) < 0 ? -1 : find_in(look, row, &failure);
    look->repo = NULL;
    if (status < 0 && !is_for_good(&failure))
        return *err = failure, -1;
    if (status < 0)
        log_info(catch_up->log, "%s/%s: %s", repo.owner, repo.name, failure.message);
    row->seen_ms = began_ms;
    return store_repository_seen(catch_up->store, row, err);
}

static int note_repository(void *context, const struct forge_repo *repo, int64_t installed_ms, struct error *err)
{
    const struct look *look = context;
    const struct catch_up *catch_up = look->catch_up;
    (void)installed_ms;
    if (check_stopped(catch_up, err) < 0)
        return -1;
    return store_repository_note(catch_up->store, catch_up->forge_config->name, repo->owner, repo->name,
                                 repo->installation, err);
}

static int look_at_all(struct look *look, struct error *err)
{
    const struct catch_up *catch_up = look->catch_up;
    struct repository_row *rows = NULL;
    size_t count = 0;
    if (catch_up->config->catch_up.everywhere && forge_keeps_deliveries(catch_up->forge) &&
        forge_repositories(catch_up->forge, note_repository, look, err) < 0)
        return -1;
    if (store_repositories(catch_up->store, catch_up->forge_config->name, clock_wall_ms(), REPOSITORIES_MAX, &rows,
                           &count, err) < 0)
        return -1;
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++)
        status = look_at_repository(look, &rows[i], err);
    repository_rows_free(rows, count);
    return status;
}

int catch_up_repositories(const struct catch_up *catch_up, bool always, size_t *found, struct error *err)
{
    struct look look = {.found = found};
    int64_t began_ms = clock_wall_ms();
    bool claimed = false;
    *found = 0;
    if (begin(catch_up, "repositories", catch_up->config->catch_up.repositories_ms, always, &look, &claimed, err) < 0)
        return -1;
    if (!claimed)
        return 0;
    look.since_ms = began_ms - catch_up->config->catch_up.back_ms; /* each repository knows how far it was looked at */
    if (look_at_all(&look, err) < 0)
        return -1;
    return store_catch_up_seen(catch_up->store, catch_up->forge_config->name, "repositories", began_ms, err);
}
