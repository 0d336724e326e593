/* Everything of one store into another, empty one: `assay migrate`, and what a back end does for it.
 *
 * All or nothing: the target is filled within one transaction, then read again and compared table by table, and only
 * then committed. The tables, their columns and their order are asked of the databases. A row's digest is that of its
 * values, whatever the back end; a table's is the sum of its rows', so their order does not matter.
 */
#ifndef APP_STORE_MOVE_H
#define APP_STORE_MOVE_H

#include "app/store_internal.h"

/* What the conflict of HOLD_STILL says to do. */
#define MOVE_WHEN_STILL "stop `assay serve` and `assay work`, or move what is there now with --in-use"

/* How a transaction holds the database. */
enum move_hold {
    HOLD_TARGET,   /* to be filled: nobody else reads or writes */
    HOLD_STILL,    /* to be read: nobody else writes; ERROR_CONFLICT while another process has it open */
    HOLD_SNAPSHOT, /* to be read as it is now, while others go on */
};

/* A table's name and its columns, each as `"name"`, sorted, with commas between. */
struct move_shape {
    const char *table, *columns;
    size_t column_count;
};

struct store_mover {
    int (*begin)(struct store *store, enum move_hold hold, struct error *err); /* ended by the back end's commit or
                                                                                  rollback, then end() */
    void (*end)(struct store *store);
    /* Rows one after the other, however many there are. */
    int (*read)(struct store *store, const char *sql, const struct sql_reader *reader, struct error *err);
    int (*load_begin)(struct store *store, const struct move_shape *shape, struct error *err);
    int (*load_row)(struct store *store, const struct sql_row *row, struct error *err); /* in the shape's order */
    int (*load_end)(struct store *store, struct error *err);
};

extern const struct store_mover store_sqlite_mover;
extern const struct store_mover store_postgres_mover;

#endif
