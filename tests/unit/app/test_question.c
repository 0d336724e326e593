/* Ticked boxes as answers, and answers as a part of the request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/question.h"

static const char questions_json[] = "[{\"question\": \"Which case?\", \"options\": [\"lower\", \"UPPER_case\"]},"
                                     " {\"question\": \"Anything else?\", \"options\": []},"
                                     " {\"question\": \"Empty input?\", \"options\": [\"error\", \"empty text\"]}]";

static void check(const char *body, const char *expected, bool expected_complete)
{
    json_auto_t *questions = json_loads(questions_json, 0, NULL);
    struct error err = {0};
    bool complete = !expected_complete;
    char *text = question_read_ticks(questions, body, &complete, &err);
    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_int_equal(complete, expected_complete);
    free(text);
}

static void ticks_are_read_by_their_order(void **state)
{
    (void)state;
    check("- [ ] lower\n- [x] UPPER\\_case\n\n- [ ] error\n- [ ] empty text", "Which case? UPPER_case", false);
    check("- [x] lower\n- [x] UPPER\\_case\n\n- [ ] error\n- [x] empty text",
          "Which case? lower; UPPER_case\nEmpty input? empty text", true);
    check("- [ ] lower\n- [ ] UPPER\\_case\n\n- [ ] error\n- [ ] empty text", "", false);
}

static void a_rewritten_comment_counts_by_its_words(void **state)
{
    (void)state;
    check("- [x] CamelCase\n- [ ] other", "CamelCase", true);
    check("no boxes left", "", true);
}

static void answers_join_what_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *request, *expected;
    } cases[] = {
        {"{\"body\": \"Do it.\", \"text\": \"\", \"answers\": []}", "Do it."},
        {"{\"body\": \"Do it.\", \"text\": \"Fast.\"}", "Do it.\n\n## Added\n\nFast."},
        {"{\"body\": \"\", \"text\": \"Fast.\"}", "Fast."},
        {"{\"body\": \"Do it.\", \"text\": \"\", \"answers\": [{\"text\": \"a\"}, {\"text\": \"b\"}]}",
         "Do it.\n\n## Answers\n\na\n\nb\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *request = json_loads(cases[i].request, 0, NULL);
        struct error err = {0};
        char *text = question_request_text(request, &err);
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_read_by_their_order),
        cmocka_unit_test(a_rewritten_comment_counts_by_its_words),
        cmocka_unit_test(answers_join_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
