/* Several processes, one model that answers one at a time: whoever asks holds a lock on a file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "pipeline/model_internal.h"

enum { TICK_MS = 50, TURN_TIMEOUT_MS = 60 * 60 * 1000 };

int models_take_turns(struct models *models, const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_system(err, errno, "open %s", path);
    auto_close(&models->turn_fd);
    models->turn_fd = fd;
    return 0;
}

int64_t models_waited_ms(const struct models *models)
{
    return models->waited_ms;
}

int model_turn_take(struct models *models, int64_t *waited_ms, struct error *err)
{
    int64_t began = clock_monotonic_ms();
    *waited_ms = 0;
    while (models->turn_fd >= 0 && flock(models->turn_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_system(err, errno, "wait for the model's turn");
        if (models->cancelled && models->cancelled(models->context))
            return error_set(err, ERROR_CANCELLED, "stopped on request");
        if (clock_monotonic_ms() - began > TURN_TIMEOUT_MS)
            return error_set(err, ERROR_TIMEOUT, "the model was busy with other runs for an hour");
        clock_sleep_ms(TICK_MS);
    }
    *waited_ms = clock_monotonic_ms() - began;
    models->waited_ms += *waited_ms;
    return 0;
}

void model_turn_give(struct models *models)
{
    if (models->turn_fd >= 0)
        flock(models->turn_fd, LOCK_UN);
}
