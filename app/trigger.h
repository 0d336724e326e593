/* What a person did on the forge, with all that is needed to act on it: ask whether they may, add a job, answer. */
#ifndef APP_TRIGGER_H
#define APP_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/base/log.h"
#include "app/config.h"
#include "app/effect.h"
#include "app/store.h"
#include "forge/event.h"
#include "forge/forge.h"

/* Everything is borrowed. */
struct trigger {
    const struct config *config;
    struct store *store;
    struct forge *forge;
    const char *forge_name;
    const struct event *event;
    int64_t sender_id; /* the forge's number for the sender, 0 when unknown */
    const char *delivery;
    int64_t received_ms;
    const char
        *as_of; /* when the texts were read, of an event that was found afterwards; NULL: a webhook brought them */
    const struct log *log;
};

/* For what the event leads to on the forge; borrows from the trigger. */
struct effects trigger_effects(const struct trigger *trigger);

/* True when the sender may write to the repository, by what the forge says now. */
int trigger_is_permitted(const struct trigger *trigger, bool *permitted, struct error *err);

/* True when Assay itself wrote the event's comment. All that it writes carries a marker: with a person's token (in
 * place of an App) that person can still be obeyed. */
int trigger_is_ours(const struct trigger *trigger, bool *ours, struct error *err);

/* True when another delivery has told of the event's comment, and something was done because of it. */
int trigger_is_handled(const struct trigger *trigger, bool *handled, struct error *err);

/* The eyes: seen. What the forge says to it is logged, never an error. */
void trigger_acknowledge(const struct trigger *trigger);

/* Adds a job for the event's issue as it was at that moment. `cause`: "label", "/generate"; `text`: what the comment
 * adds, or "". The rest as for store_job_add(). */
int trigger_add_job(const struct trigger *trigger, const char *kind, const char *key, const char *cause,
                    const char *text, int64_t *id, bool *fresh, struct error *err);

/* Adds a line to the answer for each job that the new one has taken the place of; what those were to show says so. */
int trigger_tell_replaced(const struct trigger *trigger, int64_t id, struct buf *answer, struct error *err);

/* The progress comment of a job that was cancelled while it waited: no process of its own can say so. */
void trigger_show_cancelled(const struct trigger *trigger, const struct job *job);

/* The jobs of the event's issue or pull request, in any state; narrowed by the caller. Texts are the event's. */
struct job_filter trigger_jobs(const struct trigger *trigger);

/* The newest job of the event's issue; on a pull request the job that published it. *found false when there is none. */
int trigger_find_job(const struct trigger *trigger, struct job *job, bool *found, struct error *err);

/* Answers on the event's issue; `to` names what is answered ("12345": a comment's id), so that it is answered once. */
int trigger_answer(const struct trigger *trigger, const char *to, const char *body, struct error *err);

/* One polite line to somebody without permission, once for each `to`. */
int trigger_refuse(const struct trigger *trigger, const char *to, struct error *err);

/* True when "comment:12345" or another source was already worked into an array of {source, …}: a delivery that comes
 * again must not count twice. */
bool trigger_is_known(const json_t *array, const char *source);

#endif
