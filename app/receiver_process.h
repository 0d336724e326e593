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

/* The same as the main() of a program that does nothing else, for one kind of database (app/main_receiver_*.c). It is
 * linked with what that needs alone, so the process that the world can reach starts sooner, is smaller, and has no Git,
 * HTTP client, YAML or XML in it. Returns the exit status. */
int receiver_main(void);

#endif
