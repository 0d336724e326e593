/* Real repositories in a temporary directory, made and inspected with /usr/bin/git. */
#ifndef TESTS_GIT_FIXTURE_H
#define TESTS_GIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/proc.h"
#include "forge/repo.h"

struct git_fixture {
    char *root;   /* removed at the end */
    char *origin; /* a bare repository */
    char *work;   /* a checkout whose "origin" it is */
};

/* Runs git in a directory with one command line of words; its output without the last line end, heap. */
static inline char *git_try(const char *directory, int *status, const char *words)
{
    char *copy = strdup(words);
    const char *argv[64] = {"git"};
    size_t count = 1;
    for (char *rest = copy, *word; (word = strsep(&rest, " "));)
        if (*word)
            argv[count++] = word;
    const char *const environment[] = {"PATH=/usr/bin:/bin",
                                       "GIT_CONFIG_NOSYSTEM=1",
                                       "HOME=/nonexistent",
                                       "GIT_AUTHOR_NAME=Ann",
                                       "GIT_AUTHOR_EMAIL=ann@example.com",
                                       "GIT_COMMITTER_NAME=Ann",
                                       "GIT_COMMITTER_EMAIL=ann@example.com",
                                       "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
                                       "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
                                       NULL};
    struct proc_request request = {
        .argv = argv, .environment = environment, .directory = directory, .timeout_ms = 60000};
    struct proc_result result = {.out = BUF_INIT(MiB(8)), .err = BUF_INIT(MiB(1))};
    struct error err = {0};
    if (proc_run(&request, &result, &err) < 0)
        fail_msg("%s", err.message);
    *status = result.exit_status;
    if (result.exit_status)
        fprintf(stderr, "git %s: %s", words, buf_text(&result.err));
    size_t len;
    char *out = buf_steal(&result.out, &len);
    if (len && out[len - 1] == '\n')
        out[len - 1] = '\0';
    proc_result_release(&result);
    free(copy);
    return out;
}

__attribute__((format(printf, 2, 3))) static inline char *git_out(const char *directory, const char *format, ...)
{
    char *words = NULL;
    va_list args;
    va_start(args, format);
    assert_true(vasprintf(&words, format, args) >= 0);
    va_end(args);
    int status;
    char *out = git_try(directory, &status, words);
    assert_int_equal(status, 0);
    free(words);
    return out;
}

#define git_run(...) free(git_out(__VA_ARGS__))

static inline void write_file(const char *directory, const char *path, const char *text)
{
    struct error err = {0};
    if (fs_write_beneath(directory, path, text, strlen(text), false, &err) < 0)
        fail_msg("%s", err.message);
}

/* A commit with one file on the branch that is checked out, pushed; its id, heap. */
static inline char *push_file(const struct git_fixture *it, const char *path, const char *text)
{
    write_file(it->work, path, text);
    git_run(it->work, "add -A");
    git_run(it->work, "commit -q -m change-%s", path);
    git_run(it->work, "push -q origin HEAD");
    return git_out(it->work, "rev-parse HEAD");
}

static inline int git_fixture_open(void **state)
{
    struct git_fixture *it = calloc(1, sizeof *it);
    struct error err = {0};
    it->root = fs_make_temp_dir("/tmp", "assay-test-", &err);
    if (!it->root || repo_library_start(&err) < 0)
        fail_msg("%s", err.message);
    it->origin = text_format("%s/origin.git", it->root);
    it->work = text_format("%s/work", it->root);
    git_run(it->root, "init -q --bare -b main origin.git");
    git_run(it->root, "clone -q origin.git work");
    git_run(it->work, "checkout -q -b main");
    free(push_file(it, "README.md", "hello\n"));
    *state = it;
    return 0;
}

static inline int git_fixture_close(void **state)
{
    struct git_fixture *it = *state;
    fs_remove_tree(it->root, NULL);
    free(it->root);
    free(it->origin);
    free(it->work);
    free(it);
    repo_library_stop();
    return 0;
}

static inline struct repo *open_mirror(const struct git_fixture *it)
{
    struct error err = {0};
    char *path = text_format("%s/mirrors/o/r.git", it->root);
    struct repo *repo = repo_mirror(path, 1000, &err);
    if (!repo)
        fail_msg("%s", err.message);
    free(path);
    return repo;
}

#define git_test(name) cmocka_unit_test_setup_teardown(name, git_fixture_open, git_fixture_close)

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %s", #call, err.message);                                                                    \
    } while (0)

#define assert_fails(call, wanted, words)                                                                              \
    do {                                                                                                               \
        assert_int_equal((call), -1);                                                                                  \
        if (err.code != (wanted) || !strstr(err.message, words))                                                       \
            fail_msg("%s: got %s: %s", #call, error_code_name(err.code), err.message);                                 \
        error_clear(&err);                                                                                             \
    } while (0)

/* ---- what most tests begin with ---- */

static inline struct repo_remote remote_of(const struct git_fixture *it)
{
    return (struct repo_remote){.url = it->origin};
}

static inline struct repo *fetched(const struct git_fixture *it)
{
    struct repo *repo = open_mirror(it);
    struct repo_remote remote = remote_of(it);
    struct error err = {0};
    assert_ok(repo_fetch(repo, &remote, &err));
    return repo;
}

static inline char *resolved(struct repo *repo, const char *revision)
{
    char id[REPO_ID_SIZE];
    struct error err = {0};
    assert_ok(repo_resolve(repo, revision, id, &err));
    return strdup(id);
}

#endif
