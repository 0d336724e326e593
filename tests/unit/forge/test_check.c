/* Check runs, their annotations in fifties, and the commit status that stands in. */
#include "tests/unit/forge/app_fixture.h"

#include "app/base/clock.h"
#include "forge/github.h"

static struct forge_repo repo = {.owner = "octo", .name = "hello", .installation = 42};

#define FIND      "GET /repos/octo/hello/commits/abc/check-runs?check_name=assay&filter=all&per_page=100"
#define NONE_JSON "{\"total_count\":0,\"check_runs\":[]}"

static struct forge_check started(void)
{
    return (struct forge_check){
        .head_sha = "abc",
        .name = "assay",
        .external_id = "job-1",
        .status = FORGE_CHECK_IN_PROGRESS,
        .conclusion = "success", /* not said before it is completed */
        .title = "Working",
        .summary = "3 of 12 stages",
        .details_url = "https://assay.example.com/jobs/1",
    };
}

#define STARTED(more)                                                                                                  \
    "{\"name\":\"assay\",\"status\":\"in_progress\",\"external_id\":\"job-1\",\"details_url\":"                        \
    "\"https://assay.example.com/jobs/1\",\"output\":{\"title\":\"Working\",\"summary\":\"3 of 12 stages\"}" more "}"

static void a_run_is_created_then_updated_by_its_id(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND, NULL, NULL, 200, NULL,
         "{\"total_count\":1,\"check_runs\":[{\"id\":4,\"external_id\":\"job-10\"},{\"id\":5,\"external_id\":null}]}"},
        {"POST /repos/octo/hello/check-runs", NULL, STARTED(",\"head_sha\":\"abc\""), 201, NULL, "{\"id\":6}"},
        {"PATCH /repos/octo/hello/check-runs/6", NULL, STARTED(""), 200, NULL, "{\"id\":6}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_check check = started();
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    for (int i = 0; i < 2; i++) {
        assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
        assert_int_equal(id, 6);
    }
    script_forge_close(&it);
}

static void a_run_of_an_earlier_attempt_is_found_by_its_external_id(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND, NULL, NULL, 200, NULL, "{\"total_count\":1,\"check_runs\":[{\"id\":6,\"external_id\":\"job-1\"}]}"},
        {"PATCH /repos/octo/hello/check-runs/6", NULL, STARTED(""), 200, NULL, "{\"id\":6}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_check check = started();
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    assert_int_equal(id, 6);
    script_forge_close(&it);
}

struct sent {
    size_t calls, annotations, first_line[8];
    size_t text, summary;
    char status[16], conclusion[16], method[8];
};

static void look_at_run(void *context, const json_t *request)
{
    struct sent *sent = context;
    const json_t *body = json_object_get(request, "body"), *output = json_object_get(body, "output");
    const json_t *part = json_object_get(output, "annotations");
    assert_true(json_array_size(part) <= 50);
    assert_true(!part || json_array_size(part) > 0);
    sent->first_line[sent->calls++] =
        (size_t)json_integer_value(json_object_get(json_array_get(part, 0), "start_line"));
    sent->annotations += json_array_size(part);
    sent->text = strlen(json_string_value(json_object_get(output, "text")));
    sent->summary = strlen(json_string_value(json_object_get(output, "summary")));
    snprintf(sent->status, sizeof sent->status, "%s", json_string_value(json_object_get(body, "status")));
    snprintf(sent->conclusion, sizeof sent->conclusion, "%s", json_string_value(json_object_get(body, "conclusion")));
}

static json_t *annotations(size_t count)
{
    json_t *list = json_array();
    for (size_t i = 1; i <= count; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s, s:s}", "path", "a.py", "start_line", (int)i,
                                              "end_line", (int)i, "annotation_level", "warning", "message", "m"));
    return list;
}

