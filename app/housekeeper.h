/* The worker's housekeeper: `assay tidy` as a process of its own, at the start and every hour. */
#ifndef APP_HOUSEKEEPER_H
#define APP_HOUSEKEEPER_H

#include <stdint.h>
#include <sys/types.h>

#include "app/base/log.h"

struct housekeeper {
    pid_t pid;      /* 0: none runs */
    int64_t due_ms; /* monotonic; 0: now */
};

/* Starts it when it is due and notes its end; never waits. `config_path` may be NULL. */
void housekeeper_tick(struct housekeeper *keeper, const char *config_path, const struct log *log);

/* Ends it when it runs. */
void housekeeper_end(struct housekeeper *keeper);

#endif
