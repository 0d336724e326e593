/* Run an argv under limits: the only way in which Assay runs code that it does not trust.
 *
 * What the guest sees: a read-only root made of the host's toolchain directories (image "host") or of an
 * unpacked root file system, a private /tmp, and its working tree at /workspace. The tree is an overlay:
 * the layers given by the caller are below and never written; what the guest writes goes to a memory
 * file system of bounded size that is gone when the run ends. No network, no capabilities, no new
 * privileges, a seccomp filter, an empty environment but what is named here, limits on memory, processor,
 * processes, disk and time. Results come back as bytes, read without following links.
 *
 * The mounts live in a mount namespace of the runner process alone: however a run ends, kill -9 included,
 * the kernel removes them. If the isolation asked for cannot be had the call fails with ERROR_SANDBOX and
 * the reason; it never runs with less.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/base/yaml.h"

/* The `sandbox:` section of the configuration. */
struct sandbox_config {
    char *runtime;      /* "runc", or any OCI runtime by name or path: crun, runsc, kata, krun */
    char *image;        /* "host", or the path of an unpacked root file system */
    int64_t memory;     /* bytes, swap included */
    double cpus;        /* processors */
    int64_t pids;       /* processes and threads */
    int64_t timeout_ms; /* wall time of one run */
    int64_t disk;       /* bytes that a run may write in /workspace; /tmp has as much again; both count as memory */
    struct yaml_texts toolchains; /* more host directories to show read-only, at the same path */
};

extern const struct yaml_field sandbox_config_fields[];

/* How a run ended. Each limit has a result of its own. */
enum sandbox_end {
    SANDBOX_EXITED,    /* by itself: see exit_status */
    SANDBOX_SIGNALLED, /* by a signal of its own making, or SIGKILL twice from outside: see signal. The command is
                          process 1 of its namespace, which ignores a signal that it sends to itself and does not
                          handle */
    SANDBOX_TIMED_OUT,
    SANDBOX_OUT_OF_MEMORY,
    SANDBOX_TOO_MANY_PROCESSES, /* the pids limit was hit (whatever the exit status) */
    SANDBOX_DISK_FULL,          /* /workspace or /tmp had no room left when it ended */
    SANDBOX_TOO_MUCH_OUTPUT,    /* stopped at output_max */
};

/* "exited", "timed out", "out of memory", … for people. Static storage. */
const char *sandbox_end_name(enum sandbox_end end);

struct sandbox_file {
    char *path; /* relative to /workspace, fs_path_is_clean() */
    char *data; /* NUL-terminated */
    size_t len;
};

struct sandbox_request {
    const char *const *argv;        /* NULL-terminated; argv[0] is looked up in the guest's PATH */
    const char *const *environment; /* NULL-terminated "NAME=value", added to PATH, HOME=/tmp, LANG=C.UTF-8; or NULL */
    const char *directory;          /* below /workspace, "" or NULL for its top */
    const char *tree;               /* host directory shown at /workspace; never written; NULL: an empty tree */
    const struct sandbox_file *files; /* put on top of the tree before the run: borrowed */
    size_t file_count;
    const char *const *collect; /* NULL-terminated paths below /workspace to read back, or NULL */
    size_t collect_max;         /* cap on each file read back; 0: 8 MiB */
    size_t output_max;          /* cap on standard output and error each; 0: 4 MiB. A run that passes it is stopped */
    int64_t timeout_ms;         /* 0: the configuration's */
    bool (*cancelled)(void *context); /* asked about five times a second; true kills the guest: ERROR_CANCELLED */
    void *cancel_context;
};

struct sandbox_result {
    enum sandbox_end end;
    int exit_status;            /* when it exited by itself, whatever the end, else -1 */
    int signal;                 /* when it was signalled, else 0 */
    struct buf out;             /* standard output */
    struct buf err;             /* standard error */
    struct sandbox_file *files; /* those of `collect` that exist as regular files within the cap, in that order */
    size_t file_count;
    int64_t elapsed_ms;
    int64_t memory_peak; /* bytes, 0 when the kernel does not say */
};

/* A prepared sandbox: runtime looked up, cgroup version and rights probed once. `state_dir` gets a
 * "sandbox" folder for bundles; `tools` is the folder with our own pinned tools (language tables name
 * programs in it), shown read-only at the same path, or NULL. Thread-compatible; owned by the caller. */
struct sandbox;
struct sandbox *sandbox_new(const struct sandbox_config *config, const char *state_dir, const char *tools,
                            struct error *err);
void sandbox_free(struct sandbox *sandbox);

/* Runs to the end; once more when the guest was killed from outside, or a helper was before the command began: what it
 * writes is gone with each run. 0 when the guest ran, however it ended; -1 when it could not be run: ERROR_NOT_FOUND
 * for a command that is not there or cannot be executed, ERROR_SANDBOX for isolation that cannot be had, ERROR_INPUT
 * for a wrong request; or was cancelled: ERROR_CANCELLED. */
int sandbox_run(struct sandbox *sandbox, const struct sandbox_request *request, struct sandbox_result *result,
                struct error *err);
void sandbox_result_release(struct sandbox_result *result);

/* One line for `assay doctor`: "runc 1.1.5, cgroup v1, 2 GiB, 2 cpus"; -1 with the reason and the fix. */
int sandbox_check(struct sandbox *sandbox, struct buf *line, struct error *err);

#endif
