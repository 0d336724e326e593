/* Jobs: added once for each request, claimed under a lease, moved from state to state. */
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/store_internal.h"

enum { LIST_DEFAULT = 50, LIST_MAX = 10000 };

static const char *const state_names[] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_QUESTION] = "question",
    [JOB_DONE] = "done",     [JOB_CANCELLED] = "cancelled", [JOB_FAILED] = "failed",
};

const char *job_state_name(enum job_state state)
{
    return state_names[state];
}

int job_state_find(const char *name)
{
    for (size_t i = 0; i < sizeof state_names / sizeof state_names[0]; i++)
        if (strcmp(name, state_names[i]) == 0)
            return (int)i;
    return -1;
}

void job_release(struct job *job)
{
    free(job->forge);
    free(job->owner);
    free(job->repo);
    free(job->kind);
    free(job->request_key);
    free(job->title);
    free(job->outcome);
    free(job->reason);
    json_decref(job->request);
    json_decref(job->published);
    *job = (struct job){0};
}

void jobs_free(struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        job_release(&jobs[i]);
    free(jobs);
}

/* ---- reading ---- */

static int read_texts(const struct sql_row *row, struct job *job, struct error *err)
{
    const struct {
        const char *name;
        char **to;
    } texts[] = {
        {"forge", &job->forge},   {"owner", &job->owner},     {"repo", &job->repo},
        {"kind", &job->kind},     {"title", &job->title},     {"request_key", &job->request_key},
        {"reason", &job->reason}, {"outcome", &job->outcome},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!(*texts[i].to = row_text(row, texts[i].name)))
            return sql_out_of_memory(err);
    AUTO_FREE char *state = row_text(row, "state");
    int found = state ? job_state_find(state) : -1;
    if (found < 0)
        return error_set(err, ERROR_STORE, "a job has the state \"%s\", which is unknown here", state ? state : "");
    job->state = (enum job_state)found;
    return 0;
}

static void read_numbers(const struct sql_row *row, struct job *job)
{
    const struct {
        const char *name;
        int64_t *to;
    } numbers[] = {
        {"id", &job->id},
        {"installation", &job->installation},
        {"number", &job->number},
        {"tokens_in", &job->tokens_in},
        {"tokens_out", &job->tokens_out},
        {"created_ms", &job->created_ms},
        {"started_ms", &job->started_ms},
        {"ended_ms", &job->ended_ms},
        {"triggered_ms", &job->triggered_ms},
        {"not_before_ms", &job->not_before_ms},
        {"superseded_by", &job->superseded_by},
        {"fence", &job->fence},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i].to = row_int(row, numbers[i].name);
    job->on_pull = row_int(row, "on_pull") != 0;
    job->attempt = (int)row_int(row, "attempt");
    job->urgent = row_int(row, "urgent") != 0;
    job->cancel_requested = row_int(row, "cancel_requested") != 0;
    job->cost_usd = row_real(row, "cost_usd");
}

struct job_list {
    struct job *jobs;
    size_t count;
};

static int read_job(void *context, const struct sql_row *row, struct error *err)
{
    struct job_list *list = context;
    struct job *jobs = reallocarray(list->jobs, list->count + 1, sizeof *jobs);
    if (!jobs)
        return sql_out_of_memory(err);
    list->jobs = jobs;
    struct job *job = &jobs[list->count++];
    *job = (struct job){0};
    read_numbers(row, job);
    if (read_texts(row, job, err) < 0 || row_json(row, "request", &job->request, err) < 0 ||
        row_json(row, "published", &job->published, err) < 0)
        return -1;
    if (!job->published)
        job->published = json_object();
    return 0;
}

/* Zero or one job. Rows, or -1. */
static int64_t get(struct store *store, int64_t id, struct job *out, struct error *err)
{
    struct job_list list = {0};
    int64_t rows = sql_run(store, "job_get", SQL_PARAMS(sql_int("id", id)), &(struct sql_reader){read_job, &list}, err);
    if (rows > 0) {
        *out = list.jobs[0];
        list.count = 0;
    }
    jobs_free(list.jobs, list.count);
    return rows;
}