static void long_texts_are_cut_and_all_is_said_when_completed(void **state)
{
    (void)state;
    struct script_forge it = {.config.dry_run = true};
    struct error err = {0};
    char *text = malloc(200001);
    memset(text, 'x', 200000);
    text[200000] = '\0';
    struct forge_check check = started();
    json_auto_t *list = annotations(3);
    check.status = FORGE_CHECK_COMPLETED;
    check.summary = check.text = text;
    check.annotations = list;
    script_forge_open(&it, NULL, 0);
    struct sent sent = {0};
    int64_t id = 6;
    forge_on_dry_run(it.forge, look_at_run, &sent);
    assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    assert_string_equal(sent.status, "completed");
    assert_string_equal(sent.conclusion, "success");
    assert_in_range(sent.text, 60000, 65535);
    assert_in_range(sent.summary, 60000, 65535);
    free(text);
    script_forge_close(&it);
}

/* The expected bodies of a script, written out: `from`..`to` are the annotations' lines. */
static char *body_with(const char *head_sha, size_t from, size_t to)
{
    json_auto_t *all = annotations(to);
    json_t *part = json_array();
    for (size_t i = from; i <= to; i++)
        json_array_append(part, json_array_get(all, i - 1));
    json_auto_t *body = json_loads(STARTED(""), 0, NULL);
    if (from <= to)
        json_object_set_new(json_object_get(body, "output"), "annotations", part);
    else
        json_decref(part);
    if (head_sha)
        json_object_set_new(body, "head_sha", json_string(head_sha));
    return json_dumps(body, 0);
}

