/* Files in trees that somebody else may have written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/fs.h"

/* A fresh directory for each test; `outside` is a file beside the tree that nothing may reach. */
struct place {
    char *dir, *tree, *outside;
};

static char *in(const char *dir, const char *name)
{
    char *path = text_format("%s/%s", dir, name);
    assert_non_null(path);
    return path;
}

static void write_text(const char *path, const char *text)
{
    struct error err = {0};
    if (fs_write_atomic(path, text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    const char *parent = getenv("TMPDIR");
    struct error err = {0};
    struct place *place = calloc(1, sizeof *place);
    place->dir = fs_make_temp_dir(parent ? parent : "/tmp", "assay-test-", &err);
    if (!place->dir)
        fail_msg("%s", err.message);
    place->tree = in(place->dir, "tree");
    place->outside = in(place->dir, "outside");
    assert_int_equal(mkdir(place->tree, 0755), 0);
    write_text(place->outside, "secret");
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    if (fs_remove_tree(place->dir, &err) < 0)
        fail_msg("%s", err.message);
    free(place->dir);
    free(place->tree);
    free(place->outside);
    free(place);
    return 0;
}

static void test_paths_are_judged(void **state)
{
    (void)state;
    static const char *const clean[] = {
        "a", "a/b.c", ".github/x.yml", "a b", "...", "..a", "a..", ".gitignore", "x.git", "git", "\xc3\xa9.txt", "-rf",
    };
    static const char *const dirty[] = {
        "",     "/",    "/etc/passwd", "a/",       "a//b",        ".",    "./a",  "a/.",  "..",    "../a", "a/../b",
        "a/..", ".git", ".git/config", "a/.git/x", ".GIT/config", ".Git", "a\\b", "a\nb", "a\x7f", "\x01",
    };
    char longer[1026];
    memset(longer, 'x', sizeof longer);
    longer[1025] = '\0';
    assert_false(fs_path_is_clean(longer));
    longer[1024] = '\0';
    assert_true(fs_path_is_clean(longer));
    assert_false(fs_path_is_clean(NULL));
    for (size_t i = 0; i < sizeof clean / sizeof clean[0]; i++)
        if (!fs_path_is_clean(clean[i]))
            fail_msg("refused %s", clean[i]);
    for (size_t i = 0; i < sizeof dirty / sizeof dirty[0]; i++)
        if (fs_path_is_clean(dirty[i]))
            fail_msg("accepted %s", dirty[i]);
}

static void test_what_is_written_is_read(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct stat st;
    AUTO_BUF struct buf text = BUF_INIT(100);
    AUTO_FREE char *path = in(place->tree, "a/b/run.sh");
    assert_int_equal(fs_write_beneath(place->tree, "a/b/run.sh", "old", 3, false, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(fs_write_beneath(place->tree, "a/b/run.sh", "a\0b", 3, true, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    buf_puts(&text, "+");
    assert_int_equal(fs_read_beneath(place->tree, "a/b/run.sh", &text, &err), 0);
    assert_int_equal(text.len, 4);
    assert_memory_equal(text.data, "+a\0b", 4);
}

static void assert_read_fails(const struct place *place, const char *path, enum error_code code)
{
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(100);
    buf_puts(&text, "before");
    assert_int_equal(fs_read_beneath(place->tree, path, &text, &err), -1);
    if (err.code != code)
        fail_msg("%s: %s", error_code_name(err.code), err.message);
    assert_string_equal(buf_text(&text), "before");
    assert_int_equal(buf_check(&text, "", NULL), 0);
}

static void test_reading_does_not_leave_the_tree(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *link_file = in(place->tree, "file-link");
    AUTO_FREE char *link_dir = in(place->tree, "dir-link");
    AUTO_FREE char *link_inner = in(place->tree, "inner-link");
    AUTO_FREE char *link_proc = in(place->tree, "proc");
    AUTO_FREE char *fifo = in(place->tree, "fifo");
    write_text(link_file, "x");
    unlink(link_file);
    assert_int_equal(symlink(place->outside, link_file), 0);
    assert_int_equal(symlink("..", link_dir), 0);
    assert_int_equal(symlink("real", link_inner), 0);
    assert_int_equal(symlink("/proc/self/cwd", link_proc), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(fs_write_beneath(place->tree, "real", "x", 1, false, NULL), 0);
    assert_read_fails(place, "file-link", ERROR_INPUT);
    assert_read_fails(place, "dir-link/outside", ERROR_INPUT);
    assert_read_fails(place, "inner-link", ERROR_INPUT);
    assert_read_fails(place, "proc/x", ERROR_INPUT);
    assert_read_fails(place, "fifo", ERROR_INPUT);
    assert_read_fails(place, "../outside", ERROR_INPUT);
    assert_read_fails(place, ".git/config", ERROR_INPUT);
    assert_read_fails(place, "none", ERROR_NOT_FOUND);
    assert_read_fails(place, "real/none", ERROR_NOT_FOUND);
    assert_int_equal(fs_write_beneath(place->tree, "dir/file", "x", 1, false, NULL), 0);
    assert_read_fails(place, "dir", ERROR_INPUT);
}

static void test_writing_does_not_leave_the_tree(void **state)
{
    struct place *place = *state;
    static const char *const paths[] = {"link", "dir-link/new", "dir-link/outside", "../new",
                                        "fifo", "dir",          "file/new"};
    AUTO_FREE char *link_file = in(place->tree, "link");
    AUTO_FREE char *link_dir = in(place->tree, "dir-link");
    AUTO_FREE char *fifo = in(place->tree, "fifo");
    AUTO_FREE char *dir = in(place->tree, "dir");
    AUTO_FREE char *new = in(place->dir, "new");
    AUTO_BUF struct buf text = BUF_INIT(100);
    assert_int_equal(symlink(place->outside, link_file), 0);
    assert_int_equal(symlink("..", link_dir), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(fs_write_beneath(place->tree, "file", "x", 1, false, NULL), 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct error err = {0};
        if (fs_write_beneath(place->tree, paths[i], "owned", 5, false, &err) == 0)
            fail_msg("wrote %s", paths[i]);
        if (err.code != ERROR_INPUT)
            fail_msg("%s: %s", paths[i], err.message);
    }
    assert_false(fs_exists(new));
    assert_int_equal(fs_read(place->outside, &text, NULL), 0);
    assert_string_equal(buf_text(&text), "secret");
}

static void test_writing_breaks_hard_links(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *name = in(place->tree, "linked");
    AUTO_BUF struct buf text = BUF_INIT(100);
    assert_int_equal(link(place->outside, name), 0);
    assert_int_equal(fs_write_beneath(place->tree, "linked", "new", 3, false, NULL), 0);
    assert_int_equal(fs_read(place->outside, &text, NULL), 0);
    assert_string_equal(buf_text(&text), "secret");
}

static void test_larger_files_are_refused_whole(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    AUTO_BUF struct buf exact = BUF_INIT(6);
    AUTO_BUF struct buf small = BUF_INIT(5);
    assert_int_equal(fs_read(place->outside, &exact, &err), 0);
    assert_int_equal(fs_read(place->outside, &small, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_int_equal(small.len, 0);
}

static void test_reading_our_own_files(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(100);
    AUTO_FREE char *name = in(place->dir, "link");
    assert_int_equal(symlink("outside", name), 0);
    assert_int_equal(fs_read(name, &text, &err), 0); /* links are fine here */
    assert_int_equal(fs_read(place->dir, &text, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    AUTO_FREE char *none = in(place->dir, "none");
    assert_int_equal(fs_read(none, &text, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void test_atomic_writes_set_the_mode_and_leave_nothing_behind(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    struct stat st;
    AUTO_FREE char *path = in(place->tree, "key");
    AUTO_FREE char *no_folder = in(place->tree, "none/key");
    mode_t mask = umask(077);
    assert_int_equal(fs_write_atomic(path, "1", 1, 0640, &err), 0);
    umask(mask);
    assert_int_equal(fs_write_atomic(path, "22", 2, 0640, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_size, 2);
    assert_int_equal(fs_write_atomic(no_folder, "1", 1, 0640, &err), -1);
    assert_int_equal(fs_write_atomic(place->tree, "1", 1, 0640, &err), -1); /* a directory has the name */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(place->tree), 0); /* it is empty: no temporary file is left */
}

static void test_makes_missing_directories(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    AUTO_FREE char *path = in(place->tree, "a//b/c/");
    AUTO_FREE char *through_file = in(place->dir, "outside/x");
    assert_int_equal(fs_make_dirs(path, 0755, &err), 0);
    assert_int_equal(fs_make_dirs(path, 0755, &err), 0);
    assert_true(fs_exists(path));
    assert_int_equal(fs_make_dirs(through_file, 0755, &err), -1);
    assert_int_equal(fs_make_dirs(place->outside, 0755, &err), -1);
    assert_int_equal(fs_make_dirs("/", 0755, &err), 0);
}

struct names {
    struct buf text;
    int stop_after;
};

static int collect(void *context, const char *path)
{
    struct names *names = context;
    buf_printf(&names->text, "%s\n", path);
    return names->stop_after && --names->stop_after == 0 ? 7 : 0;
}

static void test_walks_files_in_order(void **state)
{
    struct place *place = *state;
    static const char *const files[] = {"b", "a/z", "a.c", "a/b/c", "c d/e", "a/.gitignore", ".hidden"};
    struct names names = {.text = BUF_INIT(1000)};
    struct error err = {0};
    AUTO_FREE char *git = in(place->tree, ".git");
    AUTO_FREE char *inner_git = in(place->tree, "a/.git");
    AUTO_FREE char *name = in(place->tree, "link");
    AUTO_FREE char *fifo = in(place->tree, "fifo");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_int_equal(fs_write_beneath(place->tree, files[i], "x", 1, false, NULL), 0);
    assert_int_equal(mkdir(git, 0755), 0);
    write_text(inner_git, "gitdir: x");
    AUTO_FREE char *inside = in(git, "config");
    write_text(inside, "x");
    assert_int_equal(symlink("..", name), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(fs_walk(place->tree, 7, collect, &names, &err), 0);
    assert_string_equal(buf_text(&names.text), ".hidden\na.c\na/.gitignore\na/b/c\na/z\nb\nc d/e\n");
    assert_int_equal(fs_walk(place->tree, 6, collect, &names, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    buf_clear(&names.text);
    names.stop_after = 2;
    assert_int_equal(fs_walk(place->tree, 100, collect, &names, &err), 7);
    assert_string_equal(buf_text(&names.text), ".hidden\na.c\n");
    buf_release(&names.text);
    AUTO_FREE char *none = in(place->dir, "none");
    assert_int_equal(fs_walk(none, 100, collect, &names, &err), -1);
}

/* Makes directories below `dir` until `depth`, with a file at the bottom. */
static void nest(const char *dir, int depth)
{
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    int file = openat(at, "file", O_WRONLY | O_CREAT, 0600);
    assert_true(file >= 0);
    close(file);
    close(at);
}

static void test_very_deep_trees_are_removed_but_not_walked(void **state)
{
    struct place *place = *state;
    struct names names = {.text = BUF_INIT(1000)};
    struct error err = {0};
    nest(place->tree, 5000); /* longer than any path may be, and more than our descriptors */
    assert_int_equal(fs_walk(place->tree, 100, collect, &names, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    if (fs_remove_tree(place->tree, &err) < 0)
        fail_msg("%s", err.message);
    assert_false(fs_exists(place->tree));
    assert_int_equal(fs_remove_tree(place->tree, &err), 0); /* a missing path is fine */
}

static void test_removing_does_not_follow_links(void **state)
{
    struct place *place = *state;
    struct error err = {0};
    AUTO_FREE char *keep = in(place->dir, "keep");
    AUTO_FREE char *kept = in(keep, "file");
    AUTO_FREE char *name = in(place->tree, "link");
    AUTO_FREE char *top = in(place->dir, "top-link");
    AUTO_FREE char *locked = in(place->tree, "locked");
    AUTO_FREE char *inside = in(locked, "inside");
    assert_int_equal(mkdir(keep, 0755), 0);
    write_text(kept, "x");
    assert_int_equal(symlink(keep, name), 0);
    assert_int_equal(symlink(keep, top), 0);
    assert_int_equal(mkdir(locked, 0755), 0);
    write_text(inside, "x");
    assert_int_equal(chmod(locked, 0), 0); /* a guest may leave such things */
    assert_int_equal(fs_remove_tree(top, &err), 0);
    if (fs_remove_tree(place->tree, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(fs_exists(kept));
    assert_false(fs_exists(top));
    assert_false(fs_exists(place->tree));
}

static void test_a_person_without_rights_can_remove_what_is_theirs(void **state)
{
    struct place *place = *state;
    if (getuid() != 0) {
        print_message("skipped: only root can become somebody else\n");
        skip();
    }
    AUTO_FREE char *locked = in(place->tree, "a/locked");
    assert_int_equal(fs_write_beneath(place->tree, "a/locked/file", "x", 1, false, NULL), 0);
    assert_int_equal(chmod(place->dir, 0777), 0);
    pid_t child = fork();
    if (child == 0) { /* makes a tree of its own and removes it */
        AUTO_FREE char *mine = in(place->dir, "mine");
        AUTO_FREE char *read_only = in(mine, "x/y");
        struct error err = {0};
        bool ok = setuid(65534) == 0 && fs_make_dirs(read_only, 0755, &err) == 0 &&
                  fs_write_beneath(mine, "x/y/file", "x", 1, false, &err) == 0 && chmod(read_only, 0500) == 0;
        _exit(ok && fs_remove_tree(mine, &err) == 0 && fs_remove_tree(locked, &err) < 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(fs_exists(locked));
}

int main(void)
{
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_judged),
        ON_DISK(test_what_is_written_is_read),
        ON_DISK(test_reading_does_not_leave_the_tree),
        ON_DISK(test_writing_does_not_leave_the_tree),
        ON_DISK(test_writing_breaks_hard_links),
        ON_DISK(test_larger_files_are_refused_whole),
        ON_DISK(test_reading_our_own_files),
        ON_DISK(test_atomic_writes_set_the_mode_and_leave_nothing_behind),
        ON_DISK(test_makes_missing_directories),
        ON_DISK(test_walks_files_in_order),
        ON_DISK(test_very_deep_trees_are_removed_but_not_walked),
        ON_DISK(test_removing_does_not_follow_links),
        ON_DISK(test_a_person_without_rights_can_remove_what_is_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
