/* Deliveries: stored once, taken under a lease, done, put back, or dead. */
#include <stdlib.h>
#include <string.h>

#include "app/store_internal.h"

enum { BATCH_BYTES = 1 << 20 }; /* of payloads: no more are taken along */

void delivery_release(struct delivery *delivery)
{
    free(delivery->forge);
    free(delivery->id);
    free(delivery->event);
    free(delivery->payload);
    *delivery = (struct delivery){0};
}

static int read_seq(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "seq");
    return 0;
}

/* What does not get smaller by it is kept as it is. */
static int add_payload(struct store *store, int64_t seq, const struct delivery *delivery, struct error *err)
{
    AUTO_BUF struct buf frame = BUF_INIT(delivery->payload_len + KiB(64));
    if (!store->compressor && !(store->compressor = compressor_new()))
        return sql_out_of_memory(err);
    if (compress_bytes(store->compressor, delivery->payload, delivery->payload_len, &frame, err) < 0)
        return -1;
    bool smaller = frame.len < delivery->payload_len;
    int64_t rows = sql_run(store, "payload_add",
                           SQL_PARAMS(sql_int("delivery", seq), sql_text("encoding", smaller ? "zstd" : "identity"),
                                      smaller ? sql_blob("bytes", frame.data, frame.len)
                                              : sql_blob("bytes", delivery->payload, delivery->payload_len)),
                           NULL, err);
    return rows < 0 ? -1 : 0;
}

static int add(struct store *store, const struct delivery *delivery, bool *fresh, struct error *err)
{
    int64_t seq = 0;
    int64_t rows =
        sql_run(store, "delivery_add",
                SQL_PARAMS(sql_text("forge", delivery->forge), sql_text("id", delivery->id),
                           sql_text("event", delivery->event), sql_int("received_ms", delivery->received_ms)),
                &(struct sql_reader){read_seq, &seq}, err);
    *fresh = rows > 0;
    if (rows <= 0)
        return (int)rows;
    return add_payload(store, seq, delivery, err);
}

int store_deliveries_add(struct store *store, const struct delivery *deliveries, size_t count, bool fresh[],
                         struct error *err)
{
    AUTO_FREE bool *added = calloc(count + 1, sizeof *added);
    if (!added)
        return sql_out_of_memory(err);
    int status = sql_begin(store, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        if (add(store, &deliveries[i], &added[i], err) < 0)
            status = error_wrap(err, "delivery %s", deliveries[i].id);
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "store deliveries");
    sql_wake(store, STORE_NEWS_DELIVERY);
    memcpy(fresh, added, count * sizeof *added);
    return 0;
}

int store_delivery_add(struct store *store, const struct delivery *delivery, bool *fresh, struct error *err)
{
    return store_deliveries_add(store, delivery, 1, fresh, err);
}

struct taken {
    int64_t seq;
    struct delivery delivery;
};

static int read_taken(void *context, const struct sql_row *row, struct error *err)
{
    struct taken *taken = context;
    struct delivery *delivery = &taken->delivery;
    taken->seq = row_int(row, "seq");
    delivery->forge = row_text(row, "forge");
    delivery->id = row_text(row, "id");
    delivery->event = row_text(row, "event");
    delivery->received_ms = row_int(row, "received_ms");
    delivery->attempts = (int)row_int(row, "attempts");
    return delivery->forge && delivery->id && delivery->event ? 0 : sql_out_of_memory(err);
}

static int read_payload(void *context, const struct sql_row *row, struct error *err)
{
    struct delivery *delivery = context;
    const struct sql_value *bytes = row_at(row, "bytes");
    AUTO_FREE char *encoding = row_text(row, "encoding");
    AUTO_BUF struct buf payload = BUF_INIT(DELIVERY_PAYLOAD_MAX);
    if (!encoding)
        return sql_out_of_memory(err);
    if (strcmp(encoding, "zstd") == 0) {
        if (decompress_bytes(bytes->bytes, bytes->len, DELIVERY_PAYLOAD_MAX, &payload, err) < 0)
            return -1;
    } else {
        buf_add(&payload, bytes->bytes, bytes->len);
    }
    if (buf_check(&payload, "the payload", err) < 0)
        return -1;
    delivery->payload = buf_steal(&payload, &delivery->payload_len);
    return delivery->payload ? 0 : sql_out_of_memory(err);
}

static int bury_hopeless(struct store *store, int64_t now_ms, struct error *err)
{
    return sql_run(store, "delivery_bury",
                   SQL_PARAMS(sql_int("now", now_ms), sql_int("max_attempts", DELIVERY_ATTEMPTS)), NULL, err) < 0
               ? -1
               : 0;
}

struct turn {
    const char *holder;
    int64_t now_ms, lease_ms;
};

