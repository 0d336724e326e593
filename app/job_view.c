#include "app/job_view.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/json.h"

static const char *time_text(int64_t ms, char text[static CLOCK_TEXT_SIZE])
{
    return ms ? clock_rfc3339(ms, text) : "";
}

static json_t *time_json(int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    return ms ? json_string(clock_rfc3339(ms, text)) : json_null();
}

/* ---- in a list ---- */

static enum tone tone_of(const struct job *job)
{
    if (job->state == JOB_FAILED || strcmp(job->outcome, "rejected") == 0)
        return TONE_BAD;
    if (strcmp(job->outcome, "proven") == 0)
        return TONE_GOOD;
    return job->state == JOB_CANCELLED ? TONE_FAINT : TONE_WARN;
}

/* What a person may want to act on: when it is tried again, or why it came to nothing. Heap. */
static char *why_of(const struct job *job)
{
    char again[CLOCK_TEXT_SIZE];
    if (job->state == JOB_QUEUED && job->not_before_ms > clock_wall_ms())
        return text_format("again at %s: %s", clock_rfc3339(job->not_before_ms, again), job->reason);
    bool proven = strcmp(job->outcome, "proven") == 0;
    return strdup(job->state == JOB_RUNNING || proven ? "" : job->reason);
}

void job_view_row(struct table *table, const struct job *job)
{
    char created[CLOCK_TEXT_SIZE];
    AUTO_FREE char *id = text_format("%lld", (long long)job->id);
    AUTO_FREE char *repository = text_format("%s/%s", job->owner, job->repo);
    AUTO_FREE char *number = text_format("#%lld", (long long)job->number);
    AUTO_FREE char *cost = text_format("%.4f", job->cost_usd);
    AUTO_FREE char *why = why_of(job);
    if (!id || !repository || !number || !cost || !why)
        return;
    const char *const cells[] = {id,        job_state_name(job->state),          job->outcome, repository, number,
                                 job->kind, time_text(job->created_ms, created), cost,         job->title, why};
    const enum tone tones[] = {TONE_PLAIN, tone_of(job), tone_of(job), TONE_PLAIN, TONE_PLAIN,
                               TONE_PLAIN, TONE_FAINT,   TONE_FAINT,   TONE_PLAIN, TONE_FAINT};
    table_row(table, cells, tones);
}

/* ---- as JSON ---- */

json_t *job_view_json(const struct job *job)
{
    AUTO_FREE char *repository = text_format("%s/%s", job->owner, job->repo);
    json_t *view =
        json_pack("{s:I, s:s, s:s, s:I, s:b, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:I}", "id", (json_int_t)job->id,
                  "forge", job->forge, "repository", repository ? repository : "", "number", (json_int_t)job->number,
                  "on_pull", job->on_pull, "kind", job->kind, "title", job->title, "state", job_state_name(job->state),
                  "outcome", job->outcome, "reason", job->reason, "attempt", job->attempt, "cancel_requested",
                  job->cancel_requested, "superseded_by", (json_int_t)job->superseded_by);
    json_auto_t *more = json_pack("{s:f, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:O}", "cost_usd", job->cost_usd,
                                  "tokens_in", (json_int_t)job->tokens_in, "tokens_out", (json_int_t)job->tokens_out,
                                  "triggered", time_json(job->triggered_ms), "created", time_json(job->created_ms),
                                  "started", time_json(job->started_ms), "ended", time_json(job->ended_ms),
                                  "not_before", time_json(job->not_before_ms), "published", job->published);
    json_object_update(view, more);
    return view;
}

static json_t *stage_json(const struct stage_row *stage)
{
    int64_t elapsed = stage->ended_ms ? stage->ended_ms - stage->started_ms : 0;
    return json_pack("{s:I, s:s, s:i, s:i, s:s, s:s, s:s, s:o, s:o, s:f}", "id", (json_int_t)stage->id, "stage",
                     stage->stage, "attempt", stage->attempt, "round", stage->round, "status", stage->status, "detail",
                     stage->detail, "input_digest", stage->input_digest, "started", time_json(stage->started_ms),
                     "ended", time_json(stage->ended_ms), "seconds", (double)elapsed / 1000.0);
}

json_t *job_view_whole(const struct job *job, const struct stage_row *stages, size_t count, json_t *calls)
{
    json_t *view = job_view_json(job);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, stage_json(&stages[i]));
    json_object_set_new(view, "stages", rows);
    json_object_set(view, "calls", calls);
    json_object_set(view, "request", job->request);
    return view;
}

/* ---- for people ---- */

static void print_field(const struct screen *screen, FILE *file, const char *name, enum tone tone, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(file, "%-10s", name);
    screen_put(screen, file, tone, value);
    fputc('\n', file);
}

