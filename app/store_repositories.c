/* The repositories that were heard of, and pull requests of ours that may be open. */
#include <stdlib.h>
#include <string.h>

#include "app/store_internal.h"

#define IDENTITY(forge_, owner_, name_) sql_text("forge", forge_), sql_text("owner", owner_), sql_text("name", name_)

static int read_installation(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "installation");
    return 0;
}

int store_repository_note(struct store *store, const char *forge, const char *owner, const char *name,
                          int64_t installation, struct error *err)
{
    int64_t known = 0;
    int64_t rows = sql_run(store, "repository_get", SQL_PARAMS(IDENTITY(forge, owner, name)),
                           &(struct sql_reader){read_installation, &known}, err);
    if (rows > 0 && known == installation)
        return 0;
    int status = rows < 0 ? -1 : sql_begin(store, err);
    if (status == 0 && sql_run(store, "repository_note",
                               SQL_PARAMS(IDENTITY(forge, owner, name), sql_int("installation", installation),
                                          sql_int("now", store_now_ms(store))),
                               NULL, err) < 0)
        status = -1;
    if (rows < 0 || sql_end(store, status, err) < 0)
        return error_wrap(err, "note %s/%s", owner, name);
    return 0;
}

int store_repository_gone(struct store *store, const char *forge, const char *owner, const char *name,
                          struct error *err)
{
    int status = sql_begin(store, err);
    if (status == 0 && sql_run(store, "repository_gone", SQL_PARAMS(IDENTITY(forge, owner, name)), NULL, err) < 0)
        status = -1;
    return sql_end(store, status, err) < 0 ? error_wrap(err, "forget %s/%s", owner, name) : 0;
}

void repository_rows_free(struct repository_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(rows[i].forge);
        free(rows[i].owner);
        free(rows[i].name);
    }
    free(rows);
}

struct list {
    struct repository_row *rows;
    size_t count;
};

static int add_row(void *context, const struct sql_row *row, struct error *err)
{
    struct list *list = context;
    struct repository_row *grown = reallocarray(list->rows, list->count + 1, sizeof *grown);
    if (!grown)
        return sql_out_of_memory(err);
    list->rows = grown;
    struct repository_row *added = &grown[list->count++];
    *added = (struct repository_row){
        .forge = row_text(row, "forge"),
        .owner = row_text(row, "owner"),
        .name = row_text(row, "name"),
        .installation = row_int(row, "installation"),
        .heard_ms = row_int(row, "heard_ms"),
        .installed_ms = row_int(row, "installed_ms"),
        .seen_ms = row_int(row, "seen_ms"),
    };
    return added->forge && added->owner && added->name ? 0 : sql_out_of_memory(err);
}

int store_repositories(struct store *store, const char *forge, int64_t before_ms, size_t limit,
                       struct repository_row **out, size_t *count, struct error *err)
{
    struct list list = {0};
    if (sql_run(store, "repository_list",
                SQL_PARAMS(sql_text("forge", forge), sql_int("before", before_ms), sql_int("limit", (int64_t)limit)),
                &(struct sql_reader){add_row, &list}, err) < 0) {
        repository_rows_free(list.rows, list.count);
        return error_wrap(err, "list the repositories");
    }
    *out = list.rows;
    *count = list.count;
    return 0;
}

int store_repository_seen(struct store *store, const struct repository_row *row, struct error *err)
{
    int status = sql_begin(store, err);
    if (status == 0 && sql_run(store, "repository_seen",
                               SQL_PARAMS(IDENTITY(row->forge, row->owner, row->name), sql_int("seen_ms", row->seen_ms),
                                          sql_int("installed_ms", row->installed_ms)),
                               NULL, err) < 0)
        status = -1;
    return sql_end(store, status, err) < 0 ? error_wrap(err, "note the look at %s/%s", row->owner, row->name) : 0;
}

/* ---- pull requests ---- */

struct pulls {
    struct open_pull *items;
    size_t count;
};

static int add_pull(void *context, const struct sql_row *row, struct error *err)
{
    struct pulls *pulls = context;
    struct open_pull *grown = reallocarray(pulls->items, pulls->count + 1, sizeof *grown);
    if (!grown)
        return sql_out_of_memory(err);
    pulls->items = grown;
    grown[pulls->count++] = (struct open_pull){row_int(row, "job"), row_int(row, "number")};
    return 0;
}

int store_open_pulls(struct store *store, const char *forge, const char *owner, const char *repo, int64_t number,
                     struct open_pull **out, size_t *count, struct error *err)
{
    struct pulls pulls = {0};
    if (sql_run(store, "open_pulls",
                SQL_PARAMS(sql_text("forge", forge), sql_text("owner", owner), sql_text("repo", repo),
                           sql_int("number", number)),
                &(struct sql_reader){add_pull, &pulls}, err) < 0) {
        free(pulls.items);
        return error_wrap(err, "list the pull requests of %s/%s", owner, repo);
    }
    *out = pulls.items;
    *count = pulls.count;
    return 0;
}
