#include "app/command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/reply.h"

enum { RAISE_MAX_USD = 100 }; /* of one /continue; the month's bound holds in any case */

/* One command on its way: what was written, and where the answer goes. */
struct call {
    const struct trigger *trigger;
    const struct comment_command *written;
    size_t index; /* of the command in its comment */
    struct buf *answer;
    struct buf *note;
};

static int run_generate(const struct call *call, struct error *err);
static int run_retry(const struct call *call, struct error *err);
static int run_cancel(const struct call *call, struct error *err);
static int run_continue(const struct call *call, struct error *err);
static int run_status(const struct call *call, struct error *err);
static int run_help(const struct call *call, struct error *err);

static const struct command {
    const char *name, *arguments, *help;
    int (*run)(const struct call *call, struct error *err); /* NULL: not in this version */
} commands[] = {
    {"generate", "[text]", "write what this issue asks for, with tests; the text is added to the issue's",
     run_generate},
    {"tests", "[target]", "write tests for what is there", NULL},
    {"refactor", "[text]", "change the code's shape and keep what it does", NULL},
    {"docs", "[target]", "write documentation", NULL},
    {"review", "", "review this pull request", NULL},
    {"explain", "[beginner|intermediate|expert] [target]", "explain the code", NULL},
    {"complete", "", "on a line of a diff: suggest how it goes on", NULL},
    {"retry", "", "run the last job here again", run_retry},
    {"cancel", "", "stop the job that waits or runs here", run_cancel},
    {"continue", "+$1", "raise the job's cost bound by so much and go on", run_continue},
    {"unlock-tests", "PATH REASON", "let a locked test be changed", NULL},
    {"status", "", "say how the last job here stands", run_status},
    {"config", "", "show the settings in force here, and where they come from", NULL},
    {"help", "", "show this list", run_help},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const struct command *find(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, word) == 0)
            return &commands[i];
    return NULL;
}

static const struct command *find_meant(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (comment_is_typo_of(word, commands[i].name))
            return &commands[i];
    return NULL;
}

bool command_begins(const char *word)
{
    return find(word) || find_meant(word);
}

/* Adds a rendered reply to the answer, a blank line between two. */
static int say(const struct call *call, const char *reply, const json_t *view, struct error *err)
{
    AUTO_FREE char *text = reply_render(reply, view, err);
    if (!text)
        return -1;
    buf_printf(call->answer, "%s%s", call->answer->len ? "\n\n" : "", text);
    return 0;
}

/* "comment:12345:0": the same command however often its delivery comes. */
static char *source_of(const struct call *call)
{
    return text_format("comment:%lld:%zu", (long long)call->trigger->event->comment_id, call->index);
}

static int run_generate(const struct call *call, struct error *err)
{
    const struct trigger *trigger = call->trigger;
    const struct event *event = trigger->event;
    if (event->on_pull) {
        json_auto_t *view = json_object();
        return say(call, "issues-only", view, err);
    }
    AUTO_FREE char *source = source_of(call);
    AUTO_FREE char *key = text_format("%s:%s/%s:%s", trigger->forge_name, event->repo.owner, event->repo.name, source);
    int64_t id;
    bool fresh;
    if (trigger_add_job(trigger, "generate", key, "/generate", call->written->text, &id, &fresh, err) < 0)
        return -1;
    buf_printf(call->note, " job %lld", (long long)id);
    return trigger_tell_replaced(trigger, id, call->answer, err);
}

static int say_no_job(const struct call *call, struct error *err)
{
    json_auto_t *view = json_pack("{s:s}", "label", call->trigger->config->label);
    return say(call, "no-job", view, err);
}

static json_t *view_of(const struct call *call, const struct job *job)
{
    const char *public_url = call->trigger->config->server.public_url;
    char cost[32];
    char duration[CLOCK_TEXT_SIZE];
    int64_t until = job->ended_ms ? job->ended_ms : clock_wall_ms();
    snprintf(cost, sizeof cost, "%.2f", job->cost_usd);
    json_t *view =
        json_pack("{s:I, s:s, s:s, s:o, s:s, s:i, s:I}", "id", (json_int_t)job->id, "state", job_state_name(job->state),
                  "outcome", job->outcome, "reason", json_from_text(job->reason, strlen(job->reason)), "cost", cost,
                  "attempt", job->attempt, "pull", json_int_at(job->published, "pull", 0));
    if (view && job->started_ms)
        json_object_set_new(view, "duration", json_string(clock_duration(until - job->started_ms, duration)));
    if (view && public_url && *public_url)
        json_object_set_new(view, "public_url", json_string(public_url));
    return view;
}

