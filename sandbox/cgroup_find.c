#include "sandbox/cgroup.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "sandbox/cgroup_file.h"

#define CGROUP_TOP "/sys/fs/cgroup"

enum {
    FILE_BYTES_MAX = 64 * 1024,
    MOVE_ROUNDS = 16,
    SHARES_OF_A_PROCESS = 1024,
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

/* One line of /proc/self/mountinfo: "… mount-point options [fields] - type source super-options". A runtime makes its
 * group in the named hierarchies too, and in the empty one of version 2 that a hybrid layout has. */
static void add_v1_hierarchy(struct cgroups *cgroups, char *line)
{
    char *rest = strstr(line, " - cgroup");
    if (!rest || cgroups->count == CGROUP_HIERARCHIES_MAX)
        return;
    char *at = line, *mount = NULL;
    for (int field = 0; field < 5; field++)
        mount = strsep(&at, " ");
    const char *options = strrchr(rest, ' ');
    if (!mount || strncmp(mount, CGROUP_TOP "/", strlen(CGROUP_TOP "/")) != 0 || strlen(mount) >= CGROUP_PATH_MAX)
        return;
    struct cgroup_hierarchy *one = &cgroups->hierarchies[cgroups->count++];
    snprintf(one->mount, sizeof one->mount, "%s", mount);
    one->controllers = controllers_in(options + 1);
}

/* In version 1 a group competes with each process outside of groups for the processors, as if all guests together were
 * one process: on a busy machine they would starve. Let them weigh as much as a busy process on every processor. Best
 * effort: it changes how fast a guest is, not what it may do. */
static void give_weight_v1(const char *mount)
{
    char path[CGROUP_PATH_MAX + 32], text[32];
    snprintf(path, sizeof path, "%s/assay", mount);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/assay/cpu.shares", mount);
    snprintf(text, sizeof text, "%ld", SHARES_OF_A_PROCESS * sysconf(_SC_NPROCESSORS_ONLN));
    cgroup_file_write(path, text);
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
        if (one->controllers & CGROUP_CPU)
            give_weight_v1(one->mount);
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
    if (cgroup_file_read("/proc/self/cgroup", text, sizeof text) == 0)
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
    if (cgroup_file_read(path, text, sizeof text) == 0 && !missing_controller(controllers_in(text)))
        return 0;
    return cgroup_file_write(path, "+memory +pids +cpu");
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
        if (cgroup_file_read(path, text, sizeof text) < 0)
            return -1;
        if (!*text)
            return 0;
        for (char *at = text, *pid; (pid = strsep(&at, "\n"));)
            if (*pid && cgroup_file_write(leaf, pid) < 0 && errno != ESRCH)
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
    if (strcmp(own, "/") == 0)
        own[0] = '\0'; /* the top of a container: its processes may be moved, too */
    snprintf(beside, sizeof beside, "%s", own);
    beside[*beside ? strrchr(beside, '/') - beside : 0] = '\0';
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
    cgroup_file_read("/proc/swaps", text, sizeof text); /* a heading, then a line for each area */
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
