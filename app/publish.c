#include "app/publish.h"

#include <stdlib.h>
#include <string.h>

#include "app/annotation.h"
#include "app/base/json.h"
#include "app/base/markdown.h"
#include "app/reply.h"
#include "app/source.h"
#include "pipeline/pipeline.h"

enum { TITLE_MAX = 200, FILE_SHOWN_MAX = 12000, TEXT_SHOWN_MAX = 3000, FAILING_SHOWN = 10 };

/* ---- views ---- */

/* At most `max` bytes of a text as a fenced block. */
static json_t *block_of(const char *text, size_t max)
{
    AUTO_BUF struct buf block = BUF_INIT(KiB(64));
    size_t len = strlen(text);
    AUTO_FREE char *shown = len > max ? text_format("%.*s\n(cut)", (int)max, text) : strdup(text);
    markdown_block(&block, "", shown ? shown : "");
    return json_from_text(buf_text(&block), block.len);
}

static json_t *code_of(const char *text)
{
    AUTO_BUF struct buf code = BUF_INIT(KiB(16));
    markdown_code(&code, text);
    return json_from_text(buf_text(&code), code.len);
}

static json_t *code_view(const struct run *run)
{
    json_t *files = json_array();
    for (size_t i = 0; i < run->change.count; i++) {
        const struct change_file *file = &run->change.files[i];
        if (file->kind == FILE_CODE && file->content)
            json_array_append_new(files, json_pack("{s:o, s:o}", "path", code_of(file->path), "block",
                                                   block_of(file->content, FILE_SHOWN_MAX)));
    }
    return files;
}

static json_t *failing_view(const struct run *run)
{
    json_t *list = json_array();
    json_t *item;
    size_t i;
    json_array_foreach (json_object_get(run->feedback, "items"), i, item) {
        const char *details = json_text_at(item, "details", "");
        if (i == FAILING_SHOWN)
            break;
        json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "test", code_of(json_text_at(item, "test", "")),
                                              "message", json_text_at(item, "message", ""), "block",
                                              *details ? block_of(details, TEXT_SHOWN_MAX) : json_null()));
    }
    return list;
}

/* The run's caveats, and a rule that somebody has set and that is not kept. */
static json_t *caveats_view(const struct attempt *attempt, const struct run *run)
{
    json_t *caveats = json_copy(run->caveats);
    AUTO_BUF struct buf unused = BUF_INIT(KiB(1));
    policy_add_unused(&attempt->policy, &unused);
    if (unused.len)
        json_append_text(caveats, "%s sets %s, which this version does not obey.", POLICY_PATH, buf_text(&unused));
    return caveats;
}

/* What the forge knows and the run does not. */
static json_t *extra_view(const struct attempt *attempt, const struct run *run, const struct source_change *change)
{
    const struct job *job = &attempt->job;
    AUTO_FREE char *details_url = attempt_details_url(attempt);
    json_t *caveats = caveats_view(attempt, run);
    bool has_caveats = json_array_size(caveats) > 0;
    return json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:b}", "issue", (json_int_t)job->number,
                     "job", (json_int_t)job->id, "requester", json_text_at(job->request, "requester", ""),
                     "details_url", details_url ? details_url : "", "base_commit", attempt->base, "tests_commit",
                     change ? change->tests : "", "code_commit", change ? change->head : "", "caveats", caveats,
                     "has_caveats", has_caveats, "code", code_view(run), "failing", failing_view(run), "out_of_money",
                     run->out_of_money);
}

/* The run in a template's words; without its long parts when they are too long for the forge. */
static char *describe(const struct run *run, const char *template_path, json_t *extra, struct error *err)
{
    struct error failure = {0};
    char *text = pipeline_describe(run, template_path, extra, &failure);
    if (!text && failure.code == ERROR_LIMIT) {
        json_object_set_new(extra, "code", json_array());
        json_object_set_new(extra, "failing", json_array());
        json_object_set_new(extra, "evidence", json_object());
        failure = (struct error){0};
        text = pipeline_describe(run, template_path, extra, &failure);
    }
    if (!text)
        *err = failure;
    return text;
}

/* ---- ending ---- */

static int finish(struct attempt *attempt, enum job_state state, const char *outcome, const char *reason,
                  struct error *err)
{
    progress_close(&attempt->progress, state, outcome, reason);
    return store_job_finish(attempt->store, attempt->job.id, state, outcome, reason, err);
}

static int finish_by_run(struct attempt *attempt, const struct run *run, struct error *err)
{
    enum job_state state = run->outcome == OUTCOME_QUESTION ? JOB_QUESTION : JOB_DONE;
    return finish(attempt, state, outcome_name(run->outcome), run->reason ? run->reason : "", err);
}

