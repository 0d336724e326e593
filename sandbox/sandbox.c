#include "sandbox/sandbox.h"

#include <errno.h>
#include <stdlib.h>

#include "app/base/fs.h"
#include "sandbox/folder.h"
#include "sandbox/run.h"

enum { PIDS_MIN = 32 }; /* a runtime's own threads count until the guest has started */

#define AT(member) offsetof(struct sandbox_config, member)
#define KIB        1024.0
#define MIB        (1024 * KIB)
#define TIB        (1024 * 1024 * MIB)

const struct yaml_field sandbox_config_fields[] = {
    YAML_FIELD("runtime", YAML_TEXT, AT(runtime),
               "the OCI runtime, by name or path: runc, crun, runsc (gVisor), krun (virtual machines)"),
    YAML_FIELD("image", YAML_TEXT, AT(image),
               "what guests see as their root: \"host\" for this machine's /usr, or the path of an unpacked image"),
    YAML_FIELD("memory", YAML_SIZE, AT(memory),
               "memory of one run, swap and the files it writes included; more ends as \"out of memory\"",
               .min = 64 * MIB, .max = 64 * TIB),
    YAML_FIELD("cpus", YAML_NUMBER, AT(cpus), "processors of one run; 0.5 is half of one", .min = 0.1, .max = 1024),
    YAML_FIELD("pids", YAML_INT, AT(pids), "processes and threads of one run", .min = PIDS_MIN, .max = 1 << 22),
    YAML_FIELD("timeout", YAML_DURATION, AT(timeout_ms), "wall time of one run", .min = 1000, .max = 86400e3),
    YAML_FIELD("disk", YAML_SIZE, AT(disk),
               "what one run may write in its working tree, and as much again in /tmp; held in memory", .min = MIB,
               .max = 64 * TIB),
    YAML_FIELD("toolchains", YAML_TEXTS, AT(toolchains),
               "more folders that guests see read-only at the same path; a bin folder in one is put into their PATH"),
    {0},
};

const char *sandbox_end_name(enum sandbox_end end)
{
    static const char *const names[] = {
        [SANDBOX_EXITED] = "exited",
        [SANDBOX_SIGNALLED] = "ended by a signal",
        [SANDBOX_TIMED_OUT] = "timed out",
        [SANDBOX_OUT_OF_MEMORY] = "out of memory",
        [SANDBOX_TOO_MANY_PROCESSES] = "too many processes",
        [SANDBOX_DISK_FULL] = "disk full",
        [SANDBOX_TOO_MUCH_OUTPUT] = "too much output",
    };
    return end <= SANDBOX_TOO_MUCH_OUTPUT ? names[end] : "unknown";
}

/* The file is checked by the table above; this holds for every caller. */
static int check_config(const struct sandbox_config *config, struct error *err)
{
    if (!config->runtime || !config->image)
        return error_set(err, ERROR_CONFIG, "sandbox: runtime and image must be named");
    if (config->memory < (int64_t)(64 * MIB) || config->disk < (int64_t)MIB || config->cpus < 0.1 ||
        config->pids < PIDS_MIN || config->timeout_ms <= 0)
        return error_set(err, ERROR_CONFIG,
                         "sandbox: at least 64MiB of memory, 1MiB of disk, 0.1 cpus, %d pids and some time are needed",
                         PIDS_MIN);
    return 0;
}

static int make_folder(struct sandbox *sandbox, const char *state_dir, struct error *err)
{
    AUTO_FREE char *folder = text_format("%s/sandbox", state_dir);
    if (!folder)
        return error_system(err, ENOMEM, "sandbox");
    if (fs_make_dirs(folder, 0700, err) < 0)
        return -1;
    sandbox->folder = realpath(folder, NULL);
    return sandbox->folder ? 0 : error_system(err, errno, "open %s", folder);
}

struct sandbox *sandbox_new(const struct sandbox_config *config, const char *state_dir, const char *tools,
                            struct error *err)
{
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox) {
        error_system(err, ENOMEM, "sandbox");
        return NULL;
    }
    if (check_config(config, err) == 0 && runtime_find(config->runtime, &sandbox->runtime, err) == 0 &&
        cgroups_find(&sandbox->cgroups, err) == 0 && workspace_init(&sandbox->workspace, config, tools, err) == 0 &&
        make_folder(sandbox, state_dir, err) == 0 && folder_sweep(sandbox->folder, &sandbox->cgroups, err) == 0) {
        sandbox->limits = (struct cgroup_limits){config->memory, config->pids, config->cpus};
        sandbox->timeout_ms = config->timeout_ms;
        return sandbox;
    }
    sandbox_free(sandbox);
    return NULL;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    runtime_release(&sandbox->runtime);
    workspace_release(&sandbox->workspace);
    free(sandbox->folder);
    free(sandbox);
}

/* A guest that does nothing proves every part of the isolation; an image without `true` has proved it by then. */
static int try_guest(struct sandbox *sandbox, struct error *err)
{
    const char *const argv[] = {"true", NULL};
    struct sandbox_request request = {.argv = argv};
    struct sandbox_result result = {0};
    struct error failure = {0};
    if (sandbox_run(sandbox, &request, &result, &failure) < 0)
        return failure.code == ERROR_NOT_FOUND ? 0 : error_set(err, failure.code, "%s", failure.message);
    bool ok = result.end == SANDBOX_EXITED && result.exit_status == 0;
    enum sandbox_end end = result.end;
    sandbox_result_release(&result);
    return ok ? 0
              : error_set(err, ERROR_SANDBOX, "a guest that runs \"true\" %s; raise the limits of sandbox:",
                          end == SANDBOX_EXITED ? "failed" : sandbox_end_name(end));
}

static void add_size(struct buf *line, int64_t bytes)
{
    if (bytes >= (int64_t)(KIB * MIB))
        buf_printf(line, "%.4g GiB", (double)bytes / (KIB * MIB));
    else
        buf_printf(line, "%.4g MiB", (double)bytes / MIB);
}

int sandbox_check(struct sandbox *sandbox, struct buf *line, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(KiB(1));
    if (runtime_version(&sandbox->runtime, &text, err) < 0 || try_guest(sandbox, err) < 0)
        return -1;
    buf_printf(&text, ", cgroup v%d, ", sandbox->cgroups.version);
    add_size(&text, sandbox->limits.memory);
    buf_printf(&text, ", %.4g cpus%s", sandbox->limits.cpus,
               sandbox->workspace.user_namespace ? ", user namespace" : "");
    buf_puts(line, buf_text(&text));
    return buf_check(line, "the line on the sandbox", err);
}
