/* assay migrate: a running installation's data from one database to another, all of it or nothing. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/store.h"

struct migration {
    const char *from, *to, *config_path;
    bool in_use, json;
};

/* One line that is written over, for people who look. */
static void show_progress(void *context, const char *doing, const char *table, int64_t rows, int64_t total)
{
    (void)context;
    fprintf(stderr, "\r\033[K%s %s: %lld of %lld", doing, table, (long long)rows, (long long)total);
}

static int check_addresses(const struct migration *migration, struct error *err)
{
    if (!migration->to)
        return error_set(err, ERROR_USAGE, "migrate: --to is missing; see `assay migrate --help`");
    if (store_check_url(migration->from, err) < 0)
        return error_wrap(err, "--from");
    if (store_check_url(migration->to, err) < 0)
        return error_wrap(err, "--to");
    if (strcmp(migration->from, migration->to) == 0)
        return error_set(err, ERROR_USAGE, "migrate: both addresses are the same");
    return 0;
}

static int print_report(const struct migration *migration, json_t *tables, int64_t elapsed_ms, struct error *err)
{
    if (migration->json) {
        json_auto_t *whole = json_pack("{s:s, s:s, s:O, s:f}", "from", migration->from, "to", migration->to, "tables",
                                       tables, "seconds", (double)elapsed_ms / 1000);
        return cli_print_json(whole, stdout, err);
    }
    const json_t *table;
    size_t i;
    json_int_t rows = 0;
    json_array_foreach (tables, i, table) {
        rows += json_int_at(table, "rows", 0);
        printf("%-16s %lld\n", json_text_at(table, "table", ""), (long long)json_int_at(table, "rows", 0));
    }
    printf("%lld rows moved and compared in %.1f s. Write `database: %s` into the configuration, then start Assay.\n"
           "The old database is as it was: put it away, so that nobody works on it by mistake.\n",
           (long long)rows, (double)elapsed_ms / 1000, migration->to);
    return 0;
}

/* A file that is not there would be made, and nothing would be moved out of it. */
static struct store *open_source(const char *url, struct error *err)
{
    static const char file[] = "sqlite://";
    if (strncmp(url, file, strlen(file)) == 0 && !fs_exists(url + strlen(file))) {
        error_set(err, ERROR_NOT_FOUND, "--from: there is no %s", url + strlen(file));
        return NULL;
    }
    return store_open(url, err);
}

static int migrate(const struct migration *migration, struct error *err)
{
    bool terminal = isatty(STDERR_FILENO);
    const struct store_move how = {.in_use = migration->in_use, .progress = terminal ? show_progress : NULL};
    int64_t began_ms = clock_monotonic_ms();
    json_auto_t *tables = NULL;
    struct store *from = open_source(migration->from, err);
    struct store *to = from ? store_open(migration->to, err) : NULL;
    int status = to ? store_move(from, to, &how, &tables, err) : -1;
    if (terminal)
        fputs("\r\033[K", stderr);
    if (status == 0)
        status = print_report(migration, tables, clock_monotonic_ms() - began_ms, err);
    store_close(to);
    store_close(from);
    return status;
}

int cli_migrate(int argc, char **argv, struct error *err)
{
    struct migration migration = {0};
    struct config config = {0};
    const struct cli_option options[] = {
        {"from", NULL, &migration.from},          {"to", NULL, &migration.to},     {"in-use", &migration.in_use, NULL},
        {"config", NULL, &migration.config_path}, {"json", &migration.json, NULL}, {0},
    };
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_options(argc, argv, options, NULL, 0, err) < 0)
        return -1;
    if (!migration.from && config_load(migration.config_path, 0, &config, err) < 0)
        return -1;
    if (!migration.from)
        migration.from = config.database;
    int status = check_addresses(&migration, err) < 0 ? -1 : migrate(&migration, err);
    config_release(&config);
    return status;
}
