#include "app/store_move.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/json.h"

enum {
    ROW_MAX = 1 << 30, /* bytes of one row, for its digest */
    PROGRESS_MS = 100, /* between two words about it */
    COLUMNS_MAX = 64,
    LANES = DIGEST_SIZE / 8,
};

struct sums {
    int64_t rows;
    uint64_t lanes[LANES];
};

struct table {
    char *name;
    struct buf columns;
    size_t column_count;
    int64_t total;      /* rows, counted at the start */
    struct sums source; /* of what was read there */
};

/* Numbers that are given out and must not come twice. */
struct sequence {
    char *table, *column;
    int64_t value;
};

struct move {
    struct store *from, *to;
    const struct store_move *how;
    struct table *tables;
    size_t count;
    struct sequence *sequences; /* the source's, then the target's */
    size_t sequence_count;
    struct buf row; /* as its digest reads it */
    int64_t told_ms;
};

static void move_release(struct move *move)
{
    for (size_t i = 0; i < move->count; i++) {
        free(move->tables[i].name);
        buf_release(&move->tables[i].columns);
    }
    for (size_t i = 0; i < move->sequence_count; i++) {
        free(move->sequences[i].table);
        free(move->sequences[i].column);
    }
    free(move->tables);
    free(move->sequences);
    buf_release(&move->row);
}

static void tell(struct move *move, const char *doing, const struct table *table, int64_t rows)
{
    int64_t now = clock_monotonic_ms();
    if (!move->how->progress || (now < move->told_ms + PROGRESS_MS && rows < table->total))
        return;
    move->told_ms = now;
    move->how->progress(move->how->context, doing, table->name, rows, table->total);
}

/* ---- what there is ---- */

static int add_table(void *context, const struct sql_row *row, struct error *err)
{
    struct move *move = context;
    struct table *grown = reallocarray(move->tables, move->count + 1, sizeof *grown);
    if (!grown)
        return sql_out_of_memory(err);
    move->tables = grown;
    grown[move->count] = (struct table){.name = row_text(row, "name"), .columns = BUF_INIT(KiB(8))};
    return grown[move->count++].name ? 0 : sql_out_of_memory(err);
}

struct columns {
    struct buf *text;
    size_t count;
};

static int add_column(void *context, const struct sql_row *row, struct error *err)
{
    struct columns *columns = context;
    AUTO_FREE char *name = row_text(row, "name");
    if (!name)
        return sql_out_of_memory(err);
    buf_printf(columns->text, "%s\"%s\"", columns->count++ ? ", " : "", name);
    return 0;
}

static int list_columns(struct store *store, const char *table, struct columns *columns, struct error *err)
{
    if (sql_run(store, "column_list", SQL_PARAMS(sql_text("table", table)), &(struct sql_reader){add_column, columns},
                err) < 0)
        return -1;
    return buf_check(columns->text, table, err);
}

/* Both know the same migrations, so what differs is a mistake in them, and nothing is moved by halves. */
static int compare_columns(struct move *move, struct table *table, struct error *err)
{
    AUTO_BUF struct buf theirs = BUF_INIT(KiB(8));
    struct columns source = {.text = &table->columns};
    struct columns target = {.text = &theirs};
    if (list_columns(move->from, table->name, &source, err) < 0 ||
        list_columns(move->to, table->name, &target, err) < 0)
        return -1;
    table->column_count = source.count;
    if (source.count <= COLUMNS_MAX && strcmp(buf_text(&table->columns), buf_text(&theirs)) == 0)
        return 0;
    return error_set(err, ERROR_INTERNAL, "table %s has not the same columns on both sides: %s and %s", table->name,
                     buf_text(&table->columns), theirs.len ? buf_text(&theirs) : "none");
}

static int read_count(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(int64_t *)context = row_int(row, "n");
    return 0;
}

static int count_rows(struct store *store, const char *table, int64_t *rows, struct error *err)
{
    AUTO_FREE char *sql = text_format("SELECT count(*) AS n FROM \"%s\"", table);
    if (!sql)
        return sql_out_of_memory(err);
    return store->backend->mover->read(store, sql, &(struct sql_reader){read_count, rows}, err);
}

/* Emptied, when a new database is not empty there. */
static int clear_seed(void *context, const struct sql_row *row, struct error *err)
{
    struct move *move = context;
    AUTO_FREE char *name = row_text(row, "name");
    AUTO_FREE char *sql = name ? text_format("DELETE FROM \"%s\"", name) : NULL;
    if (!sql)
        return sql_out_of_memory(err);
    return move->to->backend->mover->read(move->to, sql, &(struct sql_reader){0}, err);
}

static int check_empty(struct move *move, const struct table *table, struct error *err)
{
    int64_t there = 0;
    if (count_rows(move->to, table->name, &there, err) < 0)
        return -1;
    if (!there)
        return 0;
    return error_set(err, ERROR_CONFLICT, "the target is not empty: it has %lld rows in table %s; name a new database",
                     (long long)there, table->name);
}

