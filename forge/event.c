#include "forge/event.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/clock.h"
#include "app/base/json.h"

/* How each event's payload is laid out: where the issue or pull request stands, where the comment stands. */
struct shape {
    const char *name;
    enum event_kind kind;
    const char *subject; /* "issue" or "pull_request"; NULL: the event is about neither */
    const char *comment; /* NULL: there is none */
};

static const struct shape shapes[] = {
    {"ping", EVENT_PING, NULL, NULL},
    {"issues", EVENT_ISSUE, "issue", NULL},
    {"issue_comment", EVENT_ISSUE_COMMENT, "issue", "comment"},
    {"pull_request", EVENT_PULL, "pull_request", NULL},
    {"pull_request_review", EVENT_REVIEW, "pull_request", "review"},
    {"pull_request_review_comment", EVENT_REVIEW_COMMENT, "pull_request", "comment"},
    {"installation", EVENT_INSTALLATION, NULL, NULL},
    {"installation_repositories", EVENT_INSTALLATION, NULL, NULL},
};

static const struct shape *find_shape(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (!strcmp(shapes[i].name, name))
            return &shapes[i];
    return NULL;
}

/* A copy of the text at the path; "" when it is missing or no text. NULL only without memory. */
static char *copy(const json_t *root, const char *path)
{
    return strdup(json_text_at(root, path, ""));
}

/* GitBucket and older servers leave out `type`; the suffix is reserved for Apps on GitHub. */
static bool is_bot(const json_t *user)
{
    const char *login = json_text_at(user, "login", "");
    size_t len = strlen(login), suffix = strlen("[bot]");
    return !strcasecmp(json_text_at(user, "type", ""), "Bot") ||
           (len > suffix && !strcasecmp(login + len - suffix, "[bot]"));
}

static int64_t time_at(const json_t *root, const char *path)
{
    int64_t ms = 0;
    const char *text = json_text_at(root, path, NULL);
    return text && clock_parse_rfc3339(text, &ms, NULL) == 0 ? ms : 0;
}

static int64_t happened(const json_t *subject, const json_t *comment, const char *action)
{
    const json_t *about = comment ? comment : subject;
    static const char *const later[] = {"updated_at", "submitted_at", "created_at"};
    static const char *const first[] = {"created_at", "updated_at"};
    bool opened = !strcmp(action, "opened");
    const char *const *paths = opened ? first : later;
    int64_t ms = 0;
    for (size_t i = 0; !ms && i < (opened ? 2 : 3); i++)
        ms = time_at(about, paths[i]);
    return ms;
}

static int read_labels(const json_t *labels, struct event *event, struct error *err)
{
    size_t count = json_array_size(labels);
    event->labels = calloc(count + 1, sizeof *event->labels);
    if (!event->labels)
        return error_set(err, ERROR_INTERNAL, "out of memory for %zu labels", count);
    for (size_t i = 0; i < count; i++) {
        event->labels[i] = copy(json_array_get(labels, i), "name");
        if (!event->labels[i])
            return error_set(err, ERROR_INTERNAL, "out of memory for a label");
        event->label_count++;
    }
    return 0;
}

/* What every event has: who, where, what. Fields that a server may leave out are "" or 0. */
static void read_common(const json_t *payload, struct event *event)
{
    const char *owner = event->kind == EVENT_INSTALLATION ? "installation.account.login" : "repository.owner.login";
    event->action = copy(payload, "action");
    event->repo.owner = copy(payload, owner);
    event->repo.name = copy(payload, "repository.name");
    event->repo.installation = json_int_at(payload, "installation.id", 0);
    event->default_branch = copy(payload, "repository.default_branch");
    event->sender = copy(payload, "sender.login");
    event->sender_is_bot = is_bot(json_at(payload, "sender"));
    event->label = copy(payload, "label.name");
}

