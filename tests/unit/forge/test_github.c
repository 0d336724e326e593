/* The authenticated call, seen through the forge's own calls: headers, retries, limits, pages, conditions, errors. */
#include "tests/unit/forge/script_server.h"

#include "app/base/clock.h"
#include "forge/answer.h"
#include "forge/github.h"

static struct forge_repo repo = {.owner = "octo org", .name = "hello"};

#define ISSUE "GET /repos/octo%20org/hello/issues/7"
#define ISSUE_JSON                                                                                                     \
    "{\"number\":7,\"title\":\"T\",\"body\":null,\"state\":\"open\",\"user\":{\"login\":\"ann\"},"                     \
    "\"labels\":[{\"name\":\"assay\"}]}"

static int get_issue(struct script_forge *it, struct error *err)
{
    struct forge_issue issue;
    int result = forge_issue_get(it->forge, &repo, 7, &issue, err);
    if (result == 0) {
        assert_int_equal(issue.number, 7);
        assert_string_equal(issue.title, "T");
        assert_string_equal(issue.body, "");
        assert_string_equal(issue.author, "ann");
        assert_true(issue.open);
        assert_false(issue.is_pull);
        assert_int_equal(issue.label_count, 1);
        assert_string_equal(issue.labels[0], "assay");
        forge_issue_release(&issue);
    }
    return result;
}

static void a_call_carries_the_headers_and_escapes_names(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {ISSUE,
         "Accept: application/vnd.github+json\nX-GitHub-Api-Version: 2022-11-28\n"
         "Authorization: token t0ken-for-tests\nUser-Agent: assay/" ASSAY_VERSION "\n!If-None-Match:",
         NULL, 200, NULL, ISSUE_JSON},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    assert_ok(get_issue(&it, &err));
    script_forge_close(&it);
}

static void a_repeated_get_is_conditional_and_a_304_gives_the_same_answer(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {ISSUE, "!If-None-Match:", NULL, 200, "ETag: W/\"abc\"\r\n", ISSUE_JSON},
        {ISSUE, "If-None-Match: W/\"abc\"", NULL, 304, "ETag: W/\"abc\"\r\n", NULL},
        {ISSUE, "If-None-Match: W/\"abc\"", NULL, 200, "ETag: \"def\"\r\n", ISSUE_JSON},
        {ISSUE, "If-None-Match: \"def\"", NULL, 304, NULL, NULL},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    for (int i = 0; i < 4; i++)
        assert_ok(get_issue(&it, &err));
    script_forge_close(&it);
}

static void a_limit_that_fits_the_deadline_is_waited_out(void **state)
{
    (void)state;
    char reset[128];
    snprintf(reset, sizeof reset, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: %lld\r\n",
             (long long)(clock_wall_ms() / 1000));
    const struct exchange script[] = {
        {ISSUE, NULL, NULL, 403, "Retry-After: 1\r\n", "{\"message\":\"You have exceeded a secondary rate limit\"}"},
        {ISSUE, NULL, NULL, 429, reset, "{\"message\":\"API rate limit exceeded\"}"},
        {ISSUE, NULL, NULL, 200, NULL, ISSUE_JSON},
    };
    struct script_forge it = {0};
    struct error err = {0};
    int64_t start = clock_monotonic_ms();
    SCRIPT_FORGE(&it, script);
    assert_ok(get_issue(&it, &err));
    assert_true(clock_monotonic_ms() - start >= 2000);
    script_forge_close(&it);
}

