#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "sandbox/bundle.h"
#include "sandbox/folder.h"
#include "sandbox/run_internal.h"

enum {
    TICK_MS = 200,
    GRACE_MS = 20000, /* for the runner to kill the guest and read the files back */
    COLLECT_FILES_MAX = 1024,
};

#define COLLECT_MAX_DEFAULT MiB(8)
#define OUTPUT_MAX_DEFAULT  MiB(4)
#define FRAMES_MAX          MiB(256)

static int check_request(const struct sandbox_request *request, struct error *err)
{
    if (!request->argv || !request->argv[0])
        return error_set(err, ERROR_INPUT, "no command to run in the sandbox");
    if (request->directory && *request->directory && !fs_path_is_clean(request->directory))
        return error_set(err, ERROR_INPUT, "\"%.200s\" is not a folder below /workspace", request->directory);
    for (size_t i = 0; i < request->file_count; i++)
        if (!fs_path_is_clean(request->files[i].path))
            return error_set(err, ERROR_INPUT, "\"%.200s\" is not a path below /workspace", request->files[i].path);
    size_t count = 0;
    for (; request->collect && request->collect[count]; count++)
        if (!fs_path_is_clean(request->collect[count]))
            return error_set(err, ERROR_INPUT, "\"%.200s\" is not a path below /workspace", request->collect[count]);
    if (count > COLLECT_FILES_MAX)
        return error_set(err, ERROR_LIMIT, "at most %d files are read back from a run", COLLECT_FILES_MAX);
    return 0;
}

static int make_config(struct run *run, struct error *err)
{
    const struct sandbox *sandbox = run->sandbox;
    run->cgroup = sandbox->runtime.detaches ? cgroup_path(&sandbox->cgroups, run->id)
                                            : cgroup_inner_path(&sandbox->cgroups, run->id);
    struct bundle bundle = {
        .argv = run->request->argv,
        .search_path = sandbox->workspace.rootfs.search_path,
        .environment = run->request->environment,
        .directory = run->request->directory,
        .uid = sandbox->workspace.uid,
        .gid = sandbox->workspace.gid,
        .limits = sandbox->limits,
        .limits_swap = sandbox->cgroups.limits_swap,
        .disk = sandbox->workspace.disk,
        .cgroup = run->cgroup,
    };
    json_auto_t *config = run->cgroup ? bundle_config(&bundle, err) : NULL;
    if (!config)
        return run->cgroup ? -1 : error_system(err, ENOMEM, "make a bundle");
    run->config = json_dumps(config, JSON_COMPACT);
    return run->config ? 0 : error_system(err, ENOMEM, "make a bundle");
}

struct ends {
    int out[2], err[2], frames[2], stop[2];
};

