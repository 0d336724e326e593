/* The back ends of a program that names none itself. */
#include "app/store_internal.h"

const struct store_backend *const store_backends[] = {&store_sqlite, &store_postgres, NULL};
