/* The SQL under templates/sql/, as named statements and migrations: statements that every back end understands lie
 * there, those of one in its folder below. */
#include <stdlib.h>
#include <string.h>

#include "app/store_internal.h"

static const char mark[] = "-- name: ";

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The next line that begins a statement, or NULL. */
static const char *next_mark(const char *text)
{
    for (const char *at = text; (at = strstr(at, mark)); at++)
        if (at == text || at[-1] == '\n')
            return at;
    return NULL;
}

static int add_statement(struct store *store, const char *at, const char *end, struct error *err)
{
    const char *name = at + strlen(mark);
    size_t name_len = strcspn(name, " \r\n");
    struct sql_statement *grown =
        reallocarray(store->statements, store->statement_count + 1, sizeof *store->statements);
    if (!grown)
        return sql_out_of_memory(err);
    store->statements = grown;
    struct sql_statement *statement = &grown[store->statement_count];
    *statement = (struct sql_statement){.name = strndup(name, name_len), .text = name + name_len};
    statement->len = (size_t)(end - statement->text);
    if (!statement->name)
        return sql_out_of_memory(err);
    store->statement_count++;
    return 0;
}

static int add_file(struct store *store, const struct template_file *file, struct error *err)
{
    for (const char *at = next_mark(file->data); at;) {
        const char *next = next_mark(at + strlen(mark));
        if (add_statement(store, at, next ? next : file->data + file->len, err) < 0)
            return -1;
        at = next;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sql_statement *)a)->name, ((const struct sql_statement *)b)->name);
}

static int add_folder(struct store *store, const char *folder, struct error *err)
{
    size_t count = 0;
    const struct template_file *files = template_files(&count);
    for (size_t i = 0; i < count; i++)
        if (starts_with(files[i].path, folder) && !strchr(files[i].path + strlen(folder), '/') &&
            add_file(store, &files[i], err) < 0)
            return -1;
    return 0;
}

int sql_statements_load(struct store *store, const char *backend, struct error *err)
{
    AUTO_FREE char *own = text_format("sql/%s/", backend);
    if (!own)
        return sql_out_of_memory(err);
    if (add_folder(store, "sql/", err) < 0 || add_folder(store, own, err) < 0)
        return -1;
    if (store->statement_count)
        qsort(store->statements, store->statement_count, sizeof *store->statements, by_name);
    for (size_t i = 1; i < store->statement_count; i++)
        if (by_name(&store->statements[i - 1], &store->statements[i]) == 0)
            return error_set(err, ERROR_INTERNAL, "templates/sql has two statements %s for %s",
                             store->statements[i].name, backend);
    return 0;
}

void sql_statements_free(struct store *store)
{
    for (size_t i = 0; i < store->statement_count; i++)
        free(store->statements[i].name);
    free(store->statements);
    store->statements = NULL;
    store->statement_count = 0;
}

const struct template_file *sql_migration(const char *backend, int64_t version)
{
    size_t count = 0;
    const struct template_file *files = template_files(&count);
    AUTO_FREE char *start = text_format("sql/%s/migrations/%03lld_", backend, (long long)version);
    for (size_t i = 0; start && i < count; i++)
        if (starts_with(files[i].path, start))
            return &files[i];
    return NULL;
}
