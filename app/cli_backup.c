/* assay backup: a copy of the SQLite store while it is in use. */
#include <stdio.h>
#include <string.h>

#include "app/cli.h"
#include "app/config.h"
#include "app/store.h"

int cli_backup(int argc, char **argv, struct error *err)
{
    const char *config_path = NULL;
    const char *file = NULL;
    const struct cli_option options[] = {{"config", NULL, &config_path}, {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_options(argc, argv, options, &file, 1, err) < 0)
        return -1;
    struct config config;
    if (config_load(config_path, 0, &config, err) < 0)
        return -1;
    struct store *store = store_open(config.database, err);
    int status = store ? store_backup(store, file, err) : -1;
    if (status == 0)
        printf("%s: complete and checked\n", file);
    store_close(store);
    config_release(&config);
    return status;
}
