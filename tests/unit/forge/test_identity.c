/* Who we are, what others may do. */
#include "tests/unit/forge/app_fixture.h"

static struct forge_repo repo = {.owner = "octo", .name = "hello", .installation = 42};

static void an_app_is_its_bot_user(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /app", NULL, NULL, 200, NULL, "{\"slug\":\"assay\",\"id\":12345}"},
        {"GET /users/assay%5Bbot%5D", "!Authorization:", NULL, 200, NULL, "{\"login\":\"assay[bot]\",\"id\":987}"},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    APP_FORGE(&it, script);
    assert_string_equal(forge_login(it.forge, &err), "assay[bot]");
    assert_string_equal(forge_git_user(it.forge, &err), "x-access-token");
    for (int i = 0; i < 2; i++) {
        char *name = NULL, *email = NULL;
        assert_ok(forge_identity(it.forge, &name, &email, &err));
        assert_string_equal(name, "assay[bot]");
        assert_string_equal(email, "987+assay[bot]@users.noreply.127.0.0.1");
        free(name);
        free(email);
    }
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void without_its_bot_user_an_app_goes_by_its_own_id(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /app", NULL, NULL, 200, NULL, "{\"slug\":\"assay\",\"id\":12345}"},
        {"GET /users/assay%5Bbot%5D", NULL, NULL, 401, NULL, "{\"message\":\"Requires authentication\"}"},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    char *name = NULL, *email = NULL;
    APP_FORGE(&it, script);
    assert_ok(forge_identity(it.forge, &name, &email, &err));
    assert_string_equal(email, "12345+assay[bot]@users.noreply.127.0.0.1");
    assert_int_equal(script_logged(&it, "App's id in place"), 1);
    free(name);
    free(email);
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void a_token_is_its_user(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /user", NULL, NULL, 200, NULL, "{\"login\":\"robot\",\"id\":5,\"name\":\"Rob Ot\"}"}};
    struct script_forge it = {0};
    struct error err = {0};
    char *name = NULL, *email = NULL;
    SCRIPT_FORGE(&it, script);
    assert_string_equal(forge_login(it.forge, &err), "robot");
    assert_string_equal(forge_git_user(it.forge, &err), "robot");
    assert_ok(forge_identity(it.forge, &name, &email, &err));
    assert_string_equal(name, "Rob Ot");
    assert_string_equal(email, "5+robot@users.noreply.127.0.0.1");
    free(name);
    free(email);
    script_forge_close(&it);
}

#define ASK "GET /repos/octo/hello/collaborators/ann/permission"

static void permissions_are_read_in_github_s_and_gitbucket_s_words(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        enum forge_permission permission;
    } cases[] = {
        {"{\"permission\":\"admin\"}", FORGE_ADMIN},
        {"{\"permission\":\"write\",\"role_name\":\"maintain\"}", FORGE_WRITE},
        {"{\"permission\":\"maintain\"}", FORGE_WRITE},
        {"{\"permission\":\"read\",\"role_name\":\"triage\"}", FORGE_READ},
        {"{\"permission\":\"triage\"}", FORGE_READ},
        {"{\"permission\":\"none\"}", FORGE_NONE},
        {"{\"permission\":\"ADMIN\"}", FORGE_ADMIN},
        {"{\"permission\":\"DEVELOPER\"}", FORGE_WRITE},
        {"{\"permission\":\"GUEST\"}", FORGE_READ},
        {"{\"permission\":\"something new\"}", FORGE_NONE},
        {"{\"permission\":7}", FORGE_NONE},
        {"{}", FORGE_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct exchange script[] = {{ASK, NULL, NULL, 200, NULL, cases[i].reply}};
        struct script_forge it = {0};
        struct error err = {0};
        enum forge_permission permission = (enum forge_permission)99;
        SCRIPT_FORGE(&it, script);
        assert_ok(forge_permission(it.forge, &repo, "ann", &permission, &err));
        assert_int_equal(permission, cases[i].permission);
        script_forge_close(&it);
    }
}

static void where_it_cannot_be_asked_the_list_tells_and_doubt_grants_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *about;
        int status;
        const char *list;
        enum forge_permission permission;
    } cases[] = {
        {"{\"owner\":{\"login\":\"octo\"}}", 200,
         "[{\"login\":\"ANN\",\"permissions\":{\"admin\":false,\"push\":true,"
         "\"pull\":true}}]",
         FORGE_WRITE},
        {"{\"owner\":{\"login\":\"octo\"}}", 200, "[{\"login\":\"ann\",\"permissions\":{\"admin\":true}}]",
         FORGE_ADMIN},
        {"{\"owner\":{\"login\":\"octo\"}}", 200, "[{\"login\":\"ann\",\"permissions\":{\"pull\":true}}]", FORGE_READ},
        {"{\"owner\":{\"login\":\"octo\"}}", 200, "[{\"login\":\"ann\"}]", FORGE_READ},
        {"{\"owner\":{\"login\":\"octo\"}}", 200, "[{\"login\":\"anna\",\"permissions\":{\"admin\":true}}]",
         FORGE_NONE},
        {"{\"owner\":{\"login\":\"octo\"}}", 404, "{\"message\":\"Not Found\"}", FORGE_NONE},
        {"{\"owner\":{\"login\":\"octo\"}}", 403, "{\"message\":\"Must have push access\"}", FORGE_NONE},
        {"{\"owner\":{\"login\":\"ann\",\"type\":\"Organization\"}}", 200, "[]", FORGE_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct exchange script[] = {
            {ASK, NULL, NULL, 404, NULL, "{\"message\":\"Not Found\"}"},
            {"GET /repos/octo/hello", NULL, NULL, 200, NULL, cases[i].about},
            {"GET /repos/octo/hello/collaborators?per_page=100", NULL, NULL, cases[i].status, NULL, cases[i].list},
        };
        struct script_forge it = {0};
        struct error err = {0};
        enum forge_permission permission = (enum forge_permission)99;
        SCRIPT_FORGE(&it, script);
        assert_ok(forge_permission(it.forge, &repo, "ann", &permission, &err));
        if (permission != cases[i].permission)
            fail_msg("case %zu: %d", i, (int)permission);
        script_forge_close(&it);
    }
}

