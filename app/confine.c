#include "app/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/base/buf.h"

#if defined __x86_64__
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#else
#error "name this processor's AUDIT_ARCH_ for the seccomp filter"
#endif

static int drop_capabilities(struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capset, &header, none) < 0)
        return error_system(err, errno, "drop capabilities");
    return 0;
}

/* System calls by which a broken receiver would reach further; they answer EPERM. x32's numbers are another table. */
#define REFUSE(call)                                                                                                   \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

#if defined __x86_64__
#define NATIVE_CALLS_ONLY                                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#else
#define NATIVE_CALLS_ONLY
#endif

/* The number of the call is in the accumulator after this. */
#define LOAD_CALL                                                                                                      \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),                                           \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),   \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), NATIVE_CALLS_ONLY

static int filter_calls(const struct sock_filter *code, size_t count, struct error *err)
{
    const struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return error_system(err, errno, "filter system calls");
    return 0;
}

/* Of several filters the strictest answer counts. */
static int restrict_calls(bool connects, struct error *err)
{
    const struct sock_filter never[] = {
        LOAD_CALL REFUSE(execve),
        REFUSE(execveat),
        REFUSE(ptrace),
        REFUSE(process_vm_readv),
        REFUSE(process_vm_writev),
        REFUSE(pidfd_getfd),
        REFUSE(kill),
        REFUSE(io_uring_setup),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_filter connecting[] = {
        LOAD_CALL REFUSE(socket),
        REFUSE(connect),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (!connects && filter_calls(connecting, sizeof connecting / sizeof connecting[0], err) < 0)
        return -1;
    return filter_calls(never, sizeof never / sizeof never[0], err);
}

/* Rights of Landlock's first version: everything that it can refuse, and of that what a database needs. */
enum {
    FILES_ALL = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
    FILES_DATABASE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

/* What a connection to a server reads: the resolver's files, and certificates. */
static const char *const connection_files[] = {
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/passwd",
    "/etc/ssl",
    "/etc/localtime",
    "/run/systemd/resolve",
    "/usr/lib",
    "/lib",
    "/usr/share/ca-certificates",
    NULL,
};

/* A file that is not there needs no right. */
static int allow(int rules, const char *path, uint64_t access, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT ? 0 : error_system(err, errno, "restrict file access to %s", path);
    if (!S_ISDIR(st.st_mode))
        access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    const struct landlock_path_beneath_attr below = {.allowed_access = access, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0)
        return error_system(err, errno, "restrict file access to %s", path);
    return 0;
}

static int allow_all(int rules, const char *const *paths, struct error *err)
{
    for (; paths && *paths; paths++)
        if (allow(rules, *paths, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR, err) < 0)
            return -1;
    return 0;
}

static int restrict_files(const struct confinement *rights, const struct log *log, struct error *err)
{
    const struct landlock_ruleset_attr all = {.handled_access_fs = FILES_ALL};
    AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
        log_info(log, "this kernel has no Landlock: file access is not restricted any further");
        return 0;
    }
    if (rules < 0)
        return error_system(err, errno, "restrict file access");
    if ((rights->folder && allow(rules, rights->folder, FILES_DATABASE, err) < 0) ||
        (rights->connects && allow_all(rules, connection_files, err) < 0) || allow_all(rules, rights->files, err) < 0)
        return -1;
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return error_system(err, errno, "restrict file access");
    return 0;
}

int confine_self(const struct confinement *rights, const struct log *log, struct error *err)
{
    const struct rlimit none = {0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        return error_system(err, errno, "give up privileges");
    if (restrict_files(rights, log, err) < 0 || drop_capabilities(err) < 0)
        return -1;
    return restrict_calls(rights->connects, err);
}