/* One more by `statement`; *found false when there is none. */
static int take_one(struct store *store, const char *statement, const struct turn *turn, struct delivery *out,
                    bool *found, struct error *err)
{
    struct taken taken = {0};
    int64_t rows = sql_run(store, statement,
                           SQL_PARAMS(sql_text("holder", turn->holder), sql_int("now", turn->now_ms),
                                      sql_int("until", turn->now_ms + turn->lease_ms)),
                           &(struct sql_reader){read_taken, &taken}, err);
    if (rows > 0)
        rows = sql_run(store, "payload_get", SQL_PARAMS(sql_int("delivery", taken.seq)),
                       &(struct sql_reader){read_payload, &taken.delivery}, err);
    if (rows == 0 && taken.seq)
        rows = error_set(err, ERROR_STORE, "delivery %s has lost its payload", taken.delivery.id);
    if (rows < 0) {
        delivery_release(&taken.delivery);
        return -1;
    }
    *found = taken.seq != 0;
    if (*found)
        *out = taken.delivery;
    return 0;
}

/* Into out[*count …]. */
static int take(struct store *store, const struct turn *turn, struct delivery *out, size_t max, size_t *count,
                struct error *err)
{
    bool found = false;
    size_t bytes = 0;
    if (bury_hopeless(store, turn->now_ms, err) < 0 || take_one(store, "delivery_take", turn, out, &found, err) < 0)
        return -1;
    bool alone = found && out[0].attempts > 1;
    while (found) {
        bytes += out[*count].payload_len;
        if (++*count == max || alone || bytes >= BATCH_BYTES)
            break;
        if (take_one(store, "delivery_take_fresh", turn, &out[*count], &found, err) < 0)
            return -1;
    }
    return 0;
}

int store_deliveries_take(struct store *store, const char *holder, int64_t now_ms, int64_t lease_ms,
                          struct delivery *out, size_t max, size_t *count, struct error *err)
{
    size_t taken = 0;
    const struct turn turn = {holder, now_ms, lease_ms};
    int status = sql_begin(store, err) < 0 ? -1 : take(store, &turn, out, max, &taken, err);
    if (sql_end(store, status, err) < 0) {
        for (size_t i = 0; i < taken; i++)
            delivery_release(&out[i]);
        return error_wrap(err, "take deliveries");
    }
    *count = taken;
    return 0;
}

int store_delivery_take(struct store *store, const char *holder, int64_t now_ms, int64_t lease_ms, struct delivery *out,
                        bool *found, struct error *err)
{
    size_t count = 0;
    if (store_deliveries_take(store, holder, now_ms, lease_ms, out, 1, &count, err) < 0)
        return -1;
    *found = count > 0;
    return 0;
}

int store_deliveries_let_go(struct store *store, const char *holder, int64_t now_ms, size_t *count, struct error *err)
{
    int64_t rows =
        sql_run(store, "delivery_let_go", SQL_PARAMS(sql_text("holder", holder), sql_int("now", now_ms)), NULL, err);
    *count = rows > 0 ? (size_t)rows : 0;
    return rows < 0 ? error_wrap(err, "let deliveries go") : 0;
}

/* ---- ending ---- */

/* The rows that were changed: none when it is somebody else's turn at it. */
static int64_t end_one(struct store *store, const struct delivery_end *end, struct error *err)
{
    const struct delivery *delivery = end->delivery;
    const struct sql_value forge = sql_text("forge", delivery->forge);
    const struct sql_value id = sql_text("id", delivery->id);
    const struct sql_value attempts = sql_int("attempts", delivery->attempts);
    const struct sql_value now = sql_int("now", store_now_ms(store));
    const char *note = end->note ? end->note : "";
    switch (end->how) {
    case DELIVERY_DONE:
        return sql_run(store, "delivery_done", SQL_PARAMS(forge, id, attempts, now, sql_text("note", note)), NULL, err);
    case DELIVERY_DEFERRED:
        return sql_run(store, "delivery_defer",
                       SQL_PARAMS(forge, id, attempts, now, sql_int("max_attempts", DELIVERY_ATTEMPTS),
                                  sql_int("again_ms", end->again_ms), sql_text("reason", note)),
                       NULL, err);
    default:
        return sql_run(store, "delivery_put_back", SQL_PARAMS(forge, id, attempts, now), NULL, err);
    }
}

int store_deliveries_end(struct store *store, const struct delivery_end *ends, size_t count, size_t *late,
                         struct error *err)
{
    size_t conflicts = 0;
    int status = sql_begin(store, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        int64_t rows = end_one(store, &ends[i], err);
        conflicts += rows == 0;
        status = rows < 0 ? error_wrap(err, "delivery %s", ends[i].delivery->id) : 0;
    }
    if (sql_end(store, status, err) < 0)
        return error_wrap(err, "end deliveries");
    *late = conflicts;
    return 0;
}

static int end_alone(struct store *store, const struct delivery_end *end, struct error *err)
{
    size_t late = 0;
    if (store_deliveries_end(store, end, 1, &late, err) < 0)
        return -1;
    return late ? error_set(err, ERROR_CONFLICT, "end delivery %s: it is not ours any more: the lease has passed",
                            end->delivery->id)
                : 0;
}

int store_delivery_done(struct store *store, const struct delivery *delivery, const char *note, struct error *err)
{
    return end_alone(store, &(struct delivery_end){.delivery = delivery, .how = DELIVERY_DONE, .note = note}, err);
}

int store_delivery_defer(struct store *store, const struct delivery *delivery, int64_t again_ms, const char *reason,
                         struct error *err)
{
    return end_alone(
        store,
        &(struct delivery_end){.delivery = delivery, .how = DELIVERY_DEFERRED, .note = reason, .again_ms = again_ms},
        err);
}
