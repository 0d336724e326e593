#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"

#define CGROUP_TOP "/sys/fs/cgroup"

enum {
    FILE_BYTES_MAX = 64 * 1024,
    REMOVE_TRIES = 100, /* 10 ms apart */
    MOVE_ROUNDS = 16,
};

static const struct {
    const char *name;
    enum cgroup_controller bit;
} controller_names[] = {
    {"memory", CGROUP_MEMORY},
    {"pids", CGROUP_PIDS},
    {"cpu", CGROUP_CPU},
};

enum { CONTROLLERS = sizeof controller_names / sizeof *controller_names };

/* Control files are read and written in one call and report no size, so fs_read() does not fit. */
static int read_control(const char *path, char *text, size_t size)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    text[got < 0 ? 0 : got] = '\0';
    return got < 0 ? -1 : 0;
}

static int write_control(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) >= 0 ? 0 : -1;
}

/* True when the space- or comma-separated list holds the word. */
static bool has_word(const char *list, const char *word)
{
    for (size_t len = strlen(word); *list; list += strspn(list, " ,\n")) {
        size_t next = strcspn(list, " ,\n");
        if (next == len && memcmp(list, word, len) == 0)
            return true;
        list += next;
    }
    return false;
}

static unsigned controllers_in(const char *list)
{
    unsigned found = 0;
    for (size_t i = 0; i < CONTROLLERS; i++)
        if (has_word(list, controller_names[i].name))
            found |= controller_names[i].bit;
    return found;
}

static const char *missing_controller(unsigned found)
{
    for (size_t i = 0; i < CONTROLLERS; i++)
        if (!(found & controller_names[i].bit))
            return controller_names[i].name;
    return NULL;
}

/* One line of /proc/self/mountinfo: "… mount-point options [fields] - type source super-options". */
static void add_v1_hierarchy(struct cgroups *cgroups, char *line)
{
    char *rest = strstr(line, " - cgroup ");
    if (!rest || cgroups->count == CGROUP_HIERARCHIES_MAX)
        return;
    char *at = line, *mount = NULL;
    for (int field = 0; field < 5; field++)
        mount = strsep(&at, " ");
    const char *options = strrchr(rest, ' ');
    if (!mount || !options || strlen(mount) >= CGROUP_PATH_MAX)
        return;
    struct cgroup_hierarchy *one = &cgroups->hierarchies[cgroups->count++];
    snprintf(one->mount, sizeof one->mount, "%s", mount);
    one->controllers = controllers_in(options + 1);
}

/* Version 1: the group "/assay" in every hierarchy. Root makes it; for another user an administrator has to. */
static int find_v1(struct cgroups *cgroups, struct error *err)
{
    unsigned found = 0;
    for (size_t i = 0; i < cgroups->count; i++) {
        char path[CGROUP_PATH_MAX + 16];
        const struct cgroup_hierarchy *one = &cgroups->hierarchies[i];
        snprintf(path, sizeof path, "%s/assay", one->mount);
        if (access(path, W_OK) < 0 && (errno != ENOENT || access(one->mount, W_OK) < 0))
            return error_set(err, ERROR_SANDBOX,
                             "no limits possible: this user may not make groups in %s; run as root, or let root make "
                             "%s and give it to this user (also in the other folders of " CGROUP_TOP ")",
                             one->mount, path);
        found |= one->controllers;
    }
    const char *missing = missing_controller(found);
    if (missing)
        return error_set(err, ERROR_SANDBOX,
                         "no limits possible: the cgroup controller \"%s\" is not mounted below " CGROUP_TOP
                         "; mount it, or boot with cgroup version 2",
                         missing);
    snprintf(cgroups->parent, sizeof cgroups->parent, "/assay");
    return 0;
}

/* Our own group's path in version 2: the line "0::/path". */
static int own_group(char *path, size_t size, struct error *err)
{
    char text[4096];
    if (read_control("/proc/self/cgroup", text, sizeof text) == 0)
        for (char *at = text, *line; (line = strsep(&at, "\n"));)
            if (strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < size) {
                snprintf(path, size, "%s", line + 3);
                return 0;
            }
    return error_set(err, ERROR_SANDBOX, "no limits possible: /proc/self/cgroup names no group of version 2");
}

