#include "app/question.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/comment.h"
#include "app/reply.h"

enum { TEXT_MAX = 1 << 20 };

/* Appends the answer to the request and lets the job go on. */
static int go_on(const struct trigger *trigger, const struct job *job, const char *source, const char *text,
                 struct buf *note, struct error *err)
{
    json_auto_t *request = json_deep_copy(job->request);
    json_t *answers = json_object_get(request, "answers");
    if (trigger_is_known(answers, source)) {
        buf_printf(note, "job %lld has this answer", (long long)job->id);
        return 0;
    }
    if (!answers)
        json_object_set_new(request, "answers", answers = json_array());
    json_t *answer = json_pack("{s:s, s:s, s:o}", "source", source, "from", trigger->event->sender, "text",
                               json_from_text(text, strlen(text)));
    if (json_array_append_new(answers, answer) < 0)
        return error_set(err, ERROR_INTERNAL, "note the answer for job %lld: out of memory", (long long)job->id);
    trigger_acknowledge(trigger);
    if (store_job_again(trigger->store, job->id, request, false, err) < 0)
        return error_wrap(err, "go on with job %lld", (long long)job->id);
    buf_printf(note, "answer for job %lld", (long long)job->id);
    return 0;
}

/* The newest job of the issue that waits for an answer. */
static int find_asking(const struct trigger *trigger, struct job **jobs, size_t *count, struct error *err)
{
    struct job_filter filter = trigger_jobs(trigger);
    filter.state = JOB_QUESTION;
    filter.limit = 1;
    return store_jobs(trigger->store, &filter, jobs, count, err);
}

int question_take_reply(const struct trigger *trigger, struct buf *note, struct error *err)
{
    struct job *jobs = NULL;
    size_t count = 0;
    bool permitted = false;
    if (find_asking(trigger, &jobs, &count, err) < 0)
        return -1;
    if (count == 0) {
        buf_puts(note, "ignored: no command");
        return 0;
    }
    int status = trigger_is_permitted(trigger, &permitted, err);
    AUTO_FREE char *source = text_format("comment:%lld", (long long)trigger->event->comment_id);
    if (status == 0 && permitted && source)
        status = go_on(trigger, &jobs[0], source, trigger->event->comment_body, note, err);
    else if (status == 0)
        buf_printf(note, "ignored: %s has no write permission", trigger->event->sender);
    jobs_free(jobs, count);
    return status;
}

/* One line for a question with ticks; `first` is its first box. */
static size_t add_ticks(const json_t *question, const struct comment_box *boxes, size_t first, struct buf *text)
{
    const json_t *options = json_object_get(question, "options");
    size_t count = json_array_size(options);
    size_t ticked = 0;
    for (size_t i = 0; i < count; i++) {
        if (!boxes[first + i].ticked)
            continue;
        const char *option = json_string_value(json_array_get(options, i));
        if (ticked++ == 0)
            buf_printf(text, "%s%s ", text->len ? "\n" : "", json_text_at(question, "question", ""));
        else
            buf_puts(text, "; ");
        buf_puts(text, option ? option : boxes[first + i].text);
    }
    return ticked;
}

static size_t count_options(const json_t *questions)
{
    size_t i, total = 0;
    json_t *question;
    json_array_foreach (questions, i, question)
        total += json_array_size(json_object_get(question, "options"));
    return total;
}

/* Somebody has rewritten the comment: their words count then. */
static void add_rewritten(const struct comment_box *boxes, size_t count, struct buf *text)
{
    for (size_t i = 0; i < count; i++)
        if (boxes[i].ticked)
            buf_printf(text, "%s%s", text->len ? "\n" : "", boxes[i].text);
}

char *question_read_ticks(const json_t *questions, const char *body, bool *complete, struct error *err)
{
    struct comment_box *boxes = NULL;
    size_t count = 0;
    if (comment_read_boxes(body, &boxes, &count, err) < 0)
        return NULL;
    AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);
    *complete = true;
    if (count_options(questions) == count) {
        size_t i, first = 0;
        json_t *question;
        json_array_foreach (questions, i, question) {
            size_t options = json_array_size(json_object_get(question, "options"));
            bool answered = add_ticks(question, boxes, first, &text) > 0;
            *complete = *complete && (answered || options == 0);
            first += options;
        }
    } else {
        add_rewritten(boxes, count, &text);
    }
    comment_boxes_free(boxes, count);
    return buf_check(&text, "answers", err) < 0 ? NULL : buf_steal(&text, NULL);
}

