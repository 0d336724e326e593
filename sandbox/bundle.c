#include "sandbox/bundle.h"

#include <string.h>
#include <sys/resource.h>

#include "app/base/buf.h"
#include "sandbox/seccomp.h"

enum {
    OPEN_FILES = 16384,
    FILE_SLACK = 65536, /* so that a full disk says ENOSPC before this limit sends SIGXFSZ */
};

/* Shown by the kernel to everybody, of use to nobody who runs tests; the list of the OCI defaults. */
static const char *const masked_paths[] = {
    "/proc/acpi", "/proc/asound",     "/proc/interrupts",    "/proc/kcore",
    "/proc/keys", "/proc/key-users",  "/proc/latency_stats", "/proc/sched_debug",
    "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* A network namespace of its own holds a loopback interface and nothing else. */
static const char *const namespaces[] = {"pid", "network", "ipc", "uts", "mount", "cgroup"};

/* What only a runtime can mount, because it belongs to the guest's namespaces; options separated by commas. */
static const struct {
    const char *at, *type, *options;
} mounts[] = {
    {"/proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "nosuid,mode=755,size=64k,nr_inodes=64"},
    {"/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"},
    {"/dev/shm", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=64m,nr_inodes=4096"},
};

static json_t *texts(const char *const *items, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(items[i]));
    return array;
}

#define TEXTS(items) texts(items, sizeof(items) / sizeof *(items))

static json_t *config_mounts(void)
{
    json_t *array = json_array();
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        json_t *options = json_array();
        for (const char *at = mounts[i].options; *at; at += strspn(at, ",")) {
            size_t len = strcspn(at, ",");
            json_array_append_new(options, json_stringn(at, len));
            at += len;
        }
        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:o}", "destination", mounts[i].at, "type",
                                               mounts[i].type, "source", mounts[i].type, "options", options));
    }
    return array;
}

static json_t *config_namespaces(void)
{
    json_t *array = json_array();
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
        json_array_append_new(array, json_pack("{s:s}", "type", namespaces[i]));
    return array;
}

static json_t *config_resources(const struct bundle *bundle)
{
    const struct cgroup_limits *limits = &bundle->limits;
    json_t *memory = json_pack("{s:I}", "limit", (json_int_t)limits->memory);
    if (bundle->limits_swap)
        json_object_set_new(memory, "swap", json_integer(limits->memory)); /* the sum of both */
    json_t *cpu = json_pack("{s:I, s:I}", "quota", (json_int_t)(limits->cpus * CGROUP_CPU_PERIOD_US), "period",
                            (json_int_t)CGROUP_CPU_PERIOD_US);
    json_t *no_devices = json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm");
    return json_pack("{s:o, s:o, s:{s:I}, s:o}", "memory", memory, "cpu", cpu, "pids", "limit",
                     (json_int_t)limits->pids, "devices", no_devices);
}

static json_t *rlimit(const char *type, rlim_t value)
{
    return json_pack("{s:s, s:I, s:I}", "type", type, "hard", (json_int_t)value, "soft", (json_int_t)value);
}

/* Our own hard limit is the most that a process without CAP_SYS_RESOURCE may hand on. */
static json_t *config_rlimits(int64_t disk)
{
    struct rlimit files = {.rlim_max = OPEN_FILES};
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t open_files = files.rlim_max < OPEN_FILES ? files.rlim_max : OPEN_FILES;
    return json_pack("[o, o, o]", rlimit("RLIMIT_NOFILE", open_files), rlimit("RLIMIT_CORE", 0),
                     rlimit("RLIMIT_FSIZE", (rlim_t)disk + FILE_SLACK));
}

/* True when the environment sets the variable that `entry` ("NAME=value") names. */
static bool is_set(const char *const *environment, const char *entry)
{
    size_t len = strcspn(entry, "=") + 1;
    for (; environment && *environment; environment++)
        if (strncmp(*environment, entry, len) == 0)
            return true;
    return false;
}

static json_t *config_environment(const struct bundle *bundle, struct error *err)
{
    AUTO_FREE char *path = text_format("PATH=%s", bundle->search_path);
    const char *const defaults[] = {path, "HOME=/tmp", "LANG=C.UTF-8"};
    json_auto_t *list = json_array();
    for (size_t i = 0; path && i < sizeof defaults / sizeof *defaults; i++)
        if (!is_set(bundle->environment, defaults[i]))
            json_array_append_new(list, json_string(defaults[i]));
    for (const char *const *at = bundle->environment; at && *at; at++)
        if (strcspn(*at, "=") == 0 || !strchr(*at, '=') || json_array_append_new(list, json_string(*at)) < 0) {
            error_set(err, ERROR_INPUT, "the guest's environment: \"%.100s\" is not NAME=value in UTF-8", *at);
            return NULL;
        }
    return STEAL(list);
}

static json_t *config_process(const struct bundle *bundle, struct error *err)
{
    json_auto_t *environment = config_environment(bundle, err);
    json_auto_t *args = json_array();
    if (!environment)
        return NULL;
    for (const char *const *at = bundle->argv; *at; at++)
        if (json_array_append_new(args, json_string(*at)) < 0) {
            error_set(err, ERROR_INPUT, "the guest's command: \"%.100s\" is not UTF-8", *at);
            return NULL;
        }
    AUTO_FREE char *cwd = text_format("/workspace/%s", bundle->directory ? bundle->directory : "");
    json_t *process = json_pack("{s:O, s:O, s:s, s:b, s:b}", "args", args, "env", environment, "cwd", cwd, "terminal",
                                0, "noNewPrivileges", 1);
    json_t *user = json_pack("{s:I, s:I}", "uid", (json_int_t)bundle->uid, "gid", (json_int_t)bundle->gid);
    json_t *none =
        json_pack("{s:[], s:[], s:[], s:[], s:[]}", "bounding", "effective", "inheritable", "permitted", "ambient");
    json_object_set_new(process, "user", user);
    json_object_set_new(process, "capabilities", none);
    json_object_set_new(process, "rlimits", config_rlimits(bundle->disk));
    json_object_set_new(process, "oomScoreAdj", json_integer(1000)); /* a machine out of memory kills guests first */
    return process;
}

static json_t *config_linux(const struct bundle *bundle)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "cgroupsPath", bundle->cgroup, "namespaces", config_namespaces(),
                     "resources", config_resources(bundle), "maskedPaths", TEXTS(masked_paths), "readonlyPaths",
                     TEXTS(readonly_paths), "seccomp", seccomp_profile());
}

json_t *bundle_config(const struct bundle *bundle, struct error *err)
{
    json_t *process = config_process(bundle, err);
    if (!process)
        return NULL;
    json_t *root = json_pack("{s:s, s:b}", "path", "rootfs", "readonly", 1);
    json_t *config =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "ociVersion", "1.0.2", "hostname", "sandbox", "process", process,
                  "root", root, "mounts", config_mounts(), "linux", config_linux(bundle));
    if (!config)
        error_set(err, ERROR_INTERNAL, "make the bundle's configuration: out of memory");
    return config;
}
