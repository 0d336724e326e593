/* Control groups: where guests' groups live, what the kernel says about one, and their removal.
 *
 * The OCI runtime makes a guest's group and writes its limits; this module finds a place where that can work,
 * reads back that the limits are there, and reads what happened once the guest is dead. Version 1 (also the
 * hybrid layout) and version 2 are read; the version is the one that runtimes see: 2 when /sys/fs/cgroup is a
 * cgroup2 file system, else 1.
 */
#ifndef SANDBOX_CGROUP_H
#define SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"

enum {
    CGROUP_HIERARCHIES_MAX = 24,
    CGROUP_PATH_MAX = 512,
};

enum cgroup_controller {
    CGROUP_MEMORY = 1 << 0,
    CGROUP_PIDS = 1 << 1,
    CGROUP_CPU = 1 << 2,
};

/* A plain value. */
struct cgroups {
    int version;
    bool limits_swap;
    char parent[CGROUP_PATH_MAX]; /* the group above all guests' groups, from the hierarchy's top: "/assay" */
    size_t count;
    struct cgroup_hierarchy { /* one for version 2 */
        char mount[CGROUP_PATH_MAX];
        unsigned controllers;
    } hierarchies[CGROUP_HIERARCHIES_MAX];
};

struct cgroup_limits {
    int64_t memory; /* bytes, swap included */
    int64_t pids;
    double cpus;
};

#define CGROUP_CPU_PERIOD_US 100000

struct cgroup_readings {
    int64_t oom_kills;    /* processes killed because the memory limit was reached */
    int64_t pids_refused; /* forks refused because the pids limit was reached */
    int64_t memory_peak;  /* bytes, 0 when the kernel does not say */
};

/* Finds a place in which this process may make limited groups. On version 2 that may move the processes of our
 * own group into a leaf below it, as the kernel wants it. ERROR_SANDBOX with the reason and the fix. */
int cgroups_find(struct cgroups *cgroups, struct error *err);

/* The guest's group as the bundle names it ("linux.cgroupsPath"). Heap, owned by the caller. */
char *cgroup_path(const struct cgroups *cgroups, const char *id);

/* For a runtime that removes its group before we can read it, or that may not make one: a limited group of ours
 * around the guest's (then named by cgroup_inner_path()), in which the runtime itself runs too. */
int cgroup_make(const struct cgroups *cgroups, const char *id, const struct cgroup_limits *limits, struct error *err);
char *cgroup_inner_path(const struct cgroups *cgroups, const char *id);

/* Moves the calling process into the group that cgroup_make() made. -1 with errno. */
int cgroup_enter(const struct cgroups *cgroups, const char *id);

/* What the kernel counted. A group or file that is missing leaves that figure 0. */
struct cgroup_readings cgroup_read(const struct cgroups *cgroups, const char *id);

/* For readings of a group that may be gone before the last: a runtime in the foreground takes its own with it. */
void cgroup_keep_largest(struct cgroup_readings *kept, struct cgroup_readings now);

/* 0 when the group exists and is limited at least as asked; ERROR_SANDBOX names the limit that is not there. */
int cgroup_check_limits(const struct cgroups *cgroups, const char *id, const struct cgroup_limits *limits,
                        struct error *err);

/* Kills whatever still runs in the group, then removes it; waits at most about a second. True when it is gone. */
bool cgroup_remove(const struct cgroups *cgroups, const char *id);

#endif