static void a_limit_beyond_the_deadline_fails_at_once_and_says_for_how_long(void **state)
{
    (void)state;
    char reset[128];
    snprintf(reset, sizeof reset, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: %lld\r\n",
             (long long)(clock_wall_ms() / 1000 + 1800));
    const struct exchange script[] = {
        {ISSUE, NULL, NULL, 403, reset, "{\"message\":\"API rate limit exceeded for installation\"}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    int64_t start = clock_monotonic_ms();
    assert_int_equal(get_issue(&it, &err), -1);
    assert_int_equal(err.code, ERROR_FORGE);
    assert_true(err.retryable);
    assert_in_range(err.retry_after_ms, 1700000, 1802000);
    assert_said(err, "API rate limit exceeded for installation");
    /* The next call does not even start. */
    assert_int_equal(get_issue(&it, &err), -1);
    assert_true(err.retryable);
    assert_in_range(err.retry_after_ms, 1700000, 1802000);
    assert_true(clock_monotonic_ms() - start < 5000);
    script_forge_close(&it);
}

static void a_success_that_uses_up_the_limit_holds_back_the_next_call(void **state)
{
    (void)state;
    char reset[128];
    snprintf(reset, sizeof reset, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: %lld\r\n",
             (long long)(clock_wall_ms() / 1000 + 600));
    const struct exchange script[] = {{ISSUE, NULL, NULL, 200, reset, ISSUE_JSON}};
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    assert_ok(get_issue(&it, &err));
    assert_int_equal(get_issue(&it, &err), -1);
    assert_true(err.retryable);
    assert_said(err, "rate limit");
    script_forge_close(&it);
}

static void a_forbidden_that_is_no_limit_is_final(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {ISSUE, NULL, NULL, 403, "X-Accepted-GitHub-Permissions: issues=read\r\nx-ratelimit-remaining: 4999\r\n",
         "{\"message\":\"Resource not accessible by integration\"}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    assert_int_equal(get_issue(&it, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    assert_false(err.retryable);
    assert_said(err, "Resource not accessible by integration");
    assert_said(err, "issues=read");
    script_forge_close(&it);
}

static void a_broken_gateway_and_a_dropped_connection_are_tried_again_for_reads(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {ISSUE, NULL, NULL, 502, NULL, "<html>bad gateway</html>"},
        {ISSUE, NULL, NULL, 0, NULL, NULL},
        {ISSUE, NULL, NULL, 200, NULL, ISSUE_JSON},
    };
    struct script_forge it = {0};
    struct error err = {0};
    SCRIPT_FORGE(&it, script);
    assert_ok(get_issue(&it, &err));
    script_forge_close(&it);
}

static void a_creation_is_not_sent_twice_when_the_answer_is_lost(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"POST /repos/octo%20org/hello/issues/7/comments", NULL, "{\"body\":\"x\"}", 502, NULL, NULL},
    };
    struct script_forge it = {0};
    struct error err = {0};
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    assert_int_equal(forge_comment_put(it.forge, &repo, 7, "", "x", &id, &err), -1);
    assert_true(err.retryable);
    assert_int_equal(id, 0);
    script_forge_close(&it);
}

static void errors_quote_the_server(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *words;
        enum error_code code;
    } cases[] = {
        {422, "{\"message\":\"Validation Failed\",\"errors\":[{\"message\":\"A pull request already exists\"}]}",
         "answered 422 (Validation Failed: A pull request already exists)", ERROR_INPUT},
        {422,
         "{\"message\":\"Validation Failed\",\"errors\":[{\"resource\":\"Issue\",\"field\":\"title\",\"code\":"
         "\"missing_field\"}]}",
         "(Validation Failed: Issue.title missing_field)", ERROR_INPUT},
        {422, "{\"message\":\"Bad\\nthing\",\"errors\":[\"first\",\"second\"]}", "(Bad thing: first)", ERROR_INPUT},
        {401, "{\"message\":\"Bad credentials\"}", "(Bad credentials); check the credentials", ERROR_DENIED},
        {404, "{\"message\":\"Not Found\"}",
         "GET /repos/octo%20org/hello/issues/7: forge github answered 404 (Not Found)", ERROR_NOT_FOUND},
        {404, "<!DOCTYPE html><p>nothing here", "is api_url right?", ERROR_NOT_FOUND},
        {200, "<!DOCTYPE html><p>please log in", "is api_url right?", ERROR_NOT_FOUND},
        {409, "{\"message\":\"Git Repository is empty.\"}", "Git Repository is empty.", ERROR_CONFLICT},
        {410, "{\"message\":\"This issue was deleted\"}", "This issue was deleted", ERROR_NOT_FOUND},
        {418, "{}", "answered 418 (no reason given)", ERROR_FORGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct exchange script[] = {{ISSUE, NULL, NULL, cases[i].status, NULL, cases[i].reply}};
        struct script_forge it = {0};
        struct error err = {0};
        SCRIPT_FORGE(&it, script);
        assert_int_equal(get_issue(&it, &err), -1);
        assert_said(err, cases[i].words);
        assert_int_equal(err.code, cases[i].code);
        script_forge_close(&it);
    }
}