/* Hands the controllers of `group` down to its children. -1 with errno. */
static int hand_down(const char *group)
{
    char path[CGROUP_PATH_MAX + 64], text[256];
    snprintf(path, sizeof path, CGROUP_TOP "%s/cgroup.subtree_control", group);
    if (read_control(path, text, sizeof text) == 0 && !missing_controller(controllers_in(text)))
        return 0;
    return write_control(path, "+memory +pids +cpu");
}

/* Moves every process of `group` into its child "main": a group with processes cannot limit its children. */
static int empty_group(const char *group)
{
    char path[CGROUP_PATH_MAX + 64], leaf[CGROUP_PATH_MAX + 64], text[FILE_BYTES_MAX];
    snprintf(path, sizeof path, CGROUP_TOP "%s/main", group);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -1;
    snprintf(leaf, sizeof leaf, CGROUP_TOP "%s/main/cgroup.procs", group);
    snprintf(path, sizeof path, CGROUP_TOP "%s/cgroup.procs", group);
    for (int round = 0; round < MOVE_ROUNDS; round++) { /* new ones may be born meanwhile */
        if (read_control(path, text, sizeof text) < 0)
            return -1;
        if (!*text)
            return 0;
        for (char *at = text, *pid; (pid = strsep(&at, "\n"));)
            if (*pid && write_control(leaf, pid) < 0 && errno != ESRCH)
                return -1;
    }
    errno = EBUSY;
    return -1;
}

/* Tries three places: "/assay" at the top (root), beside our own group (systemd's DelegateSubgroup=), and below it
 * (Delegate=). Version 2 could not be tried on the machine where this was written: only its reading is tested. */
static int find_v2(struct cgroups *cgroups, struct error *err)
{
    char own[CGROUP_PATH_MAX], beside[CGROUP_PATH_MAX];
    if (own_group(own, sizeof own, err) < 0)
        return -1;
    if (geteuid() == 0 && hand_down("") == 0 && (mkdir(CGROUP_TOP "/assay", 0755) == 0 || errno == EEXIST) &&
        hand_down("/assay") == 0) {
        snprintf(cgroups->parent, sizeof cgroups->parent, "/assay");
        return 0;
    }
    snprintf(beside, sizeof beside, "%s", own);
    *strrchr(beside, '/') = '\0';
    if (*beside && hand_down(beside) == 0) {
        snprintf(cgroups->parent, sizeof cgroups->parent, "%s", beside);
        return 0;
    }
    if (empty_group(own) == 0 && hand_down(own) == 0) {
        snprintf(cgroups->parent, sizeof cgroups->parent, "%s", own);
        return 0;
    }
    return error_set(
        err, ERROR_SANDBOX,
        "no limits possible: this user may not make limited groups in " CGROUP_TOP "%s (%s); run Assay as "
        "a service with Delegate=yes, or by hand with `systemd-run --user --scope -p Delegate=yes assay …`",
        own, strerrordesc_np(errno));
}

static int read_v1_mounts(struct cgroups *cgroups, struct error *err)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return error_system(err, errno, "read /proc/self/mountinfo");
    for (ssize_t len; (len = getline(&line, &size, file)) > 0;) {
        line[len - 1] = '\0';
        add_v1_hierarchy(cgroups, line);
    }
    free(line);
    fclose(file);
    return 0;
}

/* Finds out whether swap can be limited. Without that a guest could take the machine's swap beside its memory. */
static int check_swap(struct cgroups *cgroups, struct error *err)
{
    char path[2 * CGROUP_PATH_MAX] = CGROUP_TOP, text[4096] = "";
    if (cgroups->version == 2)
        snprintf(path, sizeof path, CGROUP_TOP "%s/memory.swap.max", cgroups->parent);
    for (size_t i = 0; cgroups->version == 1 && i < cgroups->count; i++)
        if (cgroups->hierarchies[i].controllers & CGROUP_MEMORY)
            snprintf(path, sizeof path, "%s/memory.memsw.limit_in_bytes", cgroups->hierarchies[i].mount);
    cgroups->limits_swap = access(path, F_OK) == 0;
    read_control("/proc/swaps", text, sizeof text); /* a heading, then a line for each area */
    const char *areas = strchr(text, '\n');
    if (cgroups->limits_swap || !areas || !areas[1])
        return 0;
    return error_set(err, ERROR_SANDBOX,
                     "swap cannot be limited: there is no %s; boot with swapaccount=1, or switch swap off", path);
}

