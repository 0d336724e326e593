/* Checking out: exactly the files, whatever the tree says. */
#include "tests/unit/forge/git_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static char *read_text(const char *root, const char *path)
{
    struct buf out = BUF_INIT(KiB(64));
    struct error err = {0};
    assert_ok(fs_read_beneath(root, path, &out, &err));
    return buf_steal(&out, NULL);
}

static void a_checkout_is_the_commit_s_files_and_nothing_else(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    write_file(it->work, ".gitattributes", "*.txt text eol=crlf ident\n");
    write_file(it->work, "dir/a.txt", "one\n$Id$\n");
    write_file(it->work, "run.sh", "#!/bin/sh\n");
    char *link = text_format("%s/dir/link", it->work), *bad = text_format("%s/bad", it->work);
    assert_int_equal(symlink("../README.md", link), 0);
    assert_int_equal(symlink("../../etc/passwd", bad), 0);
    git_run(it->work, "add -A");
    git_run(it->work, "update-index --chmod=+x run.sh");
    git_run(it->work, "update-index --add --cacheinfo 160000,0123456789012345678901234567890123456789,sub");
    git_run(it->work, "commit -q -m tree");
    git_run(it->work, "push -q origin main");
    struct repo *repo = fetched(it);
    char *id = resolved(repo, "main"), *out = text_format("%s/jobs/1/tree", it->root);
    assert_ok(repo_checkout(repo, id, out, &err));
    char *text = read_text(out, "dir/a.txt");
    assert_string_equal(text, "one\n$Id$\n"); /* no filters */
    struct stat status;
    char *path = text_format("%s/run.sh", out);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_mode & 0100);
    free(path);
    path = text_format("%s/dir/link", out);
    char target[64] = {0};
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    assert_string_equal(target, "../README.md");
    static const char *const absent[] = {"bad", "sub", ".git"};
    for (size_t i = 0; i < 3; i++) {
        free(path);
        path = text_format("%s/%s", out, absent[i]);
        assert_int_equal(lstat(path, &status), -1);
    }
    assert_fails(repo_checkout(repo, id, out, &err), ERROR_CONFLICT, "not empty");
    free(path);
    free(text);
    free(link);
    free(bad);
    free(id);
    free(out);
    repo_close(repo);
}

static void links_that_lead_out_are_left_out(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    static const struct {
        const char *target;
        bool kept;
    } cases[] = {
        {"b", true},           {"../x", true}, {"../../x", false},        {"/etc/passwd", false},
        {"b/../../..", false}, {"./b", true},  {"../.git/config", false}, {"..", true},
        {"../..", false},      {"b//c", true}, {"b/..", false},           {"../../dir/x", false},
    };
    char path[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(path, sizeof path, "/dir/link%zu", i);
        write_file(it->work, "dir/b", "b\n");
        char *link = text_format("%s%s", it->work, path);
        assert_int_equal(symlink(cases[i].target, link), 0);
        free(link);
    }
    git_run(it->work, "add -A");
    git_run(it->work, "commit -q -m links");
    git_run(it->work, "push -q origin main");
    struct repo *repo = fetched(it);
    char *id = resolved(repo, "main"), *out = text_format("%s/out", it->root);
    assert_ok(repo_checkout(repo, id, out, &err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stat status;
        char *link = text_format("%s/dir/link%zu", out, i);
        if ((lstat(link, &status) == 0) != cases[i].kept)
            fail_msg("a link to %s was %s", cases[i].target, cases[i].kept ? "left out" : "kept");
        free(link);
    }
    free(out);
    free(id);
    repo_close(repo);
}

/* Git with bytes on its input; its output without the line end, heap. */
static char *git_feed(const char *directory, const char *const argv[], const void *input, size_t len)
{
    const char *const environment[] = {"PATH=/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM=1", NULL};
    struct proc_request request = {.argv = argv,
                                   .environment = environment,
                                   .directory = directory,
                                   .input = input,
                                   .input_len = len,
                                   .timeout_ms = 60000};
    struct proc_result result = {.out = BUF_INIT(KiB(64)), .err = BUF_INIT(KiB(64))};
    struct error err = {0};
    assert_ok(proc_run(&request, &result, &err));
    if (result.exit_status)
        fail_msg("%s", buf_text(&result.err));
    char *out = buf_steal(&result.out, NULL);
    out[strcspn(out, "\n")] = '\0';
    proc_result_release(&result);
    return out;
}

/* A tree object byte by byte: git itself would refuse these names. */
static char *raw_tree(const char *directory, const char *const entries[][2], size_t count, const char *blob)
{
    AUTO_BUF struct buf bytes = BUF_INIT(KiB(4));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&bytes, "%s %s", entries[i][0], entries[i][1]);
        buf_putc(&bytes, '\0');
        for (size_t k = 0; k < 40; k += 2) {
            unsigned byte;
            assert_int_equal(sscanf(blob + k, "%2x", &byte), 1);
            buf_putc(&bytes, (char)byte);
        }
    }
    const char *const argv[] = {"git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin", NULL};
    return git_feed(directory, argv, bytes.data, bytes.len);
}

