/* Deliveries as facts: GitHub's published examples, servers that leave fields out, and payloads that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "forge/event.h"

static struct event read_text(const char *name, const char *text)
{
    struct event event = {0};
    struct error err = {0};
    json_auto_t *payload = json_read(text, strlen(text), JSON_LIMITS_WEBHOOK, &err);
    if (!payload || event_read(name, payload, &event, &err) < 0)
        fail_msg("%s: %s", name, err.message);
    return event;
}

#define REPOSITORY                                                                                                     \
    "\"repository\":{\"name\":\"hello\",\"owner\":{\"login\":\"octo\"},\"default_branch\":\"trunk\"},"                 \
    "\"sender\":{\"login\":\"ann\",\"type\":\"User\"}"
#define ISSUE(more)                                                                                                    \
    "\"issue\":{\"number\":7,\"title\":\"T\",\"body\":\"B\",\"state\":\"open\",\"user\":{\"login\":\"bob\"},"          \
    "\"created_at\":\"2026-01-01T00:00:00Z\",\"updated_at\":\"2026-01-01T00:00:10Z\"," more                            \
    "\"labels\":[{\"name\":\"assay\"},{\"name\":\"bug\"}]}"

static void a_label_on_an_issue_is_read_whole(void **state)
{
    (void)state;
    struct event event = read_text("issues", "{\"action\":\"labeled\",\"label\":{\"name\":\"assay\"},"
                                             "\"installation\":{\"id\":42}," ISSUE("") "," REPOSITORY "}");
    assert_int_equal(event.kind, EVENT_ISSUE);
    assert_string_equal(event.action, "labeled");
    assert_string_equal(event.repo.owner, "octo");
    assert_string_equal(event.repo.name, "hello");
    assert_int_equal(event.repo.installation, 42);
    assert_string_equal(event.default_branch, "trunk");
    assert_string_equal(event.sender, "ann");
    assert_false(event.sender_is_bot);
    assert_int_equal(event.number, 7);
    assert_false(event.on_pull);
    assert_true(event.open);
    assert_string_equal(event.title, "T");
    assert_string_equal(event.body, "B");
    assert_string_equal(event.author, "bob");
    assert_string_equal(event.label, "assay");
    assert_int_equal(event.label_count, 2);
    assert_string_equal(event.labels[1], "bug");
    assert_int_equal(event.comment_id, 0);
    assert_string_equal(event.comment_body, "");
    assert_int_equal(event.happened_ms, 1767225610000);
    event_release(&event);
    event = read_text("issues", "{\"action\":\"opened\"," ISSUE("") "," REPOSITORY "}");
    assert_int_equal(event.happened_ms, 1767225600000);
    event_release(&event);
}

#define COMMENT(user)                                                                                                  \
    "\"comment\":{\"id\":99,\"body\":\"/generate\",\"user\":" user ",\"updated_at\":\"2026-01-01T00:01:00Z\"}"

static void a_comment_s_author_and_place_are_known(void **state)
{
    (void)state;
    struct event event = read_text(
        "issue_comment", "{\"action\":\"created\"," COMMENT("{\"login\":\"eve\"}") "," ISSUE("") "," REPOSITORY "}");
    assert_int_equal(event.kind, EVENT_ISSUE_COMMENT);
    assert_int_equal(event.comment_id, 99);
    assert_string_equal(event.comment_body, "/generate");
    assert_string_equal(event.comment_author, "eve");
    assert_false(event.comment_author_is_bot);
    assert_false(event.on_pull);
    assert_int_equal(event.happened_ms, 1767225660000);
    event_release(&event);
    event = read_text("issue_comment", "{\"action\":\"created\"," COMMENT("{\"login\":\"eve\"}") "," ISSUE(
                                           "\"pull_request\":{\"url\":\"x\"},") "," REPOSITORY "}");
    assert_true(event.on_pull);
    event_release(&event);
}

static void bots_are_told_by_type_and_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        bool bot;
    } cases[] = {
        {"{\"login\":\"dependabot[bot]\",\"type\":\"Bot\"}", true},
        {"{\"login\":\"robot\",\"type\":\"Bot\"}", true},
        {"{\"login\":\"assay[bot]\"}", true},
        {"{\"login\":\"ASSAY[BOT]\",\"type\":\"User\"}", true},
        {"{\"login\":\"bot\",\"type\":\"User\"}", false},
        {"{\"login\":\"[bot]x\"}", false},
        {"{\"login\":\"eve\",\"type\":7}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 "{\"action\":\"created\",\"comment\":{\"id\":1,\"user\":%s}," ISSUE(
                     "") ",\"repository\":{\"name\":"
                         "\"h\",\"owner\":{\"login\":\"o\"}},\"sender\":%s}",
                 cases[i].user, cases[i].user);
        struct event event = read_text("issue_comment", text);
        if (event.sender_is_bot != cases[i].bot || event.comment_author_is_bot != cases[i].bot)
            fail_msg("%s", cases[i].user);
        event_release(&event);
    }
}

#define PULL                                                                                                           \
    "\"pull_request\":{\"number\":8,\"title\":\"P\",\"body\":null,\"state\":\"closed\",\"user\":null,\"labels\":[]}"

static void a_review_comment_knows_its_line_and_thread(void **state)
{
    (void)state;
    struct event event =
        read_text("pull_request_review_comment",
                  "{\"action\":\"created\",\"comment\":{\"id\":5,\"body\":\"why?\",\"path\":\"a.py\","
                  "\"line\":null,\"original_line\":12,\"in_reply_to_id\":4,\"user\":{\"login\":\"eve\"}}," PULL
                  "," REPOSITORY "}");
    assert_int_equal(event.kind, EVENT_REVIEW_COMMENT);
    assert_int_equal(event.number, 8);
    assert_true(event.on_pull);
    assert_false(event.open);
    assert_string_equal(event.body, "");
    assert_string_equal(event.author, ""); /* a deleted account */
    assert_string_equal(event.comment_path, "a.py");
    assert_int_equal(event.comment_line, 12);
    assert_int_equal(event.in_reply_to, 4);
    assert_int_equal(event.happened_ms, 0);
    event_release(&event);
    event = read_text("pull_request_review",
                      "{\"action\":\"submitted\",\"review\":{\"id\":6,\"body\":null,\"submitted_at\":"
                      "\"2026-01-01T00:00:00Z\",\"user\":{\"login\":\"eve\"}}," PULL "," REPOSITORY "}");
    assert_int_equal(event.kind, EVENT_REVIEW);
    assert_int_equal(event.comment_id, 6);
    assert_string_equal(event.comment_body, "");
    assert_int_equal(event.happened_ms, 1767225600000);
    event_release(&event);
}