/* The stage that runs now, for people who ask. */
static int add_stage(const struct call *call, const struct job *job, json_t *view, struct error *err)
{
    struct stage_row *rows = NULL;
    size_t count = 0;
    if (job->state != JOB_RUNNING)
        return 0;
    if (store_stages(call->trigger->store, job->id, false, &rows, &count, err) < 0)
        return -1;
    if (count > 0)
        json_object_set_new(view, "stage", json_string(rows[count - 1].stage));
    stages_free(rows, count);
    return 0;
}

/* Does something with the thread's job, or says that there is none. */
static int with_job(const struct call *call,
                    int (*obey)(const struct call *call, const struct job *job, struct error *err), struct error *err)
{
    struct job job;
    bool found;
    if (trigger_find_job(call->trigger, &job, &found, err) < 0)
        return -1;
    if (!found)
        return say_no_job(call, err);
    int status = obey(call, &job, err);
    job_release(&job);
    return status;
}

static int tell_status(const struct call *call, const struct job *job, struct error *err)
{
    json_auto_t *view = view_of(call, job);
    return add_stage(call, job, view, err) < 0 ? -1 : say(call, "status", view, err);
}

static int run_status(const struct call *call, struct error *err)
{
    return with_job(call, tell_status, err);
}

static bool has_ended(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_CANCELLED || job->state == JOB_FAILED;
}

static int cancel_job(const struct call *call, const struct job *job, struct error *err)
{
    json_auto_t *view = view_of(call, job);
    bool was_running = false;
    if (has_ended(job))
        return say(call, "ended-already", view, err);
    if (store_job_cancel(call->trigger->store, job->id, &was_running, err) < 0)
        return -1;
    if (!was_running)
        trigger_show_cancelled(call->trigger, job);
    json_object_set_new(view, "was_running", json_boolean(was_running));
    buf_printf(call->note, " job %lld", (long long)job->id);
    return say(call, "cancelled", view, err);
}

static int run_cancel(const struct call *call, struct error *err)
{
    return with_job(call, cancel_job, err);
}

/* What ended without an outcome goes on where it stood; what has one starts afresh. */
static int start_again(const struct call *call, const struct job *job, const char *source, struct error *err)
{
    json_auto_t *request = json_deep_copy(job->request);
    json_t *retries = json_object_get(request, "retries");
    if (!retries)
        json_object_set_new(request, "retries", retries = json_array());
    json_array_append_new(retries, json_pack("{s:s}", "source", source));
    bool fresh_start = job->state == JOB_DONE || job->state == JOB_QUESTION;
    if (store_job_again(call->trigger->store, job->id, request, fresh_start, err) < 0)
        return -1;
    buf_printf(call->note, " job %lld", (long long)job->id);
    return 0;
}

static int retry_job(const struct call *call, const struct job *job, struct error *err)
{
    AUTO_FREE char *source = source_of(call);
    json_auto_t *view = view_of(call, job);
    bool done_before = source && trigger_is_known(json_object_get(job->request, "retries"), source);
    bool waits = job->state == JOB_QUEUED && job->not_before_ms > store_now_ms(call->trigger->store);
    if (!done_before && !waits && (job->state == JOB_QUEUED || job->state == JOB_RUNNING))
        return say(call, "still-at-work", view, err);
    if (!done_before && start_again(call, job, source, err) < 0)
        return -1;
    return say(call, "retry", view, err);
}

static int run_retry(const struct call *call, struct error *err)
{
    return with_job(call, retry_job, err);
}

/* "+$1", "$0.50", "2": an amount in USD, with nothing behind it; 0 for anything else. */
static double read_amount(const char *text)
{
    char *end = NULL;
    text += strspn(text, " \t");
    text += *text == '+';
    text += *text == '$';
    if (!isdigit((unsigned char)*text) || strspn(text, "0123456789.") != strcspn(text, " \t\r\n"))
        return 0;
    double amount = strtod(text, &end);
    return end[strspn(end, " \t\r\n")] == '\0' && amount <= RAISE_MAX_USD ? amount : 0;
}

static int raise_bound(const struct call *call, const struct job *job, const char *source, double amount,
                       struct error *err)
{
    json_auto_t *request = json_deep_copy(job->request);
    json_t *raises = json_object_get(request, "raises");
    if (!raises)
        json_object_set_new(request, "raises", raises = json_array());
    json_array_append_new(
        raises, json_pack("{s:s, s:s, s:f}", "source", source, "by", call->trigger->event->sender, "usd", amount));
    if (store_job_continue(call->trigger->store, job->id, request, err) < 0)
        return -1;
    buf_printf(call->note, " job %lld", (long long)job->id);
    return 0;
}

