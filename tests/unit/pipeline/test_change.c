/* The change: what may be written, the lock on tests, globs, the journal's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "pipeline/change.h"

/* ---- a tree on disk ---- */

struct world {
    char *tree;
    struct change change;
    struct error err;
};

static void write_file(const struct world *world, const char *path, const char *text)
{
    struct error err = {0};
    if (fs_write_beneath(world->tree, path, text, strlen(text), false, &err) < 0)
        fail_msg("%s", err.message);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->tree = fs_make_temp_dir("/tmp", "assay-change-", NULL);
    assert_non_null(world->tree);
    write_file(world, "src/cart.py", "old\n");
    write_file(world, "tests/test_old.py", "old test\n");
    AUTO_FREE char *link = text_format("%s/link", world->tree);
    AUTO_FREE char *file_link = text_format("%s/src/linked.py", world->tree);
    assert_int_equal(symlink("/tmp", link), 0);
    assert_int_equal(symlink("cart.py", file_link), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    change_release(&world->change);
    fs_remove_tree(world->tree, NULL);
    free(world->tree);
    free(world);
    return 0;
}

static int put(struct world *world, const char *path, const char *text, enum file_kind kind)
{
    return change_put(&world->change, world->tree, NULL, path, text, text ? strlen(text) : 0, kind, "sonnet",
                      &world->err);
}

/* ---- what is refused ---- */

static char *globs[] = {"secrets/**", "*.lock", "infra", "deploy/", "src/*.sql", "**/generated/**"};
static const struct yaml_texts forbidden = {globs, sizeof globs / sizeof globs[0]};

static const struct {
    const char *path;
    const char *says; /* NULL: it may be written */
} paths[] = {
    {"src/new.py", NULL},
    {"src/cart.py", NULL},
    {"deep/er/file.py", NULL},
    {".github/copilot.md", NULL},
    {".github/workflows.md", NULL},
    {"infrastructure/a.py", NULL},
    {"src/deep/a.sql", NULL},
    {"../outside.py", "plain path"},
    {"/etc/passwd", "plain path"},
    {"src/../../x", "plain path"},
    {".git/config", "plain path"},
    {"src/.GIT/config", "plain path"},
    {"src\\x.py", "plain path"},
    {"a//b", "plain path"},
    {"./a", "plain path"},
    {"", "plain path"},
    {"a\nb", "plain path"},
    {".github/workflows/ci.yml", "workflows are changed by people only"},
    {".GitHub/Workflows/ci.yml", "workflows are changed by people only"},
    {".github/workflows", "workflows are changed by people only"},
    {"secrets/key", "forbids \"secrets/**\""},
    {"uv.lock", "forbids \"*.lock\""},
    {"infra/main.tf", "forbids \"infra\""},
    {"infra", "forbids \"infra\""},
    {"deploy/a/b", "forbids \"deploy/\""},
    {"src/a.sql", "forbids \"src/*.sql\""},
    {"a/generated/b.py", "forbids \"**/generated/**\""},
    {"link/x.py", "link is a symbolic link"},
    {"link", "link is a symbolic link"},
    {"src/linked.py", "src/linked.py is a symbolic link"},
    {"src", "src is not a regular file"},
    {"src/cart.py/x.py", "src/cart.py is not a folder"},
};

static void test_paths_are_confined(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct change change = {0};
        struct error err = {0};
        int result = change_put(&change, world->tree, &forbidden, paths[i].path, "x\n", 2, FILE_CODE, "m", &err);
        if (!paths[i].says ? result < 0
                           : (result == 0 || err.code != ERROR_DENIED || !strstr(err.message, paths[i].says)))
            fail_msg("\"%s\": %d %s", paths[i].path, result, err.message);
        assert_int_equal(change.count, result == 0);
        change_release(&change);
    }
}

static void test_a_file_and_a_folder_of_one_name_are_refused(void **state)
{
    struct world *world = *state;
    assert_int_equal(put(world, "pkg/mod.py", "x\n", FILE_CODE), 0);
    assert_int_equal(put(world, "pkg", "x\n", FILE_CODE), -1);
    assert_int_equal(world->err.code, ERROR_DENIED);
    assert_int_equal(put(world, "pkg/mod.py/deeper.py", "x\n", FILE_CODE), -1);
    assert_int_equal(put(world, "pkg/mod.pyi", "x\n", FILE_CODE), 0);
}

