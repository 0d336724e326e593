/* What a run gets to see of a task, which tasks a sample has, what a file of results keeps, and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/eval.h"

struct world {
    char *folder;
    struct languages *languages;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct error err = {0};
    world->folder = fs_make_temp_dir("/tmp", "assay-eval-", &err);
    world->languages = languages_load(&err);
    if (!world->folder || !world->languages)
        fail_msg("%s", err.message);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    fs_remove_tree(world->folder, NULL);
    languages_free(world->languages);
    free(world->folder);
    free(world);
    return 0;
}

static char *write_file(const struct world *world, const char *name, const char *text)
{
    assert_int_equal(fs_write_beneath(world->folder, name, text, strlen(text), false, NULL), 0);
    return text_format("%s/%s", world->folder, name);
}

/* A task's line with this prompt. */
static char *line_of(const char *id, const char *prompt)
{
    json_auto_t *task = json_pack("{s:s, s:s, s:s, s:s}", "task_id", id, "prompt", prompt, "entry_point", "wanted",
                                  "test", "def check(candidate): pass");
    return json_dumps(task, JSON_COMPACT);
}

static void read_tasks(const struct world *world, const char *text, struct eval_tasks *out)
{
    struct error err = {0};
    AUTO_FREE char *path = write_file(world, "tasks.jsonl", text);
    if (eval_tasks_read(path, world->languages, out, &err) < 0)
        fail_msg("%s", err.message);
}

/* ---- tasks ---- */

static void prepare(const struct world *world, const char *prompt, struct eval_question *question)
{
    struct error err = {0};
    struct eval_tasks tasks = {0};
    AUTO_FREE char *line = line_of("t/1", prompt);
    read_tasks(world, line, &tasks);
    if (eval_task_prepare(&tasks, &tasks.items[0], world->languages, world->folder, question, &err) < 0)
        fail_msg("%s", err.message);
    eval_tasks_release(&tasks);
}

static void the_tree_has_all_of_the_prompt_but_the_function(void **state)
{
    const struct world *world = *state;
    struct eval_question question = {0};
    prepare(world,
            "import math\n\nLIMIT = 3\n\n\ndef helper(x):\n    \"\"\"Helps.\"\"\"\n    return x + LIMIT\n\n\n"
            "def wanted(x: int) -> int:\n    \"\"\"Twice the\n    number.\n\n    >>> wanted(2)\n    4\n    \"\"\"\n",
            &question);
    AUTO_BUF struct buf file = BUF_INIT(KiB(4));
    assert_int_equal(fs_read_beneath(question.tree, "solution.py", &file, NULL), 0);
    assert_string_equal(buf_text(&file), "import math\n\nLIMIT = 3\n\n\ndef helper(x):\n    \"\"\"Helps.\"\"\"\n"
                                         "    return x + LIMIT\n");
    assert_string_equal(question.text,
                        "## Signature\n\n`def wanted(x: int) -> int:`\n\n## File\n\nsolution.py\n\n## Language\n\n"
                        "python\n\n## Behaviour\n\nTwice the\nnumber.\n\n>>> wanted(2)\n4\n");
    eval_question_release(&question);
}

static void a_prompt_that_is_only_the_function_leaves_an_empty_tree(void **state)
{
    const struct world *world = *state;
    struct eval_question question = {0};
    prepare(world, "\n\ndef wanted(x):\n    \"\"\" Does it. \"\"\"\n", &question);
    AUTO_FREE char *path = text_format("%s/solution.py", question.tree);
    assert_true(fs_exists(question.tree));
    assert_false(fs_exists(path));
    assert_non_null(strstr(question.text, "## Behaviour\n\nDoes it.\n"));
    eval_question_release(&question);
}

/* ---- tasks that were mined ---- */

static const char mined[] =
    "{\"task_id\": \"m/1\", \"spec\": \"Doubles.\", \"repo\": \"made.repo\", \"entry_point\": \"wanted\","
    " \"file\": \"made.py\", \"hide\": [\"tests/test_made.py::test_seen\", \"tests/test_made.py::test_two\"],"
    " \"tests\": [\"tests/test_made.py::test_two\"]}";