int store_job_get(struct store *store, int64_t id, struct job *out, struct error *err)
{
    int64_t rows = get(store, id, out, err);
    if (rows == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no job %lld; `assay jobs` lists them", (long long)id);
    return rows < 0 ? error_wrap(err, "read job %lld", (long long)id) : 0;
}

int store_jobs(struct store *store, const struct job_filter *filter, struct job **out, size_t *count, struct error *err)
{
    struct job_list list = {0};
    size_t limit = filter->limit ? filter->limit : LIST_DEFAULT;
    const char *state = filter->state < 0 ? NULL : job_state_name((enum job_state)filter->state);
    bool subject = filter->forge && filter->owner && filter->repo && filter->number;
    int64_t rows = sql_run(store, subject ? "job_list_subject" : "job_list",
                           SQL_PARAMS(sql_text("forge", filter->forge), sql_text("owner", filter->owner),
                                      sql_text("repo", filter->repo), sql_int("number", filter->number),
                                      sql_int("superseded_by", filter->superseded_by), sql_text("state", state),
                                      sql_int("limit", (int64_t)(limit < LIST_MAX ? limit : LIST_MAX))),
                           &(struct sql_reader){read_job, &list}, err);
    if (rows < 0) {
        jobs_free(list.jobs, list.count);
        return error_wrap(err, "list jobs");
    }
    *out = list.jobs;
    *count = list.count;
    return 0;
}

int job_refused(struct store *store, int64_t id, const char *doing, struct error *err)
{
    struct job job = {0};
    if (store_job_get(store, id, &job, err) == 0) {
        error_set(err, ERROR_CONFLICT, "%s job %lld: it is %s%s", doing, (long long)id, job_state_name(job.state),
                  job.state == JOB_RUNNING ? ", and not by this worker and claim" : "");
        job_release(&job);
    }
    return -1;
}

/* ---- adding ---- */

int sql_read_id(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "id");
    return 0;
}

static int supersede(struct store *store, const struct job *job, int64_t id, struct error *err)
{
    AUTO_FREE char *reason = text_format("job %lld, a newer request, took its place", (long long)id);
    const struct sql_value target[] = {
        sql_int("id", id),
        sql_text("forge", job->forge),
        sql_text("owner", job->owner),
        sql_text("repo", job->repo),
        sql_int("number", job->number),
        sql_int("on_pull", job->on_pull),
        sql_text("kind", job->kind),
        sql_text("text", json_text_at(job->request, "text", "")),
        sql_text("reason", reason),
        sql_int("now", store_now_ms(store)),
    };
    enum { ALL = sizeof target / sizeof target[0], WITHOUT_END = ALL - 2 };
    return sql_run(store, "jobs_supersede_waiting", target, ALL, NULL, err) < 0 ||
                   sql_run(store, "jobs_supersede_running", target, WITHOUT_END, NULL, err) < 0
               ? -1
               : 0;
}

static int add(struct store *store, const struct job *job, const char *request, int64_t *id, bool *fresh,
               struct error *err)
{
    struct sql_reader reader = {sql_read_id, id};
    if (turns_lock(store, err) < 0)
        return -1;
    int64_t rows =
        sql_run(store, "job_add",
                SQL_PARAMS(sql_text("forge", job->forge), sql_text("owner", job->owner), sql_text("repo", job->repo),
                           sql_int("installation", job->installation), sql_int("number", job->number),
                           sql_int("on_pull", job->on_pull), sql_text("kind", job->kind),
                           sql_text("request_key", job->request_key), sql_text("title", job->title ? job->title : ""),
                           sql_text("request", request), sql_int("now", store_now_ms(store)),
                           sql_int("triggered_ms", job->triggered_ms), sql_int("urgent", job->urgent)),
                &reader, err);
    *fresh = rows > 0;
    if (rows > 0 && (turn_wait(store, *id, err) < 0 || supersede(store, job, *id, err) < 0))
        return -1;
    if (rows == 0)
        rows = sql_run(store, "job_by_key", SQL_PARAMS(sql_text("request_key", job->request_key)), &reader, err);
    return rows < 0 ? -1 : 0;
}

int store_job_add(struct store *store, const struct job *job, int64_t *id, bool *fresh, struct error *err)
{
    AUTO_FREE char *request = sql_json(job->request, err);
    if (!request)
        return error_wrap(err, "add a job");
    int64_t added = 0;
    bool is_new = false;
    int status = sql_begin(store, err) < 0 ? -1 : add(store, job, request, &added, &is_new, err);
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "add a job");
    if (is_new)
        sql_wake(store, STORE_NEWS_JOB);
    *id = added;
    *fresh = is_new;
    return 0;
}

