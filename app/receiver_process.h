/* The process that talks to the world. Started by `assay serve` with an empty environment, it is told on standard input
 * what it needs, which is no key but the webhook secrets and the database's own:
 *     {"socket": 3, "database": "sqlite:///…", "forges": [{"name": "github", "secret": "…"}]}
 * It writes the line "ready" to standard output when it answers, after it has given up all other rights.
 */
#ifndef APP_RECEIVER_PROCESS_H
#define APP_RECEIVER_PROCESS_H

#include "app/base/error.h"

/* Takes its orders and answers webhooks until it is told to stop. */
int receiver_process(struct error *err);

#endif
