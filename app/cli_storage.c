/* assay storage: what takes how much room. */
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/storage.h"
#include "app/table.h"

static void add_rows(struct table *table, const char *place, const json_t *parts)
{
    const char *name;
    const json_t *part;
    json_object_foreach ((json_t *)parts, name, part) {
        AUTO_FREE char *mib = text_format("%.1f", (double)json_int_at(part, "bytes", 0) / (1 << 20));
        AUTO_FREE char *count =
            json_int_at(part, "count", 0) ? text_format("%lld", (long long)json_int_at(part, "count", 0)) : strdup("");
        const char *const cells[] = {place, name, mib ? mib : "", count ? count : ""};
        table_row(table, cells, NULL);
    }
}

static void print_table(const json_t *whole)
{
    static const char *const titles[] = {"WHERE", "WHAT", "MIB", "COUNT"};
    struct screen screen = screen_of(stdout);
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    if (!table)
        return;
    add_rows(table, "database", json_object_get(whole, "database"));
    add_rows(table, "state_dir", json_object_get(whole, "state_dir"));
    table_print(table, &screen, stdout);
    table_free(table);
}

int cli_storage(int argc, char **argv, struct error *err)
{
    bool json = false;
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_and_json(argc, argv, &config_path, &json, err) < 0)
        return -1;
    struct config config;
    if (config_load(config_path, 0, &config, err) < 0)
        return -1;
    json_auto_t *whole = storage_measure(&config, err);
    int status = !whole ? -1 : json ? cli_print_json(whole, stdout, err) : 0;
    if (whole && !json)
        print_table(whole);
    config_release(&config);
    return status;
}
