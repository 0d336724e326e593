#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "app/base/clock.h"
#include "sandbox/run_internal.h"

/* The runtime's last words on standard error: a line of text, or of fields with the text as msg="…". Changes it. */
static const char *last_words(char *text)
{
    size_t len = strlen(text);
    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    char *message = strstr(line, "msg=\"");
    if (!message)
        return line;
    char *to = line = message + strlen("msg=\"");
    for (const char *from = line; *from && *from != '"'; from++) {
        from += from[0] == '\\' && from[1];
        *to++ = *from;
    }
    *to = '\0';
    return line;
}

/* Who kills a runtime or what watches over it (the kernel, short of memory) says nothing about the command. */
static int was_killed(const struct run *run, const char *what, int number, struct error *err)
{
    error_set(err, ERROR_SANDBOX, "run \"%.100s\" in the sandbox: %s was ended by signal %d; it can be tried again",
              run->request->argv[0], what, number);
    return error_retry(err, 0);
}

/* A command that cannot be executed is the caller's affair; anything else means that isolation could not be had. */
static int refused(const struct run *run, struct error *err)
{
    if (WIFSIGNALED(run->refusal))
        return was_killed(run, run->sandbox->runtime.path, WTERMSIG(run->refusal), err);
    AUTO_FREE char *text = strdup(buf_text(&run->err_bytes));
    const char *line = text ? last_words(text) : "";
    bool command = strstr(line, "executable file") || strstr(line, "exec: ");
    return error_set(err, command ? ERROR_NOT_FOUND : ERROR_SANDBOX, "start \"%.100s\" in the sandbox: %s",
                     run->request->argv[0], line);
}

static enum sandbox_end judge(const struct run *run)
{
    if (run->reason == STOP_OUTPUT)
        return SANDBOX_TOO_MUCH_OUTPUT;
    if (run->readings.oom_kills > 0)
        return SANDBOX_OUT_OF_MEMORY;
    if (run->readings.pids_refused > 0)
        return SANDBOX_TOO_MANY_PROCESSES;
    if (run->end.full)
        return SANDBOX_DISK_FULL;
    if (run->reason == STOP_TIMEOUT)
        return SANDBOX_TIMED_OUT;
    return WIFSIGNALED(run->end.wait_status) ? SANDBOX_SIGNALLED : SANDBOX_EXITED;
}

static void fill_result(struct run *run, struct sandbox_result *result)
{
    bool by_itself = run->ended && !run->end.stopped;
    int status = run->end.wait_status;
    /* In the foreground a runtime shows the guest's signal as 128 + its number. */
    if (!run->sandbox->runtime.detaches && WIFEXITED(status) && WEXITSTATUS(status) > 128 &&
        WEXITSTATUS(status) < 128 + NSIG)
        status = run->end.wait_status = WEXITSTATUS(status) - 128;
    *result = (struct sandbox_result){
        .end = judge(run),
        .exit_status = by_itself && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signal = by_itself && WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .out = run->out_bytes,
        .err = run->err_bytes,
        .files = STEAL(run->files),
        .file_count = run->file_count,
        .elapsed_ms = clock_monotonic_ms() - run->began,
        .memory_peak = run->readings.memory_peak,
    };
    result->out.failed = result->err.failed = false; /* the end says it */
    run->out_bytes = run->err_bytes = BUF_INIT(0);
}

int run_conclude(struct run *run, struct sandbox_result *result, struct error *err)
{
    cgroup_keep_largest(&run->readings, cgroup_read(&run->sandbox->cgroups, run->id));
    if (run->reason == STOP_CANCELLED)
        return error_set(err, ERROR_CANCELLED, "the run in the sandbox was cancelled");
    if (run->failure.code != ERROR_NONE) {
        *err = run->failure;
        return error_wrap(err, "sandbox");
    }
    if (run->refused)
        return refused(run, err);
    if (run->reason == STOP_NONE && (!run->ended || run->end.stopped)) /* or its init, which it stopped for */
        return was_killed(run, "the runner", SIGKILL, err);
    fill_result(run, result);
    return 0;
}

/* When a helper of ours or of the runtime is killed while the isolation is made, that looks like isolation that cannot
 * be had: nothing of the command has run then. What cannot be had fails again. */
static bool failed_before_it_began(const struct run *run, const struct error *failure)
{
    bool unbegun = !run->begun && (run->failure.code != ERROR_NONE || (run->refused && WIFEXITED(run->refusal)));
    return unbegun && (failure->code == ERROR_SANDBOX || failure->code == ERROR_IO);
}

/* The guest is the first process of its namespace, which no process of it can kill (pid_namespaces(7)): somebody
 * outside has, the kernel short of memory above all. Only a processor limit that it has set for itself looks the same.
 */
static bool was_killed_from_outside(const struct sandbox_result *result)
{
    return result->end == SANDBOX_SIGNALLED && result->signal == SIGKILL;
}

bool run_deserves_another(const struct run *run, const struct sandbox_result *result, const struct error *failure)
{
    return result ? was_killed_from_outside(result) : failed_before_it_began(run, failure);
}
