/* What the sandbox's tests share: a host to protect, a tree to show, a guest that misbehaves, and the check afterwards
 * that the host is as it was: no process, mount, group or folder left, the tree unchanged.
 */
#ifndef TESTS_UNIT_SANDBOX_WORLD_H
#define TESTS_UNIT_SANDBOX_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/fs.h"
#include "sandbox/sandbox.h"

enum { SECONDS = 1000 };

struct world {
    char *folder; /* temporary, readable by everybody */
    char *tree;   /* <folder>/tree */
    char *state;  /* <folder>/state */
    char *probe;  /* "./probe-…": a name that no other process on the machine has */
    char before[DIGEST_HEX_SIZE];
    struct sandbox *sandbox;
    char id[64]; /* of the run that note_id() has seen last */
};

static inline struct sandbox_config world_config(void)
{
    return (struct sandbox_config){
        .runtime = (char *)"runc",
        .image = (char *)"host",
        .memory = 128 << 20,
        .cpus = 1,
        .pids = 48,
        .timeout_ms = 20 * SECONDS,
        .disk = 16 << 20,
    };
}

static inline bool have_runc(void)
{
    return access("/usr/sbin/runc", X_OK) == 0 || access("/usr/bin/runc", X_OK) == 0 ||
           access("/usr/local/bin/runc", X_OK) == 0 || access("/usr/local/sbin/runc", X_OK) == 0;
}

