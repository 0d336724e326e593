/* What webhooks have not told us: found by asking the forge, at a start and on a schedule.
 *
 * Two looks. The list of deliveries says which of them failed or never came: those are asked for again, and read from
 * the list when that was in vain. Then the repositories that were heard of, each with a token for it alone: labels and
 * comments of which nothing has been heard, and pull requests of ours that were closed. What is
 * found becomes a delivery in the store like any other, so that all the rest (permission, one job for one request,
 * answers) is the dispatcher's, whichever way it came. One process of its own: it waits for a forge's limits and holds
 * nobody up.
 */
#ifndef APP_CATCH_UP_H
#define APP_CATCH_UP_H

#include <stdbool.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/config.h"
#include "app/store.h"
#include "forge/forge.h"

/* One forge to look at. All is borrowed. */
struct catch_up {
    const struct config *config;
    const struct forge_config *forge_config;
    struct forge *forge;
    struct store *store;
    const struct log *log;
    bool (*stopped)(void *context); /* between two calls: true ends the look with ERROR_CANCELLED */
    void *stop_context;
};

/* Looks at the list of deliveries when that is due, or `always`; *found: how many had not arrived. */
int catch_up_deliveries(const struct catch_up *catch_up, bool always, size_t *found, struct error *err);

/* Goes through the repositories when that is due, or `always`; *found: how many events were added. */
int catch_up_repositories(const struct catch_up *catch_up, bool always, size_t *found, struct error *err);

#endif