static void names_that_are_no_path_segments_never_leave(void **state)
{
    (void)state;
    static const char *const names[] = {"..", ".", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct script_forge it = {0};
        struct error err = {0};
        struct forge_repo odd = {.owner = "octo", .name = (char *)names[i]};
        struct forge_issue issue;
        script_forge_open(&it, NULL, 0);
        assert_int_equal(forge_issue_get(it.forge, &odd, 1, &issue, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        script_forge_close(&it);
    }
}

static void the_next_page_is_followed_only_on_the_same_server(void **state)
{
    (void)state;
    static const struct {
        const char *link, *next;
    } cases[] = {
        {"<https://api.x/repositories/1/issues?page=2>; rel=\"next\", <https://api.x/a?page=9>; rel=\"last\"",
         "/repositories/1/issues?page=2"},
        {"<https://api.x/a?page=1>; rel=\"prev\", <https://api.x/a?page=3>; rel=\"next\"", "/a?page=3"},
        {"<https://api.x/a?page=1>; rel=\"prev\"", NULL},
        {"<https://evil.example/a?page=2>; rel=\"next\"", NULL},
        {"<https://api.x.evil.example/a>; rel=\"next\"", NULL},
        {"<https://api.x/a?page=2>; rel=next", "/a?page=2"},
        {"<https://api.x/a?page=2>; rel=\"nextish\"", NULL},
        {"<https://api.x/a", NULL},
        {"nonsense", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_response response = {.status = 200, .headers = BUF_INIT(KiB(4))};
        buf_printf(&response.headers, "Link: %s\n", cases[i].link);
        char *next = answer_next(&response, "https://api.x/");
        if (cases[i].next)
            assert_string_equal(next, cases[i].next);
        else
            assert_null(next);
        free(next);
        http_response_release(&response);
    }
}

static void without_any_hint_a_limit_costs_a_minute_and_doubles(void **state)
{
    (void)state;
    struct http_response response = {.status = 403, .headers = BUF_INIT(KiB(4))};
    json_auto_t *said = json_pack("{s:s}", "message", "You have exceeded a secondary rate limit.");
    json_auto_t *other = json_pack("{s:s}", "message", "Must have admin rights");
    buf_puts(&response.headers, "Server: x\n");
    assert_int_equal(answer_limit_ms(&response, said, 0), 60000);
    assert_int_equal(answer_limit_ms(&response, said, 1), 120000);
    assert_int_equal(answer_limit_ms(&response, other, 0), 0);
    response.status = 429;
    assert_int_equal(answer_limit_ms(&response, NULL, 0), 60000);
    response.status = 200;
    assert_int_equal(answer_limit_ms(&response, said, 0), 0);
    http_response_release(&response);
}

static void a_text_is_cut_at_a_character_and_says_so(void **state)
{
    (void)state;
    char *text = malloc(4001);
    for (int i = 0; i < 2000; i++)
        memcpy(text + 2 * i, "é", 2);
    text[4000] = '\0';
    for (size_t max = 1000; max < 1004; max++) {
        char *cut = github_cut(text, max);
        assert_true(strlen(cut) <= max);
        assert_non_null(strstr(cut, "(cut:"));
        json_t *json = json_string(cut); /* NULL when it is not UTF-8 */
        assert_non_null(json);
        json_decref(json);
        free(cut);
    }
    char *whole = github_cut(text, 4000);
    assert_string_equal(whole, text);
    free(whole);
    char *nothing = github_cut(NULL, 10);
    assert_string_equal(nothing, "");
    free(nothing);
    free(text);
}

static void keep_write(void *context, const json_t *request)
{
    json_array_append(context, (json_t *)request);
}

static void a_dry_run_reads_from_the_server_and_shows_what_it_would_write(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /user", NULL, NULL, 200, NULL, "{\"login\":\"bot\",\"id\":1}"},
        {"GET /repos/octo%20org/hello/issues/7/comments?per_page=100", NULL, NULL, 200, NULL, "[]"},
        {"GET /repos/octo%20org/hello/pulls?state=open&head=octo%20org:assay%2F7&per_page=100&page=1", NULL, NULL, 200,
         NULL, "[]"},
        {"GET /repos/octo%20org/hello/commits/abc/check-runs?check_name=assay&filter=all&per_page=100", NULL, NULL, 200,
         NULL, "{\"total_count\":0,\"check_runs\":[]}"},
    };
    struct script_forge it = {.config.dry_run = true};
    struct error err = {0};
    json_auto_t *writes = json_array();
    int64_t comment = 0, check_id = 0;
    struct forge_pull pull;
    SCRIPT_FORGE(&it, script);
    forge_on_dry_run(it.forge, keep_write, writes);
    assert_ok(forge_comment_put(it.forge, &repo, 7, "<!-- m -->", "hi <!-- m -->", &comment, &err));
    assert_ok(forge_react(it.forge, &repo, FORGE_ISSUE, 7, "eyes", &err));
    assert_ok(forge_label_remove(it.forge, &repo, 7, "a/b", &err));
    struct forge_pull_request request = {.branch = "assay/7", .base = "main", .title = "T", .body = "B", .draft = true};
    assert_ok(forge_pull_put(it.forge, &repo, &request, &pull, &err));
    struct forge_check check = {.head_sha = "abc", .name = "assay", .external_id = "job-1"};
    assert_ok(forge_check_put(it.forge, &repo, &check, &check_id, &err));
    assert_int_equal(comment, 0);
    assert_int_equal(check_id, 0);
    assert_int_equal(pull.number, 0);
    assert_string_equal(pull.head_branch, "assay/7");
    forge_pull_release(&pull);
    json_auto_t *expected = json_loads(
        "[{\"method\":\"POST\",\"path\":\"/repos/octo%20org/hello/issues/7/comments\",\"body\":{\"body\":\"hi <!-- m "
        "-->\"}},{\"method\":\"POST\",\"path\":\"/repos/octo%20org/hello/issues/7/reactions\",\"body\":{\"content\":"
        "\"eyes\"}},{\"method\":\"DELETE\",\"path\":\"/repos/octo%20org/hello/issues/7/labels/a%2Fb\"},{\"method\":"
        "\"POST\",\"path\":\"/repos/octo%20org/hello/pulls\",\"body\":{\"title\":\"T\",\"body\":\"B\",\"head\":\"assay/"
        "7\",\"base\":\"main\",\"draft\":true}},{\"method\":\"POST\",\"path\":\"/repos/octo%20org/hello/"
        "check-runs\",\"body\":{\"name\":\"assay\",\"head_sha\":\"abc\",\"external_id\":\"job-1\",\"status\":"
        "\"queued\","
        "\"output\":{\"title\":\"assay\",\"summary\":\"assay\"}}}]",
        0, NULL);
    assert_non_null(expected);
    if (!json_equal(writes, expected))
        fail_msg("%s", json_dumps(writes, JSON_INDENT(1)));
    script_forge_close(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_carries_the_headers_and_escapes_names),
        cmocka_unit_test(a_repeated_get_is_conditional_and_a_304_gives_the_same_answer),
        cmocka_unit_test(a_limit_that_fits_the_deadline_is_waited_out),
        cmocka_unit_test(a_limit_beyond_the_deadline_fails_at_once_and_says_for_how_long),
        cmocka_unit_test(a_success_that_uses_up_the_limit_holds_back_the_next_call),
        cmocka_unit_test(a_forbidden_that_is_no_limit_is_final),
        cmocka_unit_test(a_broken_gateway_and_a_dropped_connection_are_tried_again_for_reads),
        cmocka_unit_test(a_creation_is_not_sent_twice_when_the_answer_is_lost),
        cmocka_unit_test(errors_quote_the_server),
        cmocka_unit_test(names_that_are_no_path_segments_never_leave),
        cmocka_unit_test(the_next_page_is_followed_only_on_the_same_server),
        cmocka_unit_test(without_any_hint_a_limit_costs_a_minute_and_doubles),
        cmocka_unit_test(a_text_is_cut_at_a_character_and_says_so),
        cmocka_unit_test(a_dry_run_reads_from_the_server_and_shows_what_it_would_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