static inline void world_write(const struct world *world, const char *path, const char *text, unsigned mode)
{
    struct error err = {0};
    AUTO_FREE char *full = text_format("%s/%s", world->tree, path);
    if (fs_write_beneath(world->tree, path, text, strlen(text), false, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(chmod(full, mode), 0);
}

/* The build has it beside this test: <build>/tests/unit/sandbox/test_x and <build>/tests/probe/probe. */
static inline void world_copy_probe(struct world *world)
{
    struct error err = {0};
    char self[4096];
    AUTO_BUF struct buf bytes = BUF_INIT(MiB(16));
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    AUTO_FREE char *path = text_format("%s/../../probe/probe", self);
    if (fs_read(path, &bytes, &err) < 0)
        fail_msg("%s; build it: make <build>/tests/probe/probe", err.message);
    if (fs_write_beneath(world->tree, world->probe + 2, bytes.data, bytes.len, true, &err) < 0)
        fail_msg("%s", err.message);
}

struct tree_digest {
    const char *root;
    struct buf text;
};

static inline int tree_digest_add(void *context, const char *path)
{
    struct tree_digest *digest = context;
    AUTO_FREE char *full = text_format("%s/%s", digest->root, path);
    AUTO_BUF struct buf bytes = BUF_INIT(MiB(16));
    char hex[DIGEST_HEX_SIZE];
    struct stat st;
    assert_int_equal(fs_read(full, &bytes, NULL), 0);
    assert_int_equal(stat(full, &st), 0);
    digest_sha256(buf_text(&bytes), bytes.len, hex);
    return buf_printf(&digest->text, "%s %o %u %u %s\n", path, st.st_mode, st.st_uid, st.st_gid, hex);
}

/* Over every file's path, mode, owner and bytes. */
static inline void tree_digest(const struct world *world, char hex[static DIGEST_HEX_SIZE])
{
    struct error err = {0};
    struct tree_digest digest = {.root = world->tree, .text = BUF_INIT(MiB(1))};
    if (fs_walk(world->tree, 1000, tree_digest_add, &digest, &err) != 0)
        fail_msg("%s", err.message);
    digest_sha256(buf_text(&digest.text), digest.text.len, hex);
    buf_release(&digest.text);
}

static inline struct sandbox *world_sandbox(const struct world *world, const struct sandbox_config *config)
{
    struct error err = {0};
    struct sandbox *sandbox = sandbox_new(config, world->state, NULL, &err);
    if (!sandbox)
        fail_msg("%s", err.message);
    return sandbox;
}

/* Group set-up. Without a runtime *state stays NULL and every test is skipped by NEED_WORLD. */
static inline int world_set_up(void **state)
{
    char id[RANDOM_ID_SIZE];
    struct error err = {0};
    struct sandbox_config config = world_config();
    if (!have_runc())
        return 0;
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->folder = fs_make_temp_dir("/tmp", "assay-sandbox-", &err);
    if (!world->folder)
        fail_msg("%s", err.message);
    world->tree = text_format("%s/tree", world->folder);
    world->state = text_format("%s/state", world->folder);
    world->probe = text_format("./probe-%s", random_id(id));
    assert_int_equal(chmod(world->folder, 0755), 0);
    assert_int_equal(mkdir(world->tree, 0755), 0);
    assert_int_equal(mkdir(world->state, 0755), 0);
    world_copy_probe(world);
    world_write(world, "README", "read me\n", 0644);
    world_write(world, "private", "only for the owner\n", 0600);
    world_write(world, "src/code.py", "print(1)\n", 0644);
    tree_digest(world, world->before);
    setenv("ASSAY_TEST_CANARY", "canary-value", 1);
    world->sandbox = world_sandbox(world, &config);
    *state = world;
    return 0;
}

static inline int world_tear_down(void **state)
{
    struct world *world = *state;
    if (!world)
        return 0;
    sandbox_free(world->sandbox);
    fs_remove_tree(world->folder, NULL);
    free(world->folder);
    free(world->tree);
    free(world->state);
    free(world->probe);
    free(world);
    return 0;
}

#define NEED_WORLD(state)                                                                                              \
    do {                                                                                                               \
        if (!*(state)) {                                                                                               \
            print_message("skipped: there is no runc on this machine\n");                                              \
            skip();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* A `cancelled` that never cancels: it looks which run there is, so that its group can be looked for later. */
static inline bool note_id(void *context)
{
    struct world *world = context;
    AUTO_FREE char *path = text_format("%s/sandbox", world->state);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            snprintf(world->id, sizeof world->id, "%.60s", entry->d_name);
    if (dir)
        closedir(dir);
    return false;
}

/* Runs argv in the tree with what else `request` says. The caller releases the result. */
static inline void run_in(struct world *world, struct sandbox *sandbox, struct sandbox_request request,
                          const char *const *argv, struct sandbox_result *result)
{
    struct error err = {0};
    request.argv = argv;
    request.tree = world->tree;
    if (!request.cancelled) {
        request.cancelled = note_id;
        request.cancel_context = world;
    }
    if (sandbox_run(sandbox, &request, result, &err) < 0)
        fail_msg("%s", err.message);
}

#define RUN(world, request, result, ...)                                                                               \
    run_in(world, (world)->sandbox, request, (const char *const[]){__VA_ARGS__, NULL}, result)
#define PLAIN ((struct sandbox_request){0})

/* How many processes of the machine have the probe's name in their command line. Each gets the signal; 0 is none. */
static inline int signal_probes(const struct world *world, int signal)
{
    glob_t found;
    int count = 0;
    assert_int_equal(glob("/proc/[0-9]*/cmdline", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char text[512] = "";
        FILE *file = fopen(found.gl_pathv[i], "re");
        if (!file)
            continue;
        size_t len = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        if (!memmem(text, len, world->probe, strlen(world->probe)))
            continue;
        kill((pid_t)strtol(found.gl_pathv[i] + strlen("/proc/"), NULL, 10), signal);
        count++;
    }
    globfree(&found);
    return count;
}

static inline int count_probes(const struct world *world)
{
    return signal_probes(world, 0);
}

static inline size_t count_matches(const char *pattern)
{
    glob_t found;
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

/* Groups of the run that note_id() has seen, in either version. */
static inline size_t count_groups(const struct world *world)
{
    AUTO_FREE char *v1 = text_format("/sys/fs/cgroup/*/assay/%s", world->id);
    AUTO_FREE char *v2 = text_format("/sys/fs/cgroup/assay/%s", world->id);
    return world->id[0] ? count_matches(v1) + count_matches(v2) : 0;
}

static inline int assert_host_untouched(void **state)
{
    const struct world *world = *state;
    if (!world)
        return 0;
    char after[DIGEST_HEX_SIZE];
    AUTO_BUF struct buf mounts = BUF_INIT(MiB(1));
    AUTO_FREE char *runs = text_format("%s/sandbox/*", world->state);
    assert_int_equal(fs_read("/proc/self/mountinfo", &mounts, NULL), 0);
    assert_null(strstr(buf_text(&mounts), world->folder));
    assert_int_equal(count_probes(world), 0);
    assert_int_equal(count_groups(world), 0);
    assert_int_equal(count_matches(runs), 0);
    tree_digest(world, after);
    assert_string_equal(after, world->before);
    return 0;
}

#define SANDBOX_TEST(name) cmocka_unit_test_setup_teardown(name, NULL, assert_host_untouched)

#endif