static void test_only_text_within_the_caps_is_accepted(void **state)
{
    struct world *world = *state;
    AUTO_FREE char *big = calloc(1, CHANGE_MAX_FILE_BYTES + 2);
    memset(big, 'x', CHANGE_MAX_FILE_BYTES + 1);
    assert_int_equal(change_put(&world->change, world->tree, NULL, "a", "x\0y", 3, FILE_CODE, "m", &world->err), -1);
    assert_int_equal(world->err.code, ERROR_INPUT);
    assert_int_equal(put(world, "a", "caf\xe9", FILE_CODE), -1);
    assert_int_equal(world->err.code, ERROR_INPUT);
    assert_int_equal(put(world, "a", "\xed\xa0\x80", FILE_CODE), -1);
    assert_int_equal(put(world, "a", big, FILE_CODE), -1);
    assert_int_equal(world->err.code, ERROR_LIMIT);
    big[CHANGE_MAX_FILE_BYTES] = '\0';
    for (int i = 0; i < 8; i++) {
        AUTO_FREE char *path = text_format("f%d", i);
        assert_int_equal(put(world, path, big, FILE_CODE), 0);
    }
    assert_int_equal(put(world, "one-more", "x", FILE_CODE), -1);
    assert_int_equal(world->err.code, ERROR_LIMIT);
    assert_int_equal(put(world, "f0", "smaller", FILE_CODE), 0);
    assert_int_equal(put(world, "one-more", "x", FILE_CODE), 0);
}

static void test_more_than_64_files_are_refused(void **state)
{
    struct world *world = *state;
    for (int i = 0; i <= CHANGE_MAX_FILES; i++) {
        AUTO_FREE char *path = text_format("f%d", i);
        assert_int_equal(put(world, path, "x", FILE_CODE), i < CHANGE_MAX_FILES ? 0 : -1);
    }
    assert_int_equal(world->err.code, ERROR_LIMIT);
    assert_int_equal(put(world, "f0", "again", FILE_CODE), 0);
}

/* ---- what is kept ---- */

static void test_a_file_is_replaced_and_knows_whether_it_is_new(void **state)
{
    struct world *world = *state;
    assert_int_equal(put(world, "src/cart.py", "one\n", FILE_CODE), 0);
    assert_int_equal(put(world, "src/new.py", "two\n", FILE_CODE), 0);
    assert_int_equal(put(world, "src/cart.py", "three\n", FILE_CODE), 0);
    assert_int_equal(world->change.count, 2);
    const struct change_file *file = change_find(&world->change, "src/cart.py");
    assert_string_equal(file->content, "three\n");
    assert_int_equal(file->len, 6);
    assert_false(file->is_new);
    assert_string_equal(file->author, "sonnet");
    assert_true(change_find(&world->change, "src/new.py")->is_new);
    assert_null(change_find(&world->change, "src/other.py"));
}

static void test_a_file_is_read_from_the_change_then_from_the_tree(void **state)
{
    struct world *world = *state;
    AUTO_BUF struct buf text = BUF_INIT(KiB(1));
    assert_int_equal(change_read(&world->change, world->tree, "src/cart.py", &text, NULL), 0);
    assert_string_equal(buf_text(&text), "old\n");
    put(world, "src/cart.py", "new\n", FILE_CODE);
    assert_int_equal(change_read(&world->change, world->tree, "src/cart.py", &text, NULL), 0);
    assert_string_equal(buf_text(&text), "old\nnew\n");
    assert_int_equal(change_read(&world->change, world->tree, "src/none.py", &text, &world->err), -1);
    assert_int_equal(world->err.code, ERROR_NOT_FOUND);
    assert_int_equal(change_read(&world->change, world->tree, "link/x", &text, &world->err), -1);
}

static void test_a_removal_is_a_file_without_content(void **state)
{
    struct world *world = *state;
    AUTO_BUF struct buf text = BUF_INIT(KiB(1));
    assert_int_equal(put(world, "src/cart.py", NULL, FILE_CODE), 0);
    assert_null(change_find(&world->change, "src/cart.py")->content);
    assert_int_equal(change_read(&world->change, world->tree, "src/cart.py", &text, &world->err), -1);
    assert_int_equal(world->err.code, ERROR_NOT_FOUND);
    assert_int_equal(put(world, "src/none.py", NULL, FILE_CODE), -1);
    assert_int_equal(world->err.code, ERROR_NOT_FOUND);
    assert_int_equal(put(world, "src/new.py", "x\n", FILE_CODE), 0);
    assert_int_equal(put(world, "src/new.py", NULL, FILE_CODE), 0);
    assert_null(change_find(&world->change, "src/new.py"));
    assert_int_equal(world->change.count, 1);
}

static void test_files_of_one_kind_are_dropped(void **state)
{
    struct world *world = *state;
    put(world, "a.py", "1", FILE_CODE);
    put(world, "test_a.py", "2", FILE_TEST);
    put(world, "b.py", "3", FILE_CODE);
    change_drop(&world->change, FILE_CODE);
    assert_int_equal(world->change.count, 1);
    assert_string_equal(world->change.files[0].path, "test_a.py");
}

