/* Median time of an empty sandboxed command next to `runc run` of a bare bundle, in turns in the same run.
 *
 *     sandbox [ROUNDS [RUNTIME [GUEST]]]
 *
 * GUEST is a static program that ends at once when given "exit", by default the probe of the same build; it stands
 * alone in the bare bundle's root, and in the tree that the sandbox shows. Exits 1 when the ratio of the medians is
 * above the target. See tests/bench/README.md.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/base/proc.h"
#include "sandbox/sandbox.h"

#define TARGET 1.5

enum { ROUNDS_DEFAULT = 41, ROUNDS_MAX = 1000, WARM_UP = 3 };

struct bench {
    const char *runtime;
    char *folder; /* temporary; owned */
    struct sandbox *sandbox;
    struct buf guest; /* the program */
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int run_program(const char *const *argv, const char *directory, struct error *err)
{
    struct proc_request request = {.argv = argv, .directory = directory, .timeout_ms = 20000};
    struct proc_result result = {.out = BUF_INIT(KiB(64)), .err = BUF_INIT(KiB(64))};
    int done = proc_run(&request, &result, err);
    if (done == 0 && result.exit_status != 0)
        done = error_set(err, ERROR_SANDBOX, "%s failed: %s", argv[0], buf_text(&result.err));
    proc_result_release(&result);
    return done;
}

/* What `runc spec` writes, with the guest in place of a shell. */
static int make_bare_bundle(const struct bench *bench, struct error *err)
{
    const char *const spec[] = {bench->runtime, "spec", NULL};
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    AUTO_FREE char *path = text_format("%s/bare/config.json", bench->folder);
    AUTO_FREE char *bundle = text_format("%s/bare", bench->folder);
    if (fs_write_beneath(bench->folder, "bare/rootfs/guest", bench->guest.data, bench->guest.len, true, err) < 0 ||
        run_program(spec, bundle, err) < 0 || fs_read(path, &text, err) < 0)
        return -1;
    json_auto_t *config = json_loadb(text.data, text.len, 0, NULL);
    json_t *process = json_object_get(config, "process");
    json_object_set_new(process, "terminal", json_false());
    json_object_set_new(process, "args", json_pack("[s, s]", "/guest", "exit"));
    return json_dump_file(config, path, 0) == 0 ? 0 : error_set(err, ERROR_IO, "write %s", path);
}

static int run_bare(const struct bench *bench, int round, struct error *err)
{
    AUTO_FREE char *bundle = text_format("%s/bare", bench->folder);
    AUTO_FREE char *id = text_format("assay-bench-%d-%d", getpid(), round);
    const char *const argv[] = {bench->runtime, "run", "--bundle", bundle, id, NULL};
    return run_program(argv, NULL, err);
}

static int run_sandboxed(const struct bench *bench, struct error *err)
{
    const char *const argv[] = {"./guest", "exit", NULL};
    AUTO_FREE char *tree = text_format("%s/bare/rootfs", bench->folder);
    struct sandbox_request request = {.argv = argv, .tree = tree};
    struct sandbox_result result;
    if (sandbox_run(bench->sandbox, &request, &result, err) < 0)
        return -1;
    bool ok = result.end == SANDBOX_EXITED && result.exit_status == 0;
    if (!ok)
        error_set(err, ERROR_SANDBOX, "the guest %s: %s", sandbox_end_name(result.end), buf_text(&result.err));
    sandbox_result_release(&result);
    return ok ? 0 : -1;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Fills in the ratio. Turns, so that whatever else the machine does falls on both alike. */
static int measure(const struct bench *bench, int rounds, double *ratio, struct error *err)
{
    static double bare[ROUNDS_MAX], sandboxed[ROUNDS_MAX];
    for (int i = -WARM_UP; i < rounds; i++) {
        double began = now_ms();
        if (run_bare(bench, i, err) < 0)
            return -1;
        double middle = now_ms();
        if (run_sandboxed(bench, err) < 0)
            return -1;
        if (i >= 0) {
            bare[i] = middle - began;
            sandboxed[i] = now_ms() - middle;
        }
    }
    double bare_median = median(bare, (size_t)rounds), sandboxed_median = median(sandboxed, (size_t)rounds);
    *ratio = sandboxed_median / bare_median;
    printf("sandbox: %.1f ms, %s of a bare bundle: %.1f ms (medians of %d); ratio %.2f, target at most %.2f\n",
           sandboxed_median, bench->runtime, bare_median, rounds, *ratio, TARGET);
    return 0;
}

static int bench_init(struct bench *bench, const char *runtime, const char *guest, struct error *err)
{
    struct sandbox_config config = {
        .runtime = (char *)runtime,
        .image = (char[]){"host"},
        .memory = (int64_t)2 << 30,
        .cpus = 2,
        .pids = 256,
        .timeout_ms = 120000,
        .disk = (int64_t)1 << 30,
    };
    *bench = (struct bench){.runtime = runtime, .guest = BUF_INIT(MiB(64))};
    if (fs_read(guest, &bench->guest, err) < 0 || !(bench->folder = fs_make_temp_dir("/tmp", "assay-bench-", err)) ||
        make_bare_bundle(bench, err) < 0)
        return -1;
    bench->sandbox = sandbox_new(&config, bench->folder, NULL, err);
    return bench->sandbox ? 0 : -1;
}

static void bench_release(struct bench *bench)
{
    sandbox_free(bench->sandbox);
    if (bench->folder)
        fs_remove_tree(bench->folder, NULL);
    buf_release(&bench->guest);
    free(bench->folder);
}

/* <build>/tests/bench/sandbox → <build>/tests/probe/probe. Heap, or NULL. */
static char *default_guest(void)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return NULL;
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    return text_format("%s/../probe/probe", self);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct bench bench;
    double ratio = 0;
    AUTO_FREE char *probe = default_guest();
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    if (argc > 4 || rounds < 1 || rounds > ROUNDS_MAX || !probe) {
        fprintf(stderr, "usage: %s [ROUNDS up to %d [RUNTIME [GUEST]]]\n", argv[0], ROUNDS_MAX);
        return 2;
    }
    int done = bench_init(&bench, argc > 2 ? argv[2] : "runc", argc > 3 ? argv[3] : probe, &err);
    if (done == 0)
        done = measure(&bench, (int)rounds, &ratio, &err);
    bench_release(&bench);
    if (done < 0) {
        fprintf(stderr, "sandbox benchmark: %s\n", err.message);
        return 3;
    }
    return ratio <= TARGET ? 0 : 1;
}