static void read_subject(const json_t *subject, struct event *event)
{
    event->number = json_int_at(subject, "number", 0);
    event->on_pull = event->kind != EVENT_ISSUE && event->kind != EVENT_ISSUE_COMMENT;
    if (json_is_object(json_at(subject, "pull_request")))
        event->on_pull = true;
    event->open = !strcmp(json_text_at(subject, "state", ""), "open");
    event->title = copy(subject, "title");
    event->body = copy(subject, "body");
    event->author = copy(subject, "user.login");
}

static void read_comment(const json_t *comment, struct event *event)
{
    json_int_t line = json_int_at(comment, "line", 0);
    event->comment_id = json_int_at(comment, "id", 0);
    event->comment_body = copy(comment, "body");
    event->comment_author = copy(comment, "user.login");
    event->comment_author_is_bot = is_bot(json_at(comment, "user"));
    event->comment_path = copy(comment, "path");
    event->comment_line = line ? line : json_int_at(comment, "original_line", 0);
    event->in_reply_to = json_int_at(comment, "in_reply_to_id", 0);
}

/* The fields without which the event cannot be acted on. */
static int check_needed(const struct shape *shape, const struct event *event, struct error *err)
{
    const struct {
        bool missing;
        const char *object, *field;
    } needed[] = {
        {shape->subject && !*event->repo.owner, "repository", "owner.login"},
        {shape->subject && !*event->repo.name, "repository", "name"},
        {shape->subject && !*event->action, "payload", "action"},
        {shape->subject && !*event->sender, "sender", "login"},
        {shape->subject && event->number <= 0, shape->subject, "number"},
        {shape->comment && event->comment_id <= 0, shape->comment, "id"},
        {shape->comment && !*event->comment_author, shape->comment, "user.login"},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (needed[i].missing)
            return error_set(err, ERROR_INPUT, "%s payload: %s.%s is missing or of the wrong type", shape->name,
                             needed[i].object, needed[i].field);
    return 0;
}

static bool has_all_texts(const struct event *event)
{
    return event->action && event->repo.owner && event->repo.name && event->default_branch && event->sender &&
           event->title && event->body && event->author && event->label && event->comment_body &&
           event->comment_author && event->comment_path;
}

static int read_known(const struct shape *shape, const json_t *payload, struct event *event, struct error *err)
{
    const json_t *subject = shape->subject ? json_at(payload, shape->subject) : NULL;
    const json_t *comment = shape->comment ? json_at(payload, shape->comment) : NULL;
    event->kind = shape->kind;
    read_common(payload, event);
    read_subject(subject, event);
    read_comment(comment, event);
    if (!has_all_texts(event))
        return error_set(err, ERROR_INTERNAL, "out of memory for a %s payload", shape->name);
    if (!shape->subject)
        event->on_pull = false;
    event->happened_ms = happened(subject, comment, event->action);
    if (read_labels(json_at(subject, "labels"), event, err) < 0)
        return -1;
    return check_needed(shape, event, err);
}

int event_read(const char *name, const json_t *payload, struct event *out, struct error *err)
{
    static const struct shape other = {"other", EVENT_OTHER, NULL, NULL};
    const struct shape *shape = find_shape(name);
    if (!json_is_object(payload))
        return error_set(err, ERROR_INPUT, "%s payload: not a JSON object", shape ? name : "unknown");
    struct event event = {0};
    if (read_known(shape ? shape : &other, payload, &event, err) < 0) {
        event_release(&event);
        return -1;
    }
    *out = event;
    return 0;
}

void event_release(struct event *event)
{
    for (size_t i = 0; i < event->label_count; i++)
        free(event->labels[i]);
    free(event->labels);
    free(event->action);
    forge_repo_release(&event->repo);
    free(event->default_branch);
    free(event->sender);
    free(event->title);
    free(event->body);
    free(event->author);
    free(event->label);
    free(event->comment_body);
    free(event->comment_author);
    free(event->comment_path);
    *event = (struct event){0};
}
