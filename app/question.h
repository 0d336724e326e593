/* A job that has asked: the questions as a comment with boxes, and the answers on their way back into the request.
 *
 * A reply or a ticked box sends the job on. While some questions have no tick yet the others are waited for, a little:
 * people tick one box after the other, and each tick is an event of its own.
 */
#ifndef APP_QUESTION_H
#define APP_QUESTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/trigger.h"

enum { QUESTION_PATIENCE_MS = 15 * 1000, QUESTIONS_MAX = 3 };

/* The event is a new comment without a command: the answer, when a job here has asked and the person may say. */
int question_take_reply(const struct trigger *trigger, struct buf *note, struct error *err);

/* The event is an edit of a comment of ours. *again_ms is set when it should be looked at again at that time. */
int question_take_ticks(const struct trigger *trigger, int64_t *again_ms, struct buf *note, struct error *err);

/* What the ticks of a comment's body say about these questions ([{question, options[]}], in the comment's order): one
 * line for each question with a tick. *complete: every question with options has one. Heap; "" when nothing is ticked.
 */
char *question_read_ticks(const json_t *questions, const char *body, bool *complete, struct error *err);

/* The body that is given to the pipeline: what was asked for, and all answers so far. Heap. */
char *question_request_text(const json_t *request, struct error *err);

#endif