/* One comment of the job beside the progress; `what` is in its marker, `key` is where its id is noted. */
static int put_comment(struct attempt *attempt, const char *what, const char *key, const char *body, struct error *err)
{
    AUTO_FREE char *marker = reply_job_marker(attempt->job.id, what);
    int64_t id = json_int_at(attempt->job.published, key, 0);
    if (!marker)
        return error_set(err, ERROR_INTERNAL, "write a comment: out of memory");
    if (reply_put(&attempt->effects, attempt->job.number, marker, body, &id, err) < 0)
        return -1;
    return attempt_note(attempt, key, json_integer(id), err);
}

static int put_label(struct attempt *attempt, struct error *err)
{
    if (effect_label(&attempt->effects, attempt->job.number, PUBLISH_LABEL, true, attempt->job.started_ms, err) < 0)
        return error_wrap(err, "label #%lld", (long long)attempt->job.number);
    return attempt_note(attempt, "label", json_string(PUBLISH_LABEL), err);
}

/* A job that was run again and came further: what its earlier end has left behind. */
static int clear_earlier_end(struct attempt *attempt, struct error *err)
{
    if (*json_text_at(attempt->job.published, "label", "") &&
        (effect_label(&attempt->effects, attempt->job.number, PUBLISH_LABEL, false, attempt->job.started_ms, err) < 0 ||
         attempt_note(attempt, "label", json_string(""), err) < 0))
        return -1;
    if (!json_int_at(attempt->job.published, "result_comment", 0))
        return 0;
    json_auto_t *view = json_pack("{s:I}", "pull", json_int_at(attempt->job.published, "pull", 0));
    AUTO_FREE char *body = reply_render("superseded", view, err);
    return body ? put_comment(attempt, "result", "result_comment", body, err) : -1;
}

/* ---- the pull request ---- */

static int put_check(struct attempt *attempt, const struct run *run, const struct source_change *change, bool completed,
                     struct error *err)
{
    bool proven = run->outcome == OUTCOME_PROVEN;
    AUTO_FREE char *external_id = text_format("job-%lld", (long long)attempt->job.id);
    AUTO_FREE char *details_url = attempt_details_url(attempt);
    json_auto_t *extra = extra_view(attempt, run, change);
    json_auto_t *notes = completed ? annotations_of(run) : NULL;
    AUTO_FREE char *summary = describe(run, "replies/check.mustache", extra, err);
    AUTO_FREE char *text = summary ? describe(run, "replies/check-details.mustache", extra, err) : NULL;
    int64_t id = 0;
    if (!text)
        return -1;
    struct forge_check check = {
        .head_sha = change->head,
        .name = "assay",
        .external_id = external_id,
        .status = completed ? FORGE_CHECK_COMPLETED : FORGE_CHECK_IN_PROGRESS,
        .conclusion = !completed ? NULL
                      : proven   ? "success"
                                 : "neutral",
        .title = !completed ? "Publishing"
                 : proven   ? "Proven: red before, green after"
                            : "Not proven",
        .summary = summary,
        .text = text,
        .details_url = details_url,
        .annotations = notes,
    };
    if (effect_check(&attempt->effects, &check, &id, err) < 0)
        return error_wrap(err, "check run");
    return attempt_note(attempt, "check_id", json_integer(id), err);
}

static int put_pull(struct attempt *attempt, const struct run *run, const struct source_change *change,
                    struct error *err)
{
    json_auto_t *extra = extra_view(attempt, run, change);
    AUTO_FREE char *body = describe(run, "replies/pull.mustache", extra, err);
    AUTO_FREE char *title = reply_plain_line(attempt->job.title, TITLE_MAX);
    struct forge_pull pull = {0};
    if (!body || !title)
        return body ? error_set(err, ERROR_INTERNAL, "open a pull request: out of memory") : -1;
    struct forge_pull_request request = {
        .branch = change->branch,
        .base = attempt->branch,
        .title = *title ? title : "Change by Assay",
        .body = body,
        .draft = run->outcome != OUTCOME_PROVEN,
    };
    if (store_artifact_put(attempt->store, attempt->job.id, "pull.md", body, strlen(body), err) < 0 ||
        effect_pull(&attempt->effects, &request, change->head, attempt->job.started_ms, &pull, err) < 0)
        return error_wrap(err, "pull request");
    int status = attempt_note(attempt, "pull", json_integer(pull.number), err);
    if (status == 0)
        status = attempt_note(attempt, "pull_url", json_string(pull.url ? pull.url : ""), err);
    forge_pull_release(&pull);
    return status;
}