static void annotations_go_in_fifties_and_are_not_sent_twice(void **state)
{
    (void)state;
    char *first = body_with("abc", 1, 50), *second = body_with(NULL, 51, 100), *third = body_with(NULL, 101, 120);
    char *plain = body_with(NULL, 1, 0);
    const struct exchange script[] = {
        {FIND, NULL, NULL, 200, NULL, NONE_JSON},
        {"POST /repos/octo/hello/check-runs", NULL, first, 201, NULL, "{\"id\":6}"},
        {"PATCH /repos/octo/hello/check-runs/6", NULL, second, 200, NULL, "{\"id\":6}"},
        {"PATCH /repos/octo/hello/check-runs/6", NULL, third, 500, NULL, "{\"message\":\"oops\"}"},
        {"PATCH /repos/octo/hello/check-runs/6", NULL, third, 200, NULL, "{\"id\":6}"},
        /* Another attempt: the server says that 100 are there. */
        {"PATCH /repos/octo/hello/check-runs/6", NULL, plain, 200, NULL,
         "{\"id\":6,\"output\":{\"annotations_count\":100}}"},
        {"PATCH /repos/octo/hello/check-runs/6", NULL, third, 200, NULL, "{\"id\":6}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_check check = started();
    json_auto_t *list = annotations(120);
    int64_t id = 0;
    check.annotations = list;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    script_forge_close(&it);
    free(first);
    free(second);
    free(third);
    free(plain);
}

#define STATUS "POST /repos/octo/hello/statuses/abc"

static void without_check_runs_a_commit_status_stands_in(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND, NULL, NULL, 404, NULL, "{\"message\":\"Not Found\"}"},
        {STATUS, NULL,
         "{\"state\":\"pending\",\"context\":\"assay\",\"description\":\"Working\",\"target_url\":"
         "\"https://assay.example.com/jobs/1\"}",
         201, NULL, "{\"id\":1}"},
        {STATUS, NULL, "*", 201, NULL, "{\"id\":2}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_check check = started();
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    for (int i = 0; i < 2; i++)
        assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    assert_int_equal(id, 0);
    assert_int_equal(script_logged(&it, "no check runs"), 1);
    script_forge_close(&it);
}

static void a_token_may_not_make_check_runs_but_an_app_must(void **state)
{
    (void)state;
    char token[256], when[CLOCK_TEXT_SIZE];
    snprintf(token, sizeof token, "{\"token\":\"ghs_x\",\"expires_at\":\"%s\"}",
             clock_rfc3339(clock_wall_ms() + 3600000, when));
    const struct exchange by_token[] = {
        {FIND, NULL, NULL, 200, NULL, NONE_JSON},
        {"POST /repos/octo/hello/check-runs", NULL, "*", 403, NULL,
         "{\"message\":\"You must authenticate via a GitHub App.\"}"},
        {STATUS, NULL, "*", 201, NULL, "{\"id\":1}"},
    };
    const struct exchange by_app[] = {
        {"POST /app/installations/42/access_tokens", NULL, "*", 201, NULL, token},
        {FIND, NULL, NULL, 200, NULL, NONE_JSON},
        {"POST /repos/octo/hello/check-runs", NULL, "*", 403, NULL,
         "{\"message\":\"Resource not accessible by integration\"}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_check check = started();
    int64_t id = 0;
    SCRIPT_FORGE(&it, by_token);
    assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    script_forge_close(&it);
    EVP_PKEY *key = app_key_make();
    it = (struct script_forge){0};
    APP_FORGE(&it, by_app);
    assert_int_equal(forge_check_put(it.forge, &repo, &check, &id, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    assert_said(err, "report check assay on abc: ");
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void a_server_with_neither_costs_two_lines(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND, NULL, NULL, 404, "Content-Type: text/html\r\n", "<html>"},
        {STATUS, NULL, "*", 404, "Content-Type: text/html\r\n", "<html>"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_check check = started();
    int64_t id = 0;
    SCRIPT_FORGE(&it, script);
    for (int i = 0; i < 3; i++)
        assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
    assert_int_equal(script_logged(&it, "no check runs"), 1);
    assert_int_equal(script_logged(&it, "no commit statuses either"), 1);
    script_forge_close(&it);
}

struct status {
    char state[16], description[256];
};

static void look_at_status(void *context, const json_t *request)
{
    struct status *status = context;
    const json_t *body = json_object_get(request, "body");
    snprintf(status->state, sizeof status->state, "%s", json_string_value(json_object_get(body, "state")));
    snprintf(status->description, sizeof status->description, "%s",
             json_string_value(json_object_get(body, "description")));
}

static void each_conclusion_has_a_state_and_a_description_fits(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"success", "success"}, {"neutral", "success"},         {"failure", "failure"},
        {"cancelled", "error"}, {"action_required", "failure"}, {"something new", "error"},
    };
    const struct exchange script[] = {{FIND, NULL, NULL, 404, NULL, "{\"message\":\"Not Found\"}"}};
    struct script_forge it = {.config.dry_run = true};
    struct error err = {0};
    struct forge_check check = started();
    char title[301];
    for (size_t i = 0; i < 300; i += 3)
        memcpy(title + i, "€", 3);
    title[300] = '\0';
    check.status = FORGE_CHECK_COMPLETED;
    check.title = title;
    SCRIPT_FORGE(&it, script);
    struct status status = {0};
    forge_on_dry_run(it.forge, look_at_status, &status);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t id = 0;
        check.conclusion = cases[i][0];
        assert_ok(forge_check_put(it.forge, &repo, &check, &id, &err));
        assert_string_equal(status.state, cases[i][1]);
        assert_true(strlen(status.description) <= 140);
        assert_non_null(strstr(status.description, "€…"));
    }
    script_forge_close(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_created_then_updated_by_its_id),
        cmocka_unit_test(a_run_of_an_earlier_attempt_is_found_by_its_external_id),
        cmocka_unit_test(long_texts_are_cut_and_all_is_said_when_completed),
        cmocka_unit_test(annotations_go_in_fifties_and_are_not_sent_twice),
        cmocka_unit_test(without_check_runs_a_commit_status_stands_in),
        cmocka_unit_test(a_token_may_not_make_check_runs_but_an_app_must),
        cmocka_unit_test(a_server_with_neither_costs_two_lines),
        cmocka_unit_test(each_conclusion_has_a_state_and_a_description_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
