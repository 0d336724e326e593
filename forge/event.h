/* A delivery's JSON as the few facts that Assay acts on. Everything here is outside text: data, never trusted. */
#ifndef FORGE_EVENT_H
#define FORGE_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/base/error.h"
#include "forge/forge.h"

enum event_kind {
    EVENT_OTHER, /* known and of no interest, or unknown */
    EVENT_PING,
    EVENT_ISSUE,          /* issues */
    EVENT_ISSUE_COMMENT,  /* issue_comment, on an issue or a pull request */
    EVENT_REVIEW_COMMENT, /* pull_request_review_comment */
    EVENT_REVIEW,         /* pull_request_review */
    EVENT_PULL,           /* pull_request */
    EVENT_INSTALLATION,   /* installation, installation_repositories */
};

/* Text fields are owned, never NULL ("" when absent) unless said otherwise. */
struct event {
    enum event_kind kind;
    char *action; /* "opened", "labeled", "created", "edited", … */
    struct forge_repo repo;
    char *default_branch;
    char *sender;       /* login of who did it */
    bool sender_is_bot; /* type Bot, or a login that ends in [bot] */
    int64_t number;     /* of the issue or pull request; 0 when there is none */
    bool on_pull;       /* `number` is a pull request */
    bool open;
    char *title, *body; /* of the issue or pull request as they were at that moment */
    char *author;       /* of the issue or pull request */
    char **labels;      /* on the issue now */
    size_t label_count;
    char *label;        /* the one added or removed, for labeled/unlabeled */
    int64_t comment_id; /* 0 when there is none */
    char *comment_body;
    char *comment_author;
    bool comment_author_is_bot;
    char *comment_path; /* review comment: file, and line below */
    int64_t comment_line;
    int64_t in_reply_to; /* review comment: the thread's first comment, or 0 */
    int64_t happened_ms; /* updated_at of what the event is about (created_at for opened); wall time; 0 when unknown */
};

/* Reads a payload for GitHub's event name (header X-GitHub-Event). Unknown events give EVENT_OTHER, not an error;
 * a known event that lacks a needed field is ERROR_INPUT naming it. */
int event_read(const char *name, const json_t *payload, struct event *out, struct error *err);
void event_release(struct event *event);

#endif
