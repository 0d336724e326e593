/* How much of a change its tests run: cases small enough to count by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "pipeline/changed.h"
#include "pipeline/coverage.h"

static void marks_the_lines_that_a_change_wrote(void **state)
{
    static const struct {
        const char *before, *after, *marks;
    } cases[] = {
        {"", "a\nb\n", "++"},
        {"a\nb\nc\n", "a\nB\nc\n", ".+."},
        {"a\nc\n", "a\nb\nc", ".++"}, /* the last line lost its end, as git sees it */
        {"a\nb\nc\n", "a\nc\n", ".."},
        {"a\n", "a\n", "."},
        {"a\r\nb\r\n", "a\r\nb\r\nc\r\n", "..+"},
        {"a\n", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct changed_lines lines = {0};
        struct error err = {0};
        assert_int_equal(changed_lines_find(cases[i].before, strlen(cases[i].before), cases[i].after,
                                            strlen(cases[i].after), &lines, &err),
                         0);
        assert_int_equal(lines.count, strlen(cases[i].marks));
        for (size_t n = 1; n <= lines.count; n++)
            assert_int_equal(changed_lines_has(&lines, n), cases[i].marks[n - 1] == '+');
        assert_false(changed_lines_has(&lines, 0));
        assert_false(changed_lines_has(&lines, lines.count + 1));
        changed_lines_release(&lines);
    }
}

static json_t *count(const char *tree, bool is_new, const char *text, const char *report)
{
    struct change_file file = {
        .path = (char *)"a.py", .content = (char *)text, .len = strlen(text), .kind = FILE_CODE, .is_new = is_new};
    struct change change = {.files = &file, .count = 1};
    struct error err = {0};
    json_auto_t *read = json_loads(report, 0, NULL);
    json_t *out = coverage_count(&change, tree, read, &err);
    if (!out)
        fail_msg("%s", err.message);
    return out;
}

#define EIGHT "1\n2\n3\n4\n5\n6\n7\n8\n"

static void counts_lines_and_branches_of_a_new_file(void **state)
{
    static const struct {
        const char *name, *report, *expected;
    } cases[] = {
        {"all run", "{'executed_lines': [1,2,3], 'missing_lines': [], 'executed_branches': [[1,2]]}",
         "{'branches':1,'branches_run':1,'lines':3,'lines_run':3,'share':10,'uncovered':[]}"},
        {"missed lines that belong together are one place",
         "{'executed_lines': [1,6], 'missing_lines': [2,3,5,8], 'executed_branches': []}",
         "{'branches':0,'branches_run':0,'lines':6,'lines_run':2,'share':3,'uncovered':["
         "{'first':2,'last':5,'path':'a.py'},{'first':8,'last':8,'path':'a.py'}]}"},
        {"a branch beside lines that ran",
         "{'executed_lines': [1,2,3], 'missing_lines': [], 'executed_branches': [[1,2]], 'missing_branches': [[1,3]]}",
         "{'branches':2,'branches_run':1,'lines':3,'lines_run':3,'share':8,'uncovered':["
         "{'first':1,'last':1,'path':'a.py','to':3}]}"},
        {"a branch out of the function",
         "{'executed_lines': [1], 'missing_lines': [], 'executed_branches': [], 'missing_branches': [[1,-1]]}",
         "{'branches':1,'branches_run':0,'lines':1,'lines_run':1,'share':5,'uncovered':["
         "{'first':1,'last':1,'path':'a.py','to':0}]}"},
        {"a branch to a line that is told already",
         "{'executed_lines': [1], 'missing_lines': [2], 'executed_branches': [], 'missing_branches': [[1,2]]}",
         "{'branches':1,'branches_run':0,'lines':2,'lines_run':1,'share':3,'uncovered':["
         "{'first':2,'last':2,'path':'a.py'}]}"},
        {"nothing that could run", "{'executed_lines': [], 'missing_lines': []}",
         "{'branches':0,'branches_run':0,'lines':0,'lines_run':0,'share':10,'uncovered':[]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *report = text_format("{'files': {'a.py': %s}}", cases[i].report);
        for (char *at = report; at && *at; at++)
            *at = *at == '\'' ? '"' : *at;
        json_auto_t *seen = count(NULL, true, EIGHT, report);
        /* in tenths, which are exact */
        double share = json_real_value(json_object_get(seen, "share"));
        json_object_set_new(seen, "share", json_integer((json_int_t)(share * 10 + 0.5)));
        AUTO_FREE char *text = json_write(seen, NULL);
        for (char *at = text; at && *at; at++)
            *at = *at == '"' ? '\'' : *at;
        if (strcmp(text, cases[i].expected) != 0)
            fail_msg("%s: %s", cases[i].name, text);
    }
}

static void what_was_there_before_does_not_count(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_FREE char *tree = fs_make_temp_dir("/tmp", "coverage-", &err);
    AUTO_FREE char *path = text_format("%s/a.py", tree);
    assert_int_equal(fs_write_atomic(path, EIGHT, strlen(EIGHT), 0600, &err), 0);
    json_auto_t *seen = count(tree, false, "1\n2\n3\nfour\n5\n6\n7\n8\n",
                              "{\"files\": {\"a.py\": {\"executed_lines\": [1, 2], \"missing_lines\": [3, 4, 5],"
                              " \"missing_branches\": [[2, 3], [4, 1]]}}}");
    assert_int_equal(json_int_at(seen, "lines", -1), 1);
    assert_int_equal(json_int_at(seen, "branches", -1), 1);
    assert_int_equal(json_array_size(json_object_get(seen, "uncovered")), 1);
    fs_remove_tree(tree, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_the_lines_that_a_change_wrote),
        cmocka_unit_test(counts_lines_and_branches_of_a_new_file),
        cmocka_unit_test(what_was_there_before_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