/* ---- the lock ---- */

static void test_locked_tests_cannot_be_written(void **state)
{
    struct world *world = *state;
    put(world, "tests/test_a.py", "a\n", FILE_TEST);
    put(world, "src/a.py", "a\n", FILE_CODE);
    assert_int_equal(change_check_lock(&world->change, &world->err), -1);
    change_lock_tests(&world->change);
    assert_int_equal(change_check_lock(&world->change, NULL), 0);
    static const struct {
        const char *path, *text;
        enum file_kind kind;
    } tries[] = {{"tests/test_a.py", "b\n", FILE_TEST},
                 {"tests/test_a.py", "b\n", FILE_CODE},
                 {"tests/test_a.py", NULL, FILE_TEST},
                 {"tests/test_b.py", "b\n", FILE_TEST}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        assert_int_equal(put(world, tries[i].path, tries[i].text, tries[i].kind), -1);
        assert_int_equal(world->err.code, ERROR_DENIED);
        assert_non_null(strstr(world->err.message, "the tests are locked"));
    }
    assert_int_equal(put(world, "src/a.py", "b\n", FILE_CODE), 0);
    assert_int_equal(change_check_lock(&world->change, NULL), 0);
    world->change.files[0].content[0] = 'b';
    assert_int_equal(change_check_lock(&world->change, &world->err), -1);
    assert_int_equal(world->err.code, ERROR_DENIED);
}

static int put_later(struct world *world, const char *path, const char *text)
{
    return change_put_later_test(&world->change, world->tree, NULL, path, text, strlen(text), "haiku", &world->err);
}

static void test_later_tests_are_beside_the_lock(void **state)
{
    struct world *world = *state;
    put(world, "tests/test_a.py", "a\n", FILE_TEST);
    change_lock_tests(&world->change);
    assert_int_equal(put_later(world, "tests/test_a.py", "b\n"), -1);
    assert_non_null(strstr(world->err.message, "the tests are locked"));
    assert_int_equal(put_later(world, "src/cart.py", "b\n"), -1);
    assert_non_null(strstr(world->err.message, "it is a test of the repository"));
    assert_int_equal(put_later(world, "tests/test_b.py", "b\n"), 0);
    assert_int_equal(change_check_lock(&world->change, &world->err), 0);
    assert_int_equal(put_later(world, "tests/test_b.py", "c\n"), 0);
    assert_int_equal(put(world, "tests/test_b.py", "d\n", FILE_CODE), -1);
    json_auto_t *value = change_to_json(&world->change);
    struct change back = {0};
    assert_int_equal(change_from_json(value, &back, &world->err), 0);
    assert_true(change_find(&back, "tests/test_b.py")->later);
    assert_false(change_find(&back, "tests/test_a.py")->later);
    assert_int_equal(change_check_lock(&back, &world->err), 0);
    change_release(&back);
}

static void test_the_digest_is_over_path_length_and_content_in_path_order(void **state)
{
    struct world *world = *state;
    char wanted[DIGEST_HEX_SIZE];
    static const char text[] = "tests/a.py\0"
                               "2\0"
                               "a\n"
                               "tests/b.py\0"
                               "2\0"
                               "b\n";
    put(world, "tests/b.py", "b\n", FILE_TEST);
    put(world, "src/c.py", "c\n", FILE_CODE);
    put(world, "tests/a.py", "a\n", FILE_TEST);
    change_lock_tests(&world->change);
    assert_string_equal(world->change.tests_digest, digest_sha256(text, sizeof text - 1, wanted));
}

/* ---- the journal ---- */

static void test_the_journals_form_gives_the_same_change(void **state)
{
    struct world *world = *state;
    struct change back = {0};
    put(world, "src/cart.py", NULL, FILE_CODE);
    put(world, "src/new.py", "caf\u00e9 \"x\"\n", FILE_CODE);
    put(world, "tests/test_a.py", "a\n", FILE_TEST);
    change_lock_tests(&world->change);
    json_auto_t *value = change_to_json(&world->change);
    assert_non_null(value);
    assert_int_equal(change_from_json(value, &back, &world->err), 0);
    assert_int_equal(back.count, 3);
    assert_null(back.files[0].content);
    assert_false(back.files[0].is_new);
    assert_string_equal(back.files[1].content, "caf\u00e9 \"x\"\n");
    assert_int_equal(back.files[1].len, world->change.files[1].len);
    assert_true(back.files[1].is_new);
    assert_int_equal(back.files[2].kind, FILE_TEST);
    assert_true(back.tests_locked);
    assert_int_equal(change_check_lock(&back, NULL), 0);
    change_release(&back);
}

