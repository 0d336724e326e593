#include "app/storage.h"

#include <stdlib.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/mirrors.h"
#include "app/store.h"

static int add_mirrors(const struct config *config, json_t *folders, struct error *err)
{
    struct mirror_place *mirrors = NULL;
    size_t count = 0;
    json_int_t bytes = 0;
    if (mirrors_list(config->state_dir, &mirrors, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        bytes += mirrors[i].bytes;
    mirrors_free(mirrors, count);
    json_object_set_new(folders, "mirrors", json_pack("{s:I, s:I}", "count", (json_int_t)count, "bytes", bytes));
    return 0;
}

json_t *storage_measure(const struct config *config, struct error *err)
{
    static const char *const names[] = {"work", "sandbox", "tools"};
    json_auto_t *folders = json_object();
    struct store *store = store_open(config->database, err);
    json_auto_t *database = store ? store_sizes(store, err) : NULL;
    store_close(store);
    if (!database || add_mirrors(config, folders, err) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        AUTO_FREE char *path = text_format("%s/%s", config->state_dir, names[i]);
        if (path)
            json_object_set_new(folders, names[i], json_pack("{s:I}", "bytes", (json_int_t)fs_disk_usage(path)));
    }
    json_t *whole = json_pack("{s:O, s:O}", "database", database, "state_dir", folders);
    if (!whole)
        error_set(err, ERROR_INTERNAL, "out of memory");
    return whole;
}
