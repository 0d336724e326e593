#include "app/housekeeping.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/mirrors.h"
#include "sandbox/sandbox.h"

enum {
    BATCH = 100,    /* rows in one transaction */
    PAUSE_MS = 20,  /* after a full one at least, and as long as it took: others write meanwhile */
    NAME_PARTS = 3, /* of a mirror: forge/owner/name.git */
};

static int check_stopped(const struct housekeeping *keeping, struct error *err)
{
    bool stopped = keeping->stopped && keeping->stopped(keeping->stop_context);
    return stopped ? error_set(err, ERROR_CANCELLED, "asked to stop") : 0;
}

/* ---- the store ---- */

static int forget(const struct housekeeping *keeping, enum store_part part, int64_t kept_ms, int64_t *gone,
                  struct error *err)
{
    int64_t before_ms = store_now_ms(keeping->store) - kept_ms;
    size_t count = BATCH;
    *gone = 0;
    while (kept_ms && count == BATCH) {
        int64_t began_ms = clock_monotonic_ms();
        if (check_stopped(keeping, err) < 0 || store_forget(keeping->store, part, before_ms, BATCH, &count, err) < 0)
            return -1;
        int64_t took_ms = clock_monotonic_ms() - began_ms;
        *gone += (int64_t)count;
        if (count == BATCH)
            clock_sleep_ms(took_ms > PAUSE_MS ? took_ms : PAUSE_MS);
    }
    return 0;
}

static int tidy_store(const struct housekeeping *keeping, json_t *report, struct error *err)
{
    const struct retention_config *kept = &keeping->config->retention;
    const struct {
        enum store_part part;
        int64_t kept_ms;
        const char *name;
    } parts[] = {
        {STORE_DELIVERIES, kept->deliveries_ms, "deliveries"},
        {STORE_LOST_DELIVERIES, kept->journal_ms, "lost_deliveries"},
        {STORE_SNAPSHOTS, kept->journal_ms, "snapshots"},
        {STORE_ARTIFACTS, kept->artifacts_ms, "artifacts"},
        {STORE_EVAL_RESULTS, kept->evaluations_ms, "eval_results"},
        {STORE_EVAL_RUNS, kept->evaluations_ms, "eval_runs"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int64_t gone;
        if (forget(keeping, parts[i].part, parts[i].kept_ms, &gone, err) < 0)
            return -1;
        json_object_set_new(report, parts[i].name, json_integer(gone));
    }
    return 0;
}

/* ---- mirrors ---- */

/* A mirror of no job (`assay run` with an address) is nobody's. */
static int is_needed(const struct housekeeping *keeping, const char *name, bool *needed, struct error *err)
{
    AUTO_FREE char *copy = strdup(name);
    char *parts[NAME_PARTS] = {copy};
    size_t count = 1;
    *needed = false;
    if (!copy)
        return error_set(err, ERROR_INTERNAL, "out of memory for mirrors");
    for (char *at = copy; (at = strchr(at, '/')) && count < NAME_PARTS; parts[count++] = at)
        *at++ = '\0';
    char *end = count == NAME_PARTS ? strrchr(parts[2], '.') : NULL;
    if (!end)
        return 0;
    *end = '\0'; /* ".git" */
    return store_repository_in_use(keeping->store, parts[0], parts[1], parts[2], needed, err);
}

struct removal {
    int64_t count, bytes;
};

static int remove_one(const struct housekeeping *keeping, const struct mirror_place *mirror, struct removal *removal,
                      struct error *err)
{
    bool needed;
    bool removed = false;
    if (check_stopped(keeping, err) < 0 || is_needed(keeping, mirror->name, &needed, err) < 0)
        return -1;
    if (needed)
        return 0;
    if (mirror_remove(mirror, &removed, err) < 0)
        return -1;
    removal->count += removed;
    removal->bytes += removed ? mirror->bytes : 0;
    return 0;
}

static int remove_mirrors(const struct housekeeping *keeping, const struct mirror_place *mirrors, size_t count,
                          struct removal *removal, struct error *err)
{
    const struct retention_config *kept = &keeping->config->retention;
    int64_t oldest_ms = kept->mirrors_ms ? clock_wall_ms() - kept->mirrors_ms : 0;
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += mirrors[i].bytes;
    for (size_t i = 0; i < count; i++) { /* the longest unused first */
        bool too_much = kept->mirrors_size && total - removal->bytes > kept->mirrors_size;
        if ((mirrors[i].used_ms < oldest_ms || too_much) && remove_one(keeping, &mirrors[i], removal, err) < 0)
            return -1;
    }
    if (kept->mirrors_size && total - removal->bytes > kept->mirrors_size)
        log_warn(keeping->log, "the git mirrors that jobs need take more than retention.mirrors_size");
    return 0;
}

static int tidy_mirrors(const struct housekeeping *keeping, json_t *report, struct error *err)
{
    struct mirror_place *mirrors = NULL;
    size_t count = 0;
    struct removal removal = {0};
    if (mirrors_list(keeping->config->state_dir, &mirrors, &count, err) < 0)
        return -1;
    int status = remove_mirrors(keeping, mirrors, count, &removal, err);
    mirrors_free(mirrors, count);
    json_object_set_new(report, "mirrors", json_integer(removal.count));
    json_object_set_new(report, "mirror_bytes", json_integer(removal.bytes));
    return status;
}

/* ---- dead runs ---- */

/* Opening it does that; where no sandbox can be had there are none. */
static void sweep_runs(const struct housekeeping *keeping)
{
    struct error err = {0};
    struct sandbox *sandbox = sandbox_new(&keeping->config->sandbox, keeping->config->state_dir, NULL, &err);
    if (!sandbox)
        log_warn(keeping->log, "what dead runs have left stays: %s", err.message);
    sandbox_free(sandbox);
}

int housekeeping_run(const struct housekeeping *keeping, json_t **report, struct error *err)
{
    json_auto_t *counts = json_object();
    if (!counts)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    sweep_runs(keeping);
    if (tidy_store(keeping, counts, err) < 0 || tidy_mirrors(keeping, counts, err) < 0)
        return error_wrap(err, "tidy");
    *report = STEAL(counts);
    return 0;
}
