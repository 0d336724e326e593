/* What leaves for the forge is safe and fits, whoever wrote the words in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/reply.h"
#include "app/source.h"

static void a_plain_line_has_nothing_that_acts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max;
        const char *expected;
    } cases[] = {
        {"Slugify titles", 50, "Slugify titles"},
        {"  two\n lines\tand\x01 more  ", 50, "two lines and more"},
        {"Fixes #12 for @mia", 50, "Fixes 12 for mia"},
        {"a # b", 50, "a b"},
        {"\xc3\xa4\xc3\xb6\xc3\xbc", 5, "\xc3\xa4\xc3\xb6"},
        {"one two", 4, "one"},
        {"###", 50, ""},
        {"", 50, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *line = reply_plain_line(cases[i].text, cases[i].max);
        assert_string_equal(line, cases[i].expected);
        free(line);
    }
}

static void markers_are_those_that_are_searched_for(void **state)
{
    (void)state;
    char *job = reply_job_marker(12, "progress");
    char *answer = reply_marker("label:mia");
    assert_string_equal(job, "<!-- assay:job:12:progress -->");
    assert_string_equal(answer, "<!-- assay:reply:label:mia -->");
    assert_int_equal(strncmp(job, REPLY_MARK, strlen(REPLY_MARK)), 0);
    free(job);
    free(answer);
}

static void words_of_people_cannot_become_markup(void **state)
{
    (void)state;
    struct error err = {0};
    json_auto_t *view = json_pack("{s:s}", "person", "<img src=x> @octo");
    char *text = reply_render("not-permitted", view, &err);
    assert_non_null(text);
    assert_null(strstr(text, "<img"));
    assert_null(strstr(text, "@octo"));
    assert_non_null(strstr(text, "Nothing was started."));
    free(text);
    assert_null(reply_render("no such reply", view, &err));
    assert_non_null(strstr(err.message, "no such reply"));
}

static void a_co_author_is_somebody_the_forge_knows(void **state)
{
    (void)state;
    static const struct {
        const char *request, *git_url, *expected;
    } cases[] = {
        {"{\"requester\": \"mia\", \"requester_id\": 42}", "https://github.com",
         "mia <42+mia@users.noreply.github.com>"},
        {"{\"requester\": \"mia\"}", "https://git.example:8443/x", "mia <mia@users.noreply.git.example>"},
        {"{\"requester\": \"mia\"}", "https://user@git.example", "mia <mia@users.noreply.git.example>"},
        {"{\"requester\": \"mia\"}", "/srv/git", "mia <mia@users.noreply.localhost>"},
        {"{\"requester\": \"mia>\\nSigned-off-by: x\"}", "https://github.com", ""},
        {"{\"requester\": \"\"}", "https://github.com", ""},
        {"{}", NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *request = json_loads(cases[i].request, 0, NULL);
        char *author = source_co_author(request, cases[i].git_url);
        assert_string_equal(author, cases[i].expected);
        free(author);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_line_has_nothing_that_acts),
        cmocka_unit_test(markers_are_those_that_are_searched_for),
        cmocka_unit_test(words_of_people_cannot_become_markup),
        cmocka_unit_test(a_co_author_is_somebody_the_forge_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
