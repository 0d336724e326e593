/* Comments found by their marker, reactions, labels; servers that lack some of it. */
#include "tests/unit/forge/script_server.h"

#include "forge/github.h"

static struct forge_repo repo = {.owner = "octo", .name = "hello"};

#define NOT_FOUND_JSON "{\"message\":\"Not Found\"}"
#define WHO                                                                                                            \
    {                                                                                                                  \
        "GET /user", NULL, NULL, 200, NULL, "{\"login\":\"robot\",\"id\":5}"                                           \
    }
#define LIST   "GET /repos/octo/hello/issues/7/comments?per_page=100"
#define MARKER "<!-- assay:job-1 -->"

static void a_comment_is_found_by_author_and_marker_over_all_pages(void **state)
{
    (void)state;
    const struct exchange script[] = {
        WHO,
        {LIST, NULL, NULL, 200, "Link: <{url}/repositories/9/issues/7/comments?per_page=100&page=2>; rel=\"next\"\r\n",
         "[{\"id\":1,\"user\":{\"login\":\"eve\"},\"body\":\"quoted " MARKER "\"},"
         "{\"id\":2,\"user\":{\"login\":\"robot\"},\"body\":\"another <!-- assay:job-12 -->\"},"
         "{\"id\":3,\"user\":null,\"body\":\"" MARKER "\"}]"},
        {"GET /repositories/9/issues/7/comments?per_page=100&page=2", NULL, NULL, 200, NULL,
         "[{\"id\":4,\"user\":{\"login\":\"Robot\"},\"body\":\"mine " MARKER "\"}]"},
        {"PATCH /repos/octo/hello/issues/comments/4", NULL, "{\"body\":\"new " MARKER "\"}", 200, NULL, "{\"id\":4}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, "new " MARKER, &id, &err));
    assert_int_equal(id, 4);
    script_forge_close(&it);
}

static void without_one_a_comment_is_created_and_its_id_given(void **state)
{
    (void)state;
    const struct exchange script[] = {
        WHO,
        {LIST, NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/issues/7/comments", NULL, "{\"body\":\"x " MARKER "\"}", 201, NULL, "{\"id\":55}"},
        {"PATCH /repos/octo/hello/issues/comments/55", NULL, "{\"body\":\"y " MARKER "\"}", 200, NULL, "{\"id\":55}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, "x " MARKER, &id, &err));
    assert_int_equal(id, 55);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, "y " MARKER, &id, &err));
    assert_int_equal(id, 55);
    script_forge_close(&it);
}

static void a_lost_answer_does_not_make_a_second_comment(void **state)
{
    (void)state;
    const struct exchange script[] = {
        WHO,
        {LIST, NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/issues/7/comments", NULL, "*", 0, NULL, NULL}, /* created, but nobody hears of it */
        {LIST, NULL, NULL, 200, NULL, "[{\"id\":56,\"user\":{\"login\":\"robot\"},\"body\":\"x " MARKER "\"}]"},
        {"PATCH /repos/octo/hello/issues/comments/56", NULL, "*", 200, NULL, "{\"id\":56}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, "x " MARKER, &id, &err));
    assert_int_equal(id, 56);
    script_forge_close(&it);
}

static void a_comment_that_somebody_deleted_is_made_again(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"PATCH /repos/octo/hello/issues/comments/55", NULL, "*", 404, NULL, NOT_FOUND_JSON},
        WHO,
        {LIST, NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/issues/7/comments", NULL, "*", 201, NULL, "{\"id\":60}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    int64_t id = 55;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, "x " MARKER, &id, &err));
    assert_int_equal(id, 60);
    script_forge_close(&it);
}

static void a_comment_that_may_not_be_edited_stays_and_none_is_added(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"PATCH /repos/octo/hello/issues/comments/55", NULL, "*", 403, NULL, "{\"message\":\"locked\"}"}};
    struct script_forge it = {0};
    struct error err = {0};
    int64_t id = 55;
    SCRIPT_FORGE(&it, script);
    assert_int_equal(forge_comment_put(it.forge, &repo, 7, MARKER, "x " MARKER, &id, &err), -1);
    assert_int_equal(id, 55);
    assert_said(err, "comment on octo/hello#7: PATCH ");
    script_forge_close(&it);
}

struct seen {
    size_t len;
    bool marked, utf8;
};

static void look_at_body(void *context, const json_t *request)
{
    struct seen *seen = context;
    const char *body = json_string_value(json_object_get(json_object_get(request, "body"), "body"));
    seen->len = body ? strlen(body) : 0;
    seen->marked = body && strstr(body, MARKER);
    seen->utf8 = body;
}

static void a_long_comment_is_cut_and_keeps_its_marker(void **state)
{
    (void)state;
    struct script_forge it = {.config.dry_run = true};
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(MiB(1));
    for (int i = 0; i < 40000; i++)
        buf_puts(&text, "ß");
    buf_puts(&text, "\xff not UTF-8 " MARKER);
    script_forge_open(&it, NULL, 0);
    struct seen seen = {0};
    int64_t id = 3;
    forge_on_dry_run(it.forge, look_at_body, &seen);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, buf_text(&text), &id, &err));
    assert_in_range(seen.len, 60000, GITHUB_BODY_MAX);
    assert_true(seen.marked && seen.utf8);
    assert_ok(forge_comment_put(it.forge, &repo, 7, MARKER, "short \xff " MARKER, &id, &err));
    assert_int_equal(seen.len, strlen("short   " MARKER) + 2);
    script_forge_close(&it);
}

static void reactions_and_labels_go_where_they_belong(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"POST /repos/octo/hello/issues/7/reactions", NULL, "{\"content\":\"eyes\"}", 201, NULL, "{\"id\":1}"},
        {"POST /repos/octo/hello/issues/comments/8/reactions", NULL, "{\"content\":\"eyes\"}", 200, NULL, "{\"id\":1}"},
        {"POST /repos/octo/hello/pulls/comments/9/reactions", NULL, "{\"content\":\"eyes\"}", 201, NULL, "{\"id\":1}"},
        {"POST /repos/octo/hello/issues/7/labels", NULL, "{\"labels\":[\"assay:needs-human\"]}", 200, NULL, "[]"},
        {"DELETE /repos/octo/hello/issues/7/labels/assay%3Aneeds-human", NULL, NULL, 200, NULL, "[]"},
        {"DELETE /repos/octo/hello/issues/7/labels/none", NULL, NULL, 404, NULL,
         "{\"message\":\"Label does not exist\"}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_react(it.forge, &repo, FORGE_ISSUE, 7, "eyes", &err));
    assert_ok(forge_react(it.forge, &repo, FORGE_ISSUE_COMMENT, 8, "eyes", &err));
    assert_ok(forge_react(it.forge, &repo, FORGE_REVIEW_COMMENT, 9, "eyes", &err));
    assert_ok(forge_label_add(it.forge, &repo, 7, "assay:needs-human", &err));
    assert_ok(forge_label_remove(it.forge, &repo, 7, "assay:needs-human", &err));
    assert_ok(forge_label_remove(it.forge, &repo, 7, "none", &err));
    script_forge_close(&it);
}

static void a_server_without_reactions_and_labels_costs_one_line_each(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"POST /repos/octo/hello/issues/7/reactions", NULL, "*", 404, "Content-Type: text/html\r\n", "<html>not here"},
        {"POST /repos/octo/hello/issues/7/labels", NULL, "*", 404, NULL, NOT_FOUND_JSON},
        {"POST /repos/octo/hello/issues/7/reactions", NULL, "*", 403, NULL, "{\"message\":\"locked\"}"},
        {"POST /repos/octo/hello/issues/7/labels", NULL, "*", 404, NULL, NOT_FOUND_JSON},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    for (int i = 0; i < 2; i++) {
        assert_ok(forge_react(it.forge, &repo, FORGE_ISSUE, 7, "eyes", &err));
        assert_ok(forge_label_add(it.forge, &repo, 7, "x", &err));
    }
    assert_int_equal(script_logged(&it, "no reactions"), 1);
    assert_int_equal(script_logged(&it, "no labels"), 1);
    script_forge_close(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_comment_is_found_by_author_and_marker_over_all_pages),
        cmocka_unit_test(without_one_a_comment_is_created_and_its_id_given),
        cmocka_unit_test(a_lost_answer_does_not_make_a_second_comment),
        cmocka_unit_test(a_comment_that_somebody_deleted_is_made_again),
        cmocka_unit_test(a_comment_that_may_not_be_edited_stays_and_none_is_added),
        cmocka_unit_test(a_long_comment_is_cut_and_keeps_its_marker),
        cmocka_unit_test(reactions_and_labels_go_where_they_belong),
        cmocka_unit_test(a_server_without_reactions_and_labels_costs_one_line_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