static void a_mined_tasks_tree_holds_neither_body_nor_tests_of_it(void **state)
{
    const struct world *world = *state;
    struct error err = {0};
    struct eval_tasks tasks = {0};
    struct eval_question question = {0};
    AUTO_BUF struct buf code = BUF_INIT(KiB(4)), test = BUF_INIT(KiB(4)), origin = BUF_INIT(KiB(4));
    static const char tests[] = "from made import wanted\n\n\ndef test_two():\n    assert wanted(2) == 4\n\n\n"
                                "def test_seen():\n    assert wanted\n\n\ndef test_other():\n    assert 1\n";
    free(write_file(world, "made.repo/made.py", "def wanted(x):\n    \"\"\"Doubles.\"\"\"\n    return 2 * x\n"));
    free(write_file(world, "made.repo/tests/test_made.py", tests));
    read_tasks(world, mined, &tasks);
    if (eval_task_prepare(&tasks, &tasks.items[0], world->languages, world->folder, &question, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(fs_read_beneath(question.tree, "made.py", &code, NULL), 0);
    assert_string_equal(buf_text(&code), "def wanted(x):\n    \"\"\"Doubles.\"\"\"\n    raise NotImplementedError\n");
    assert_int_equal(fs_read_beneath(question.tree, "tests/test_made.py", &test, NULL), 0);
    assert_null(strstr(buf_text(&test), "wanted(2)"));
    assert_null(strstr(buf_text(&test), "test_seen"));
    assert_non_null(strstr(buf_text(&test), "test_other"));
    assert_int_equal(fs_read_beneath(question.origin, "tests/test_made.py", &origin, NULL), 0);
    assert_string_equal(buf_text(&origin), tests);
    eval_question_release(&question);
    eval_tasks_release(&tasks);
}

static void what_is_no_task_is_told_with_its_line(void **state)
{
    const struct world *world = *state;
    AUTO_FREE char *good = line_of("t/1", "def wanted(): ...");
    static const struct {
        const char *line, *said;
    } rows[] = {
        {"{", "line 2"},
        {"[]", "\"task_id\""},
        {"{\"task_id\": \"a\", \"entry_point\": \"f\", \"test\": \"t\"}", "neither \"prompt\" nor \"spec\""},
        {"{\"task_id\": \"a\", \"entry_point\": \"f\", \"prompt\": \"p\"}", "\"test\""},
        {"{\"task_id\": \"a\", \"entry_point\": \"f\", \"prompt\": \"p\", \"test\": \"t\", \"language\": \"latin\"}",
         "latin"},
        {"{\"task_id\": \"a\", \"entry_point\": \"f\", \"spec\": \"s\", \"repo\": \"r\", \"file\": \"f.py\", "
         "\"tests\": [\"t\"]}",
         "\"hide\""},
        {"{\"task_id\": \"a\", \"entry_point\": \"f\", \"spec\": \"s\", \"repo\": \"r\", \"file\": \"f.py\", \"hide\": "
         "[\"t\"],"
         " \"tests\": [\"../t\"]}",
         "\"tests\""},
        {"{\"task_id\": \"a\", \"entry_point\": \"f\", \"spec\": \"s\", \"file\": \"f.py\", \"hide\": [\"t\"], "
         "\"tests\": [\"t\"]}",
         "\"repo\""},
        {NULL, "t/1 is there twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error err = {0};
        struct eval_tasks tasks = {0};
        AUTO_FREE char *text = text_format("%s\n%s\n", good, rows[i].line ? rows[i].line : good);
        AUTO_FREE char *path = write_file(world, "tasks.jsonl", text);
        assert_int_equal(eval_tasks_read(path, world->languages, &tasks, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        if (!strstr(err.message, rows[i].said) || !strstr(err.message, "tasks.jsonl: line 2"))
            fail_msg("%s does not say %s", err.message, rows[i].said);
    }
}

static void a_prompt_without_its_function_cannot_be_asked(void **state)
{
    const struct world *world = *state;
    struct error err = {0};
    struct eval_tasks tasks = {0};
    struct eval_question question = {0};
    AUTO_FREE char *line = line_of("t/1", "def other(): ...");
    read_tasks(world, line, &tasks);
    assert_int_equal(eval_task_prepare(&tasks, &tasks.items[0], world->languages, world->folder, &question, &err), -1);
    assert_non_null(strstr(err.message, "does not define wanted"));
    eval_tasks_release(&tasks);
}

/* ---- samples ---- */

static void many_tasks(const struct world *world, struct eval_tasks *tasks)
{
    AUTO_BUF struct buf text = BUF_INIT(MiB(1));
    for (int i = 0; i < 50; i++) {
        AUTO_FREE char *id = text_format("t/%d", i);
        AUTO_FREE char *line = line_of(id, "def wanted(): ...");
        buf_printf(&text, "%s\n\n", line);
    }
    read_tasks(world, buf_text(&text), tasks);
}

static bool has_task(const struct eval_tasks *tasks, const char *id)
{
    for (size_t i = 0; i < tasks->count; i++)
        if (strcmp(tasks->items[i].id, id) == 0)
            return true;
    return false;
}

static long number_of(const struct eval_task *task)
{
    return strtol(task->id + 2, NULL, 10);
}

static void a_larger_sample_of_the_same_seed_holds_the_smaller(void **state)
{
    struct eval_tasks few = {0}, more = {0}, other = {0}, all = {0};
    struct eval_tasks *const sets[] = {&few, &more, &other, &all};
    for (size_t i = 0; i < 4; i++)
        many_tasks(*state, sets[i]);
    eval_tasks_sample(&few, 10, 7);
    eval_tasks_sample(&more, 20, 7);
    eval_tasks_sample(&other, 10, 8);
    eval_tasks_sample(&all, 99, 7);
    assert_int_equal(few.count, 10);
    assert_int_equal(more.count, 20);
    assert_int_equal(all.count, 50);
    size_t shared = 0;
    for (size_t i = 0; i < few.count; i++) {
        assert_true(has_task(&more, few.items[i].id));
        assert_true(i == 0 || number_of(&few.items[i - 1]) < number_of(&few.items[i])); /* in the file's order */
        shared += has_task(&other, few.items[i].id);
    }
    assert_true(shared < 10);
    for (size_t i = 0; i < 4; i++)
        eval_tasks_release(sets[i]);
}

/* ---- results ---- */

static json_t *result(const char *id, const char *status, bool first, bool repaired, bool hidden, const char *model)
{
    return json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:i, s:i, s:i, s:f, s:f, s:s, s:s, s:s}", "task_id", id, "status",
                     status, "first_try", first, "after_repair", repaired, "static", 1, "hidden", hidden, "rounds", 1,
                     "tokens_in", 100, "tokens_out", 10, "cost_usd", 0.02, "seconds", 3.0, "model", model, "mode",
                     "pipeline", "templates", "abc");
}

static void a_half_written_last_line_is_taken_off(void **state)
{
    const struct world *world = *state;
    struct error err = {0};
    struct eval_results results = {0};
    AUTO_FREE char *path =
        write_file(world, "out.jsonl", "{\"task_id\":\"a\",\"hidden\":true}\n{\"task_id\":\"b\",\"hid");
    assert_int_equal(eval_results_open(path, &results, &err), 0);
    assert_int_equal(json_array_size(results.lines), 1);
    json_auto_t *line = result("b", "proven", true, true, true, "m");
    assert_int_equal(eval_results_add(&results, line, &err), 0);
    json_auto_t *same = json_pack("{s:s, s:s}", "mode", "pipeline", "templates", "abc");
    json_auto_t *other = json_pack("{s:s, s:s}", "mode", "pipeline", "templates", "abd");
    assert_non_null(eval_results_find(&results, same, "b"));
    assert_null(eval_results_find(&results, other, "b"));
    assert_null(eval_results_find(&results, same, "a")); /* made in another way */
    eval_results_close(&results);
    json_auto_t *read = eval_results_read(path, &err);
    assert_int_equal(json_array_size(read), 2);
    assert_true(json_equal(json_array_get(read, 1), line));
}

static void what_is_no_file_of_results_is_left_as_it_is(void **state)
{
    const struct world *world = *state;
    static const char *const texts[] = {"a letter without a line's end", "{\"task_id\":\"a\"}\n", "\n",
                                        "{\"task_id\":\"a\",\"hidden\":true}\nmy notes"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error err = {0};
        struct eval_results results = {0};
        AUTO_FREE char *path = write_file(world, "letter", texts[i]);
        assert_int_equal(eval_results_open(path, &results, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        AUTO_BUF struct buf after = BUF_INIT(KiB(1));
        assert_int_equal(fs_read(path, &after, NULL), 0);
        assert_string_equal(buf_text(&after), texts[i]);
    }
}

static double rate_at(const json_t *summary, const char *name, const char *member)
{
    const json_t *run = json_array_get(json_object_get(summary, "runs"), 0);
    return json_number_value(json_object_get(json_object_get(json_object_get(run, "rates"), name), member));
}

static void the_summary_counts_what_it_says(void **state)
{
    (void)state;
    json_auto_t *lines =
        json_pack("[o, o, o, o, o]", result("a", "proven", true, true, true, "m"),
                  result("b", "proven", false, true, false, "m"), result("c", "needs-human", false, false, true, "m"),
                  result("d", "rejected", false, false, false, "m"), result("a", "proven", true, true, true, "n"));
    json_auto_t *summary = eval_summary(lines);
    assert_int_equal(json_array_size(json_object_get(summary, "runs")), 2); /* another version is another run */
    static const struct {
        const char *name;
        int count, of;
    } rows[] = {{"first_try", 1, 4}, {"after_repair", 2, 4}, {"static", 4, 4},    {"rejected", 1, 4},
                {"proven", 2, 4},    {"hidden", 2, 4},       {"precision", 1, 2}, {"recall", 1, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal((int)rate_at(summary, rows[i].name, "count"), rows[i].count);
        assert_int_equal((int)rate_at(summary, rows[i].name, "of"), rows[i].of);
    }
    const json_t *first = json_array_get(json_object_get(summary, "runs"), 0);
    double monthly = json_number_value(json_at(first, "cost_usd.monthly.150000"));
    assert_true(monthly > 2999.99 && monthly < 3000.01);
    assert_true(json_number_value(json_at(first, "seconds.total")) > 11.9);
}

static void nothing_called_proven_has_no_precision(void **state)
{
    (void)state;
    json_auto_t *lines = json_pack("[o]", result("c", "needs-human", false, false, false, "m"));
    json_auto_t *summary = eval_summary(lines);
    const json_t *rates = json_object_get(json_array_get(json_object_get(summary, "runs"), 0), "rates");
    assert_true(json_is_null(json_object_get(json_object_get(rates, "precision"), "rate")));
}

#define EVAL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVAL_TEST(the_tree_has_all_of_the_prompt_but_the_function),
        EVAL_TEST(a_mined_tasks_tree_holds_neither_body_nor_tests_of_it),
        EVAL_TEST(a_prompt_that_is_only_the_function_leaves_an_empty_tree),
        EVAL_TEST(what_is_no_task_is_told_with_its_line),
        EVAL_TEST(a_prompt_without_its_function_cannot_be_asked),
        EVAL_TEST(a_larger_sample_of_the_same_seed_holds_the_smaller),
        EVAL_TEST(a_half_written_last_line_is_taken_off),
        EVAL_TEST(what_is_no_file_of_results_is_left_as_it_is),
        cmocka_unit_test(the_summary_counts_what_it_says),
        cmocka_unit_test(nothing_called_proven_has_no_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
