/* The commands that people write in comments: one visible table of command, handler and help. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include <stdbool.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/comment.h"
#include "app/trigger.h"

/* True for a command's name, and for a word that is a typo of one. In lower case, without the slash. */
bool command_begins(const char *word);

/* Obeys the commands of the event's comment in order, after asking the forge whether its author may; answers in one
 * comment. *found is false when the comment holds no command. `note` gets a few words for the delivery's record. */
int command_obey(const struct trigger *trigger, bool *found, struct buf *note, struct error *err);

#endif
