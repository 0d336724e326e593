/* A run under way, and what it comes to. Private to sandbox/run*.c. */
#ifndef SANDBOX_RUN_INTERNAL_H
#define SANDBOX_RUN_INTERNAL_H

#include "app/base/digest.h"
#include "sandbox/run.h"
#include "sandbox/runner.h"

enum stop_reason { STOP_NONE, STOP_TIMEOUT, STOP_OUTPUT, STOP_PIDS, STOP_CANCELLED, STOP_LIMITS };

struct run {
    const struct sandbox *sandbox;
    const struct sandbox_request *request;
    char id[RANDOM_ID_SIZE];
    char *tree;   /* the request's, absolute, as the runner works elsewhere; owned */
    char *folder; /* owned */
    char *cgroup; /* owned */
    char *config; /* owned */
    int lock;     /* the folder, open and locked */
    pid_t runner;
    int out, err, frames, stop; /* our ends; -1 when closed */
    struct buf out_bytes, err_bytes, frame_bytes;
    size_t frame_at;
    size_t collect_max, collect_count;
    int64_t began, deadline, next_tick;
    enum stop_reason reason;
    bool begun, refused, ended;
    int refusal; /* the runtime's wait status */
    struct frame_end end;
    struct cgroup_readings readings;
    struct error failure; /* set when the run failed */
    struct sandbox_file *files;
    size_t file_count;
    uint32_t next_file;
};

/* What the run, over now, comes to: a result, or -1 with an error. The files go over to the result. */
int run_conclude(struct run *run, struct sandbox_result *result, struct error *err);

/* Does what came of it (`result`, or NULL and the failure) say nothing about the command, which should run once more?
 */
bool run_deserves_another(const struct run *run, const struct sandbox_result *result, const struct error *failure);

#endif
