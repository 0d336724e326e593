/* The addresses of PostgreSQL: what may stand in a configuration, and what libpq has made of it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/store_postgres.h"

static void free_options(PQconninfoOption **options)
{
    PQconninfoFree(*options);
}
#define AUTO_OPTIONS __attribute__((cleanup(free_options)))

static const char *option_of(const PQconninfoOption *options, const char *name)
{
    for (; options && options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val && *options->val ? options->val : NULL;
    return NULL;
}

int postgres_check(const char *url, struct error *err)
{
    char *problem = NULL;
    AUTO_OPTIONS PQconninfoOption *options = PQconninfoParse(url, &problem);
    PQfreemem(problem); /* it may quote the password */
    if (!options)
        return error_set(err, ERROR_CONFIG, "the address cannot be read; write postgresql://USER@HOST:PORT/NAME");
    if (option_of(options, "password") || option_of(options, "sslpassword"))
        return error_set(err, ERROR_CONFIG,
                         "a password does not belong into a configuration; put it into a password file "
                         "(postgresql://USER@HOST/NAME?passfile=/etc/assay/pgpass, or ~/.pgpass) or PGPASSWORD");
    return 0;
}

static void add_option(struct buf *url, const char *name, const char *value)
{
    buf_printf(url, "%s%s=", strchr(buf_text(url), '?') ? "&" : "?", name);
    for (; *value; value++)
        buf_printf(url, isalnum((unsigned char)*value) ? "%c" : "%%%02X", (unsigned char)*value);
}

char *postgres_whole_url(const struct store *store, struct error *err)
{
    /* Found already, or of no use to somebody without files. */
    static const char *const left_out[] = {"password", "passfile", "service"};
    const struct postgres *postgres = postgres_of(store);
    if (!postgres->link) {
        error_set(err, ERROR_STORE, "database %s: not connected", postgres->place);
        error_retry(err, 0);
        return NULL;
    }
    AUTO_OPTIONS PQconninfoOption *options = PQconninfo(postgres->link);
    AUTO_BUF struct buf url = BUF_INIT(KiB(16));
    buf_puts(&url, "postgresql://");
    for (const PQconninfoOption *option = options; option && option->keyword; option++) {
        bool wanted = option->val && *option->val;
        for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
            wanted = wanted && strcmp(option->keyword, left_out[i]) != 0;
        if (wanted)
            add_option(&url, option->keyword, option->val);
    }
    const char *password = PQpass(postgres->link);
    if (password && *password)
        add_option(&url, "password", password);
    if (!options || buf_check(&url, "the database's address", err) < 0) {
        if (!options)
            sql_out_of_memory(err);
        return NULL;
    }
    return buf_steal(&url, NULL);
}

int postgres_needs(const struct store *store, struct store_needs *out, struct error *err)
{
    static const char *const names[] = {"sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir"};
    const struct postgres *postgres = postgres_of(store);
    AUTO_OPTIONS PQconninfoOption *options = PQconninfo(postgres->link);
    size_t count = 0;
    out->connects = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = option_of(options, names[i]);
        if (path && *path == '/' && !(out->files[count++] = strdup(path)))
            return sql_out_of_memory(err);
    }
    return options ? 0 : sql_out_of_memory(err);
}

/* Never the address itself: it may hold a password. */
char *postgres_place(const PGconn *link)
{
    const char *host = PQhost(link);
    if (!host || !*host || *host == '/')
        return text_format("%s in %s", PQdb(link), host && *host ? host : "this machine");
    return text_format("%s on %s:%s", PQdb(link), host, PQport(link));
}