/* The job's number in the marker of our question; 0 when the comment is another one. */
static int64_t asking_job(const char *body)
{
    for (const char *at = body; (at = strstr(at, REPLY_MARK "job:")); at++) {
        char *end = NULL;
        long long id = strtoll(at + strlen(REPLY_MARK "job:"), &end, 10);
        if (id > 0 && strncmp(end, ":question -->", strlen(":question -->")) == 0)
            return id;
    }
    return 0;
}

static bool is_here(const struct job *job, const struct trigger *trigger)
{
    const struct event *event = trigger->event;
    return job->state == JOB_QUESTION && job->number == event->number && strcmp(job->forge, trigger->forge_name) == 0 &&
           strcasecmp(job->owner, event->repo.owner) == 0 && strcasecmp(job->repo, event->repo.name) == 0;
}

/* True when the delivery should wait for other ticks; false when it counts now. */
static int wait_for_others(const struct trigger *trigger, const struct job *job, bool *wait, struct error *err)
{
    json_auto_t *mine = json_string(trigger->delivery);
    *wait = store_now_ms(trigger->store) < trigger->received_ms + QUESTION_PATIENCE_MS;
    return *wait ? store_job_publish(trigger->store, job->id, "ticks", mine, err) : 0;
}

static int take_ticks(const struct trigger *trigger, const struct job *job, int64_t *again_ms, struct buf *note,
                      struct error *err)
{
    bool complete;
    bool permitted = false;
    bool wait = false;
    AUTO_FREE char *text =
        question_read_ticks(json_object_get(job->published, "questions"), trigger->event->comment_body, &complete, err);
    if (!text)
        return -1;
    if (!*text) {
        buf_puts(note, "ignored: nothing is ticked");
        return 0;
    }
    if (trigger_is_permitted(trigger, &permitted, err) < 0)
        return -1;
    if (!permitted) {
        buf_printf(note, "ignored: %s has no write permission", trigger->event->sender);
        return 0;
    }
    if (!complete && wait_for_others(trigger, job, &wait, err) < 0)
        return -1;
    if (wait) {
        *again_ms = trigger->received_ms + QUESTION_PATIENCE_MS;
        buf_puts(note, "waits for the other boxes");
        return 0;
    }
    if (!complete && strcmp(json_text_at(job->published, "ticks", trigger->delivery), trigger->delivery) != 0) {
        buf_puts(note, "ignored: there are newer ticks");
        return 0;
    }
    AUTO_FREE char *source = text_format("delivery:%s", trigger->delivery);
    return go_on(trigger, job, source, text, note, err);
}

int question_take_ticks(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err)
{
    struct job job;
    struct error missing = {0};
    int64_t id = asking_job(trigger->event->comment_body);
    if (id == 0) {
        buf_puts(note, "ignored: an edited comment");
        return 0;
    }
    if (store_job_get(trigger->store, id, &job, &missing) < 0 && missing.code != ERROR_NOT_FOUND)
        return *err = missing, -1;
    int status = 0;
    if (missing.code == ERROR_NOT_FOUND || !is_here(&job, trigger))
        buf_puts(note, "ignored: nothing waits for an answer");
    else
        status = take_ticks(trigger, &job, again_ms, note, err);
    if (!missing.code)
        job_release(&job);
    return status;
}

char *question_request_text(const json_t *request, struct error *err)
{
    const char *body = json_text_at(request, "body", "");
    const char *comment = json_text_at(request, "text", "");
    const json_t *answers = json_object_get(request, "answers");
    AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);
    size_t i;
    json_t *answer;
    buf_puts(&text, body);
    if (*comment)
        buf_printf(&text, "%s%s", *body ? "\n\n## Added\n\n" : "", comment);
    if (json_array_size(answers) > 0)
        buf_puts(&text, "\n\n## Answers\n");
    json_array_foreach (answers, i, answer)
        buf_printf(&text, "\n%s\n", json_text_at(answer, "text", ""));
    return buf_check(&text, "request", err) < 0 ? NULL : buf_steal(&text, NULL);
}
