#include "app/progress.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/reply.h"
#include "pipeline/pipeline.h"

/* How a stage's state is shown: in the comment by words, on a terminal by a mark. */
static const struct look {
    const char *status, *mark, *words;
    bool ticked;
} looks[] = {
    {"running", "…", "running", false},         {"passed", "✓", NULL, true},
    {"failed", "✗", "to be mended", false},     {"stopped", "■", "stopped here", false},
    {"error", "!", "to be tried again", false}, {"interrupted", "!", "interrupted", false},
};

static const struct look *look_of(const char *status)
{
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        if (strcmp(looks[i].status, status) == 0)
            return &looks[i];
    return &looks[0];
}

/* What the journal knows of one stage: its newest row, and the time of all its rounds. */
struct summary {
    const struct stage_row *newest; /* NULL: it never began */
    int64_t elapsed_ms;
};

static struct summary sum_up(const struct stage_row *rows, size_t count, const char *stage, int64_t now_ms)
{
    struct summary summary = {0};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].stage, stage) != 0)
            continue;
        summary.newest = &rows[i];
        summary.elapsed_ms += (rows[i].ended_ms ? rows[i].ended_ms : now_ms) - rows[i].started_ms;
    }
    return summary;
}

static json_t *text_of(const char *text)
{
    return text && *text ? json_from_text(text, strlen(text)) : json_null();
}

static json_t *stage_view(const char *name, const char *help, const struct summary *summary)
{
    const struct stage_row *row = summary->newest;
    char time[CLOCK_TEXT_SIZE] = "";
    if (!row)
        return json_pack("{s:s, s:s, s:b}", "name", name, "text", help, "ticked", false);
    const struct look *look = look_of(row->status);
    bool running = strcmp(row->status, "running") == 0;
    const char *text = row->detail && *row->detail ? row->detail : help;
    return json_pack("{s:s, s:o, s:b, s:b, s:s*, s:s}", "name", name, "text", text_of(text), "ticked", look->ticked,
                     "now", running, "words", running ? NULL : look->words, "time",
                     clock_duration(summary->elapsed_ms, time));
}

/* The stages in order. One that was passed over (nothing to mend) is left out, as is what an ended job did not reach.
 */
static json_t *stages_view(const struct stage_row *rows, size_t count, bool ended, int64_t now_ms)
{
    json_t *list = json_array();
    const char *help;
    size_t furthest = 0;
    for (size_t i = 0; pipeline_stage(i, &help); i++)
        if (sum_up(rows, count, pipeline_stage(i, &help), now_ms).newest)
            furthest = i;
    for (size_t i = 0; pipeline_stage(i, &help); i++) {
        const char *name = pipeline_stage(i, &help);
        struct summary summary = sum_up(rows, count, name, now_ms);
        if (summary.newest || (i >= furthest && !ended))
            json_array_append_new(list, stage_view(name, help, &summary));
    }
    return list;
}

static int newest_round(const struct stage_row *rows, size_t count)
{
    int round = 0;
    for (size_t i = 0; i < count; i++)
        round = rows[i].round > round ? rows[i].round : round;
    return round;
}

/* {"done": true} and so on: a template section for each state and outcome. */
static void add_flags(json_t *view, const struct job *job)
{
    json_object_set_new(view, job_state_name(job->state), json_true());
    if (*job->outcome)
        json_object_set_new(view, job->outcome, json_true());
}

char *progress_text(const struct job *job, const struct stage_row *rows, size_t count, int64_t now_ms,
                    const char *public_url, struct error *err)
{
    char cost[32];
    bool ended = job->state == JOB_DONE || job->state == JOB_CANCELLED || job->state == JOB_FAILED;
    snprintf(cost, sizeof cost, "%.2f", job->cost_usd);
    json_auto_t *view =
        json_pack("{s:I, s:o, s:s, s:i, s:o, s:s, s:I, s:I}", "job", (json_int_t)job->id, "stages",
                  stages_view(rows, count, ended, now_ms), "cost", cost, "round", newest_round(rows, count), "why",
                  text_of(job->reason), "public_url", public_url ? public_url : "", "pull",
                  json_int_at(job->published, "pull", 0), "superseded_by", (json_int_t)job->superseded_by);
    if (!view) {
        error_set(err, ERROR_INTERNAL, "show the progress of job %lld: out of memory", (long long)job->id);
        return NULL;
    }
    add_flags(view, job);
    return reply_render("progress", view, err);
}

/* ---- the comment ---- */

static int put(struct progress *progress, const struct job *job, struct error *err)
{
    struct stage_row *rows = NULL;
    size_t count = 0;
    struct store *store = progress->effects->store;
    if (store_stages(store, job->id, false, &rows, &count, err) < 0)
        return -1;
    AUTO_FREE char *text = progress_text(job, rows, count, clock_wall_ms(), progress->config->server.public_url, err);
    AUTO_FREE char *marker = reply_job_marker(job->id, "progress");
    stages_free(rows, count);
    int64_t id = progress->comment_id;
    if (!text || !marker || reply_put(progress->effects, progress->number, marker, text, &id, err) < 0)
        return -1;
    if (id == progress->comment_id)
        return 0;
    progress->comment_id = id;
    json_auto_t *value = json_integer(id);
    return store_job_publish(store, job->id, "comment_id", value, err);
}

static void show(struct progress *progress, enum job_state state, const char *outcome, const char *reason)
{
    struct error err = {0};
    struct job job;
    progress->held_back = false;
    if (store_job_get(progress->effects->store, progress->effects->job, &job, &err) == 0) {
        struct job shown = job;
        shown.state = state;
        shown.outcome = (char *)outcome;
        shown.reason = (char *)reason;
        put(progress, &shown, &err);
        job_release(&job);
    }
    progress->shown_ms = clock_monotonic_ms();
    if (err.code)
        log_warn(progress->effects->log, "progress comment: %s", err.message);
}

void progress_show(struct progress *progress)
{
    progress->held_back = true;
    progress_tick(progress);
}

void progress_tick(struct progress *progress)
{
    if (!progress->held_back)
        return;
    if (!progress->shown_ms || clock_monotonic_ms() - progress->shown_ms >= PROGRESS_EVERY_MS)
        show(progress, JOB_RUNNING, "", "");
}

void progress_close(struct progress *progress, enum job_state state, const char *outcome, const char *reason)
{
    show(progress, state, outcome, reason);
}

/* ---- the terminal ---- */

static const char *help_of(const char *stage)
{
    const char *help;
    for (size_t i = 0; pipeline_stage(i, &help); i++)
        if (strcmp(pipeline_stage(i, &help), stage) == 0)
            return help;
    return "";
}

int progress_line(struct buf *out, const char *stage, int round, const char *status, const char *detail,
                  int64_t elapsed_ms)
{
    char time[CLOCK_TEXT_SIZE];
    bool running = strcmp(status, "running") == 0;
    buf_printf(out, "%s %-9s ", look_of(status)->mark, stage);
    buf_puts(out, !running && detail && *detail ? detail : help_of(stage));
    if (round > 0)
        buf_printf(out, " (round %d)", round);
    if (!running)
        buf_printf(out, ", %s", clock_duration(elapsed_ms, time));
    return out->failed ? -1 : 0;
}
