/* Tasks side by side: sandboxes run while the model answers somebody else. Each worker is a process with an engine of
 * its own, which is told a task's index and tells its result, over a socket that keeps messages apart. A worker that
 * dies costs the task that it had. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/eval.h"

enum { MESSAGE_MAX = 64 * 1024, TICK_MS = 200, IDLE = -1 };

struct worker {
    pid_t pid;  /* 0: ended */
    int socket; /* -1: ended */
    long task;  /* its index, or IDLE */
};

struct crew {
    const struct eval_setup *setup;
    const struct eval_tasks *tasks;
    struct worker *workers;
    size_t count;
    bool ending;  /* no task is given out any more */
    bool stopped; /* … and those that run were told to stop */
};

/* ---- in a worker ---- */

static char *answer_of(json_t *line, const struct error *failure)
{
    json_auto_t *message =
        line ? json_pack("{s:O}", "line", line)
             : json_pack("{s:i, s:b, s:o}", "code", (int)failure->code, "retryable", failure->retryable, "message",
                         json_from_text(failure->message, strlen(failure->message)));
    return json_dumps(message, JSON_COMPACT);
}

/* All evaluations of one state directory take turns. */
static int take_turns(const struct eval_setup *setup, struct error *err)
{
    AUTO_FREE char *path = text_format("%s/work/model.turn", setup->config->state_dir);
    return path ? models_take_turns(setup->engine->models, path, err) : error_set(err, ERROR_INTERNAL, "no memory");
}

static void serve(int socket, const struct eval_setup *shared, const struct eval_tasks *tasks)
{
    struct error broken = {0};
    struct engine engine = {0};
    struct stop stop = {.fd = -1};
    struct eval_setup setup = *shared;
    setup.engine = &engine;
    setup.stop = &stop;
    bool able = stop_watch(&stop, &broken) == 0 &&
                engine_init(&engine, setup.config, setup.secrets, setup.log, &broken) == 0 &&
                take_turns(&setup, &broken) == 0;
    for (size_t index; recv(socket, &index, sizeof index, 0) == (ssize_t)sizeof index;) {
        struct error failure = broken;
        json_auto_t *line = able ? eval_run(&setup, tasks, &tasks->items[index], &failure) : NULL;
        AUTO_FREE char *text = answer_of(line, &failure);
        if (!text || send(socket, text, strlen(text), MSG_NOSIGNAL) < 0)
            break;
    }
    engine_release(&engine);
    stop_release(&stop);
}

/* ---- in the command ---- */

static int start(struct crew *crew, struct worker *worker, struct error *err)
{
    int ends[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_system(err, errno, "start a worker");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        for (size_t i = 0; i < crew->count; i++)
            auto_close(&crew->workers[i].socket); /* a sibling must see when the command is gone */
        close(ends[0]);
        if (getppid() == parent)
            serve(ends[1], crew->setup, crew->tasks);
        _exit(0);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_system(err, errno, "start a worker");
    }
    *worker = (struct worker){.pid = pid, .socket = ends[0], .task = IDLE};
    return 0;
}