static char *commit_of(const struct git_fixture *it, const char *tree, const char *branch)
{
    char *commit = git_out(it->origin, "commit-tree -m hostile %s", tree);
    git_run(it->origin, "update-ref refs/heads/%s %s", branch, commit);
    return commit;
}

static void names_that_would_do_harm_are_left_out(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    static const char *const entries[][2] = {
        {"100644", ".."},      {"100644", ".git"},        {"100644", ".GIT"},
        {"100644", "a/b"},     {"100644", "back\\slash"}, {"100644", "line\nbreak"},
        {"100644", "fine.py"}, {"120000", "up"},          {"100644", "up"},
    };
    char *blob = git_feed(it->origin, (const char *const[]){"git", "hash-object", "-w", "--stdin", NULL}, "../out", 6);
    char *tree = raw_tree(it->origin, entries, sizeof entries / sizeof entries[0], blob);
    char *commit = commit_of(it, tree, "hostile"), *out = text_format("%s/out", it->root);
    struct repo *repo = repo_open(it->origin, &err);
    assert_non_null(repo);
    assert_ok(repo_checkout(repo, commit, out, &err));
    char *listing = git_feed(
        out, (const char *const[]){"/usr/bin/find", ".", "-mindepth", "1", "-printf", "%P %y,", NULL}, NULL, 0);
    assert_non_null(strstr(listing, "fine.py f,"));
    assert_non_null(strstr(listing, "up f,")); /* and not the link that has the same name */
    assert_null(strcasestr(listing, ".git"));
    assert_null(strstr(listing, "slash"));
    assert_null(strstr(listing, "break"));
    free(listing);
    free(out);
    free(commit);
    free(tree);
    free(blob);
    repo_close(repo);
}

/* Ten trees of ten entries each, one inside the other: ten thousand million files in a thousand bytes. */
static void a_tree_that_names_the_same_thing_endlessly_is_refused_before_anything_is_written(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    const char *const make[] = {"git", "mktree", NULL};
    char *id = git_feed(it->origin, (const char *const[]){"git", "hash-object", "-w", "--stdin", NULL}, "x", 1);
    for (int level = 0; level < 10; level++) {
        AUTO_BUF struct buf lines = BUF_INIT(KiB(4));
        for (int i = 0; i < 10; i++)
            buf_printf(&lines, "%s %s\td%d\n", level ? "040000 tree" : "100644 blob", id, i);
        free(id);
        id = git_feed(it->origin, make, lines.data, lines.len);
    }
    char *commit = commit_of(it, id, "bomb"), *out = text_format("%s/out", it->root);
    struct repo *repo = repo_open(it->origin, &err);
    assert_non_null(repo);
    assert_fails(repo_checkout(repo, commit, out, &err), ERROR_LIMIT, "more than 500000 entries");
    assert_false(fs_exists(out));
    free(out);
    free(commit);
    free(id);
    repo_close(repo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        git_test(a_checkout_is_the_commit_s_files_and_nothing_else),
        git_test(links_that_lead_out_are_left_out),
        git_test(names_that_would_do_harm_are_left_out),
        git_test(a_tree_that_names_the_same_thing_endlessly_is_refused_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
