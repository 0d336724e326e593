/* The tree in a guest's hands: what it sees, what it may change, what comes back, and what must not. Real runs. */
#include "tests/unit/sandbox/world.h"

static void test_the_tree_is_the_guest_s_to_change_and_stays_as_it_was(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, "sh", "-ec",
        "cat README private\n"
        "echo more >>README; echo new >src/new; rm src/code.py; mkdir src/deep; mv private src/deep/; chmod 755 "
        "README\n"
        "rm -r src; mkdir src; ls -A src; stat -c %U . README; find . -name 'probe*' -delete; ls");
    assert_int_equal(result.end, SANDBOX_EXITED);
    assert_string_equal(buf_text(&result.err), "");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(buf_text(&result.out), "read me\nonly for the owner\nguest\nguest\nREADME\nsrc\n");
    sandbox_result_release(&result);
}

static void test_a_folder_of_the_tree_can_be_renamed(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, PLAIN, &result, "perl", "-e",
        "rename('src', 'moved') or die \"$!\"; print -e 'moved/code.py' ? 'ok' : 'no'");
    if (geteuid() == 0)
        assert_string_equal(buf_text(&result.out), "ok");
    sandbox_result_release(&result);
}

static void test_a_tree_may_be_named_relative_to_where_we_are(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {.argv = (const char *const[]){"cat", "README", NULL}, .tree = "tree"};
    AUTO_FREE char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(world->folder), 0);
    int done = sandbox_run(world->sandbox, &request, &result, &err);
    assert_int_equal(chdir(before), 0);
    if (done < 0)
        fail_msg("%s", err.message);
    assert_string_equal(buf_text(&result.out), "read me\n");
    sandbox_result_release(&result);
    request.tree = "no-such-tree";
    assert_int_equal(sandbox_run(world->sandbox, &request, &result, &err), -1);
    assert_non_null(strstr(err.message, "no-such-tree"));
}

static void test_nothing_of_one_run_is_seen_by_the_next(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    for (int i = 0; i < 2; i++) {
        RUN(world, PLAIN, &result, "sh", "-c", "ls /tmp /dev/shm; ls | grep left; touch left /tmp/left /dev/shm/left");
        assert_string_equal(buf_text(&result.out), "/dev/shm:\n\n/tmp:\n");
        sandbox_result_release(&result);
    }
}

static void test_files_lie_on_top_of_the_tree(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    struct sandbox_file files[] = {
        {(char *)"README", (char *)"replaced\n", 9},
        {(char *)"src/test_code.py", (char *)"test\n", 5},
        {(char *)"new/deep/file", (char *)"a\0b", 3},
        {(char *)"run.sh", (char *)"#!/bin/sh\necho script\n", 22},
        {(char *)"empty", (char *)"", 0},
    };
    struct sandbox_request request = {.files = files, .file_count = sizeof files / sizeof *files};
    RUN(world, request, &result, "sh", "-ec",
        "cat README src/code.py src/test_code.py; wc -c <new/deep/file; ./run.sh; wc -c <empty\n"
        "echo mine >>README; rm src/test_code.py; stat -c '%U %a' README new src run.sh");
    assert_string_equal(buf_text(&result.err), "");
    assert_string_equal(buf_text(&result.out),
                        "replaced\nprint(1)\ntest\n3\nscript\n0\nguest 644\nguest 755\nguest 755\nguest 755\n");
    sandbox_result_release(&result);
}

