/* Deliveries: stored once, taken under a lease, done, put back, or dead. */
#include <stdlib.h>
#include <string.h>

#include "app/store_internal.h"

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

static int take(struct store *store, int64_t now_ms, int64_t lease_ms, struct taken *taken, struct error *err)
{
    if (sql_run(store, "delivery_bury", SQL_PARAMS(sql_int("now", now_ms), sql_int("max_attempts", DELIVERY_ATTEMPTS)),
                NULL, err) < 0)
        return -1;
    int64_t rows =
        sql_run(store, "delivery_take", SQL_PARAMS(sql_int("now", now_ms), sql_int("until", now_ms + lease_ms)),
                &(struct sql_reader){read_taken, taken}, err);
    if (rows <= 0)
        return (int)rows;
    rows = sql_run(store, "payload_get", SQL_PARAMS(sql_int("delivery", taken->seq)),
                   &(struct sql_reader){read_payload, &taken->delivery}, err);
    if (rows == 0)
        return error_set(err, ERROR_STORE, "delivery %s has lost its payload", taken->delivery.id);
    return rows < 0 ? -1 : 0;
}

int store_delivery_take(struct store *store, int64_t now_ms, int64_t lease_ms, struct delivery *out, bool *found,
                        struct error *err)
{
    struct taken taken = {0};
    int status = sql_begin(store, err) < 0 ? -1 : take(store, now_ms, lease_ms, &taken, err);
    if (sql_end(store, status, err) < 0) {
        delivery_release(&taken.delivery);
        return error_wrap(err, "take a delivery");
    }
    *found = taken.seq != 0;
    if (*found)
        *out = taken.delivery;
    return 0;
}

/* Ends what was taken; somebody else's turn at it (the lease had passed) is a conflict. */
static int settle(struct store *store, const struct delivery *delivery, const char *statement,
                  const struct sql_value *params, size_t count, struct error *err)
{
    if (sql_begin(store, err) < 0)
        return error_wrap(err, "end delivery %s", delivery->id);
    int64_t rows = sql_run(store, statement, params, count, NULL, err);
    if (rows == 0)
        error_set(err, ERROR_CONFLICT, "it is not ours any more: the lease has passed");
    if (sql_end(store, rows > 0 ? 0 : -1, err) < 0)
        return error_wrap(err, "end delivery %s", delivery->id);
    return 0;
}

int store_delivery_done(struct store *store, const struct delivery *delivery, const char *note, struct error *err)
{
    return settle(store, delivery, "delivery_done",
                  SQL_PARAMS(sql_text("forge", delivery->forge), sql_text("id", delivery->id),
                             sql_int("attempts", delivery->attempts), sql_text("note", note ? note : ""),
                             sql_int("now", store_now_ms(store))),
                  err);
}

int store_delivery_defer(struct store *store, const struct delivery *delivery, int64_t again_ms, const char *reason,
                         struct error *err)
{
    return settle(store, delivery, "delivery_defer",
                  SQL_PARAMS(sql_text("forge", delivery->forge), sql_text("id", delivery->id),
                             sql_int("attempts", delivery->attempts), sql_int("max_attempts", DELIVERY_ATTEMPTS),
                             sql_int("again_ms", again_ms), sql_text("reason", reason ? reason : ""),
                             sql_int("now", store_now_ms(store))),
                  err);
}
