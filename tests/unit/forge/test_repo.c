/* Mirrors, fetches, reading, commits. */
#include "tests/unit/forge/git_fixture.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "app/base/clock.h"

/* ---- mirror and fetch ---- */

static void a_fetch_brings_branches_tags_and_head(void **state)
{
    struct git_fixture *it = *state;
    git_run(it->work, "tag v1");
    git_run(it->work, "push -q origin v1");
    git_run(it->work, "checkout -q -b topic/a");
    char *topic = push_file(it, "a.txt", "a\n");
    char *main_id = git_out(it->work, "rev-parse main");
    struct repo *repo = fetched(it);
    static const char *const main_names[] = {"main", "HEAD", "v1", "topic/a~1"};
    for (size_t i = 0; i < 4; i++) {
        char *id = resolved(repo, main_names[i]);
        assert_string_equal(id, main_id);
        free(id);
    }
    char *id = resolved(repo, "topic/a");
    assert_string_equal(id, topic);
    free(id);
    id = resolved(repo, topic);
    assert_string_equal(id, topic);
    free(id);
    free(topic);
    free(main_id);
    repo_close(repo);
}

static void a_later_fetch_follows_moves_removals_and_names_that_become_directories(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char id[REPO_ID_SIZE];
    git_run(it->work, "push -q origin main:old main:name");
    struct repo *repo = fetched(it);
    assert_ok(repo_resolve(repo, "old", id, &err));
    git_run(it->work, "push -q origin :old :name");
    git_run(it->work, "push -q origin main:name/below");
    char *moved = push_file(it, "b.txt", "b\n");
    struct repo_remote remote = remote_of(it);
    assert_ok(repo_fetch(repo, &remote, &err));
    assert_fails(repo_resolve(repo, "old", id, &err), ERROR_NOT_FOUND, "old");
    assert_ok(repo_resolve(repo, "name/below", id, &err));
    assert_ok(repo_resolve(repo, "HEAD", id, &err));
    assert_string_equal(id, moved);
    free(moved);
    repo_close(repo);
}

static void an_empty_repository_can_be_fetched(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char id[REPO_ID_SIZE];
    git_run(it->root, "init -q --bare empty.git");
    char *url = text_format("file://%s/empty.git", it->root);
    struct repo_remote remote = {.url = url};
    struct repo *repo = open_mirror(it);
    assert_ok(repo_fetch(repo, &remote, &err));
    assert_fails(repo_resolve(repo, "HEAD", id, &err), ERROR_NOT_FOUND, "HEAD");
    free(url);
    repo_close(repo);
}

static bool always(void *context)
{
    return *(bool *)context;
}

static void a_fetch_ends_when_cancelled_or_out_of_reach(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    bool yes = true;
    struct repo *repo = open_mirror(it);
    struct repo_remote remote = remote_of(it);
    remote.cancelled = always;
    remote.cancel_context = &yes;
    assert_fails(repo_fetch(repo, &remote, &err), ERROR_CANCELLED, "cancelled");
    static const char *const unreachable[] = {"git@github.com:o/r.git", "ssh://git@github.com/o/r.git",
                                              "git://github.com/o/r.git", "ext::sh -c id"};
    for (size_t i = 0; i < sizeof unreachable / sizeof unreachable[0]; i++) {
        struct repo_remote other = {.url = unreachable[i]};
        assert_fails(repo_fetch(repo, &other, &err), ERROR_INPUT, "only http, https and local");
    }
    struct repo_remote missing = {.url = "/nonexistent/repo.git"};
    assert_fails(repo_fetch(repo, &missing, &err), ERROR_NOT_FOUND, "/nonexistent/repo.git");
    repo_close(repo);
}

static void a_mirror_is_one_job_s_at_a_time(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *path = text_format("%s/mirrors/o/r.git", it->root);
    struct repo *repo = open_mirror(it);
    int64_t start = clock_monotonic_ms();
    assert_null(repo_mirror(path, 300, &err));
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_true(err.retryable);
    assert_in_range(clock_monotonic_ms() - start, 300, 5000);
    repo_close(repo);
    repo = repo_mirror(path, 0, &err);
    assert_non_null(repo);
    repo_close(repo);
    free(path);
}