static void print_head(const struct job *job, const struct screen *screen, FILE *file)
{
    char started[CLOCK_TEXT_SIZE];
    char ended[CLOCK_TEXT_SIZE];
    char created[CLOCK_TEXT_SIZE];
    AUTO_FREE char *what = text_format("job %lld: %s %s/%s#%lld: %s", (long long)job->id, job->kind, job->owner,
                                       job->repo, (long long)job->number, job->title);
    AUTO_FREE char *state = text_format("%s%s%s%s", job_state_name(job->state), *job->outcome ? ", " : "", job->outcome,
                                        job->cancel_requested ? ", asked to stop" : "");
    AUTO_FREE char *asked = text_format("%s by %s", time_text(job->created_ms, created),
                                        json_text_at(job->request, "requester", "somebody"));
    AUTO_FREE char *ran = text_format("%s%s%s, attempt %d", time_text(job->started_ms, started),
                                      job->ended_ms ? " to " : "", time_text(job->ended_ms, ended), job->attempt);
    AUTO_FREE char *cost = text_format("%.4f USD, %lld tokens in, %lld out", job->cost_usd, (long long)job->tokens_in,
                                       (long long)job->tokens_out);
    screen_put(screen, file, TONE_PLAIN, what ? what : "");
    fputc('\n', file);
    print_field(screen, file, "state", tone_of(job), state);
    print_field(screen, file, "reason", TONE_PLAIN, job->reason);
    print_field(screen, file, "asked", TONE_PLAIN, asked);
    if (job->started_ms)
        print_field(screen, file, "ran", TONE_PLAIN, ran);
    print_field(screen, file, "cost", TONE_PLAIN, cost);
}

static void print_links(const struct job *job, const struct forge_config *forge, const struct screen *screen,
                        FILE *file)
{
    AUTO_FREE char *issue = forge && forge->git_url
                                ? text_format("%s/%s/%s/%s/%lld", forge->git_url, job->owner, job->repo,
                                              job->on_pull ? "pull" : "issues", (long long)job->number)
                                : NULL;
    print_field(screen, file, job->on_pull ? "pull" : "issue", TONE_PLAIN, issue);
    print_field(screen, file, "result", TONE_GOOD, json_text_at(job->published, "pull_url", ""));
    print_field(screen, file, "branch", TONE_PLAIN, json_text_at(job->published, "branch", ""));
}

static enum tone tone_of_status(const char *status)
{
    static const struct {
        const char *status;
        enum tone tone;
    } tones[] = {{"passed", TONE_GOOD}, {"failed", TONE_BAD}, {"error", TONE_BAD}, {"running", TONE_WARN}};
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++)
        if (strcmp(tones[i].status, status) == 0)
            return tones[i].tone;
    return TONE_PLAIN;
}

static void print_stages(const struct stage_row *stages, size_t count, const struct screen *screen, FILE *file)
{
    static const char *const titles[] = {"STAGE", "ROUND", "ATTEMPT", "STATUS", "TIME", "DETAIL"};
    struct table *table = table_new(titles, 6);
    for (size_t i = 0; table && i < count; i++) {
        const struct stage_row *stage = &stages[i];
        char time[CLOCK_TEXT_SIZE] = "";
        AUTO_FREE char *round = text_format("%d", stage->round);
        AUTO_FREE char *attempt = text_format("%d", stage->attempt);
        if (stage->ended_ms)
            clock_duration(stage->ended_ms - stage->started_ms, time);
        const char *const cells[] = {stage->stage, round ? round : "", attempt ? attempt : "", stage->status,
                                     time,         stage->detail};
        table_row(table, cells,
                  (const enum tone[]){TONE_PLAIN, TONE_PLAIN, TONE_PLAIN, tone_of_status(stage->status), TONE_FAINT,
                                      TONE_PLAIN});
    }
    if (table && count) {
        fprintf(file, "\nstages\n");
        table_print(table, screen, file);
    }
    table_free(table);
}

static void add_call_row(struct table *table, const json_t *call)
{
    char time[CLOCK_TEXT_SIZE];
    clock_duration(json_int_at(call, "elapsed_ms", 0), time);
    AUTO_FREE char *tokens = text_format("%lld", (long long)json_int_at(call, "tokens_in", 0));
    AUTO_FREE char *out = text_format("%lld", (long long)json_int_at(call, "tokens_out", 0));
    AUTO_FREE char *cached = text_format("%lld", (long long)json_int_at(call, "tokens_cached", 0));
    AUTO_FREE char *cost = text_format("%.4f", json_number_value(json_object_get(call, "cost_usd")));
    if (!tokens || !out || !cached || !cost)
        return;
    const char *const cells[] = {json_text_at(call, "role", ""),
                                 json_text_at(call, "name", ""),
                                 json_text_at(call, "model", ""),
                                 tokens,
                                 out,
                                 cached,
                                 time,
                                 cost,
                                 json_text_at(call, "error", "")};
    table_row(table, cells,
              (const enum tone[]){TONE_PLAIN, TONE_PLAIN, TONE_PLAIN, TONE_PLAIN, TONE_PLAIN, TONE_PLAIN, TONE_FAINT,
                                  TONE_PLAIN, TONE_BAD});
}

static void print_calls(const json_t *calls, const struct screen *screen, FILE *file)
{
    static const char *const titles[] = {"ROLE",   "NAME", "MODEL", "TOKENS IN", "OUT",
                                         "CACHED", "TIME", "COST",  "ERROR"};
    struct table *table = table_new(titles, 9);
    size_t i;
    json_t *call;
    json_array_foreach (calls, i, call)
        if (table)
            add_call_row(table, call);
    if (table && json_array_size(calls)) {
        fprintf(file, "\nmodel calls\n");
        table_print(table, screen, file);
    }
    table_free(table);
}

void job_view_print(const struct job *job, const struct stage_row *stages, size_t count, const json_t *calls,
                    const struct forge_config *forge, FILE *file)
{
    struct screen screen = screen_of(file);
    print_head(job, &screen, file);
    print_links(job, forge, &screen, file);
    print_stages(stages, count, &screen, file);
    print_calls(calls, &screen, file);
}
