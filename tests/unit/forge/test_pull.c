/* Pull requests: read, found by branch, opened once, brought up to date; servers without drafts. */
#include "tests/unit/forge/script_server.h"

#include "forge/github.h"

static struct forge_repo repo = {.owner = "octo", .name = "hello"};

#define FIND(page) "GET /repos/octo/hello/pulls?state=open&head=octo:assay%2F7&per_page=100&page=" #page
#define PULL_FROM(number, branch, head_repo, state, more)                                                              \
    "{\"number\":" #number ",\"html_url\":\"https://x/" #number "\",\"state\":\"" state "\"," more                     \
    "\"head\":{\"ref\":\"" branch "\",\"sha\":\"abc\",\"repo\":" head_repo "},"                                        \
    "\"base\":{\"ref\":\"main\",\"sha\":\"def\",\"repo\":{\"full_name\":\"octo/hello\"}}}"
#define HERE               "{\"full_name\":\"Octo/hello\"}"
#define PULL(number, more) PULL_FROM(number, "assay/7", HERE, "open", more)
#define REFUSED(words)     "{\"message\":\"Validation Failed\",\"errors\":[{\"message\":\"" words "\"}]}"

static const struct forge_pull_request ready = {.branch = "assay/7", .base = "main", .title = "T", .body = "B"};
static const struct forge_pull_request draft = {
    .branch = "assay/7", .base = "main", .title = "T", .body = "B", .draft = true};

#define CREATE(more)  "{\"title\":\"T\",\"body\":\"B\",\"head\":\"assay/7\",\"base\":\"main\"" more "}"
#define UPDATE(title) "{\"title\":\"" title "\",\"body\":\"B\",\"base\":\"main\"}"

static void put(struct script_forge *it, const struct forge_pull_request *request, int64_t number, bool is_draft)
{
    struct error err = {0};
    struct forge_pull pull = {0};
    assert_ok(forge_pull_put(it->forge, &repo, request, &pull, &err));
    assert_int_equal(pull.number, number);
    assert_int_equal(pull.draft, is_draft);
    assert_string_equal(pull.head_branch, "assay/7");
    forge_pull_release(&pull);
}

static void a_pull_request_is_read_with_its_head(void **state)
{
    (void)state;
    static const struct {
        const char *json, *head_repo;
        bool open, from_fork, draft;
    } cases[] = {
        {PULL_FROM(8, "topic", HERE, "open", "\"draft\":true,"), "Octo/hello", true, false, true},
        {PULL_FROM(8, "topic", "{\"full_name\":\"eve/hello\"}", "closed", "\"draft\":false,"), "eve/hello", false, true,
         false},
        {PULL_FROM(8, "topic", "null", "open", ""), NULL, true, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct exchange script[] = {{"GET /repos/octo/hello/pulls/8", NULL, NULL, 200, NULL, cases[i].json}};
        struct script_forge it = {0};
        struct error err = {0};
        struct forge_pull pull = {0};
        SCRIPT_FORGE(&it, script);
        assert_ok(forge_pull_get(it.forge, &repo, 8, &pull, &err));
        assert_int_equal(pull.number, 8);
        assert_string_equal(pull.url, "https://x/8");
        assert_string_equal(pull.head_branch, "topic");
        assert_string_equal(pull.head_sha, "abc");
        assert_string_equal(pull.base_branch, "main");
        assert_int_equal(pull.open, cases[i].open);
        assert_int_equal(pull.from_fork, cases[i].from_fork);
        assert_int_equal(pull.draft, cases[i].draft);
        if (cases[i].head_repo)
            assert_string_equal(pull.head_repo, cases[i].head_repo);
        else
            assert_null(pull.head_repo);
        forge_pull_release(&pull);
        script_forge_close(&it);
    }
}

/* A server that ignores the filter sends everything, page by page, with no Link. */
static void only_an_open_one_from_this_repository_s_branch_is_found(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND(1), NULL, NULL, 200, NULL,
         "[" PULL_FROM(1, "assay/7", "{\"full_name\":\"eve/hello\"}", "open", "") "," PULL_FROM(
             2, "assay/77", HERE, "open", "") "," PULL_FROM(3, "assay/7", HERE, "closed", "") "]"},
        {FIND(2), NULL, NULL, 200, NULL, "[" PULL(4, "") "]"},
    };
    const struct exchange none[] = {{FIND(1), NULL, NULL, 200, NULL, "[]"}};
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_pull pull = {0};
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_pull_find(it.forge, &repo, "assay/7", &pull, &err));
    assert_int_equal(pull.number, 4);
    assert_false(pull.from_fork);
    forge_pull_release(&pull);
    script_forge_close(&it);
    it = (struct script_forge){0};
    SCRIPT_FORGE(&it, none);
    pull.number = 99;
    assert_ok(forge_pull_find(it.forge, &repo, "assay/7", &pull, &err));
    assert_int_equal(pull.number, 0);
    forge_pull_release(&pull);
    script_forge_close(&it);
}

