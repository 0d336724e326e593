/* What is let go of after a time, so that an installation that runs for years does not fill its disk: `retention` of
 * the configuration.
 *
 * Rows go in small batches with pauses between, so that the receiver's transactions come in between. Nothing goes that
 * a waiting or running job needs, or an ended one whose pull request is open. What dead runs have left (groups,
 * folders) is swept first. Safe to run at any time, on several machines at once.
 */
#ifndef APP_HOUSEKEEPING_H
#define APP_HOUSEKEEPING_H

#include <jansson.h>
#include <stdbool.h>

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/config.h"
#include "app/store.h"

/* All is borrowed. */
struct housekeeping {
    const struct config *config;
    struct store *store;
    const struct log *log;
    bool (*stopped)(void *context); /* asked between two batches; true ends it with ERROR_CANCELLED */
    void *stop_context;
};

/* *report: how many of each went: {deliveries, lost_deliveries, snapshots, artifacts, eval_results, eval_runs, mirrors,
 * mirror_bytes}. Owned by the caller. */
int housekeeping_run(const struct housekeeping *keeping, json_t **report, struct error *err);

#endif
