/* What in a comment is a command, and what is only text that looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/command.h"
#include "app/comment.h"

/* The commands as "word(text) word(text)", "+" when some were left out. */
static char *read_commands(const char *body)
{
    struct comment_commands commands;
    struct error err = {0};
    struct buf out = BUF_INIT(KiB(64));
    if (comment_read_commands(body, command_begins, &commands, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < commands.count; i++)
        buf_printf(&out, "%s%s(%s)", i ? " " : "", commands.items[i].word, commands.items[i].text);
    if (commands.more)
        buf_puts(&out, " +");
    comment_commands_release(&commands);
    return buf_steal(&out, NULL);
}

static void check(const char *body, const char *expected)
{
    char *got = read_commands(body);
    if (strcmp(got, expected) != 0)
        fail_msg("%s\nis read as: %s\nexpected:   %s", body, got, expected);
    free(got);
}

static void commands_stand_at_the_start_of_a_line(void **state)
{
    (void)state;
    check("/help", "help()");
    check("   /status", "status()");
    check("/Generate  with care ", "generate(with care)");
    check("please /help", "");
    check("/help\r\n/status\r\n", "help() status()");
    check("see /etc/passwd\n/usr/bin/env", "");
    check("/ help", "");
    check("//help", "");
    check("", "");
}

static void code_is_text(void **state)
{
    (void)state;
    check("```\n/cancel\n```", "");
    check("/status\n```\n/cancel\n```\n/help", "status(```\n/cancel\n```) help()");
    check("/status\n~~~ sh\n```\n/cancel\n~~~\n/help", "status(~~~ sh\n```\n/cancel\n~~~) help()");
    check("````\n```\n/cancel\n````", "");
    check("```\n/cancel\n ~~~\n/retry", "");
    check("   ```\n/cancel\n   ```", "");
    check("    /cancel", "");
    check("\t/cancel", "");
    check("  \t/cancel", "");
    check("``` has ` in it\n/help", "help(``` has ` in it)");
}

static void quotes_are_text(void **state)
{
    (void)state;
    check("> /cancel", "");
    check("> before\n/cancel", "");
    check("> before\n\n/help", "help(> before)");
    check(">\n/help", "help(>)");
    check("  > > /cancel\nmore of it\n/cancel", "");
    check("> before\n```\n/cancel\n```\n\n/help", "help(> before\n```\n/cancel\n```)");
}

static void html_comments_are_not_seen(void **state)
{
    (void)state;
    check("<!-- /cancel -->", "");
    check("<!--\n/cancel\n-->\n/help", "help()");
    check("/generate a<!-- not b -->c", "generate(ac)");
    check("<!-- open\n/cancel", "");
    check("say `<!--` here\n/help", "help(say `<!--` here)");
    check("```\n<!--\n```\n/help", "help(```\n<!--\n```)");
    check("<!-- ``` -->\n/help", "help()");
}

static void text_belongs_to_the_command_before_it(void **state)
{
    (void)state;
    check("/generate one\n\ntwo\n```\n/cancel\n```\n/status\n", "generate(one\n\ntwo\n```\n/cancel\n```) status()");
    check("Dear machine,\n/generate please", "generate(Dear machine,\nplease)");
    check("/generate\n/tmp is no command", "generate(/tmp is no command)");
}

static void at_most_five_commands_are_read(void **state)
{
    (void)state;
    check("/help\n/help\n/help\n/help\n/help", "help() help() help() help() help()");
    check("/help\n/help\n/help\n/help\n/help\n/cancel", "help() help() help() help() help() +");
}

static void typos_are_seen_and_other_words_are_not(void **state)
{
    (void)state;
    check("/genreate x", "genreate(x)");
    check("/retyr", "retyr()");
    check("/hepl", "hepl()");
    check("/cancel!", "cancel!()");
    check("/frobnicate", "");
    assert_true(comment_is_typo_of("statu", "status"));
    assert_true(comment_is_typo_of("sttatus", "status"));
    assert_true(comment_is_typo_of("ststus", "status"));
    assert_true(comment_is_typo_of("sattus", "status"));
    assert_false(comment_is_typo_of("status", "status"));
    assert_false(comment_is_typo_of("tsatus!", "status"));
    assert_false(comment_is_typo_of("", "help"));
}

static void boxes_are_read_in_order(void **state)
{
    (void)state;
    struct comment_box *boxes = NULL;
    size_t count = 0;
    const char *body = "- [ ] a\n* [x] b c\n+ [X]   d\n- [y] no\n-[x] no\n```\n- [x] code\n```\n> - [x] quote\n- [x]e";
    assert_int_equal(comment_read_boxes(body, &boxes, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_string_equal(boxes[0].text, "a");
    assert_false(boxes[0].ticked);
    assert_string_equal(boxes[1].text, "b c");
    assert_true(boxes[1].ticked);
    assert_string_equal(boxes[2].text, "d");
    assert_true(boxes[2].ticked);
    comment_boxes_free(boxes, count);
}

static void a_comment_that_is_too_large_is_refused(void **state)
{
    (void)state;
    size_t len = MiB(2);
    char *body = malloc(len + 1);
    assert_non_null(body);
    memset(body, 'a', len);
    memcpy(body, "/help\n", 6);
    body[len] = '\0';
    struct comment_commands commands;
    struct error err = {0};
    assert_int_equal(comment_read_commands(body, command_begins, &commands, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_stand_at_the_start_of_a_line),
        cmocka_unit_test(code_is_text),
        cmocka_unit_test(quotes_are_text),
        cmocka_unit_test(html_comments_are_not_seen),
        cmocka_unit_test(text_belongs_to_the_command_before_it),
        cmocka_unit_test(at_most_five_commands_are_read),
        cmocka_unit_test(typos_are_seen_and_other_words_are_not),
        cmocka_unit_test(boxes_are_read_in_order),
        cmocka_unit_test(a_comment_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