static void a_mirror_survives_a_killed_process(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *path = text_format("%s/mirrors/o/r.git", it->root);
    repo_close(fetched(it));
    write_file(path, "refs/remotes/origin/main.lock", "");
    write_file(path, "packed-refs.lock", "");
    write_file(path, "objects/pack/pack_git2_123", "half");
    write_file(path, "refs/remotes/origin/tmp_branch", "");
    struct stat status;
    char *half = text_format("%s/objects/pack/pack_git2_123", path);
    char *branch = text_format("%s/refs/remotes/origin/tmp_branch", path);
    char *moved = push_file(it, "c.txt", "c\n");
    struct repo *repo = open_mirror(it);
    assert_int_equal(stat(half, &status), -1);
    assert_int_equal(stat(branch, &status), 0); /* a branch's name may look like a temporary file's */
    unlink(branch);
    struct repo_remote remote = remote_of(it);
    assert_ok(repo_fetch(repo, &remote, &err));
    char *id = resolved(repo, "main");
    assert_string_equal(id, moved);
    repo_close(repo);
    free(id);
    free(moved);
    free(half);
    free(branch);
    free(path);
}

static void the_user_s_configuration_plays_no_part(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    write_file(it->root, "home/gitconfig", "[this is no configuration\n");
    char *from = text_format("%s/home/gitconfig", it->root), *home = text_format("%s/home", it->root);
    char *to = text_format("%s/home/.gitconfig", it->root);
    assert_int_equal(rename(from, to), 0);
    repo_library_stop();
    setenv("HOME", home, 1);
    assert_ok(repo_library_start(&err)); /* as a fresh process would */
    repo_close(fetched(it));
    free(from);
    free(home);
    free(to);
}

/* ---- reading ---- */

static void a_file_is_read_at_a_commit(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *first = git_out(it->work, "rev-parse HEAD");
    char *long_line = malloc(5001);
    memset(long_line, 'x', 5000);
    long_line[5000] = '\0';
    char *second = push_file(it, "dir/big.txt", long_line);
    struct repo *repo = fetched(it);
    AUTO_BUF struct buf out = BUF_INIT(KiB(4));
    assert_ok(repo_read(repo, second, "README.md", &out, &err));
    assert_string_equal(buf_text(&out), "hello\n");
    assert_fails(repo_read(repo, first, "dir/big.txt", &out, &err), ERROR_NOT_FOUND, "dir/big.txt");
    assert_fails(repo_read(repo, second, "dir/big.txt", &out, &err), ERROR_LIMIT, "5000 bytes");
    assert_fails(repo_read(repo, second, "dir", &out, &err), ERROR_INPUT, "not a regular file");
    assert_fails(repo_read(repo, "0123456789012345678901234567890123456789", "README.md", &out, &err), ERROR_NOT_FOUND,
                 "commit");
    assert_string_equal(buf_text(&out), "hello\n");
    free(long_line);
    free(first);
    free(second);
    repo_close(repo);
}

