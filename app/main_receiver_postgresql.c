/* assay-receiver-postgresql: `assay receiver` as a program of its own, for a PostgreSQL database. */
#include "app/receiver_process.h"
#include "app/store_internal.h"

const struct store_backend *const store_backends[] = {&store_postgres, NULL};

int main(void)
{
    return receiver_main();
}
