/* What the catch-up remembers: how far it has looked, and what it has asked for. Old notes of no job go with it. */
#include "app/base/clock.h"
#include "app/store_internal.h"

/* Longer than any look goes back. */
static const int64_t kept_ms = (int64_t)90 * 24 * 60 * 60 * 1000;

struct number {
    const char *column;
    int64_t value;
};

static int read_number(void *context, const struct sql_row *row, struct error *err)
{
    struct number *number = context;
    (void)err;
    number->value = row_int(row, number->column);
    return 0;
}

static int forget(struct store *store, const struct catch_up_claim *wanted, struct error *err)
{
    int64_t before_ms = wanted->now_ms - kept_ms;
    if (sql_run(store, "missed_forget", SQL_PARAMS(sql_text("forge", wanted->forge), sql_int("before_ms", before_ms)),
                NULL, err) < 0)
        return -1;
    return sql_run(store, "effects_forget", SQL_PARAMS(sql_int("before_ms", before_ms)), NULL, err) < 0 ? -1 : 0;
}

static int claim(struct store *store, const struct catch_up_claim *wanted, int64_t *seen_ms, bool *claimed,
                 struct error *err)
{
    struct number seen = {.column = "seen_ms"};
    int64_t rows = sql_run(store, "catch_up_claim",
                           SQL_PARAMS(sql_text("forge", wanted->forge), sql_text("what", wanted->what),
                                      sql_int("now", wanted->now_ms), sql_int("next_ms", wanted->next_ms),
                                      sql_int("always", wanted->always)),
                           &(struct sql_reader){read_number, &seen}, err);
    if (rows < 0 || forget(store, wanted, err) < 0)
        return -1;
    *claimed = rows > 0;
    *seen_ms = seen.value;
    return 0;
}

int store_catch_up_claim(struct store *store, const struct catch_up_claim *wanted, int64_t *seen_ms, bool *claimed,
                         struct error *err)
{
    int64_t seen = 0;
    bool ours = false;
    int status = sql_begin(store, err) < 0 ? -1 : claim(store, wanted, &seen, &ours, err);
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "take the catch-up of %s", wanted->forge);
    *seen_ms = seen;
    *claimed = ours;
    return 0;
}

int store_catch_up_seen(struct store *store, const char *forge, const char *what, int64_t seen_ms, struct error *err)
{
    int status = sql_begin(store, err);
    if (status == 0 &&
        sql_run(store, "catch_up_seen",
                SQL_PARAMS(sql_text("forge", forge), sql_text("what", what), sql_int("seen_ms", seen_ms)), NULL,
                err) < 0)
        status = -1;
    return sql_end(store, status, err) < 0 ? error_wrap(err, "note the catch-up of %s", forge) : 0;
}

int store_missed_try(struct store *store, const char *forge, const char *id, int64_t *tries, struct error *err)
{
    struct number number = {.column = "tries"};
    int status = sql_begin(store, err);
    if (status == 0 &&
        sql_run(store, "missed_try",
                SQL_PARAMS(sql_text("forge", forge), sql_text("id", id), sql_int("now", clock_wall_ms())),
                &(struct sql_reader){read_number, &number}, err) < 0)
        status = -1;
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "note the missed delivery %s", id);
    *tries = number.value;
    return 0;
}

int store_delivery_known(struct store *store, const char *forge, const char *id, bool *known, struct error *err)
{
    int64_t rows =
        sql_run(store, "delivery_known", SQL_PARAMS(sql_text("forge", forge), sql_text("id", id)), NULL, err);
    if (rows < 0)
        return error_wrap(err, "look for delivery %s", id);
    *known = rows > 0;
    return 0;
}