static void a_person_s_checkout_is_opened_from_inside(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char id[REPO_ID_SIZE];
    write_file(it->work, "sub/deep/x", "x");
    char *inside = text_format("%s/sub/deep", it->work);
    char *head = git_out(it->work, "rev-parse HEAD");
    struct repo *repo = repo_open(inside, &err);
    assert_non_null(repo);
    static const char *const names[] = {"HEAD", "main", "origin/main", "refs/heads/main"};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(repo_resolve(repo, names[i], id, &err));
        assert_string_equal(id, head);
    }
    assert_fails(repo_resolve(repo, "no-such-thing", id, &err), ERROR_NOT_FOUND, "no-such-thing");
    repo_close(repo);
    assert_null(repo_open(it->root, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    free(inside);
    free(head);
}

static void somebody_else_s_repository_is_refused_with_the_reason(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *git_dir = text_format("%s/.git", it->work);
    if (geteuid() != 0) {
        free(git_dir);
        print_message("needs root to give a repository to another user\n");
        skip();
    }
    assert_int_equal(chown(it->work, 12345, 12345), 0);
    assert_int_equal(chown(git_dir, 12345, 12345), 0);
    assert_null(repo_open(it->work, &err));
    assert_int_equal(err.code, ERROR_DENIED);
    assert_non_null(strstr(err.message, "belongs to another user (id 12345)"));
    free(git_dir);
}

/* ---- commits ---- */

static const struct repo_person assay = {"assay[bot]", "1+assay[bot]@users.noreply.github.com"};

static void a_commit_holds_exactly_the_bytes_and_is_the_same_each_time(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    write_file(it->work, "gone/only.txt", "x\n");
    write_file(it->work, "tool.sh", "#!/bin/sh\n");
    git_run(it->work, "add -A");
    git_run(it->work, "update-index --chmod=+x tool.sh");
    git_run(it->work, "commit -q -m more");
    git_run(it->work, "push -q origin main");
    struct repo *repo = fetched(it);
    char *parent = resolved(repo, "main"), id[REPO_ID_SIZE], again[REPO_ID_SIZE];
    const struct repo_file files[] = {
        {.path = "src/new/mod.py", .data = "a\r\nb\0c", .len = 6},
        {.path = "bin/run", .data = "#!/bin/sh\n", .len = 10, .executable = true},
        {.path = "tool.sh", .data = "changed", .len = 7}, /* keeps its mode */
        {.path = "gone/only.txt"},
        {.path = "never/there.txt"},
        {.path = "empty", .data = "", .len = 0},
    };
    assert_ok(repo_commit(repo, parent, files, 6, &assay, "Add mod\n\nBody\n", 1770000000123, id, &err));
    assert_ok(repo_commit(repo, parent, files, 6, &assay, "Add mod\n\nBody\n", 1770000000999, again, &err));
    assert_string_equal(id, again);
    struct repo_remote remote = remote_of(it);
    assert_ok(repo_push(repo, &remote, "assay/1", id, parent, assay.email, &err));
    char *listing = git_out(it->origin, "ls-tree -r --name-only assay/1");
    assert_string_equal(listing, "README.md\nbin/run\nempty\nsrc/new/mod.py\ntool.sh");
    char *modes = git_out(it->origin, "ls-tree -r --format=%%(objectmode) assay/1");
    assert_string_equal(modes, "100644\n100755\n100644\n100644\n100755");
    char *size = git_out(it->origin, "cat-file -s assay/1:src/new/mod.py");
    assert_string_equal(size, "6");
    char *who = git_out(it->origin, "log -1 --format=%%an|%%ae|%%cn|%%ce|%%at|%%P assay/1");
    char *expected = text_format("%s|%s|%s|%s|1770000000|%s", assay.name, assay.email, assay.name, assay.email, parent);
    assert_string_equal(who, expected);
    char *fsck = git_out(it->origin, "fsck --strict");
    assert_string_equal(fsck, "");
    free(fsck);
    free(expected);
    free(who);
    free(size);
    free(modes);
    free(listing);
    free(parent);
    repo_close(repo);
}

static void a_commit_refuses_paths_that_lead_elsewhere(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *link = text_format("%s/link", it->work);
    assert_int_equal(symlink("README.md", link), 0);
    free(link);
    free(push_file(it, "dir/file", "x\n"));
    struct repo *repo = fetched(it);
    char *parent = resolved(repo, "main"), id[REPO_ID_SIZE] = "untouched";
    static const struct {
        const char *path, *words;
    } cases[] = {
        {"../out", "not a path inside"},
        {"/etc/passwd", "not a path inside"},
        {".git/config", "not a path inside"},
        {"a/.GIT/hooks/x", "not a path inside"},
        {"", "not a path inside"},
        {"link", "is a link"},
        {"link/x", "link is no directory"},
        {"README.md/x", "README.md is no directory"},
        {"dir", "a directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct repo_file file = {.path = cases[i].path, .data = "x", .len = 1};
        assert_fails(repo_commit(repo, parent, &file, 1, &assay, "m", 0, id, &err), ERROR_INPUT, cases[i].words);
    }
    const struct repo_file twice[] = {{.path = "a", .data = "1", .len = 1}, {.path = "a", .data = "2", .len = 1}};
    assert_fails(repo_commit(repo, parent, twice, 2, &assay, "m", 0, id, &err), ERROR_INPUT, "given twice");
    const struct repo_file clash[] = {{.path = "n", .data = "1", .len = 1}, {.path = "n/m", .data = "2", .len = 1}};
    assert_int_equal(repo_commit(repo, parent, clash, 2, &assay, "m", 0, id, &err), -1);
    assert_string_equal(id, "untouched");
    free(parent);
    repo_close(repo);
}

static void a_log_a_diff_and_the_changed_paths_say_what_is_between(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *base = git_out(it->work, "rev-parse HEAD");
    free(push_file(it, "b.txt", "one\n"));
    git_run(it->work, "rm -q README.md");
    char *head = push_file(it, "a/c.txt", "two\n");
    struct repo *repo = fetched(it);
    struct repo_commit_info *commits = NULL;
    size_t count = 0;
    assert_ok(repo_log(repo, base, head, 10, &commits, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(commits[1].id, head);
    assert_string_equal(commits[0].message, "change-b.txt\n");
    assert_string_equal(commits[0].author_email, "ann@example.com");
    repo_log_free(commits, count);
    assert_fails(repo_log(repo, base, head, 1, &commits, &count, &err), ERROR_LIMIT, "more than the 1 commits");
    char **paths = NULL;
    assert_ok(repo_changed_paths(repo, base, head, &paths, &count, &err));
    assert_int_equal(count, 3);
    static const char *const expected[] = {"README.md", "a/c.txt", "b.txt"};
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(paths[i], expected[i]);
        free(paths[i]);
    }
    free(paths);
    AUTO_BUF struct buf diff = BUF_INIT(KiB(8));
    assert_ok(repo_diff(repo, base, head, &diff, &err));
    char *theirs = git_out(it->work, "diff --abbrev=12 --no-renames %s %s", base, head);
    diff.data[diff.len - 1] = '\0';
    assert_string_equal(buf_text(&diff), theirs);
    AUTO_BUF struct buf small = BUF_INIT(100);
    assert_fails(repo_diff(repo, base, head, &small, &err), ERROR_LIMIT, "diff");
    free(theirs);
    free(base);
    free(head);
    repo_close(repo);
}

static void a_local_branch_is_never_overwritten_unawares(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char *first = git_out(it->work, "rev-parse HEAD");
    char *second = push_file(it, "b.txt", "b\n");
    struct repo *repo = repo_open(it->work, &err);
    assert_ok(repo_branch_set(repo, "assay/x", first, NULL, &err));
    assert_fails(repo_branch_set(repo, "assay/x", second, NULL, &err), ERROR_CONFLICT, "exists");
    assert_fails(repo_branch_set(repo, "assay/x", second, second, &err), ERROR_CONFLICT, "moved");
    assert_fails(repo_branch_set(repo, "assay/y", second, second, &err), ERROR_CONFLICT, "moved");
    assert_ok(repo_branch_set(repo, "assay/x", second, first, &err));
    char *at = git_out(it->work, "rev-parse assay/x");
    assert_string_equal(at, second);
    static const char *const bad[] = {"a..b", "a b", "-", "x.lock", "", "a~1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (i != 2)
            assert_fails(repo_branch_set(repo, bad[i], second, NULL, &err), ERROR_INPUT, "not a name");
    free(at);
    free(first);
    free(second);
    repo_close(repo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        git_test(a_fetch_brings_branches_tags_and_head),
        git_test(a_later_fetch_follows_moves_removals_and_names_that_become_directories),
        git_test(an_empty_repository_can_be_fetched),
        git_test(a_fetch_ends_when_cancelled_or_out_of_reach),
        git_test(a_mirror_is_one_job_s_at_a_time),
        git_test(a_mirror_survives_a_killed_process),
        git_test(the_user_s_configuration_plays_no_part),
        git_test(a_file_is_read_at_a_commit),
        git_test(a_person_s_checkout_is_opened_from_inside),
        git_test(somebody_else_s_repository_is_refused_with_the_reason),
        git_test(a_commit_holds_exactly_the_bytes_and_is_the_same_each_time),
        git_test(a_commit_refuses_paths_that_lead_elsewhere),
        git_test(a_log_a_diff_and_the_changed_paths_say_what_is_between),
        git_test(a_local_branch_is_never_overwritten_unawares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