/* ---- while it runs ---- */

static int read_cancel(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(bool *)context = row_int(row, "cancel_requested") != 0;
    return 0;
}

/* A write that must change exactly one job. */
static int change(struct store *store, int64_t id, const char *doing, const char *statement,
                  const struct sql_value *params, size_t count, const struct sql_reader *reader, struct error *err)
{
    int64_t rows = sql_run(store, statement, params, count, reader, err);
    return rows > 0   ? 0
           : rows < 0 ? error_wrap(err, "%s job %lld", doing, (long long)id)
                      : job_refused(store, id, doing, err);
}

int store_job_extend(struct store *store, int64_t id, const char *worker, int64_t lease_until_ms, bool *cancel,
                     struct error *err)
{
    bool asked = false;
    int status = sql_begin(store, err);
    if (status == 0)
        status = change(store, id, "extend the lease of", "job_extend",
                        SQL_PARAMS(sql_int("id", id), sql_text("worker", worker), sql_int("until", lease_until_ms),
                                   sql_fence(store, id)),
                        &(struct sql_reader){read_cancel, &asked}, err);
    if (sql_end(store, status, err) < 0)
        return -1;
    *cancel = asked;
    return 0;
}

/* ---- from state to state ---- */

/* Stages that still ran when their job stopped running. */
static int interrupt(struct store *store, int64_t id, int64_t now_ms, struct error *err)
{
    return sql_run(store, "stages_interrupt", SQL_PARAMS(sql_int("id", id), sql_int("now", now_ms)), NULL, err) < 0 ? -1
                                                                                                                    : 0;
}

int sql_list_id(void *context, const struct sql_row *row, struct error *err)
{
    struct id_list *list = context;
    int64_t *ids = reallocarray(list->ids, list->count + 1, sizeof *ids);
    if (!ids)
        return sql_out_of_memory(err);
    list->ids = ids;
    ids[list->count++] = row_int(row, "id");
    return 0;
}

static int recover(struct store *store, int64_t now_ms, size_t *count, struct error *err)
{
    struct id_list list = {0};
    int status = turns_lock(store, err);
    if (status == 0 && sql_run(store, "jobs_recover", SQL_PARAMS(sql_int("now", now_ms)),
                               &(struct sql_reader){sql_list_id, &list}, err) < 0)
        status = -1;
    for (size_t i = 0; status == 0 && i < list.count; i++) {
        status = interrupt(store, list.ids[i], now_ms, err);
        if (status == 0)
            status = turn_wait(store, list.ids[i], err);
    }
    *count = list.count;
    free(list.ids);
    return status;
}

int store_jobs_recover(struct store *store, int64_t now_ms, size_t *count, struct error *err)
{
    size_t recovered = 0;
    int status = sql_begin(store, err) < 0 ? -1 : recover(store, now_ms, &recovered, err);
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "recover jobs");
    if (recovered)
        sql_wake(store, STORE_NEWS_JOB);
    *count = recovered;
    return 0;
}

/* One statement that ends the running of a job, and its stages with it. */
static int stop(struct store *store, int64_t id, const char *doing, const char *statement,
                const struct sql_value *params, size_t count, struct error *err)
{
    int status = sql_begin(store, err);
    if (status == 0)
        status = change(store, id, doing, statement, params, count, NULL, err);
    if (status == 0)
        status = interrupt(store, id, store_now_ms(store), err);
    if (sql_end(store, status, err) < 0)
        return -1;
    sql_wake(store, STORE_NEWS_JOB); /* this one, or the next of its repository */
    return 0;
}

int store_job_requeue(struct store *store, int64_t id, int64_t not_before_ms, const char *reason, struct error *err)
{
    return stop(store, id, "put back", "job_requeue",
                SQL_PARAMS(sql_int("id", id), sql_int("not_before_ms", not_before_ms > 0 ? not_before_ms : 1),
                           sql_text("reason", reason ? reason : ""), sql_fence(store, id)),
                err);
}

int store_job_finish(struct store *store, int64_t id, enum job_state state, const char *outcome, const char *reason,
                     struct error *err)
{
    if (state == JOB_QUEUED || state == JOB_RUNNING)
        return error_set(err, ERROR_INTERNAL, "finish job %lld: %s is no end", (long long)id, job_state_name(state));
    return stop(store, id, "finish", "job_finish",
                SQL_PARAMS(sql_int("id", id), sql_text("state", job_state_name(state)),
                           sql_text("outcome", outcome ? outcome : ""), sql_text("reason", reason ? reason : ""),
                           sql_int("now", store_now_ms(store)), sql_fence(store, id)),
                err);
}

