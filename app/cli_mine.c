/* assay mine: tasks with hidden tests, made of a repository's own functions. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/checkout.h"
#include "app/cli.h"
#include "app/engine.h"
#include "app/mine.h"
#include "app/stop.h"
#include "app/task_tree.h"

struct options {
    bool json;
    const char *config, *out, *limit, *seed, *repo;
    int64_t most;
};

static int read_options(int argc, char **argv, struct options *out, struct error *err)
{
    struct options options = {.most = INT64_MAX};
    const struct cli_option table[] = {{"out", NULL, &options.out},   {"limit", NULL, &options.limit},
                                       {"seed", NULL, &options.seed}, {"config", NULL, &options.config},
                                       {"json", &options.json, NULL}, {0}};
    if (cli_options(argc, argv, table, &options.repo, 1, err) < 0)
        return -1;
    char *end = NULL;
    if (options.limit)
        options.most = strtoimax(options.limit, &end, 10);
    if (options.limit && (*end || options.most < 1)) {
        error_set(err, ERROR_USAGE, "mine: --limit takes a number from 1");
        return -1;
    }
    *out = options;
    return 0;
}

/* ---- where things go ---- */

struct place {
    char *name; /* "boltons" */
    char *file; /* the tasks' */
    char *tree; /* the copy of the repository, beside it */
    FILE *out;
};

static char *name_of(const char *repo)
{
    AUTO_FREE char *full = realpath(repo, NULL);
    AUTO_FREE char *copy = strdup(full ? full : repo);
    if (!copy)
        return NULL;
    char *name = basename(copy);
    size_t len = strlen(name);
    return strndup(name, len > 4 && strcmp(name + len - 4, ".git") == 0 ? len - 4 : len);
}

static int choose_place(const struct options *options, struct place *place, struct error *err)
{
    place->name = name_of(options->repo);
    place->file = options->out ? strdup(options->out) : text_format("%s.jsonl", place->name ? place->name : "");
    size_t len = place->file ? strlen(place->file) : 0;
    if (len > 6 && strcmp(place->file + len - 6, ".jsonl") == 0)
        len -= 6;
    place->tree = place->file ? text_format("%.*s.repo", (int)len, place->file) : NULL;
    if (!place->name || !place->tree) {
        error_set(err, ERROR_INTERNAL, "no memory");
        return -1;
    }
    if (fs_exists(place->file) || fs_exists(place->tree))
        return error_set(err, ERROR_USAGE, "%s is there already; remove it, or name another file with --out",
                         fs_exists(place->file) ? place->file : place->tree);
    return 0;
}

static int open_place(struct place *place, struct error *err)
{
    place->out = fopen(place->file, "wxe");
    return place->out ? 0 : error_system(err, errno, "make %s", place->file);
}

static void release_place(struct place *place)
{
    if (place->out)
        fclose(place->out);
    free(place->name);
    free(place->file);
    free(place->tree);
}

/* ---- the repository ---- */

static bool is_plain_folder(const char *repo)
{
    AUTO_FREE char *git = text_format("%s/.git", repo), *head = text_format("%s/HEAD", repo);
    struct stat info;
    return stat(repo, &info) == 0 && S_ISDIR(info.st_mode) && git && head && !fs_exists(git) && !fs_exists(head);
}

/* Its HEAD, or the folder as it is, becomes the tree beside the tasks. */
static int copy_repository(const char *repo, const struct config *config, const char *tree, struct error *err)
{
    struct checkout checkout = {0};
    if (is_plain_folder(repo))
        return task_tree_make(NULL, repo, tree, err);
    if (repo_library_start(err) < 0)
        return -1;
    int status = checkout_open(&checkout, config, repo, NULL, err);
    AUTO_FREE char *base = status == 0 ? checkout_tree(&checkout, checkout.base, "base", err) : NULL;
    status = base ? task_tree_make(NULL, base, tree, err) : -1;
    checkout_close(&checkout);
    repo_library_stop();
    return status;
}

/* ---- the order ---- */

struct lot {
    char digest[DIGEST_HEX_SIZE];
    const struct mine_function *function;
};

static int by_digest(const void *a, const void *b)
{
    return strcmp(((const struct lot *)a)->digest, ((const struct lot *)b)->digest);
}

static struct lot *draw(const struct mine *mine, const char *seed)
{
    struct lot *lots = calloc(mine->count + 1, sizeof *lots);
    for (size_t i = 0; lots && i < mine->count; i++) {
        const struct mine_function *function = &mine->functions[i];
        AUTO_FREE char *text = text_format("%s:%s:%s", seed ? seed : "0", function->file, function->symbol);
        digest_sha256(text ? text : "", text ? strlen(text) : 0, lots[i].digest);
        lots[i].function = function;
    }
    if (lots)
        qsort(lots, mine->count, sizeof *lots, by_digest);
    return lots;
}

/* ---- the work ---- */

struct count {
    size_t tried, kept, tests;
    int64_t began;
};

/* A line for each function; on a terminal those that are left out are written over. */
static void print_progress(const struct mine *mine, const struct count *count, const struct mine_function *function,
                           const char *reason)
{
    bool terminal = isatty(STDERR_FILENO);
    fprintf(stderr, "%s%zu/%zu %s %s: %s%s", terminal ? "\r\033[K" : "", count->tried, mine->count, function->file,
            function->symbol, reason ? "left out, " : "a task", reason ? reason : "");
    fputs(terminal && reason ? "" : "\n", stderr);
}