static int look(struct move *move, struct error *err)
{
    if (sql_run(move->from, "table_list", NULL, 0, &(struct sql_reader){add_table, move}, err) < 0 ||
        sql_run(move->from, "seed_list", NULL, 0, &(struct sql_reader){clear_seed, move}, err) < 0)
        return -1;
    for (size_t i = 0; i < move->count; i++) {
        struct table *table = &move->tables[i];
        if (compare_columns(move, table, err) < 0 || count_rows(move->from, table->name, &table->total, err) < 0 ||
            check_empty(move, table, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- digests ---- */

static void put_number(struct buf *out, uint64_t value)
{
    value = htobe64(value);
    buf_add(out, &value, sizeof value);
}

static void put_value(struct buf *out, const struct sql_value *value)
{
    uint64_t bits = (uint64_t)value->integer;
    buf_putc(out, (char)('0' + value->type));
    switch (value->type) {
    case SQL_NULL:
        break;
    case SQL_INT:
        put_number(out, bits);
        break;
    case SQL_REAL:
        memcpy(&bits, &value->real, sizeof bits);
        put_number(out, bits);
        break;
    default:
        put_number(out, value->len);
        buf_add(out, value->bytes, value->len);
    }
}

static int add_row(struct move *move, struct sums *sums, const struct sql_row *row, struct error *err)
{
    uint64_t lanes[LANES];
    buf_clear(&move->row);
    for (size_t i = 0; i < row->count; i++)
        put_value(&move->row, &row->columns[i]);
    if (buf_check(&move->row, "a row", err) < 0)
        return -1;
    digest_sha256_bytes(buf_text(&move->row), move->row.len, (unsigned char *)lanes);
    for (size_t i = 0; i < LANES; i++)
        sums->lanes[i] += be64toh(lanes[i]);
    sums->rows++;
    return 0;
}

static void write_digest(const struct sums *sums, char hex[static DIGEST_HEX_SIZE])
{
    for (size_t i = 0; i < LANES; i++)
        snprintf(hex + 16 * i, DIGEST_HEX_SIZE - 16 * i, "%016llx", (unsigned long long)sums->lanes[i]);
}

/* ---- copying ---- */

/* A table that is read: what each of its rows is for. */
struct pass {
    struct move *move;
    struct table *table;
    struct sums *sums;
    bool load; /* into the target */
    json_t *mended[COLUMNS_MAX];
};

static bool is_ascii(const struct sql_value *value)
{
    for (size_t i = 0; i < value->len; i++)
        if (value->bytes[i] <= 0) /* NUL, too */
            return false;
    return true;
}

/* SQLite keeps a message that was cut off within a character; PostgreSQL takes whole ones only. */
static int mend_texts(struct pass *pass, struct sql_value *columns, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (columns[i].type != SQL_TEXT || is_ascii(&columns[i]))
            continue;
        pass->mended[i] = json_from_text(columns[i].bytes, columns[i].len);
        if (!pass->mended[i])
            return sql_out_of_memory(err);
        columns[i].bytes = json_string_value(pass->mended[i]);
        columns[i].len = json_string_length(pass->mended[i]);
    }
    return 0;
}

static int take_row(struct pass *pass, const struct sql_row *row, struct error *err)
{
    struct move *move = pass->move;
    if (add_row(move, pass->sums, row, err) < 0)
        return -1;
    if (pass->load && move->to->backend->mover->load_row(move->to, row, err) < 0)
        return -1;
    tell(move, pass->load ? "copy" : "check", pass->table, pass->sums->rows);
    return 0;
}

static int on_row(void *context, const struct sql_row *row, struct error *err)
{
    struct pass *pass = context;
    struct sql_value columns[COLUMNS_MAX];
    if (row->count != pass->table->column_count)
        return error_set(err, ERROR_INTERNAL, "a row of %zu columns", row->count);
    memcpy(columns, row->columns, row->count * sizeof *columns);
    int status = mend_texts(pass, columns, row->count, err);
    if (status == 0)
        status = take_row(pass, &(struct sql_row){columns, row->count}, err);
    for (size_t i = 0; i < row->count; i++) {
        json_decref(pass->mended[i]);
        pass->mended[i] = NULL;
    }
    return status;
}

static int read_table(struct store *store, struct pass *pass, struct error *err)
{
    AUTO_FREE char *sql = text_format("SELECT %s FROM \"%s\"", buf_text(&pass->table->columns), pass->table->name);
    if (!sql)
        return sql_out_of_memory(err);
    return store->backend->mover->read(store, sql, &(struct sql_reader){on_row, pass}, err);
}

static int copy_table(struct move *move, struct table *table, struct error *err)
{
    const struct store_mover *target = move->to->backend->mover;
    const struct move_shape shape = {table->name, buf_text(&table->columns), table->column_count};
    struct pass pass = {.move = move, .table = table, .sums = &table->source, .load = true};
    if (target->load_begin(move->to, &shape, err) < 0 || read_table(move->from, &pass, err) < 0 ||
        target->load_end(move->to, err) < 0)
        return error_wrap(err, "table %s", table->name);
    return 0;
}

static int check_table(struct move *move, struct table *table, struct error *err)
{
    struct sums arrived = {0};
    struct pass pass = {.move = move, .table = table, .sums = &arrived};
    if (read_table(move->to, &pass, err) < 0)
        return error_wrap(err, "check table %s", table->name);
    if (memcmp(&arrived, &table->source, sizeof arrived) == 0)
        return 0;
    return error_set(err, ERROR_STORE,
                     "table %s did not arrive as it was (%lld rows read, %lld there); nothing is kept", table->name,
                     (long long)table->source.rows, (long long)arrived.rows);
}

/* ---- sequences ---- */

static int add_sequence(void *context, const struct sql_row *row, struct error *err)
{
    struct move *move = context;
    struct sequence *grown = reallocarray(move->sequences, move->sequence_count + 1, sizeof *grown);
    if (!grown)
        return sql_out_of_memory(err);
    move->sequences = grown;
    struct sequence *added = &grown[move->sequence_count++];
    *added = (struct sequence){row_text(row, "table"), row_text(row, "column"), row_int(row, "value")};
    return added->table && added->column ? 0 : sql_out_of_memory(err);
}

/* As high as in the source, where the last rows may have been deleted, and as the highest row. */
static int set_sequence(struct move *move, const struct sequence *sequence, size_t of_source, struct error *err)
{
    AUTO_FREE char *sql =
        text_format("SELECT coalesce(max(\"%s\"), 0) AS n FROM \"%s\"", sequence->column, sequence->table);
    int64_t value = 0;
    if (!sql)
        return sql_out_of_memory(err);
    if (move->to->backend->mover->read(move->to, sql, &(struct sql_reader){read_count, &value}, err) < 0)
        return -1;
    for (size_t i = 0; i < of_source; i++)
        if (strcmp(move->sequences[i].table, sequence->table) == 0 && move->sequences[i].value > value)
            value = move->sequences[i].value;
    if (!value)
        return 0;
    if (sql_run(move->to, "sequence_clear", SQL_PARAMS(sql_text("table", sequence->table)), NULL, err) < 0 ||
        sql_run(move->to, "sequence_set",
                SQL_PARAMS(sql_text("table", sequence->table), sql_text("column", sequence->column),
                           sql_int("value", value)),
                NULL, err) < 0)
        return error_wrap(err, "numbers of table %s", sequence->table);
    return 0;
}

static int set_sequences(struct move *move, struct error *err)
{
    const struct sql_reader reader = {add_sequence, move};
    if (sql_run(move->from, "sequence_list", NULL, 0, &reader, err) < 0)
        return -1;
    size_t of_source = move->sequence_count;
    if (sql_run(move->to, "sequence_list", NULL, 0, &reader, err) < 0)
        return -1;
    for (size_t i = of_source; i < move->sequence_count; i++)
        if (set_sequence(move, &move->sequences[i], of_source, err) < 0)
            return -1;
    return 0;
}

/* ---- all of it ---- */

static int move_all(struct move *move, struct error *err)
{
    if (look(move, err) < 0)
        return -1;
    for (size_t i = 0; i < move->count; i++)
        if (copy_table(move, &move->tables[i], err) < 0)
            return -1;
    if (set_sequences(move, err) < 0)
        return -1;
    for (size_t i = 0; i < move->count; i++)
        if (check_table(move, &move->tables[i], err) < 0)
            return -1;
    return 0;
}

static json_t *report_of(const struct move *move, struct error *err)
{
    json_t *report = json_array();
    for (size_t i = 0; report && i < move->count; i++) {
        const struct table *table = &move->tables[i];
        char hex[DIGEST_HEX_SIZE];
        write_digest(&table->source, hex);
        json_array_append_new(report, json_pack("{s:s, s:I, s:s}", "table", table->name, "rows",
                                                (json_int_t)table->source.rows, "digest", hex));
    }
    if (!report)
        sql_out_of_memory(err);
    return report;
}

/* The target first: from then on it is seen that the other connection is ours. */
static int hold_and_move(struct move *move, struct error *err)
{
    enum move_hold hold = move->how->in_use ? HOLD_SNAPSHOT : HOLD_STILL;
    if (move->to->backend->mover->begin(move->to, HOLD_TARGET, err) < 0)
        return error_wrap(err, "target");
    if (move->from->backend->mover->begin(move->from, hold, err) < 0)
        return error_wrap(err, "source");
    return move_all(move, err);
}

int store_move(struct store *from, struct store *to, const struct store_move *how, json_t **report, struct error *err)
{
    struct move move = {.from = from, .to = to, .how = how, .row = BUF_INIT(ROW_MAX)};
    int status = hold_and_move(&move, err);
    json_t *made = status == 0 ? report_of(&move, err) : NULL;
    status = sql_end(to, made ? 0 : -1, err);
    from->backend->rollback(from);
    from->backend->mover->end(from);
    to->backend->mover->end(to);
    if (status == 0)
        *report = STEAL(made);
    json_decref(made);
    move_release(&move);
    return status;
}
