#include "sandbox/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "sandbox/cgroup_file.h"

enum {
    FILE_BYTES_MAX = 64 * 1024,
    GROUP_MAX = 2 * CGROUP_PATH_MAX + 128,
    REMOVE_TRIES = 100, /* 10 ms apart */
};

char *cgroup_path(const struct cgroups *cgroups, const char *id)
{
    return text_format("%s/%s", cgroups->parent, id);
}

char *cgroup_inner_path(const struct cgroups *cgroups, const char *id)
{
    return text_format("%s/%s/guest", cgroups->parent, id);
}

/* The path of the guest's `file` in the hierarchy that has the controller. -1 when there is none. */
static int control_file(const struct cgroups *cgroups, const char *id, enum cgroup_controller controller,
                        const char *file, char path[static GROUP_MAX])
{
    for (size_t i = 0; i < cgroups->count; i++)
        if (cgroups->hierarchies[i].controllers & controller) {
            int len = snprintf(path, GROUP_MAX, "%s%s/%s/%s", cgroups->hierarchies[i].mount, cgroups->parent, id, file);
            return len < GROUP_MAX ? 0 : -1;
        }
    return -1;
}

/* The number in a file, after `key` and a space where the file has keys; "max" is the largest. -1 when absent. */
static int64_t control_number(const struct cgroups *cgroups, const char *id, enum cgroup_controller controller,
                              const char *file, const char *key)
{
    char path[GROUP_MAX], text[4096];
    if (control_file(cgroups, id, controller, file, path) < 0 || cgroup_file_read(path, text, sizeof text) < 0)
        return -1;
    size_t key_len = strlen(key);
    for (char *at = text, *line; (line = strsep(&at, "\n"));) {
        if (key_len && (strncmp(line, key, key_len) != 0 || line[key_len] != ' '))
            continue;
        const char *number = key_len ? line + key_len + 1 : line;
        char *end = NULL;
        long long value = strtoll(number, &end, 10);
        if (strncmp(number, "max", 3) == 0)
            return INT64_MAX;
        return end == number ? -1 : value;
    }
    return -1;
}

/* The larger of the numbers in the guest's group and in the one inside it that a runtime in the foreground makes:
 * version 1, and pids.events before Linux 6.11, count only in the group where it happens. 0 when there is none. */
static int64_t reading(const struct cgroups *cgroups, const char *id, enum cgroup_controller controller,
                       const char *file, const char *key)
{
    char inner[CGROUP_PATH_MAX];
    snprintf(inner, sizeof inner, "%s/guest", id);
    int64_t outside = control_number(cgroups, id, controller, file, key);
    int64_t inside = control_number(cgroups, inner, controller, file, key);
    int64_t larger = inside > outside ? inside : outside;
    return larger < 0 ? 0 : larger;
}

struct cgroup_readings cgroup_read(const struct cgroups *cgroups, const char *id)
{
    bool v2 = cgroups->version == 2;
    return (struct cgroup_readings){
        .oom_kills = reading(cgroups, id, CGROUP_MEMORY, v2 ? "memory.events" : "memory.oom_control", "oom_kill"),
        .pids_refused = reading(cgroups, id, CGROUP_PIDS, "pids.events", "max"),
        .memory_peak = reading(cgroups, id, CGROUP_MEMORY, v2 ? "memory.peak" : "memory.max_usage_in_bytes", ""),
    };
}

void cgroup_keep_largest(struct cgroup_readings *kept, struct cgroup_readings now)
{
    if (now.oom_kills > kept->oom_kills)
        kept->oom_kills = now.oom_kills;
    if (now.pids_refused > kept->pids_refused)
        kept->pids_refused = now.pids_refused;
    if (now.memory_peak > kept->memory_peak)
        kept->memory_peak = now.memory_peak;
}

/* A control file and the number that belongs there. */
struct setting {
    const char *what;
    enum cgroup_controller controller;
    const char *file;
    int64_t value;
    const char *rest; /* written after the number */
    bool swap;
};

enum { SETTINGS = 4 };

static void make_settings(int version, const struct cgroup_limits *limits, struct setting settings[static SETTINGS])
{
    int64_t quota = (int64_t)(limits->cpus * CGROUP_CPU_PERIOD_US);
    const struct setting both[][SETTINGS] = {
        {
            {"memory", CGROUP_MEMORY, "memory.limit_in_bytes", limits->memory, "", false},
            {"swap", CGROUP_MEMORY, "memory.memsw.limit_in_bytes", limits->memory, "", true},
            {"pids", CGROUP_PIDS, "pids.max", limits->pids, "", false},
            {"cpus", CGROUP_CPU, "cpu.cfs_quota_us", quota, "", false}, /* in the kernel's period of 100 ms */
        },
        {
            {"memory", CGROUP_MEMORY, "memory.max", limits->memory, "", false},
            {"swap", CGROUP_MEMORY, "memory.swap.max", 0, "", true},
            {"pids", CGROUP_PIDS, "pids.max", limits->pids, "", false},
            {"cpus", CGROUP_CPU, "cpu.max", quota, " 100000", false},
        },
    };
    memcpy(settings, both[version - 1], sizeof both[0]);
}

