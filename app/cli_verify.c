/* assay verify BASE..HEAD: checks a proof again: the tests of the first commit fail there and pass on the last one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "app/checkout.h"
#include "app/cli.h"
#include "app/engine.h"

enum { MAX_COMMITS = 200 };

struct options {
    char *base, *head;
    const char *repo, *config;
    bool json;
};

static int read_options(int argc, char **argv, struct options *out, struct error *err)
{
    struct options options = {.repo = "."};
    const char *range = NULL;
    const struct cli_option table[] = {
        {"repo", NULL, &options.repo}, {"config", NULL, &options.config}, {"json", &options.json, NULL}, {0}};
    if (cli_options(argc, argv, table, &range, 1, err) < 0)
        return -1;
    const char *dots = strstr(range, "..");
    if (!dots || dots == range)
        return error_set(err, ERROR_USAGE, "verify: name one range, such as main..assay/7-slugify");
    options.base = strndup(range, (size_t)(dots - range));
    options.head = strdup(dots[2] ? dots + 2 : "HEAD");
    *out = options;
    return 0;
}

/* The tests that the first commit brings, and the check that no later commit touched them. */
static int locked_tests(struct checkout *checkout, const struct languages *languages, const char *first,
                        const char *head, struct yaml_texts *out, struct error *err)
{
    char **paths = NULL, **later = NULL;
    size_t count = 0, later_count = 0;
    if (repo_changed_paths(checkout->repo, checkout->base, first, &paths, &count, err) < 0)
        return -1;
    int status = repo_changed_paths(checkout->repo, first, head, &later, &later_count, err);
    out->items = calloc(count + 1, sizeof *out->items);
    for (size_t i = 0; status == 0 && i < count; i++) {
        const struct language *language = languages_by_path(languages, paths[i]);
        if (!language || !language_is_test(language, paths[i]))
            status = error_set(err, ERROR_INPUT, "the first commit changes %s, which is no test", paths[i]);
        for (size_t k = 0; status == 0 && k < later_count; k++)
            if (strcmp(paths[i], later[k]) == 0)
                status = error_set(err, ERROR_INPUT, "a later commit changes the locked test %s", paths[i]);
        if (status == 0)
            out->items[out->count++] = strdup(paths[i]);
    }
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    for (size_t i = 0; i < later_count; i++)
        free(later[i]);
    free(paths);
    free(later);
    return status;
}

/* The branch may have been cut before BASE moved on: the proof starts from its first commit's parent. */
static int take_parent(struct checkout *checkout, const char *first, struct error *err)
{
    AUTO_FREE char *parent = text_format("%s^", first);
    return parent ? repo_resolve(checkout->repo, parent, checkout->base, err) : -1;
}

static json_t *verify(struct checkout *checkout, const struct engine *engine, const struct log *log, const char *head,
                      struct error *err)
{
    struct repo_commit_info *commits = NULL;
    struct yaml_texts tests = {0};
    size_t count = 0;
    json_t *verdict = NULL;
    char head_id[REPO_ID_SIZE];
    if (repo_resolve(checkout->repo, head, head_id, err) < 0 ||
        repo_log(checkout->repo, checkout->base, head_id, MAX_COMMITS, &commits, &count, err) < 0)
        return NULL;
    if (count < 2)
        error_set(err, ERROR_INPUT, "the range holds %zu commits; a proof has two at least: tests, then code", count);
    else if (take_parent(checkout, commits[0].id, err) == 0 &&
             locked_tests(checkout, engine->languages, commits[0].id, commits[count - 1].id, &tests, err) == 0) {
        AUTO_FREE char *red = checkout_tree(checkout, commits[0].id, "red", err);
        AUTO_FREE char *green = red ? checkout_tree(checkout, commits[count - 1].id, "green", err) : NULL;
        struct pipeline pipeline = engine_pipeline(engine, green, log);
        verdict = green ? pipeline_verify(&pipeline, red, green, &tests, err) : NULL;
    }
    for (size_t i = 0; i < tests.count; i++)
        free(tests.items[i]);
    free(tests.items);
    repo_log_free(commits, count);
    return verdict;
}

static int print_verdict(const json_t *verdict, bool json, struct error *err)
{
    if (json)
        return cli_print_json(verdict, stdout, err);
    bool proven = json_is_true(json_object_get(verdict, "proven"));
    printf("%s%s%s\n", proven ? "proven" : "not proven", proven ? "" : ": ", json_text_at(verdict, "reason", ""));
    printf("  tests commit: %lld fail, %lld pass\n",
           (long long)(json_int_at(verdict, "red.failed", 0) + json_int_at(verdict, "red.errored", 0)),
           (long long)json_int_at(verdict, "red.passed", 0));
    printf("  last commit:  %lld fail, %lld pass\n",
           (long long)(json_int_at(verdict, "green.failed", 0) + json_int_at(verdict, "green.errored", 0)),
           (long long)json_int_at(verdict, "green.passed", 0));
    return 0;
}

static int verify_with(const struct options *options, const struct config *config, struct secrets *secrets,
                       struct error *err)
{
    struct log log = log_open("verify");
    struct checkout checkout = {0};
    struct engine engine = {0};
    log.secrets = secrets;
    int status = checkout_open(&checkout, config, options->repo, options->base, err);
    if (status == 0)
        status = engine_init(&engine, config, secrets, &log, err);
    json_auto_t *verdict = status == 0 ? verify(&checkout, &engine, &log, options->head, err) : NULL;
    status = verdict ? print_verdict(verdict, options->json, err) : -1;
    engine_release(&engine);
    checkout_close(&checkout);
    if (status < 0)
        return -1;
    return json_is_true(json_object_get(verdict, "proven")) ? 0 : 1;
}

int cli_verify(int argc, char **argv, struct error *err)
{
    struct options options = {0};
    struct config config = {0};
    if (cli_wants_help(argc, argv))
        return 0;
    if (read_options(argc, argv, &options, err) < 0)
        return -1;
    int status = config_load(options.config, 0, &config, err);
    struct secrets *secrets = secrets_new();
    if (status == 0)
        status = repo_library_start(err);
    if (status == 0) {
        status = verify_with(&options, &config, secrets, err);
        repo_library_stop();
    }
    secrets_free(secrets);
    config_release(&config);
    free(options.base);
    free(options.head);
    return status;
}