static int cancel(struct store *store, int64_t id, bool *was_running, struct error *err)
{
    int64_t rows = sql_run(store, "job_cancel_running", SQL_PARAMS(sql_int("id", id)), NULL, err);
    *was_running = rows > 0;
    if (rows == 0)
        return change(store, id, "cancel", "job_cancel_waiting",
                      SQL_PARAMS(sql_int("id", id), sql_int("now", store_now_ms(store))), NULL, err);
    return rows < 0 ? -1 : 0;
}

int store_job_cancel(struct store *store, int64_t id, bool *was_running, struct error *err)
{
    bool running = false;
    int status = sql_begin(store, err) < 0 ? -1 : cancel(store, id, &running, err);
    if (sql_end(store, status, err) < 0)
        return -1;
    if (running)
        sql_wake(store, STORE_NEWS_JOB); /* its worker */
    *was_running = running;
    return 0;
}

struct bounded_ids {
    int64_t *ids;
    size_t count;
};

static int put_id(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    struct bounded_ids *list = context;
    list->ids[list->count++] = row_int(row, "id");
    return 0;
}

int store_jobs_to_cancel(struct store *store, const char *worker, int64_t ids[], size_t max, size_t *count,
                         struct error *err)
{
    struct bounded_ids list = {.ids = ids};
    if (sql_run(store, "jobs_to_cancel", SQL_PARAMS(sql_text("worker", worker), sql_int("max", (int64_t)max)),
                &(struct sql_reader){put_id, &list}, err) < 0)
        return error_wrap(err, "look for jobs to stop");
    *count = list.count;
    return 0;
}

/* `stages`: the statement that makes the journal forget some; NULL: none. */
static int again(struct store *store, int64_t id, const char *request, const char *stages, struct error *err)
{
    if (turns_lock(store, err) < 0 ||
        change(store, id, "run again", "job_again", SQL_PARAMS(sql_int("id", id), sql_text("request", request)), NULL,
               err) < 0 ||
        turn_wait(store, id, err) < 0)
        return -1;
    return !stages || sql_run(store, stages, SQL_PARAMS(sql_int("id", id)), NULL, err) >= 0 ? 0 : -1;
}

static int run_again(struct store *store, int64_t id, const json_t *request, const char *stages, struct error *err)
{
    AUTO_FREE char *text = request ? sql_json(request, err) : NULL;
    if (request && !text)
        return error_wrap(err, "run job %lld again", (long long)id);
    int status = sql_begin(store, err) < 0 ? -1 : again(store, id, text, stages, err);
    if (sql_end(store, status, err) < 0)
        return -1;
    sql_wake(store, STORE_NEWS_JOB);
    return 0;
}

int store_job_again(struct store *store, int64_t id, const json_t *request, bool fresh_start, struct error *err)
{
    return run_again(store, id, request, fresh_start ? "stages_forget" : NULL, err);
}

int store_job_continue(struct store *store, int64_t id, const json_t *request, struct error *err)
{
    return run_again(store, id, request, "stages_reopen", err);
}

int store_job_publish(struct store *store, int64_t id, const char *key, json_t *value, struct error *err)
{
    AUTO_FREE char *text = sql_json(value, err);
    if (!text)
        return error_wrap(err, "publish %s of job %lld", key, (long long)id);
    int status = sql_begin(store, err);
    if (status == 0)
        status = change(store, id, "note what was published of", "effect_put",
                        SQL_PARAMS(sql_int("id", id), sql_text("key", key), sql_text("value", text),
                                   sql_int("now", store_now_ms(store)), sql_fence(store, id)),
                        NULL, err);
    return sql_end(store, status, err);
}

int store_fence(struct store *store, int64_t id, int64_t fence, struct error *err)
{
    if (change(store, id, "go on with", "job_fence", SQL_PARAMS(sql_int("id", id), sql_int("fence", fence)), NULL,
               err) < 0)
        return -1;
    store_fence_claim(store, id, fence);
    return 0;
}

void store_fence_claim(struct store *store, int64_t id, int64_t fence)
{
    store->fenced_job = id;
    store->fence = fence;
}