static void the_owner_of_a_personal_repository_may_do_everything(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {ASK, NULL, NULL, 404, NULL, "{\"message\":\"Not Found\"}"},
        {"GET /repos/octo/hello", NULL, NULL, 200, NULL, "{\"owner\":{\"login\":\"Ann\",\"type\":\"User\"}}"},
    };
    struct script_forge it = {0};
    struct error err = {0};
    enum forge_permission permission = FORGE_NONE;
    SCRIPT_FORGE(&it, script);
    assert_ok(forge_permission(it.forge, &repo, "ann", &permission, &err));
    assert_int_equal(permission, FORGE_ADMIN);
    script_forge_close(&it);
}

static void a_question_that_fails_is_an_error_and_no_answer(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /repos/octo/hello/collaborators/a%2Fb/permission", NULL, NULL, 403, NULL, "{\"message\":\"No\"}"}};
    struct script_forge it = {0};
    struct error err = {0};
    enum forge_permission permission = (enum forge_permission)99;
    SCRIPT_FORGE(&it, script);
    assert_int_equal(forge_permission(it.forge, &repo, "a/b", &permission, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    assert_int_equal(permission, 99);
    assert_said(err, "ask what a/b may do on octo/hello");
    script_forge_close(&it);
}

#define GRANTED                                                                                                        \
    "\"permissions\":{\"contents\":\"write\",\"issues\":\"write\",\"pull_requests\":\"write\",\"metadata\":\"read\""
#define HEARD                                                                                                          \
    "\"events\":[\"issues\",\"issue_comment\",\"pull_request\",\"pull_request_review\",\"pull_request_review_"         \
    "comment\"]"

static void the_doctor_says_who_we_are_and_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *app;
        int result;
        const char *words;
    } cases[] = {
        {"{\"slug\":\"assay\",\"id\":1,\"installations_count\":3," GRANTED ",\"checks\":\"write\"}," HEARD "}", 0,
         "app assay, 3 installations"},
        {"{\"slug\":\"assay\",\"id\":1,\"installations_count\":1," GRANTED ",\"checks\":\"write\"}," HEARD "}", 0,
         "app assay, 1 installation"},
        {"{\"slug\":\"assay\",\"id\":1," GRANTED ",\"checks\":\"read\"}," HEARD "}", -1,
         "app assay lacks permission checks: write; add it"},
        {"{\"slug\":\"assay\",\"id\":1," GRANTED ",\"checks\":\"write\"},\"events\":[\"issues\"]}", -1,
         "lacks event issue_comment, event pull_request, "},
    };
    EVP_PKEY *key = app_key_make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct exchange script[] = {{"GET /app", NULL, NULL, 200, NULL, cases[i].app}};
        struct script_forge it = {0};
        struct error err = {0};
        AUTO_BUF struct buf line = BUF_INIT(KiB(1));
        APP_FORGE(&it, script);
        assert_int_equal(forge_doctor(it.forge, &line, &err), cases[i].result);
        if (cases[i].result == 0)
            assert_string_equal(buf_text(&line), cases[i].words);
        else
            assert_said(err, cases[i].words);
        script_forge_close(&it);
    }
    EVP_PKEY_free(key);
}

static void clone_addresses_are_made_from_the_configuration(void **state)
{
    (void)state;
    struct script_forge it = {0};
    script_forge_open(&it, NULL, 0);
    static const char *const bases[] = {"https://git.example.com/git", "https://git.example.com/git/"};
    for (size_t i = 0; i < 2; i++) {
        it.config.git_url = (char *)bases[i];
        char *url = forge_clone_url(it.forge, &repo);
        assert_string_equal(url, "https://git.example.com/git/octo/hello.git");
        free(url);
    }
    script_forge_close(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_app_is_its_bot_user),
        cmocka_unit_test(without_its_bot_user_an_app_goes_by_its_own_id),
        cmocka_unit_test(a_token_is_its_user),
        cmocka_unit_test(permissions_are_read_in_github_s_and_gitbucket_s_words),
        cmocka_unit_test(where_it_cannot_be_asked_the_list_tells_and_doubt_grants_nothing),
        cmocka_unit_test(the_owner_of_a_personal_repository_may_do_everything),
        cmocka_unit_test(a_question_that_fails_is_an_error_and_no_answer),
        cmocka_unit_test(the_doctor_says_who_we_are_and_what_is_missing),
        cmocka_unit_test(clone_addresses_are_made_from_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