int cgroup_check_limits(const struct cgroups *cgroups, const char *id, const struct cgroup_limits *limits,
                        struct error *err)
{
    struct setting settings[SETTINGS];
    make_settings(cgroups->version, limits, settings);
    for (const struct setting *one = settings; one < settings + SETTINGS; one++) {
        int64_t value = control_number(cgroups, id, one->controller, one->file, "");
        if ((value >= 0 && value <= one->value) || (one->swap && !cgroups->limits_swap))
            continue;
        return error_set(err, ERROR_SANDBOX,
                         "the runtime started the guest without the limit on %s (%s of group %s/%s is %" PRId64
                         "); it was stopped; use runc, or a version of this runtime that supports this kernel's "
                         "cgroups",
                         one->what, one->file, cgroups->parent, id, value);
    }
    return 0;
}

/* The folder of the guest's group in one hierarchy, or of a group below it. */
static void group_folder(const struct cgroups *cgroups, size_t hierarchy, const char *id, const char *below,
                         char folder[static GROUP_MAX])
{
    snprintf(folder, GROUP_MAX, "%s%s/%s%s", cgroups->hierarchies[hierarchy].mount, cgroups->parent, id, below);
}

static int make_folder(const struct cgroups *cgroups, size_t hierarchy, const char *id, const char *below)
{
    char folder[GROUP_MAX];
    group_folder(cgroups, hierarchy, id, below, folder);
    return mkdir(folder, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* In version 2 a group that limits its children has no processes of its own, so the runtime gets a leaf. */
static const char *runtime_leaf(const struct cgroups *cgroups)
{
    return cgroups->version == 2 ? "/runtime" : "";
}

int cgroup_make(const struct cgroups *cgroups, const char *id, const struct cgroup_limits *limits, struct error *err)
{
    for (size_t i = 0; i < cgroups->count; i++)
        if (cgroups->hierarchies[i].controllers &&
            (make_folder(cgroups, i, "", "") < 0 || make_folder(cgroups, i, id, "") < 0 ||
             make_folder(cgroups, i, id, runtime_leaf(cgroups)) < 0))
            return error_system(err, errno, "make the group %s/%s below %s", cgroups->parent, id,
                                cgroups->hierarchies[i].mount);
    struct setting settings[SETTINGS];
    make_settings(cgroups->version, limits, settings);
    for (const struct setting *one = settings; one < settings + SETTINGS; one++) {
        char path[GROUP_MAX], text[64];
        snprintf(text, sizeof text, "%" PRId64 "%s", one->value, one->rest);
        if (one->swap && !cgroups->limits_swap)
            continue;
        if (control_file(cgroups, id, one->controller, one->file, path) < 0 || cgroup_file_write(path, text) < 0)
            return error_set(err, ERROR_SANDBOX, "limit %s of a guest: write %s to %s of group %s/%s: %s", one->what,
                             text, one->file, cgroups->parent, id, strerrordesc_np(errno));
    }
    return 0;
}

int cgroup_enter(const struct cgroups *cgroups, const char *id)
{
    for (size_t i = 0; i < cgroups->count; i++) {
        char folder[GROUP_MAX], path[GROUP_MAX + 16];
        group_folder(cgroups, i, id, runtime_leaf(cgroups), folder);
        snprintf(path, sizeof path, "%s/cgroup.procs", folder);
        if (cgroups->hierarchies[i].controllers && cgroup_file_write(path, "0") < 0) /* 0 is who writes */
            return -1;
    }
    return 0;
}

static void kill_all(const char *group)
{
    char path[GROUP_MAX + 16], text[FILE_BYTES_MAX];
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    if (cgroup_file_read(path, text, sizeof text) < 0)
        return;
    for (char *at = text, *line; (line = strsep(&at, "\n"));) {
        long pid = strtol(line, NULL, 10);
        if (pid > 1 && pid != getpid())
            kill((pid_t)pid, SIGKILL);
    }
}

static bool remove_group(const char *group)
{
    for (int i = 0; i < REMOVE_TRIES; i++) {
        if (rmdir(group) == 0 || errno == ENOENT)
            return true;
        if (errno != EBUSY)
            return false;
        kill_all(group);
        clock_sleep_ms(10);
    }
    return false;
}

bool cgroup_remove(const struct cgroups *cgroups, const char *id)
{
    static const char *const groups[] = {"/guest", "/runtime", ""};
    bool gone = true;
    for (size_t i = 0; i < cgroups->count; i++)
        for (size_t k = 0; k < sizeof groups / sizeof *groups; k++) {
            char folder[GROUP_MAX];
            group_folder(cgroups, i, id, groups[k], folder);
            gone = remove_group(folder) && gone;
        }
    return gone;
}
