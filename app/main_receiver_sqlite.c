/* assay-receiver-sqlite: `assay receiver` as a program of its own, for an SQLite database. */
#include "app/receiver_process.h"
#include "app/store_internal.h"

const struct store_backend *const store_backends[] = {&store_sqlite, NULL};

int main(void)
{
    return receiver_main();
}
