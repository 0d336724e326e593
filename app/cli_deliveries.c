/* assay deliveries: what the forges have sent, what became of it, and another try for what came to nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/store.h"
#include "app/table.h"

static void add_table_row(struct table *table, const struct delivery_row *row)
{
    char tries[16];
    char received[CLOCK_TEXT_SIZE];
    bool lost = strcmp(row->state, "dead") == 0 || strncmp(row->note, "failed:", strlen("failed:")) == 0;
    const enum tone tones[] = {TONE_PLAIN, lost ? TONE_BAD : TONE_PLAIN, TONE_PLAIN, TONE_FAINT, TONE_FAINT,
                               TONE_PLAIN};
    snprintf(tries, sizeof tries, "%d", row->attempts);
    const char *const cells[] = {row->id,  row->state, row->event, tries, clock_rfc3339(row->received_ms, received),
                                 row->note};
    table_row(table, cells, tones);
}

static void print_table(const struct delivery_row *rows, size_t count)
{
    static const char *const titles[] = {"ID", "STATE", "EVENT", "TRIES", "RECEIVED", "NOTE"};
    struct screen screen = screen_of(stdout);
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; table && i < count; i++)
        add_table_row(table, &rows[i]);
    if (table)
        table_print(table, &screen, stdout);
    if (!count && screen.terminal)
        printf("There are no such deliveries.\n");
    table_free(table);
}

static json_t *time_json(int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    return ms ? json_string(clock_rfc3339(ms, text)) : json_null();
}

static json_t *row_json_view(const struct delivery_row *row)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "forge", row->forge, "id", row->id, "event",
                     row->event, "state", row->state, "tries", row->attempts, "received", time_json(row->received_ms),
                     "due", time_json(row->due_ms), "ended", time_json(row->ended_ms), "note",
                     json_from_text(row->note, strlen(row->note)));
}

static int print_rows(const struct delivery_row *rows, size_t count, bool json, struct error *err)
{
    if (!json) {
        print_table(rows, count);
        return 0;
    }
    json_auto_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, row_json_view(&rows[i]));
    return cli_print_json(list, stdout, err);
}

static int list(struct store *store, const struct delivery_filter *filter, bool json, struct error *err)
{
    struct delivery_row *rows = NULL;
    size_t count = 0;
    if (store_deliveries(store, filter, &rows, &count, err) < 0)
        return -1;
    int status = print_rows(rows, count, json, err);
    delivery_rows_free(rows, count);
    return status;
}

static int make_filter(const char *limit, struct delivery_filter *filter, struct error *err)
{
    static const char *const states[] = {"waiting", "taken", "done", "dead"};
    bool known = !filter->state;
    char *end = NULL;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        known = known || strcmp(filter->state, states[i]) == 0;
    if (!known)
        return error_set(err, ERROR_USAGE, "deliveries: there is no state %s; see `assay deliveries --help`",
                         filter->state);
    if (!limit)
        return 0;
    errno = 0;
    long long number = strtoll(limit, &end, 10);
    if (errno || end == limit || *end || number < 1)
        return error_set(err, ERROR_USAGE, "deliveries: --limit %s is not a number of deliveries", limit);
    filter->limit = (size_t)number;
    return 0;
}

static int try_again(struct store *store, const char *id, struct error *err)
{
    if (store_delivery_retry(store, id, err) < 0)
        return -1;
    printf("delivery %s waits to be dispatched again\n", id);
    return 0;
}

int cli_deliveries(int argc, char **argv, struct error *err)
{
    bool json = false;
    const char *config_path = NULL;
    const char *limit = NULL;
    const char *retry = NULL;
    struct delivery_filter filter = {0};
    const struct cli_option options[] = {
        {"config", NULL, &config_path},
        {"dead", &filter.lost, NULL},
        {"state", NULL, &filter.state},
        {"limit", NULL, &limit},
        {"retry", NULL, &retry},
        {"json", &json, NULL},
        {0},
    };
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_options(argc, argv, options, NULL, 0, err) < 0 || make_filter(limit, &filter, err) < 0)
        return -1;
    struct config config;
    if (config_load(config_path, 0, &config, err) < 0)
        return -1;
    struct store *store = store_open(config.database, err);
    int status = !store ? -1 : retry ? try_again(store, retry, err) : list(store, &filter, json, err);
    store_close(store);
    config_release(&config);
    return status;
}