static int publish_pull(struct attempt *attempt, const struct run *run, struct error *err)
{
    struct source_change change = {0};
    if (source_push(attempt, run, &change, err) < 0)
        return -1;
    int status = put_check(attempt, run, &change, false, err);
    if (status == 0)
        status = put_pull(attempt, run, &change, err);
    if (status == 0)
        status = put_check(attempt, run, &change, true, err);
    source_change_release(&change);
    return status < 0 || clear_earlier_end(attempt, err) < 0 ? -1 : 0;
}

/* ---- comments ---- */

static int publish_result(struct attempt *attempt, const struct run *run, const char *template_path, struct error *err)
{
    json_auto_t *extra = extra_view(attempt, run, NULL);
    AUTO_FREE char *body = describe(run, template_path, extra, err);
    return body ? put_comment(attempt, "result", "result_comment", body, err) : -1;
}

static int publish_needs_human(struct attempt *attempt, const struct run *run, struct error *err)
{
    if (publish_result(attempt, run, "replies/needs-human.mustache", err) < 0)
        return -1;
    return put_label(attempt, err);
}

static int publish_rejected(struct attempt *attempt, const struct run *run, struct error *err)
{
    return publish_result(attempt, run, "replies/rejected.mustache", err);
}

/* The questions as asked are noted: ticks are read back by their order. */
static int publish_question(struct attempt *attempt, const struct run *run, struct error *err)
{
    json_auto_t *extra = extra_view(attempt, run, NULL);
    AUTO_FREE char *body = NULL;
    if (attempt_note(attempt, "questions", json_deep_copy(run->questions), err) < 0)
        return -1;
    json_object_set_new(extra, "single", json_boolean(json_array_size(run->questions) == 1));
    body = describe(run, "replies/question.mustache", extra, err);
    return body ? put_comment(attempt, "question", "question_comment", body, err) : -1;
}

static const struct publisher {
    enum outcome outcome;
    int (*run)(struct attempt *attempt, const struct run *run, struct error *err);
    const char *help;
} publishers[] = {
    {OUTCOME_PROVEN, publish_pull, "a pull request, ready for review, and a check run with the proof"},
    {OUTCOME_UNPROVEN, publish_pull, "a draft pull request that says first what is missing"},
    {OUTCOME_NEEDS_HUMAN, publish_needs_human, "a comment with the best attempt, and a label; no pull request"},
    {OUTCOME_REJECTED, publish_rejected, "a comment with the reason; no pull request"},
    {OUTCOME_QUESTION, publish_question, "a comment with at most three questions"},
};

/* What /continue asks for: whether more money would let the job go on. */
static int note_bound(struct attempt *attempt, const struct run *run, struct error *err)
{
    if (!run->out_of_money && !json_object_get(attempt->job.published, JOB_OUT_OF_MONEY))
        return 0;
    return attempt_note(attempt, JOB_OUT_OF_MONEY, json_boolean(run->out_of_money), err);
}

int publish_outcome(struct attempt *attempt, const struct run *run, struct error *err)
{
    if (note_bound(attempt, run, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof publishers / sizeof publishers[0]; i++) {
        if (publishers[i].outcome != run->outcome)
            continue;
        if (publishers[i].run(attempt, run, err) < 0)
            return error_wrap(err, "publish");
        return finish_by_run(attempt, run, err);
    }
    return error_set(err, ERROR_INTERNAL, "publish: the run has ended without an outcome");
}

int publish_end(struct attempt *attempt, enum job_state state, const char *outcome, const char *reason,
                struct error *err)
{
    struct error said = {0};
    AUTO_BUF struct buf clean = BUF_INIT(KiB(4));
    buf_puts(&clean, reason);
    secrets_redact(attempt->secrets, &clean);
    bool needs_human = strcmp(outcome, outcome_name(OUTCOME_NEEDS_HUMAN)) == 0;
    AUTO_FREE char *details_url = attempt_details_url(attempt);
    json_auto_t *view = json_pack("{s:I, s:s, s:o, s:b, s:s, s:b}", "job", (json_int_t)attempt->job.id, "requester",
                                  json_text_at(attempt->job.request, "requester", ""), "why",
                                  json_from_text(buf_text(&clean), clean.len), "failed", state == JOB_FAILED,
                                  "details_url", details_url ? details_url : "", "needs_human", needs_human);
    AUTO_FREE char *body = state == JOB_CANCELLED ? NULL : reply_render("ended", view, &said);
    if (body && put_comment(attempt, "result", "result_comment", body, &said) == 0 && needs_human)
        put_label(attempt, &said);
    if (said.code)
        log_warn(&attempt->log, "say how the job ended: %s", said.message);
    return finish(attempt, state, outcome, buf_text(&clean), err);
}
