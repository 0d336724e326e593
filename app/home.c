#include "app/home.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/digest.h"
#include "app/base/fs.h"

enum {
    TICK_MS = 200, /* between two looks whether the directory is free */
    ID_BYTES = 12, /* of a name, after the host's */
};

static int take_lock(struct home *home, const char *state_dir, const char *kind, struct stop *stop,
                     const struct log *log, struct error *err)
{
    AUTO_FREE char *path = text_format("%s/%s.lock", state_dir, kind);
    if (fs_make_dirs(state_dir, 0700, err) < 0)
        return -1;
    home->lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (home->lock < 0)
        return error_system(err, errno, "open %s/%s.lock", state_dir, kind);
    if (flock(home->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    log_warn(log, "another %s uses %s; waiting for its end (give this one a state_dir of its own?)", kind, state_dir);
    while (flock(home->lock, LOCK_EX | LOCK_NB) < 0)
        if (stop_wait(stop, TICK_MS))
            return error_set(err, ERROR_CANCELLED, "stopped while another %s used the state directory", kind);
    return 0;
}

/* A name that a copied disk has brought along from another host is not ours. */
static int take_name(struct home *home, const char *state_dir, const char *kind, struct error *err)
{
    AUTO_FREE char *path = text_format("%s/%s-id", state_dir, kind);
    AUTO_BUF struct buf text = BUF_INIT(sizeof home->name - 1);
    char host[64] = "host";
    char id[RANDOM_ID_SIZE];
    gethostname(host, sizeof host - 1);
    snprintf(home->name, sizeof home->name, "%.60s-%.*s", host, ID_BYTES, random_id(id));
    bool kept = path && fs_exists(path) && fs_read(path, &text, NULL) == 0;
    if (kept && text.len == strlen(home->name) && memcmp(text.data, home->name, text.len - ID_BYTES) == 0) {
        snprintf(home->name, sizeof home->name, "%s", buf_text(&text));
        return 0;
    }
    return fs_write_atomic(path, home->name, strlen(home->name), 0600, err);
}

int home_open(struct home *home, const char *state_dir, const char *kind, struct stop *stop, const struct log *log,
              struct error *err)
{
    *home = (struct home){.lock = -1};
    return take_lock(home, state_dir, kind, stop, log, err) < 0 ? -1 : take_name(home, state_dir, kind, err);
}

void home_close(struct home *home)
{
    if (home->lock >= 0)
        close(home->lock);
    home->lock = -1;
}