static void end(struct worker *worker)
{
    auto_close(&worker->socket);
    worker->socket = -1;
    while (worker->pid && waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    worker->pid = 0;
    worker->task = IDLE;
}

/* Whoever has a task ends it as cancelled, and says so. */
static void stop_all(struct crew *crew)
{
    crew->ending = crew->stopped = true;
    for (size_t i = 0; i < crew->count; i++)
        if (crew->workers[i].pid)
            kill(crew->workers[i].pid, SIGTERM);
}

static void read_failure(const json_t *message, struct error *failure)
{
    error_set(failure, (enum error_code)json_int_at(message, "code", ERROR_INTERNAL), "%s",
              json_text_at(message, "message", ""));
    failure->retryable = json_true_at(message, "retryable");
}

/* Takes what a worker says, or that it has died; tells the sink. */
static int hear(struct crew *crew, struct worker *worker, const struct eval_sink *sink, struct error *err)
{
    char bytes[MESSAGE_MAX];
    ssize_t got = recv(worker->socket, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    size_t task = (size_t)worker->task;
    bool whole = got > 0 && (size_t)got <= sizeof bytes;
    json_auto_t *message = whole ? json_read(bytes, (size_t)got, JSON_LIMITS_MODEL, NULL) : NULL;
    bool had = worker->task != IDLE;
    struct error failure = {0};
    worker->task = IDLE;
    if (message)
        read_failure(message, &failure);
    else
        error_set(&failure, ERROR_INTERNAL, "%s: its process ended before it had a result",
                  had ? crew->tasks->items[task].id : "a worker");
    if (got <= 0)
        end(worker);
    return had ? sink->result(sink->context, task, json_object_get(message, "line"), &failure, err) : 0;
}

static int give(struct crew *crew, struct worker *worker, size_t index, struct error *err)
{
    if (!worker->pid && start(crew, worker, err) < 0)
        return -1;
    if (send(worker->socket, &index, sizeof index, MSG_NOSIGNAL) < 0)
        return error_system(err, errno, "tell a worker its task");
    worker->task = (long)index;
    return 0;
}

static bool is_busy(const struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        if (crew->workers[i].task != IDLE)
            return true;
    return false;
}

/* Waits for news of anybody, and passes it on. */
static int listen_once(struct crew *crew, struct pollfd *polled, const struct eval_sink *sink, struct error *err)
{
    for (size_t i = 0; i < crew->count; i++)
        polled[i] = (struct pollfd){.fd = crew->workers[i].socket, .events = POLLIN};
    if (poll(polled, crew->count, TICK_MS) < 0 && errno != EINTR)
        return error_system(err, errno, "wait for the workers");
    for (size_t i = 0; i < crew->count; i++)
        if (polled[i].fd >= 0 && polled[i].revents && hear(crew, &crew->workers[i], sink, err) < 0)
            return -1;
    return 0;
}

static int work(struct crew *crew, const size_t *indexes, size_t count, const struct eval_sink *sink, struct error *err)
{
    struct pollfd *polled = calloc(crew->count + 1, sizeof *polled);
    int status = polled ? 0 : error_set(err, ERROR_INTERNAL, "no memory");
    size_t next = 0;
    while (polled && (is_busy(crew) || (next < count && !crew->ending))) {
        for (size_t i = 0; i < crew->count && next < count && !crew->ending && status == 0; i++)
            if (crew->workers[i].task == IDLE)
                status = give(crew, &crew->workers[i], indexes[next++], err);
        struct error *first = status == 0 ? err : NULL; /* what went wrong first is what is told */
        if (listen_once(crew, polled, sink, first) < 0)
            status = -1;
        crew->ending = crew->ending || status < 0; /* what runs may end: its answers are paid for */
        if (!crew->stopped && stop_wait(crew->setup->stop, 0))
            stop_all(crew);
    }
    free(polled);
    return status;
}

static int run_crew(const struct eval_setup *setup, const struct eval_tasks *tasks, const size_t *indexes, size_t count,
                    const struct eval_sink *sink, struct error *err)
{
    struct crew crew = {.setup = setup, .tasks = tasks, .count = setup->jobs < count ? setup->jobs : count};
    crew.workers = calloc(crew.count + 1, sizeof *crew.workers);
    if (!crew.workers)
        return error_set(err, ERROR_INTERNAL, "no memory");
    for (size_t i = 0; i < crew.count; i++)
        crew.workers[i] = (struct worker){.socket = -1, .task = IDLE};
    int status = work(&crew, indexes, count, sink, err);
    for (size_t i = 0; i < crew.count; i++)
        end(&crew.workers[i]);
    free(crew.workers);
    return status;
}

int eval_run_all(const struct eval_setup *setup, const struct eval_tasks *tasks, const size_t *indexes, size_t count,
                 const struct eval_sink *sink, struct error *err)
{
    struct eval_setup own = *setup;
    AUTO_FREE char *top = text_format("%s/work", setup->config->state_dir);
    AUTO_FREE char *folder = top && fs_make_dirs(top, 0700, err) == 0 ? fs_make_temp_dir(top, "eval-", err) : NULL;
    if (!folder)
        return top ? -1 : error_set(err, ERROR_INTERNAL, "no memory");
    own.folder = folder;
    int status = run_crew(&own, tasks, indexes, count, sink, err);
    fs_remove_tree(folder, NULL); /* with what a worker that died has left */
    return status;
}