static void close_both(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static void close_ends(struct ends *ends)
{
    close_both(ends->out);
    close_both(ends->err);
    close_both(ends->frames);
    close_both(ends->stop);
}

/* Our ends of the outputs do not block: a guest can read its own output from under us. */
static int open_ends(struct ends *ends, struct error *err)
{
    *ends = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(ends->out, O_CLOEXEC) == 0 && pipe2(ends->err, O_CLOEXEC) == 0 && pipe2(ends->frames, O_CLOEXEC) == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends->stop) == 0 &&
        fcntl(ends->out[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends->err[0], F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(ends->frames[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    error_system(err, errno, "open pipes for a run");
    close_ends(ends);
    return -1;
}

static int start_runner(struct run *run, struct error *err)
{
    struct ends ends;
    const struct sandbox *sandbox = run->sandbox;
    if (!sandbox->runtime.detaches && cgroup_make(&sandbox->cgroups, run->id, &sandbox->limits, err) < 0)
        return -1;
    if (open_ends(&ends, err) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends.stop[1]);
        struct runner runner = {
            .runtime = &sandbox->runtime,
            .workspace = &sandbox->workspace,
            .cgroups = &sandbox->cgroups,
            .request = run->request,
            .tree = run->tree,
            .id = run->id,
            .folder = run->folder,
            .config = run->config,
            .collect_max = run->collect_max,
            .out = ends.out[1],
            .err = ends.err[1],
            .frames = ends.frames[1],
            .stop = ends.stop[0],
        };
        runner_main(&runner);
    }
    int errnum = errno;
    run->runner = pid;
    run->out = ends.out[0];
    run->err = ends.err[0];
    run->frames = ends.frames[0];
    run->stop = ends.stop[1];
    close(ends.out[1]);
    close(ends.err[1]);
    close(ends.frames[1]);
    close(ends.stop[0]);
    return pid < 0 ? error_system(err, errnum, "start a runner") : 0;
}

/* Asks the runner to kill the guest. The first reason counts. */
static void stop(struct run *run, enum stop_reason reason)
{
    if (run->reason != STOP_NONE)
        return;
    run->reason = reason;
    run->deadline = clock_monotonic_ms() + GRACE_MS;
    (void)!send(run->stop, "", 1, MSG_NOSIGNAL); /* where it fails the runner is gone */
}

static void fail(struct run *run, enum error_code code, const char *message)
{
    if (run->failure.code == ERROR_NONE)
        error_set(&run->failure, code, "%s", message);
}

static void take_file(struct run *run, const struct frame *frame)
{
    struct sandbox_file *to = &run->files[run->file_count++];
    size_t len = (size_t)frame->len;
    to->path = strdup(run->request->collect[frame->index]);
    to->data = malloc(len + 1);
    run->next_file = frame->index + 1;
    if (!to->path || !to->data) {
        fail(run, ERROR_IO, "no memory for the files of a run");
        return;
    }
    memcpy(to->data, frame->data, len);
    to->data[len] = '\0';
    to->len = len;
}

static void take_failure(struct run *run, const struct frame *frame)
{
    struct error failure;
    memcpy(&failure, frame->data, sizeof failure);
    failure.message[sizeof failure.message - 1] = '\0';
    fail(run, failure.code <= ERROR_INTERNAL ? failure.code : ERROR_INTERNAL, failure.message);
    run->failure.retryable = run->failure.code == ERROR_FULL;
}

static bool is_sound(const struct run *run, const struct frame *frame)
{
    if (frame->kind == FRAME_FILE)
        return frame->len <= run->collect_max && frame->index >= run->next_file && frame->index < run->collect_count;
    return frame->len == (frame->kind == FRAME_FAILED    ? sizeof(struct error)
                          : frame->kind == FRAME_REFUSED ? sizeof(int)
                          : frame->kind == FRAME_ENDED   ? sizeof(struct frame_end)
                                                         : 0);
}

static void take_frame(struct run *run, const struct frame *frame)
{
    if (!is_sound(run, frame)) {
        fail(run, ERROR_INTERNAL, "the sandbox's runner sent what it should not");
        return;
    }
    switch (frame->kind) {
    case FRAME_STARTED:
        run->begun = true;
        if (cgroup_check_limits(&run->sandbox->cgroups, run->id, &run->sandbox->limits, &run->failure) < 0)
            stop(run, STOP_LIMITS);
        break;
    case FRAME_FAILED:
        take_failure(run, frame);
        break;
    case FRAME_REFUSED:
        run->refused = true;
        memcpy(&run->refusal, frame->data, sizeof run->refusal);
        break;
    case FRAME_FILE:
        take_file(run, frame);
        break;
    case FRAME_ENDED:
        run->ended = true;
        memcpy(&run->end, frame->data, sizeof run->end);
        break;
    default:
        fail(run, ERROR_INTERNAL, "the sandbox's runner sent what it should not");
    }
}

/* Reads what there is; closes at the end. What is above the cap is read and thrown away. */
static void drain(int *fd, struct buf *bytes)
{
    char chunk[65536];
    ssize_t got = read(*fd, chunk, sizeof chunk);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    size_t room = bytes->max - bytes->len;
    if (bytes->failed)
        return;
    buf_add(bytes, chunk, (size_t)got < room ? (size_t)got : room);
    bytes->failed = bytes->failed || (size_t)got > room;
}

/* What is asked a few times a second. */
static void tick(struct run *run, int64_t now)
{
    const struct sandbox_request *request = run->request;
    run->next_tick = now + TICK_MS;
    if (request->cancelled && request->cancelled(request->cancel_context))
        stop(run, STOP_CANCELLED);
    /* A guest that was refused a process has its result already; a fork bomb would only burn the time that is left. */
    cgroup_keep_largest(&run->readings, cgroup_read(&run->sandbox->cgroups, run->id));
    if (run->readings.pids_refused > 0)
        stop(run, STOP_PIDS);
}

static void wait_and_read(struct run *run, int64_t now)
{
    struct pollfd fds[] = {{.fd = run->out, .events = POLLIN}, /* a negative one is passed over */
                           {.fd = run->err, .events = POLLIN},
                           {.fd = run->frames, .events = POLLIN}};
    int64_t until = run->next_tick < run->deadline ? run->next_tick : run->deadline;
    if (poll(fds, 3, until > now ? (int)(until - now) : 0) <= 0)
        return;
    if (fds[0].revents)
        drain(&run->out, &run->out_bytes);
    if (fds[1].revents)
        drain(&run->err, &run->err_bytes);
    if (run->out_bytes.failed || run->err_bytes.failed)
        stop(run, STOP_OUTPUT);
    if (!fds[2].revents)
        return;
    struct frame frame;
    drain(&run->frames, &run->frame_bytes);
    while (frame_next(&run->frame_bytes, &run->frame_at, &frame))
        take_frame(run, &frame);
    if (run->frame_bytes.failed)
        fail(run, ERROR_LIMIT, "the files to read back are larger than 256 MiB together");
}

/* Until the runner and the guest have closed their ends, or the runner had to be killed. */
static void follow(struct run *run)
{
    while (run->out >= 0 || run->err >= 0 || run->frames >= 0) {
        int64_t now = clock_monotonic_ms();
        if (now >= run->next_tick)
            tick(run, now);
        if (now >= run->deadline && run->reason != STOP_NONE)
            break;
        if (now >= run->deadline)
            stop(run, STOP_TIMEOUT);
        wait_and_read(run, now);
    }
    if (run->out >= 0 || run->err >= 0 || run->frames >= 0)
        kill(run->runner, SIGKILL);
    while (waitpid(run->runner, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void release_files(struct sandbox_file *files, size_t count)
{
    for (size_t i = 0; files && i < count; i++) {
        free(files[i].path);
        free(files[i].data);
    }
    free(files);
}

static void run_release(struct run *run)
{
    const int fds[] = {run->out, run->err, run->frames, run->stop};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (run->folder)
        folder_remove(run->folder, run->id, &run->sandbox->cgroups, run->lock);
    buf_release(&run->out_bytes);
    buf_release(&run->err_bytes);
    buf_release(&run->frame_bytes);
    release_files(run->files, run->file_count);
    free(run->tree);
    free(run->folder);
    free(run->cgroup);
    free(run->config);
}

static int run_init(struct run *run, struct sandbox *sandbox, const struct sandbox_request *request, struct error *err)
{
    size_t output_max = request->output_max ? request->output_max : OUTPUT_MAX_DEFAULT;
    int64_t now = clock_monotonic_ms();
    *run = (struct run){
        .sandbox = sandbox,
        .request = request,
        .lock = -1,
        .out = -1,
        .err = -1,
        .frames = -1,
        .stop = -1,
        .out_bytes = BUF_INIT(output_max),
        .err_bytes = BUF_INIT(output_max),
        .frame_bytes = BUF_INIT(FRAMES_MAX),
        .collect_max = request->collect_max ? request->collect_max : COLLECT_MAX_DEFAULT,
        .began = now,
        .next_tick = now,
        .deadline = now + (request->timeout_ms ? request->timeout_ms : sandbox->timeout_ms),
    };
    if (check_request(request, err) < 0)
        return -1;
    if (request->tree && !(run->tree = realpath(request->tree, NULL)))
        return error_system(err, errno, "show %s to a guest", request->tree);
    while (request->collect && request->collect[run->collect_count])
        run->collect_count++;
    run->files = calloc(run->collect_count + 1, sizeof *run->files);
    return run->files ? 0 : error_system(err, ENOMEM, "start a run");
}

/* *again: it says nothing about the command, so the command should run once more. */
static int run_once(struct sandbox *sandbox, const struct sandbox_request *request, struct sandbox_result *result,
                    bool *again, struct error *err)
{
    struct run run;
    int done = -1;
    if (run_init(&run, sandbox, request, err) == 0 &&
        (run.folder = folder_make(sandbox->folder, run.id, &run.lock, err)) && make_config(&run, err) == 0 &&
        start_runner(&run, err) == 0) {
        follow(&run);
        done = run_conclude(&run, result, err);
    }
    *again = run_deserves_another(&run, done == 0 ? result : NULL, err);
    run_release(&run);
    return done;
}

int sandbox_run(struct sandbox *sandbox, const struct sandbox_request *request, struct sandbox_result *result,
                struct error *err)
{
    struct error failure = {0};
    bool again = false;
    int done = run_once(sandbox, request, result, &again, &failure);
    if (again) {
        if (done == 0)
            sandbox_result_release(result);
        failure = (struct error){0};
        done = run_once(sandbox, request, result, &again, &failure);
    }
    if (done < 0 && err)
        *err = failure;
    return done;
}

void sandbox_result_release(struct sandbox_result *result)
{
    buf_release(&result->out);
    buf_release(&result->err);
    release_files(result->files, result->file_count);
    *result = (struct sandbox_result){0};
}