static void a_new_one_is_opened_ready_or_as_a_draft(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/pulls", NULL, CREATE(""), 201, NULL, PULL(8, "\"draft\":false,")},
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/pulls", NULL, CREATE(",\"draft\":true"), 201, NULL, PULL(9, "\"draft\":true,")},
    };
    struct script_forge it = {0};
    SCRIPT_FORGE(&it, script);
    put(&it, &ready, 8, false);
    put(&it, &draft, 9, true);
    script_forge_close(&it);
}

static void an_open_one_is_brought_up_to_date(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND(1), NULL, NULL, 200, NULL, "[" PULL(8, "\"title\":\"old\",\"draft\":false,") "]"},
        {"PATCH /repos/octo/hello/pulls/8", NULL, UPDATE("T"), 200, NULL, PULL(8, "\"draft\":false,")},
        /* A person has marked it ready: it stays so. */
        {FIND(1), NULL, NULL, 200, NULL, "[" PULL(8, "\"title\":\"old\",\"draft\":false,") "]"},
        {"PATCH /repos/octo/hello/pulls/8", NULL, UPDATE("T"), 200, NULL, PULL(8, "\"draft\":false,")},
    };
    struct script_forge it = {0};
    SCRIPT_FORGE(&it, script);
    put(&it, &ready, 8, false);
    put(&it, &draft, 8, false);
    script_forge_close(&it);
}

#define MUTATION                                                                                                       \
    "{\"query\":\"mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { "    \
    "isDraft } } }\",\"variables\":{\"id\":\"PR_1\"}}"

static void a_draft_that_is_proven_now_becomes_ready(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        bool still_draft;
        int warnings;
    } cases[] = {
        {200, "{\"data\":{\"markPullRequestReadyForReview\":{\"pullRequest\":{\"isDraft\":false}}}}", false, 0},
        {200, "{\"errors\":[{\"message\":\"Resource not accessible\"}]}", true, 1},
        {404, "{\"message\":\"Not Found\"}", true, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct exchange script[] = {
            {FIND(1), NULL, NULL, 200, NULL, "[" PULL(8, "\"node_id\":\"PR_1\",\"draft\":true,") "]"},
            {"PATCH /repos/octo/hello/pulls/8", NULL, UPDATE("T"), 200, NULL, PULL(8, "\"draft\":true,")},
            {"POST /graphql", NULL, MUTATION, cases[i].status, NULL, cases[i].reply},
        };
        struct script_forge it = {0};
        SCRIPT_FORGE(&it, script);
        put(&it, &ready, 8, cases[i].still_draft);
        assert_int_equal(script_logged(&it, "stays a draft"), cases[i].warnings);
        script_forge_close(&it);
    }
}