int cgroups_find(struct cgroups *cgroups, struct error *err)
{
    struct cgroups found = {.version = 1};
    struct statfs fs;
    if (statfs(CGROUP_TOP, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
        found.version = 2;
        found.count = 1;
        found.hierarchies[0].controllers = CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU;
        snprintf(found.hierarchies[0].mount, CGROUP_PATH_MAX, CGROUP_TOP);
        if (find_v2(&found, err) < 0)
            return -1;
    } else if (read_v1_mounts(&found, err) < 0 || find_v1(&found, err) < 0) {
        return -1;
    }
    if (check_swap(&found, err) < 0)
        return -1;
    *cgroups = found;
    return 0;
}

char *cgroup_path(const struct cgroups *cgroups, const char *id)
{
    return text_format("%s/%s", cgroups->parent, id);
}

/* The path of the guest's `file` in the hierarchy that has the controller. -1 when there is none. */
static int control_file(const struct cgroups *cgroups, const char *id, enum cgroup_controller controller,
                        const char *file, char path[static 2 * CGROUP_PATH_MAX])
{
    for (size_t i = 0; i < cgroups->count; i++)
        if (cgroups->hierarchies[i].controllers & controller) {
            int len = snprintf(path, (size_t)2 * CGROUP_PATH_MAX, "%s%s/%s/%s", cgroups->hierarchies[i].mount,
                               cgroups->parent, id, file);
            return len < 2 * CGROUP_PATH_MAX ? 0 : -1;
        }
    return -1;
}

/* The number in a file, after `key` and a space where the file has keys; "max" is the largest. -1 when absent. */
static int64_t control_number(const struct cgroups *cgroups, const char *id, enum cgroup_controller controller,
                              const char *file, const char *key)
{
    char path[2 * CGROUP_PATH_MAX], text[4096];
    if (control_file(cgroups, id, controller, file, path) < 0 || read_control(path, text, sizeof text) < 0)
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

static int64_t or_zero(int64_t value)
{
    return value < 0 ? 0 : value;
}

struct cgroup_readings cgroup_read(const struct cgroups *cgroups, const char *id)
{
    bool v2 = cgroups->version == 2;
    return (struct cgroup_readings){
        .oom_kills = or_zero(
            control_number(cgroups, id, CGROUP_MEMORY, v2 ? "memory.events" : "memory.oom_control", "oom_kill")),
        .pids_refused = or_zero(control_number(cgroups, id, CGROUP_PIDS, "pids.events", "max")),
        .memory_peak =
            or_zero(control_number(cgroups, id, CGROUP_MEMORY, v2 ? "memory.peak" : "memory.max_usage_in_bytes", "")),
    };
}

/* Each limit: the file whose number must be there and not above what was asked. */
int cgroup_check_limits(const struct cgroups *cgroups, const char *id, const struct cgroup_limits *limits,
                        struct error *err)
{
    bool v2 = cgroups->version == 2;
    const struct {
        const char *what;
        enum cgroup_controller controller;
        const char *file;
        int64_t most;
    } checks[] = {
        {"memory", CGROUP_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes", limits->memory},
        {"pids", CGROUP_PIDS, "pids.max", limits->pids},
        {"cpus", CGROUP_CPU, v2 ? "cpu.max" : "cpu.cfs_quota_us", (int64_t)(limits->cpus * CGROUP_CPU_PERIOD_US) + 1},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        int64_t value = control_number(cgroups, id, checks[i].controller, checks[i].file, "");
        if (value < 0 || value > checks[i].most)
            return error_set(err, ERROR_SANDBOX,
                             "the runtime started the guest without the limit on %s (%s of group %s/%s is %" PRId64
                             "); it was stopped; use runc, or a version of this runtime that supports this kernel's "
                             "cgroups",
                             checks[i].what, checks[i].file, cgroups->parent, id, value);
    }
    return 0;
}

static void kill_all(const char *group)
{
    char path[2 * CGROUP_PATH_MAX + 16], text[FILE_BYTES_MAX];
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    if (read_control(path, text, sizeof text) < 0)
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
    bool gone = true;
    for (size_t i = 0; i < cgroups->count; i++) {
        char group[2 * CGROUP_PATH_MAX];
        snprintf(group, sizeof group, "%s%s/%s", cgroups->hierarchies[i].mount, cgroups->parent, id);
        gone = remove_group(group) && gone;
    }
    return gone;
}
