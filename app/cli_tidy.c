/* assay tidy: removes what `retention` lets go of. The worker starts it every hour. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "app/base/json.h"
#include "app/cli.h"
#include "app/housekeeping.h"
#include "app/stop.h"

static bool is_stopped(void *context)
{
    return stop_wait(context, 0);
}

/* "3 deliveries, 1 mirrors", or nothing when nothing went. Heap. */
static char *describe(const json_t *report)
{
    AUTO_BUF struct buf line = BUF_INIT(KiB(1));
    const char *name;
    const json_t *count;
    buf_puts(&line, "");
    json_object_foreach ((json_t *)report, name, count) {
        if (json_integer_value(count) && strcmp(name, "mirror_bytes") != 0)
            buf_printf(&line, "%s%lld %s", line.len ? ", " : "", (long long)json_integer_value(count), name);
    }
    return strdup(buf_text(&line));
}

static int tidy(const struct housekeeping *keeping, bool json, struct error *err)
{
    json_auto_t *report = NULL;
    if (housekeeping_run(keeping, &report, err) < 0)
        return -1;
    AUTO_FREE char *line = describe(report);
    if (line && *line)
        log_info(keeping->log, "removed %s", line);
    return json ? cli_print_json(report, stdout, err) : 0;
}

int cli_tidy(int argc, char **argv, struct error *err)
{
    bool json = false;
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_and_json(argc, argv, &config_path, &json, err) < 0)
        return -1;
    struct config config;
    struct stop stop = {.fd = -1};
    if (config_load(config_path, 0, &config, err) < 0)
        return -1;
    setpriority(PRIO_PROCESS, 0, 10); /* nobody waits for it */
    struct log log = log_open("tidy");
    struct store *store = store_open(config.database, err);
    int status = store ? stop_watch(&stop, err) : -1;
    const struct housekeeping keeping = {
        .config = &config, .store = store, .log = &log, .stopped = is_stopped, .stop_context = &stop};
    if (status == 0)
        status = tidy(&keeping, json, err);
    stop_release(&stop);
    store_close(store);
    config_release(&config);
    return status;
}