static void where_drafts_are_refused_the_title_says_it(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/pulls", NULL, CREATE(",\"draft\":true"), 422, NULL,
         REFUSED("Draft pull requests are not supported in this repository.")},
        {"POST /repos/octo/hello/pulls", NULL,
         "{\"title\":\"[draft] T\",\"body\":\"B\",\"head\":\"assay/7\",\"base\":\"main\"}", 201, NULL, PULL(8, "")},
        /* Known now: the next one is not asked for as a draft. */
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/pulls", NULL,
         "{\"title\":\"[draft] T\",\"body\":\"B\",\"head\":\"assay/7\",\"base\":\"main\"}", 201, NULL, PULL(9, "")},
        /* The stand-in is kept up, and goes when the work is proven. */
        {FIND(1), NULL, NULL, 200, NULL, "[" PULL(9, "\"title\":\"[draft] T\",") "]"},
        {"PATCH /repos/octo/hello/pulls/9", NULL, UPDATE("[draft] T"), 200, NULL, PULL(9, "")},
        {FIND(1), NULL, NULL, 200, NULL, "[" PULL(9, "\"title\":\"[draft] T\",") "]"},
        {"PATCH /repos/octo/hello/pulls/9", NULL, UPDATE("T"), 200, NULL, PULL(9, "")},
    };
    struct script_forge it = {0};
    SCRIPT_FORGE(&it, script);
    put(&it, &draft, 8, false);
    put(&it, &draft, 9, false);
    put(&it, &draft, 9, false);
    put(&it, &ready, 9, false);
    assert_int_equal(script_logged(&it, "no draft pull requests"), 1);
    script_forge_close(&it);
}

static void where_drafts_are_ignored_the_title_says_it(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/pulls", NULL, CREATE(",\"draft\":true"), 200, NULL, PULL(8, "")},
        {"PATCH /repos/octo/hello/pulls/8", NULL, UPDATE("[draft] T"), 200, NULL, PULL(8, "")},
    };
    struct script_forge it = {0};
    SCRIPT_FORGE(&it, script);
    put(&it, &draft, 8, false);
    assert_int_equal(script_logged(&it, "no draft pull requests"), 1);
    script_forge_close(&it);
}

static void one_that_exists_already_is_found_after_the_refusal_or_a_lost_answer(void **state)
{
    (void)state;
    static const int statuses[] = {422, 502};
    for (size_t i = 0; i < 2; i++) {
        const struct exchange script[] = {
            {FIND(1), NULL, NULL, 200, NULL, "[]"},
            {"POST /repos/octo/hello/pulls", NULL, CREATE(""), statuses[i], NULL,
             REFUSED("A pull request already exists for octo:assay/7.")},
            {FIND(1), NULL, NULL, 200, NULL, "[" PULL(8, "\"draft\":false,") "]"},
            {"PATCH /repos/octo/hello/pulls/8", NULL, UPDATE("T"), 200, NULL, PULL(8, "\"draft\":false,")},
        };
        struct script_forge it = {0};
        SCRIPT_FORGE(&it, script);
        put(&it, &ready, 8, false);
        script_forge_close(&it);
    }
}

static void a_refusal_for_another_reason_is_told(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
        {"POST /repos/octo/hello/pulls", NULL, CREATE(""), 422, NULL, REFUSED("No commits between main and assay/7")},
        {FIND(1), NULL, NULL, 200, NULL, "[]"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    struct forge_pull pull = {.number = 99};
    SCRIPT_FORGE(&it, script);
    assert_int_equal(forge_pull_put(it.forge, &repo, &ready, &pull, &err), -1);
    assert_said(err, "open the pull request from assay/7: POST /repos/octo/hello/pulls: forge github answered 422 "
                     "(Validation Failed: No commits between main and assay/7)");
    assert_int_equal(pull.number, 99);
    script_forge_close(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pull_request_is_read_with_its_head),
        cmocka_unit_test(only_an_open_one_from_this_repository_s_branch_is_found),
        cmocka_unit_test(a_new_one_is_opened_ready_or_as_a_draft),
        cmocka_unit_test(an_open_one_is_brought_up_to_date),
        cmocka_unit_test(a_draft_that_is_proven_now_becomes_ready),
        cmocka_unit_test(where_drafts_are_refused_the_title_says_it),
        cmocka_unit_test(where_drafts_are_ignored_the_title_says_it),
        cmocka_unit_test(one_that_exists_already_is_found_after_the_refusal_or_a_lost_answer),
        cmocka_unit_test(a_refusal_for_another_reason_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