static void test_a_stored_change_that_makes_no_sense_is_refused(void **state)
{
    struct world *world = *state;
    static const char *const texts[] = {
        "{}",
        "{\"files\":{},\"tests_digest\":\"\"}",
        "{\"files\":[{}],\"tests_digest\":\"\"}",
        "{\"files\":[{\"path\":\"../"
        "a\",\"content\":\"\",\"kind\":\"code\",\"is_new\":true,\"author\":\"\"}],\"tests_digest\":\"\"}",
        "{\"files\":[{\"path\":\"a\",\"content\":1,\"kind\":\"code\",\"is_new\":true,\"author\":\"\"}],\"tests_"
        "digest\":\"\"}",
        "{\"files\":[{\"path\":\"a\",\"content\":\"\",\"kind\":\"x\",\"is_new\":true,\"author\":\"\"}],\"tests_"
        "digest\":\"\"}",
        "{\"files\":[{\"path\":\"a\",\"content\":\"\",\"kind\":\"code\",\"is_new\":true,\"author\":\"\"},"
        "{\"path\":\"a\",\"content\":\"\",\"kind\":\"code\",\"is_new\":true,\"author\":\"\"}],\"tests_digest\":\"\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct change back = {0};
        json_auto_t *value = json_loads(texts[i], 0, NULL);
        assert_non_null(value);
        assert_int_equal(change_from_json(value, &back, &world->err), -1);
        assert_int_equal(world->err.code, ERROR_INPUT);
        assert_null(back.files);
    }
}

/* ---- globs ---- */

static const struct {
    const char *glob, *path;
    bool matches;
} patterns[] = {
    {"a.py", "a.py", true},
    {"a.py", "b.py", false},
    {"a.py", "x/a.py", false},
    {"*.py", "a.py", true},
    {"*.py", ".py", true},
    {"*.py", "x/a.py", false},
    {"x/*.py", "x/a.py", true},
    {"x/*.py", "x/y/a.py", false},
    {"test_*.py", "test_a_b.py", true},
    {"?.py", "a.py", true},
    {"?.py", "ab.py", false},
    {"a?b", "a/b", false},
    {"**", "a/b/c", true},
    {"**", "", true},
    {"x/**", "x/a", true},
    {"x/**", "x/a/b", true},
    {"x/**", "x", false},
    {"x/**", "xy/a", false},
    {"**/a.py", "a.py", true},
    {"**/a.py", "x/y/a.py", true},
    {"**/a.py", "xa.py", false},
    {"x/**/a.py", "x/a.py", true},
    {"x/**/a.py", "x/y/z/a.py", true},
    {"x/**/a.py", "x/ya.py", false},
    {"**/gen/*.c", "a/gen/b/gen/c.c", true},
    {"**/gen/*.c", "a/gen/b/c.c", false},
    {"*a*b*c*", "xxaxxbxxcxx", true},
    {"*a*b*c*", "xxaxxcxxbxx", false},
    {"", "", true},
    {"", "a", false},
    {"A.py", "a.py", false},
    {"[ab].py", "a.py", false},
};

static void test_globs_match_within_and_over_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (path_matches(patterns[i].glob, patterns[i].path) != patterns[i].matches)
            fail_msg("%s and %s", patterns[i].glob, patterns[i].path);
}

static void test_a_glob_of_stars_is_matched_in_time(void **state)
{
    (void)state;
    AUTO_BUF struct buf glob = BUF_INIT(KiB(8)), path = BUF_INIT(1024);
    for (int i = 0; i < 1000; i++) {
        buf_puts(&glob, "*a**");
        buf_putc(&path, 'a');
    }
    buf_puts(&glob, "b");
    assert_false(path_matches(buf_text(&glob), buf_text(&path)));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_paths_are_confined),
        TEST(test_a_file_and_a_folder_of_one_name_are_refused),
        TEST(test_only_text_within_the_caps_is_accepted),
        TEST(test_more_than_64_files_are_refused),
        TEST(test_a_file_is_replaced_and_knows_whether_it_is_new),
        TEST(test_a_file_is_read_from_the_change_then_from_the_tree),
        TEST(test_a_removal_is_a_file_without_content),
        TEST(test_files_of_one_kind_are_dropped),
        TEST(test_locked_tests_cannot_be_written),
        TEST(test_later_tests_are_beside_the_lock),
        TEST(test_the_digest_is_over_path_length_and_content_in_path_order),
        TEST(test_the_journals_form_gives_the_same_change),
        TEST(test_a_stored_change_that_makes_no_sense_is_refused),
        cmocka_unit_test(test_globs_match_within_and_over_steps),
        cmocka_unit_test(test_a_glob_of_stars_is_matched_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