/* As GitBucket sends it: no label, no installation, no id, a header name of its own case. */
static void a_server_that_leaves_fields_out_is_understood(void **state)
{
    (void)state;
    struct event event = read_text(
        "issue_comment", "{\"action\":\"created\",\"repository\":{\"name\":\"r\",\"full_name\":\"root/"
                         "r\",\"owner\":{\"login\":\"root\"}},"
                         "\"issue\":{\"number\":1,\"title\":\"t\",\"user\":{\"login\":\"root\"},\"state\":\"open\"},"
                         "\"comment\":{\"id\":3,\"user\":{\"login\":\"root\",\"email\":\"r@x\"},\"body\":\"/help\"},"
                         "\"sender\":{\"login\":\"root\"}}");
    assert_string_equal(event.label, "");
    assert_int_equal(event.label_count, 0);
    assert_int_equal(event.repo.installation, 0);
    assert_string_equal(event.default_branch, "");
    event_release(&event);
}

static void unknown_events_are_of_no_interest(void **state)
{
    (void)state;
    static const char *const names[] = {"push", "star", "check_run", "nonsense", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct event event = read_text(names[i], "{\"zen\":\"x\"}");
        assert_int_equal(event.kind, EVENT_OTHER);
        assert_string_equal(event.action, "");
        event_release(&event);
    }
}