static int continue_job(const struct call *call, const struct job *job, struct error *err)
{
    char text[32];
    AUTO_FREE char *source = source_of(call);
    json_auto_t *view = view_of(call, job);
    double amount = read_amount(call->written->text);
    bool done_before = source && trigger_is_known(json_object_get(job->request, "raises"), source);
    bool stopped = has_ended(job) && json_true_at(job->published, JOB_OUT_OF_MONEY);
    snprintf(text, sizeof text, "$%d", RAISE_MAX_USD);
    json_object_set_new(view, "most", json_string(text));
    json_object_set_new(view, "unclear", json_boolean(amount <= 0));
    if (amount > 0 && stopped && !done_before && raise_bound(call, job, source, amount, err) < 0)
        return -1;
    snprintf(text, sizeof text, "$%.2f", amount);
    if (amount > 0 && (stopped || done_before))
        json_object_set_new(view, "amount", json_string(text));
    return say(call, "continue", view, err);
}

static int run_continue(const struct call *call, struct error *err)
{
    return with_job(call, continue_job, err);
}

static int run_help(const struct call *call, struct error *err)
{
    json_auto_t *list = json_array();
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        AUTO_FREE char *usage =
            text_format("/%s%s%s", commands[i].name, *commands[i].arguments ? " " : "", commands[i].arguments);
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "usage", usage, "help", commands[i].help, "here",
                                              commands[i].run != NULL));
    }
    json_auto_t *view =
        json_pack("{s:O, s:s, s:s}", "commands", list, "label", call->trigger->config->label, "version", ASSAY_VERSION);
    return say(call, "help", view, err);
}

static int obey_one(const struct call *call, struct error *err)
{
    const char *word = call->written->word;
    const struct command *command = find(word);
    buf_printf(call->note, "%s/%s", call->note->len ? ", " : "", word);
    if (command && command->run)
        return command->run(call, err);
    const struct command *meant = find_meant(word);
    json_auto_t *view = json_pack("{s:s, s:s?}", "word", word, "meant", meant ? meant->name : NULL);
    return say(call, command ? "not-yet" : "typo", view, err);
}

static int obey_all(const struct trigger *trigger, const struct comment_commands *written, struct buf *note,
                    struct error *err)
{
    AUTO_BUF struct buf answer = BUF_INIT(MiB(1));
    AUTO_FREE char *to = text_format("%lld", (long long)trigger->event->comment_id);
    struct call call = {.trigger = trigger, .answer = &answer, .note = note};
    trigger_acknowledge(trigger);
    for (; call.index < written->count; call.index++) {
        call.written = &written->items[call.index];
        if (obey_one(&call, err) < 0)
            return error_wrap(err, "/%s", call.written->word);
    }
    if (written->more) {
        json_auto_t *view = json_pack("{s:i}", "most", COMMENT_COMMANDS_MAX);
        if (say(&call, "too-many", view, err) < 0)
            return -1;
    }
    if (buf_check(&answer, "answer", err) < 0)
        return -1;
    return answer.len ? trigger_answer(trigger, to, buf_text(&answer), err) : 0;
}

/* A word that only looks like a command is not worth an answer to somebody who may not command. */
static int refuse(const struct trigger *trigger, const struct comment_commands *written, struct buf *note,
                  struct error *err)
{
    AUTO_FREE char *to = text_format("%lld", (long long)trigger->event->comment_id);
    buf_printf(note, "ignored: %s has no write permission", trigger->event->sender);
    for (size_t i = 0; i < written->count; i++)
        if (find(written->items[i].word))
            return trigger_refuse(trigger, to, err);
    return 0;
}

int command_obey(const struct trigger *trigger, bool *found, struct buf *note, struct error *err)
{
    struct comment_commands written;
    bool permitted = false;
    if (comment_read_commands(trigger->event->comment_body, command_begins, &written, err) < 0)
        return -1;
    *found = written.count > 0;
    int status = 0;
    if (*found)
        status = trigger_is_permitted(trigger, &permitted, err);
    if (*found && status == 0)
        status = permitted ? obey_all(trigger, &written, note, err) : refuse(trigger, &written, note, err);
    comment_commands_release(&written);
    return status;
}
