/* The command table and what commands share: options, help, tables, views of a job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/cli.h"
#include "app/job_view.h"
#include "app/table.h"

/* ---- options ---- */

struct given {
    bool json;
    const char *state;
    const char *arguments[2];
};

static int parse(int argc, const char *const *argv, size_t count, struct given *out, struct error *err)
{
    char *copy[16] = {0};
    struct given given = {0};
    const struct cli_option options[] = {{"json", &given.json, NULL}, {"state", NULL, &given.state}, {0}};
    for (int i = 0; i < argc; i++)
        copy[i] = (char *)argv[i];
    int status = cli_options(argc, copy, options, given.arguments, count, err);
    *out = given;
    return status;
}

static void options_and_arguments_come_in_any_order(void **state)
{
    (void)state;
    static const struct {
        const char *argv[8];
        size_t count; /* arguments that the command takes */
        bool json;
        const char *state, *first, *error; /* error NULL: it is right */
    } cases[] = {
        {{"jobs"}, 0, false, NULL, NULL, NULL},
        {{"jobs", "--json", "--state", "done"}, 0, true, "done", NULL, NULL},
        {{"show", "12", "--json"}, 1, true, NULL, "12", NULL},
        {{"show", "--json", "12"}, 1, true, NULL, "12", NULL},
        {{"show", "--state=x", "12"}, 1, false, "x", "12", NULL},
        {{"show", "--", "--json"}, 1, false, NULL, "--json", NULL},
        {{"show", "-", "--json"}, 1, true, NULL, "-", NULL},
        {{"show"}, 1, false, NULL, NULL, "show: an argument is missing"},
        {{"show", "1", "2"}, 1, false, NULL, NULL, "too many arguments at 2"},
        {{"show", "1", "--", "2"}, 1, false, NULL, NULL, "too many arguments at 2"},
        {{"jobs", "x"}, 0, false, NULL, NULL, "too many arguments at x"},
        {{"jobs", "--jsonn"}, 0, false, NULL, NULL, "unknown option --jsonn"},
        {{"jobs", "-x"}, 0, false, NULL, NULL, "unknown option -x"},
        {{"jobs", "--json=yes"}, 0, false, NULL, NULL, "--json=yes"},
        {{"jobs", "--state"}, 0, false, NULL, NULL, "a value is missing after --state"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct given given;
        int argc = 0;
        while (cases[i].argv[argc])
            argc++;
        int status = parse(argc, cases[i].argv, cases[i].count, &given, &err);
        if ((status < 0) != (cases[i].error != NULL))
            fail_msg("case %zu: %s", i, err.message);
        if (cases[i].error) {
            assert_int_equal(err.code, ERROR_USAGE);
            if (!strstr(err.message, cases[i].error) || !strstr(err.message, "--help"))
                fail_msg("case %zu: %s", i, err.message);
            continue;
        }
        assert_int_equal(given.json, cases[i].json);
        assert_true(!given.state == !cases[i].state && (!given.state || strcmp(given.state, cases[i].state) == 0));
        if (cases[i].count)
            assert_string_equal(given.arguments[0], cases[i].first);
    }
}

/* ---- commands ---- */

static void every_command_has_its_help(void **state)
{
    (void)state;
    static const char *const names[] = {"serve",   "work",       "run",      "verify",   "jobs",    "show",   "cancel",
                                        "retry",   "deliveries", "storage",  "tidy",     "migrate", "backup", "doctor",
                                        "version", "help",       "receiver", "dispatch", "job"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct cli_command *command = cli_find(names[i]);
        assert_non_null(command);
        assert_non_null(command->run);
        AUTO_FREE char *start = text_format("usage: assay %s", names[i]);
        assert_int_equal(strncmp(command->usage, start, strlen(start)), 0);
        assert_int_equal(command->usage[strlen(command->usage) - 1], '\n');
        assert_true(strlen(command->summary) > 5);
    }
    assert_null(cli_find("serv"));
    assert_null(cli_find(""));
}

static void help_is_asked_for_by_an_option_before_the_dashes(void **state)
{
    (void)state;
    static const struct {
        const char *argv[4];
        bool wanted;
    } cases[] = {
        {{"jobs", "--help"}, true},       {{"jobs", "--json", "-h"}, true}, {{"jobs"}, false},
        {{"run", "--", "--help"}, false}, {{"nope", "--help"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int argc = 0;
        while (cases[i].argv[argc])
            argc++;
        assert_int_equal(cli_wants_help(argc, (char **)cases[i].argv), cases[i].wanted);
    }
}

/* ---- tables ---- */

static char *print_table(struct screen screen)
{
    static const char *const titles[] = {"ID", "NAME", "TITLE"};
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    struct table *table = table_new(titles, 3);
    table_row(table, (const char *const[]){"1", "größe", "short"}, NULL);
    table_row(table,
              (const char *const[]){"200", "x",
                                    "a \033[31mlonger\t\ntitle\xc2\x9b"
                                    "2J"},
              (const enum tone[]){TONE_PLAIN, TONE_GOOD, TONE_PLAIN});
    table_print(table, &screen, file);
    table_free(table);
    fclose(file);
    return text;
}

static void a_table_is_aligned_on_a_terminal_and_tabbed_elsewhere(void **state)
{
    (void)state;
    const struct {
        struct screen screen;
        const char *expected;
    } cases[] = {
        {{.terminal = false}, "1\tgröße\tshort\n200\tx\ta  [31mlonger  title 2J\n"},
        {{.terminal = true, .width = 80},
         "ID   NAME   TITLE\n1    größe  short\n200  x      a  [31mlonger  title 2J\n"},
        {{.terminal = true, .width = 16}, "ID   NAME   TITL\n1    größe  shor\n200  x      a  [\n"},
        {{.terminal = true, .colour = true},
         "\033[2mID\033[0m   \033[2mNAME\033[0m   \033[2mTITLE\033[0m\n1    größe  short\n"
         "200  \033[32mx\033[0m      a  [31mlonger  title 2J\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *text = print_table(cases[i].screen);
        assert_string_equal(text, cases[i].expected);
    }
}

static void a_pipe_has_no_colours(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    FILE *file = fdopen(ends[1], "w");
    struct screen screen = screen_of(file);
    assert_false(screen.terminal);
    assert_false(screen.colour);
    fclose(file);
    close(ends[0]);
}

/* ---- a job ---- */

static struct job a_job(void)
{
    return (struct job){.id = 12,
                        .forge = "github",
                        .owner = "octo",
                        .repo = "slug",
                        .number = 7,
                        .kind = "generate",
                        .request_key = "k",
                        .title = "Slugify \033]0;gotcha\007",
                        .request = json_pack("{s:s}", "requester", "alice"),
                        .state = JOB_DONE,
                        .outcome = "proven",
                        .reason = "all gates passed",
                        .attempt = 2,
                        .published = json_pack("{s:s, s:s}", "pull_url", "http://x/pull/8", "branch", "assay/7-slug"),
                        .cost_usd = 0.0421,
                        .tokens_in = 1000,
                        .tokens_out = 50,
                        .created_ms = 1700000000000,
                        .started_ms = 1700000001000,
                        .ended_ms = 1700000061000};
}

static struct stage_row stages[] = {
    {.id = 1,
     .job = 12,
     .attempt = 1,
     .stage = "spec",
     .status = "passed",
     .detail = "3 criteria",
     .input_digest = "abc",
     .started_ms = 1700000001000,
     .ended_ms = 1700000003500},
    {.id = 2,
     .job = 12,
     .attempt = 2,
     .round = 1,
     .stage = "repair",
     .status = "running",
     .detail = "",
     .input_digest = "",
     .started_ms = 1700000004000},
};

static void a_job_is_shown_with_stages_calls_and_links(void **state)
{
    (void)state;
    struct job job = a_job();
    json_auto_t *calls = json_pack("[{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:n}]", "role", "tests", "name", "sonnet",
                                   "model", "claude-x", "tokens_in", 1000, "tokens_out", 50, "tokens_cached", 0,
                                   "elapsed_ms", 1500, "cost_usd", 0.0421, "error");
    const struct forge_config forge = {.git_url = "https://github.com"};
    char *text = NULL;
    size_t len = 0;
    FILE *file = tmpfile();
    job_view_print(&job, stages, 2, calls, &forge, file);
    len = (size_t)ftell(file);
    rewind(file);
    text = calloc(1, len + 1);
    assert_int_equal(fread(text, 1, len, file), len);
    fclose(file);
    static const char *const expected[] = {
        "job 12: generate octo/slug#7: Slugify  ]0;gotcha",
        "state     done, proven\n",
        "reason    all gates passed\n",
        "by alice\n",
        "attempt 2\n",
        "0.0421 USD, 1000 tokens in, 50 out\n",
        "https://github.com/octo/slug/issues/7\n",
        "http://x/pull/8\n",
        "assay/7-slug\n",
        "spec\t0\t1\tpassed\t2.5 s\t3 criteria\n",
        "repair\t1\t2\trunning\t\t\n",
        "tests\tsonnet\tclaude-x\t1000\t50\t0\t1.5 s\t0.0421\t\n",
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!strstr(text, expected[i]))
            fail_msg("not found: %s\nin:\n%s", expected[i], text);
    assert_null(strchr(text, '\033'));
    free(text);
    json_decref(job.request);
    json_decref(job.published);
}

static void a_job_is_json_with_times_people_can_read(void **state)
{
    (void)state;
    struct job job = a_job();
    job.ended_ms = 0;
    json_auto_t *calls = json_array();
    json_auto_t *view = job_view_whole(&job, stages, 2, calls);
    assert_int_equal(json_int_at(view, "id", 0), 12);
    assert_string_equal(json_text_at(view, "repository", ""), "octo/slug");
    assert_string_equal(json_text_at(view, "state", ""), "done");
    assert_string_equal(json_text_at(view, "created", ""), "2023-11-14T22:13:20Z");
    assert_true(json_is_null(json_at(view, "ended")));
    assert_string_equal(json_text_at(view, "published.branch", ""), "assay/7-slug");
    assert_string_equal(json_text_at(view, "request.requester", ""), "alice");
    json_t *stage = json_array_get(json_at(view, "stages"), 0);
    assert_string_equal(json_text_at(stage, "stage", ""), "spec");
    assert_float_equal(json_number_value(json_object_get(stage, "seconds")), 2.5, 1e-9);
    json_decref(job.request);
    json_decref(job.published);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_come_in_any_order),
        cmocka_unit_test(every_command_has_its_help),
        cmocka_unit_test(help_is_asked_for_by_an_option_before_the_dashes),
        cmocka_unit_test(a_table_is_aligned_on_a_terminal_and_tabbed_elsewhere),
        cmocka_unit_test(a_pipe_has_no_colours),
        cmocka_unit_test(a_job_is_shown_with_stages_calls_and_links),
        cmocka_unit_test(a_job_is_json_with_times_people_can_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
