/* Text that is put into Markdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/markdown.h"

struct row {
    const char *text, *expected;
};

static const struct row prose[] = {
    {"", ""},
    {"Plain prose, with (dots), \"quotes\" and a well-known hyphen: fine!", NULL},
    {"snake_case stays, 3.14 stays, a = b stays, x > y stays, R & D stays", NULL},
    {"https://example.com/a_b?c=d stays", NULL},
    {"*bold* _it_ `code` ~~gone~~ | a", "\\*bold\\* \\_it\\_ \\`code\\` \\~\\~gone\\~\\~ \\| a"},
    {"[text](http://evil) ![image](x)", "\\[text\\](http://evil) !\\[image\\](x)"},
    {"<img src=x> <!-- hidden --> </details>", "&lt;img src=x> &lt;!-- hidden --> &lt;/details>"},
    {"&lt;script> &#60; &copy;", "&amp;lt;script> &amp;#&#8203;60; &amp;copy;"},
    {"ask @octocat and @org/team, a@b.c, @", "ask @&#8203;octocat and @&#8203;org/team, a@&#8203;b.c, @"},
    {"see #12, org/repo#12, GH-12, gh-7, HIGH-5, # 5", "see #&#8203;12, org/repo#&#8203;12, GH-&#8203;12, "
                                                       "gh-&#8203;7, HIGH-5, # 5"},
    {"# heading", "\\# heading"},
    {"#12", "\\#&#8203;12"},
    {"> quote", "\\> quote"},
    {"- item", "\\- item"},
    {"+ item", "\\+ item"},
    {"---", "\\---"},
    {"===", "\\==="},
    {"* item", "\\* item"},
    {"1. item", "1\\. item"},
    {"12) item", "12\\) item"},
    {"1.5 is a number", "1.5 is a number"},
    {"7", "7"},
    {"7.", "7\\."},
    {"/retry now", "\\/retry now"},
    {"    indented", "indented"},
    {"\n\n# two\n/cancel\n\n- three", "\\# two /cancel  - three"},
    {"a\r\nb\tc\x01"
     "d",
     "a  b c d"},
    {"back\\slash \\*", "back\\\\slash \\\\\\*"},
    {"_\xc3\xa9_", "\\_\xc3\xa9\\_"},
};

static void test_prose_cannot_start_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof prose / sizeof prose[0]; i++) {
        AUTO_BUF struct buf out = BUF_INIT(KiB(4));
        const char *expected = prose[i].expected ? prose[i].expected : prose[i].text;
        assert_int_equal(markdown_text(&out, prose[i].text, strlen(prose[i].text)), 0);
        if (strcmp(buf_text(&out), expected) != 0)
            fail_msg("[%s]: expected [%s], got [%s]", prose[i].text, expected, buf_text(&out));
    }
}

static void test_code_spans_cannot_be_left(void **state)
{
    (void)state;
    static const struct row cases[] = {
        {"", ""},
        {"a_b", "`a_b`"},
        {"a`b", "``a`b``"},
        {"`", "`` ` ``"},
        {"``a", "``` ``a ```"},
        {"a\nb", "`a b`"},
        {" a ", "`  a  `"},
        {" a", "` a`"},
        {"@x #1", "`@x #1`"},
        {"a ``` b `", "```` a ``` b ` ````"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_BUF struct buf out = BUF_INIT(KiB(4));
        assert_int_equal(markdown_code(&out, cases[i].text), 0);
        assert_string_equal(buf_text(&out), cases[i].expected);
    }
}

static void test_blocks_cannot_be_left(void **state)
{
    (void)state;
    static const struct {
        const char *before, *info, *text, *expected;
    } cases[] = {
        {"", "", "a", "```\na\n```\n"},
        {"x", "python", "a\n", "x\n```python\na\n```\n"},
        {"x\n", "", "", "x\n```\n```\n"},
        {"", "", "```\nout\n````\n", "`````\n```\nout\n````\n`````\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_BUF struct buf out = BUF_INIT(KiB(4));
        buf_puts(&out, cases[i].before);
        assert_int_equal(markdown_block(&out, cases[i].info, cases[i].text), 0);
        assert_string_equal(buf_text(&out), cases[i].expected);
    }
}

static void test_a_full_buffer_is_reported(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT(4);
    assert_int_equal(markdown_text(&out, "a long text", 11), -1);
    buf_clear(&out);
    assert_int_equal(markdown_code(&out, "long"), -1);
    buf_clear(&out);
    assert_int_equal(markdown_block(&out, "", "long"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prose_cannot_start_anything),
        cmocka_unit_test(test_code_spans_cannot_be_left),
        cmocka_unit_test(test_blocks_cannot_be_left),
        cmocka_unit_test(test_a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
