/* The journal as people see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/progress.h"

static char *text_of(enum job_state job_state, const char *outcome, const struct stage_row *rows, size_t count)
{
    json_auto_t *published = json_pack("{s:i}", "pull", 8);
    struct job job = {.id = 12,
                      .state = job_state,
                      .outcome = (char *)outcome,
                      .reason = "the reason",
                      .published = published,
                      .cost_usd = 0.126};
    struct error err = {0};
    char *text = progress_text(&job, rows, count, 100 * 1000, "https://assay.example", &err);
    if (!text)
        fail_msg("%s", err.message);
    return text;
}

static void assert_has(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in:\n%s", words, text);
}

static void assert_lacks(const char *text, const char *words)
{
    if (strstr(text, words))
        fail_msg("\"%s\" is in:\n%s", words, text);
}

static const struct stage_row running[] = {
    {.stage = "spec", .status = "passed", .detail = "slugify in a.py", .started_ms = 1000, .ended_ms = 1400},
    {.stage = "context", .status = "passed", .detail = "", .started_ms = 1400, .ended_ms = 2400},
    {.stage = "tests", .status = "running", .detail = "", .started_ms = 88 * 1000},
};

static void a_running_job_shows_done_now_and_to_come(void **state)
{
    (void)state;
    char *text = text_of(JOB_RUNNING, "", running, 3);
    assert_has(text, "I am working on this");
    assert_has(text, "- [x] spec: slugify in a.py · 0.4 s\n");
    assert_has(text, "- [x] context: gathers");
    assert_has(text, "- [ ] **tests**: writes the tests · 12 s ⏳\n");
    assert_has(text, "- [ ] red: ");
    assert_has(text, "$0.13 so far");
    assert_has(text, "https://assay.example/jobs/12");
    free(text);
}

static const struct stage_row mended[] = {
    {.stage = "spec", .status = "passed", .detail = "", .started_ms = 0, .ended_ms = 1000},
    {.stage = "green", .status = "failed", .detail = "2 fail", .started_ms = 1000, .ended_ms = 3000},
    {.stage = "repair", .status = "passed", .detail = "", .started_ms = 3000, .ended_ms = 4000, .round = 1},
    {.stage = "green", .status = "passed", .detail = "all pass", .started_ms = 4000, .ended_ms = 7000, .round = 1},
    {.stage = "report", .status = "passed", .detail = "", .started_ms = 7000, .ended_ms = 7000, .round = 1},
};

static void an_ended_job_shows_what_was_done(void **state)
{
    (void)state;
    char *text = text_of(JOB_DONE, "proven", mended, 5);
    assert_has(text, "**Done: proven.** See #8.");
    assert_has(text, "- [x] green: all pass · 5.0 s\n");
    assert_has(text, "repair round 1");
    assert_lacks(text, "mutation");
    assert_lacks(text, "context");
    assert_lacks(text, "working on");
    free(text);
}

static void every_end_has_its_words(void **state)
{
    (void)state;
    static const struct {
        enum job_state state;
        const char *outcome, *words;
    } ends[] = {
        {JOB_QUEUED, "", "try again by myself.** the reason"},
        {JOB_QUESTION, "question", "I have a question"},
        {JOB_DONE, "unproven", "See the draft #8. the reason"},
        {JOB_DONE, "needs-human", "This needs a person.** the reason"},
        {JOB_DONE, "rejected", "did not pass a check that must hold.** the reason"},
        {JOB_CANCELLED, "", "**Cancelled.**"},
        {JOB_FAILED, "", "could not finish this.** the reason"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *text = text_of(ends[i].state, ends[i].outcome, NULL, 0);
        assert_has(text, ends[i].words);
        assert_lacks(text, "working on");
        free(text);
    }
}

static void what_a_stage_says_cannot_become_markup(void **state)
{
    (void)state;
    const struct stage_row row = {
        .stage = "spec", .status = "failed", .detail = "@octo <b> [x](y)", .started_ms = 0, .ended_ms = 1};
    char *text = text_of(JOB_RUNNING, "", &row, 1);
    assert_lacks(text, "@octo");
    assert_lacks(text, "<b>");
    assert_lacks(text, "[x](y)");
    assert_has(text, "to be mended");
    free(text);
}

static void a_terminal_line_tells_stage_result_and_time(void **state)
{
    (void)state;
    static const struct {
        const char *stage;
        int round;
        const char *status, *detail, *expected;
    } lines[] = {
        {"tests", 0, "running", NULL, "… tests     writes the tests"},
        {"tests", 0, "passed", "6 tests", "✓ tests     6 tests, 12 s"},
        {"green", 2, "failed", "1 fails", "✗ green     1 fails (round 2), 12 s"},
        {"odd", 0, "stopped", "", "■ odd       , 12 s"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        AUTO_BUF struct buf line = BUF_INIT(KiB(1));
        assert_int_equal(
            progress_line(&line, lines[i].stage, lines[i].round, lines[i].status, lines[i].detail, 12 * 1000), 0);
        assert_string_equal(buf_text(&line), lines[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_job_shows_done_now_and_to_come),
        cmocka_unit_test(an_ended_job_shows_what_was_done),
        cmocka_unit_test(every_end_has_its_words),
        cmocka_unit_test(what_a_stage_says_cannot_become_markup),
        cmocka_unit_test(a_terminal_line_tells_stage_result_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
