#include "sandbox/runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/base/proc.h"

/* Services often run without the sbin folders in PATH, where distributions put runc. */
#define RUNTIME_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What differs between runtimes. One that is not named here is run in the foreground, which every runtime can do,
 * but then a signal shows only as 128 + its number. Only runc could be tried where this was written. */
static const struct {
    const char *name;
    bool detaches;
    const char *network_option;
} known[] = {
    {"runc", true, NULL},
    {"crun", true, NULL},
    {"krun", true, NULL},
    {"youki", true, NULL},
    {"runsc", false, "--network=none"}, /* gVisor: its processes are not the guest's */
};

static const char *last_step(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The first program of that name in a PATH-like list. Heap, or NULL. */
static char *look_up(const char *name, const char *list)
{
    while (list && *list) {
        size_t len = strcspn(list, ":");
        AUTO_FREE char *path = text_format("%.*s/%s", (int)len, list, name);
        if (*list == '/' && path && is_program(path))
            return STEAL(path);
        list += len + (list[len] == ':');
    }
    return NULL;
}

int runtime_find(const char *name, struct runtime *runtime, struct error *err)
{
    struct runtime found = {0};
    if (strchr(name, '/'))
        found.path = is_program(name) ? realpath(name, NULL) : NULL;
    else if (!(found.path = look_up(name, getenv("PATH"))))
        found.path = look_up(name, RUNTIME_PATH);
    if (!found.path)
        return error_set(err, ERROR_SANDBOX,
                         "there is no OCI runtime \"%s\" on this machine; install it, or name another one as "
                         "sandbox.runtime (runc, crun, runsc, or a path)",
                         name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(last_step(name), known[i].name) == 0) {
            found.detaches = known[i].detaches;
            found.network_option = known[i].network_option;
        }
    *runtime = found;
    return 0;
}

void runtime_release(struct runtime *runtime)
{
    free(runtime->path);
    *runtime = (struct runtime){0};
}

int runtime_version(const struct runtime *runtime, struct buf *line, struct error *err)
{
    const char *argv[] = {runtime->path, "--version", NULL};
    struct proc_request request = {.argv = argv, .timeout_ms = 10000};
    struct proc_result result = {.out = BUF_INIT(KiB(64)), .err = BUF_INIT(KiB(64))};
    if (proc_run(&request, &result, err) < 0)
        return error_wrap(err, "ask %s for its version", runtime->path);
    /* "runc version 1.1.5+ds1", "crun version 1.8.1", "runsc version release-…" */
    const char *text = buf_text(&result.out);
    const char *version = strstr(text, "version ");
    version = version ? version + strlen("version ") : text;
    int added = buf_printf(line, "%s %.*s", last_step(runtime->path), (int)strcspn(version, "\n"), version);
    bool ok = result.exit_status == 0 && added == 0;
    proc_result_release(&result);
    return ok ? 0 : error_set(err, ERROR_SANDBOX, "%s --version failed; reinstall it", runtime->path);
}

void runtime_exec(const struct runtime *runtime, const char *id)
{
    const char *argv[16];
    size_t n = 0;
    argv[n++] = runtime->path;
    argv[n++] = "--root";
    argv[n++] = "runtime";
    if (runtime->network_option)
        argv[n++] = runtime->network_option;
    argv[n++] = "run";
    if (runtime->detaches)
        argv[n++] = "--detach";
    argv[n++] = "--pid-file";
    argv[n++] = "pid";
    argv[n++] = "--bundle";
    argv[n++] = ".";
    argv[n++] = id;
    argv[n] = NULL;
    char *environment[] = {"PATH=" RUNTIME_PATH, NULL};
    execve(runtime->path, (char *const *)argv, environment);
}

pid_t runtime_guest_pid(void)
{
    AUTO_BUF struct buf text = BUF_INIT(64);
    if (fs_read("pid", &text, NULL) < 0)
        return -1;
    long pid = strtol(buf_text(&text), NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : -1;
}