static void a_missing_field_is_named_and_nothing_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *words;
    } cases[] = {
        {"issues", "{\"action\":\"opened\"," ISSUE("") "}", "repository.owner.login"},
        {"issues", "{" ISSUE("") "," REPOSITORY "}", "payload.action"},
        {"issues", "{\"action\":3," ISSUE("") "," REPOSITORY "}", "payload.action"},
        {"issues", "{\"action\":\"opened\"," REPOSITORY "}", "issue.number"},
        {"issues", "{\"action\":\"opened\",\"issue\":{\"number\":\"7\"}," REPOSITORY "}", "issue.number"},
        {"issues", "{\"action\":\"opened\",\"issue\":{\"number\":-1}," REPOSITORY "}", "issue.number"},
        {"pull_request", "{\"action\":\"opened\"," ISSUE("") "," REPOSITORY "}", "pull_request.number"},
        {"issue_comment", "{\"action\":\"created\"," ISSUE("") "," REPOSITORY "}", "comment.id"},
        {"issue_comment", "{\"action\":\"created\",\"comment\":{\"id\":1,\"user\":null}," ISSUE("") "," REPOSITORY "}",
         "comment.user.login"},
        {"issues", "[]", "not a JSON object"},
        {"nonsense", "7", "not a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct event event = {.number = 123};
        json_auto_t *payload = json_loads(cases[i].text, JSON_DECODE_ANY, NULL);
        assert_non_null(payload);
        assert_int_equal(event_read(cases[i].name, payload, &event, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.message, cases[i].words))
            fail_msg("%s", err.message);
        assert_int_equal(event.number, 123);
    }
}

/* ---- GitHub's published examples ---- */

static const char *const kinds[] = {"other",          "ping",   "issues",       "issue_comment",
                                    "review_comment", "review", "pull_request", "installation"};

static void check_example(const char *name, const json_t *payload, size_t counts[])
{
    struct event event;
    struct error err = {0};
    if (event_read(name, payload, &event, &err) < 0)
        fail_msg("%s: %s", name, err.message);
    bool about_something = event.kind != EVENT_OTHER && event.kind != EVENT_PING && event.kind != EVENT_INSTALLATION;
    assert_string_equal(event.action, json_text_at(payload, "action", ""));
    assert_string_equal(event.sender, json_text_at(payload, "sender.login", ""));
    if (about_something) {
        const char *subject = json_at(payload, "issue") ? "issue" : "pull_request";
        const json_t *object = json_at(payload, subject);
        assert_int_equal(event.number, json_int_at(object, "number", -1));
        assert_string_equal(event.title, json_text_at(object, "title", "?"));
        assert_string_equal(event.repo.name, json_text_at(payload, "repository.name", "?"));
        assert_int_equal(event.label_count, json_array_size(json_at(object, "labels")));
        assert_true(event.happened_ms > 1400000000000);
    }
    if (event.kind == EVENT_ISSUE_COMMENT || event.kind == EVENT_REVIEW_COMMENT)
        assert_string_equal(event.comment_body, json_text_at(payload, "comment.body", "?"));
    if (event.kind == EVENT_INSTALLATION)
        assert_true(event.repo.installation > 0 && *event.repo.owner);
    counts[event.kind]++;
    event_release(&event);
}

static void every_published_example_is_read(void **state)
{
    (void)state;
    const char *directory = getenv("WEBHOOK_EXAMPLES");
    if (!directory) {
        print_message("WEBHOOK_EXAMPLES is not set to the directory of npm's @octokit/webhooks-examples\n");
        skip();
    }
    struct error err = {0};
    AUTO_FREE char *path = text_format("%s/api.github.com/index.json", directory);
    AUTO_BUF struct buf text = BUF_INIT(MiB(64));
    if (fs_read(path, &text, &err) < 0)
        fail_msg("%s", err.message);
    json_auto_t *events = json_read(text.data, text.len, JSON_LIMITS_API, &err);
    size_t counts[8] = {0}, i, k;
    json_t *event, *example;
    json_array_foreach (events, i, event) {
        json_array_foreach (json_at(event, "examples"), k, example) {
            check_example(json_text_at(event, "name", ""), example, counts);
        }
    }
    for (size_t kind = 0; kind < 8; kind++) {
        print_message("%s: %zu examples\n", kinds[kind], counts[kind]);
        assert_true(counts[kind] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_on_an_issue_is_read_whole),
        cmocka_unit_test(a_comment_s_author_and_place_are_known),
        cmocka_unit_test(bots_are_told_by_type_and_by_name),
        cmocka_unit_test(a_review_comment_knows_its_line_and_thread),
        cmocka_unit_test(a_server_that_leaves_fields_out_is_understood),
        cmocka_unit_test(unknown_events_are_of_no_interest),
        cmocka_unit_test(a_missing_field_is_named_and_nothing_is_given),
        cmocka_unit_test(every_published_example_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