static int write_task(struct place *place, const struct mine_function *function, json_t *task, struct error *err)
{
    AUTO_FREE char *copy = strdup(place->tree);
    if (!copy)
        return error_set(err, ERROR_INTERNAL, "no memory");
    json_object_set_new(task, "task_id", json_sprintf("%s/%s:%s", place->name, function->file, function->symbol));
    json_object_set_new(task, "repo", json_string(basename(copy)));
    if (json_dumpf(task, place->out, JSON_COMPACT | JSON_PRESERVE_ORDER) < 0 || fputc('\n', place->out) == EOF ||
        fflush(place->out) == EOF)
        return error_system(err, errno, "write %s", place->file);
    return 0;
}

static int try_one(struct mine *mine, const struct mine_function *function, struct place *place, struct count *count,
                   struct error *err)
{
    json_t *made = NULL;
    const char *reason = NULL;
    if (mine_check(mine, function, &made, &reason, err) < 0)
        return -1;
    json_auto_t *task = made;
    count->tried++;
    if (reason)
        mine_leave_out(mine, reason);
    else if (write_task(place, function, task, err) < 0)
        return -1;
    else {
        count->kept++;
        count->tests += json_array_size(json_object_get(task, "tests"));
    }
    print_progress(mine, count, function, reason);
    return 0;
}

static int print_counts(const struct mine *mine, const struct count *count, const struct place *place, bool json,
                        struct error *err)
{
    int64_t elapsed = clock_monotonic_ms() - count->began;
    char duration[CLOCK_TEXT_SIZE];
    json_auto_t *summary = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:O}", "file", place->file, "repo", place->tree, "functions",
        (json_int_t)mine->seen, "tasks", (json_int_t)count->kept, "tests", (json_int_t)count->tests, "not_tried",
        (json_int_t)(mine->count - count->tried), "seconds", (double)elapsed / 1000.0, "left_out", mine->left_out);
    const char *reason;
    json_t *many;
    if (json)
        return cli_print_json(summary, stdout, err);
    printf("%zu tasks with %zu hidden tests in %s, from %zu functions, in %s; the tree is %s\n", count->kept,
           count->tests, place->file, mine->seen, clock_duration(elapsed, duration), place->tree);
    json_object_foreach (mine->left_out, reason, many)
        printf("  %5lld left out: %s\n", (long long)json_integer_value(many), reason);
    if (mine->count > count->tried)
        printf("  %5zu not tried: --limit was reached\n", mine->count - count->tried);
    return 0;
}

static int mine_all(struct mine *mine, const struct options *options, struct place *place, const struct stop *stop,
                    struct error *err)
{
    struct count count = {.began = clock_monotonic_ms()};
    fprintf(stderr, "running the tests once\n");
    if (mine_find(mine, err) < 0 || open_place(place, err) < 0)
        return -1;
    struct lot *lots = draw(mine, options->seed);
    int status = 0;
    if (!lots)
        return error_set(err, ERROR_INTERNAL, "no memory");
    for (size_t i = 0; status == 0 && i < mine->count && (int64_t)count.kept < options->most; i++) {
        status = try_one(mine, lots[i].function, place, &count, err);
        if (status == 0 && stop_wait((struct stop *)stop, 0))
            status = error_set(err, ERROR_CANCELLED, "stopped; %s holds the tasks that were found so far", place->file);
    }
    free(lots);
    return status == 0 ? print_counts(mine, &count, place, options->json, err) : -1;
}

static bool on_cancelled(void *context)
{
    return stop_wait(context, 0);
}

static int mine_with(const struct options *options, const struct config *config, struct secrets *secrets,
                     struct stop *stop, struct error *err)
{
    struct log log = log_open("mine");
    struct engine engine = {0};
    struct place place = {0};
    struct mine mine = {0};
    log.secrets = secrets;
    bool copied = false;
    int status = choose_place(options, &place, err);
    if (status == 0)
        status = engine_init(&engine, config, secrets, &log, err);
    if (status == 0) {
        copied = true; /* or in part */
        status = copy_repository(options->repo, config, place.tree, err);
    }
    if (status == 0) {
        struct pipeline pipeline = engine_pipeline(&engine, place.tree, &log);
        pipeline.journal = (struct journal){.context = stop, .cancelled = on_cancelled};
        mine.pipeline = &pipeline;
        mine.language = languages_of_tree(engine.languages, place.tree);
        status = mine.language ? mine_all(&mine, options, &place, stop, err)
                               : error_set(err, ERROR_INPUT, "%s: no language that is known here", options->repo);
    }
    if (status < 0 && !place.out && copied)
        fs_remove_tree(place.tree, NULL);
    mine_release(&mine);
    release_place(&place);
    engine_release(&engine);
    return status;
}

int cli_mine(int argc, char **argv, struct error *err)
{
    struct options options = {0};
    struct config config = {0};
    struct stop stop = {0};
    if (cli_wants_help(argc, argv))
        return 0;
    if (read_options(argc, argv, &options, err) < 0 || config_load(options.config, 0, &config, err) < 0)
        return -1;
    struct secrets *secrets = secrets_new();
    int status = secrets ? stop_watch(&stop, err) : error_set(err, ERROR_INTERNAL, "no memory");
    if (status == 0) {
        status = mine_with(&options, &config, secrets, &stop, err);
        stop_release(&stop);
    }
    secrets_free(secrets);
    config_release(&config);
    return status;
}