static void test_files_of_a_request_do_not_follow_links_of_the_tree(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    AUTO_FREE char *outside = text_format("%s/outside", world->folder);
    AUTO_FREE char *link = text_format("%s/link", world->tree);
    AUTO_FREE char *link_file = text_format("%s/linkfile", world->tree);
    assert_int_equal(mkdir(outside, 0777), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(symlink("/etc/passwd", link_file), 0);
    struct sandbox_file files[] = {
        {(char *)"link/file", (char *)"x\n", 2},
        {(char *)"linkfile", (char *)"y\n", 2},
    };
    RUN(world, ((struct sandbox_request){.files = files, .file_count = 2}), &result, "cat", "link/file", "linkfile");
    assert_string_equal(buf_text(&result.out), "x\ny\n");
    sandbox_result_release(&result);
    assert_int_equal(rmdir(outside), 0); /* still empty */
    unlink(link);
    unlink(link_file);
}

static void test_an_empty_tree(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct error err = {0};
    struct sandbox_result result;
    struct sandbox_request request = {.argv = (const char *const[]){"sh", "-c", "ls -A; pwd; touch x", NULL}};
    if (sandbox_run(world->sandbox, &request, &result, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(buf_text(&result.out), "/workspace\n");
    assert_int_equal(result.exit_status, 0);
    sandbox_result_release(&result);
}

static void test_the_command_starts_in_the_directory_asked_for(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    RUN(world, ((struct sandbox_request){.directory = "src"}), &result, "sh", "-c", "pwd; ls");
    assert_string_equal(buf_text(&result.out), "/workspace/src\ncode.py\n");
    sandbox_result_release(&result);
}

static void test_collected_files_come_back_in_order(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    struct sandbox_request request = {
        .collect = (const char *const[]){"report/junit.xml", "missing", "README", "closed", "big", "zeros", NULL},
        .collect_max = 1000,
    };
    RUN(world, request, &result, "sh", "-c",
        "mkdir report; echo '<x/>' >report/junit.xml; echo closed >closed; chmod 000 closed\n"
        "head -c 1001 /dev/zero >big; head -c 1000 /dev/zero >zeros");
    assert_int_equal(result.file_count, 4);
    assert_string_equal(result.files[0].path, "report/junit.xml");
    assert_string_equal(result.files[0].data, "<x/>\n");
    assert_string_equal(result.files[1].path, "README");
    assert_string_equal(result.files[1].data, "read me\n");
    assert_string_equal(result.files[2].path, "closed");
    assert_string_equal(result.files[3].path, "zeros");
    assert_int_equal(result.files[3].len, 1000);
    assert_int_equal(result.files[3].data[1000], 0);
    sandbox_result_release(&result);
}

/* Each would lead to a file of the host, hang a reader, or give something that is no file. */
static void test_no_trap_is_collected(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct sandbox_result result;
    struct sandbox_request request = {.collect = (const char *const[]){"shadow", "host/passwd", "up/README", "fifo",
                                                                       "folder", "loop", "self", "good", NULL}};
    RUN(world, request, &result, "sh", "-ec",
        "ln -s /etc/shadow shadow; ln -s /etc host; ln -s .. up; mkfifo fifo; mkdir folder; ln -s loop loop\n"
        "ln -s README self; echo good >good");
    assert_int_equal(result.exit_status, 0);
    assert_int_equal(result.file_count, 1);
    assert_string_equal(result.files[0].path, "good");
    sandbox_result_release(&result);
}

static void test_paths_that_leave_the_tree_are_refused(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    static const char *const bad[] = {"../x", "/etc/passwd", "a/../../b", ".git/config", "a//b", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sandbox_file file = {(char *)bad[i], (char *)"x", 1};
        const struct sandbox_request requests[] = {
            {.files = &file, .file_count = 1},
            {.collect = (const char *const[]){bad[i], NULL}},
            {.directory = *bad[i] ? bad[i] : ".."},
        };
        for (size_t k = 0; k < sizeof requests / sizeof *requests; k++) {
            struct error err = {0};
            struct sandbox_result result;
            struct sandbox_request request = requests[k];
            request.argv = (const char *const[]){"true", NULL};
            assert_int_equal(sandbox_run(world->sandbox, &request, &result, &err), -1);
            assert_int_equal(err.code, ERROR_INPUT);
        }
    }
}

static void test_more_files_than_the_disk_holds_is_an_error(void **state)
{
    NEED_WORLD(state);
    struct world *world = *state;
    struct error err = {0};
    struct sandbox_result result;
    AUTO_FREE char *big = calloc(1, 17 << 20);
    struct sandbox_file file = {(char *)"big", big, 17 << 20};
    struct sandbox_request request = {.argv = (const char *const[]){"true", NULL}, .files = &file, .file_count = 1};
    assert_int_equal(sandbox_run(world->sandbox, &request, &result, &err), -1);
    assert_non_null(strstr(err.message, "big"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SANDBOX_TEST(test_the_tree_is_the_guest_s_to_change_and_stays_as_it_was),
        SANDBOX_TEST(test_a_folder_of_the_tree_can_be_renamed),
        SANDBOX_TEST(test_a_tree_may_be_named_relative_to_where_we_are),
        SANDBOX_TEST(test_nothing_of_one_run_is_seen_by_the_next),
        SANDBOX_TEST(test_files_lie_on_top_of_the_tree),
        SANDBOX_TEST(test_files_of_a_request_do_not_follow_links_of_the_tree),
        SANDBOX_TEST(test_an_empty_tree),
        SANDBOX_TEST(test_the_command_starts_in_the_directory_asked_for),
        SANDBOX_TEST(test_collected_files_come_back_in_order),
        SANDBOX_TEST(test_no_trap_is_collected),
        SANDBOX_TEST(test_paths_that_leave_the_tree_are_refused),
        SANDBOX_TEST(test_more_files_than_the_disk_holds_is_an_error),
    };
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
