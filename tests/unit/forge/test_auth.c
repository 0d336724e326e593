/* App JWTs, installation tokens, fixed tokens. */
#include "tests/unit/forge/app_fixture.h"

#include "app/base/clock.h"
#include "forge/auth.h"
#include "forge/github.h"

static struct forge_repo repo = {.owner = "octo", .name = "hello", .installation = 42};

/* An answer to the request for a token that lives for so many minutes. */
static const char *token_answer(char text[static 256], const char *token, int64_t minutes)
{
    char when[CLOCK_TEXT_SIZE];
    snprintf(text, 256, "{\"token\":\"%s\",\"expires_at\":\"%s\"}", token,
             clock_rfc3339(clock_wall_ms() + minutes * 60000, when));
    return text;
}

static void the_jwt_is_signed_by_the_app_s_key_and_short_lived(void **state)
{
    (void)state;
    EVP_PKEY *key = app_key_make();
    const struct forge_config config = {.app_id = APP_ID, .private_key = "env:ASSAY_TEST_KEY"};
    struct secrets *secrets = secrets_new();
    struct error err = {0};
    struct secret jwt = {0};
    struct auth *auth = auth_new(&config, secrets, &err);
    assert_non_null(auth);
    assert_true(auth_is_app(auth));
    assert_ok(auth_jwt(auth, 1770000000999, &jwt, &err));
    char *dot = strchr(jwt.value, '.'), *last = strrchr(jwt.value, '.');
    json_auto_t *header = app_decode_json(jwt.value, (size_t)(dot - jwt.value));
    json_auto_t *claims = app_decode_json(dot + 1, (size_t)(last - dot - 1));
    json_auto_t *expected =
        json_pack("{s:i, s:i, s:i}", "iat", 1770000000 - 60, "exp", 1770000000 + 540, "iss", APP_ID);
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "RS256");
    assert_true(json_equal(claims, expected));
    assert_true(app_signature_is_right(key, jwt.value, (size_t)(last - jwt.value), last + 1));
    jwt.value[5] ^= 1;
    assert_false(app_signature_is_right(key, jwt.value, (size_t)(last - jwt.value), last + 1));
    secret_release(&jwt);
    auth_free(auth);
    secrets_free(secrets);
    EVP_PKEY_free(key);
}

static void credentials_that_cannot_work_are_refused_at_the_start(void **state)
{
    (void)state;
    setenv("ASSAY_TEST_TEXT", "not a key at all", 1);
    unsetenv("ASSAY_TEST_NOTHING");
    static const struct {
        struct forge_config config;
        const char *words;
    } cases[] = {
        {{.app_id = 1, .private_key = "env:ASSAY_TEST_TEXT"}, "RSA key in PEM form"},
        {{.app_id = 1, .private_key = "env:ASSAY_TEST_NOTHING"}, "ASSAY_TEST_NOTHING"},
        {{.app_id = 1, .private_key = "file:/nonexistent.pem"}, "/nonexistent.pem"},
        {{.app_id = 1}, "no credentials"},
        {{.private_key = "env:ASSAY_TEST_TEXT"}, "no credentials"},
        {{.token = "env:ASSAY_TEST_NOTHING"}, "token: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct secrets *secrets = secrets_new();
        struct forge_config config = cases[i].config;
        struct log log = {.fd = 2, .level = LOG_ERROR};
        struct error err = {0};
        config.name = "github";
        config.api_url = config.git_url = "http://127.0.0.1:1";
        assert_null(forge_new(&config, secrets, &log, &err));
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_said(err, cases[i].words);
        assert_said(err, "forge github: ");
        secrets_free(secrets);
    }
}

static void an_installation_token_is_for_one_repository_and_kept(void **state)
{
    (void)state;
    char text[256];
    const struct exchange script[] = {
        {"POST /app/installations/42/access_tokens", "Content-Type: application/json\nAuthorization:",
         APP_WISH("hello"), 201, NULL, token_answer(text, "ghs_first", 60)},
        {"GET /repos/octo/hello", "Authorization: token ghs_first", NULL, 200, NULL, "{\"default_branch\":\"main\"}"},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    struct secret token = {0};
    APP_FORGE(&it, script);
    for (int i = 0; i < 3; i++) {
        assert_ok(forge_token(it.forge, &repo, &token, &err));
        assert_string_equal(token.value, "ghs_first");
        secret_release(&token);
    }
    char *branch = forge_default_branch(it.forge, &repo, &err);
    assert_string_equal(branch, "main");
    free(branch);
    /* What the log shows of it. */
    AUTO_BUF struct buf line = BUF_INIT(KiB(1));
    buf_puts(&line, "token ghs_first");
    secrets_redact(it.secrets, &line);
    assert_string_equal(buf_text(&line), "token [redacted]");
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void a_token_near_its_end_is_replaced(void **state)
{
    (void)state;
    char first[256], second[256];
    const struct exchange script[] = {
        {"POST /app/installations/42/access_tokens", NULL, "*", 201, NULL, token_answer(first, "ghs_old", 10)},
        {"POST /app/installations/42/access_tokens", NULL, "*", 201, NULL, token_answer(second, "ghs_new", 60)},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    struct secret token = {0};
    APP_FORGE(&it, script);
    static const char *const expected[] = {"ghs_old", "ghs_new", "ghs_new"};
    for (int i = 0; i < 3; i++) {
        assert_ok(forge_token(it.forge, &repo, &token, &err));
        assert_string_equal(token.value, expected[i]);
        secret_release(&token);
    }
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void an_unknown_installation_is_looked_up_once(void **state)
{
    (void)state;
    char first[256], second[256];
    const struct exchange script[] = {
        {"GET /repos/octo/other%20one/installation", "!If-None-Match:", NULL, 200, NULL, "{\"id\":77}"},
        {"POST /app/installations/77/access_tokens", NULL, APP_WISH("other one"), 201, NULL,
         token_answer(first, "ghs_a", 5)},
        {"POST /app/installations/77/access_tokens", NULL, APP_WISH("other one"), 201, NULL,
         token_answer(second, "ghs_b", 60)},
    };
    const struct forge_repo other = {.owner = "octo", .name = "other one"};
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    struct secret token = {0};
    APP_FORGE(&it, script);
    for (int i = 0; i < 2; i++) {
        assert_ok(forge_token(it.forge, &other, &token, &err));
        secret_release(&token);
    }
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void an_app_that_is_not_installed_or_lacks_permission_is_denied(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /repos/octo/x/installation", NULL, NULL, 404, NULL, "{\"message\":\"Not Found\"}"},
        {"POST /app/installations/42/access_tokens", NULL, "*", 422, NULL,
         "{\"message\":\"The permissions requested are not granted to this installation.\"}"},
    };
    const struct forge_repo other = {.owner = "octo", .name = "x"};
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct secret token = {0};
    struct error err = {0};
    APP_FORGE(&it, script);
    assert_int_equal(forge_token(it.forge, &other, &token, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    assert_said(err, "must be installed on octo/x");
    assert_int_equal(forge_token(it.forge, &repo, &token, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    assert_said(err, "permissions requested are not granted");
    assert_null(token.value);
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

/* What looks like a missing part of the API to a reaction is, without a token, no such thing. */
static void a_missing_installation_is_not_taken_for_a_missing_feature(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"POST /app/installations/42/access_tokens", NULL, "*", 404, NULL, "{\"message\":\"Not Found\"}"},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    APP_FORGE(&it, script);
    assert_int_equal(forge_label_add(it.forge, &repo, 7, "x", &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void a_revoked_token_is_replaced_once(void **state)
{
    (void)state;
    char first[256], second[256];
    const struct exchange script[] = {
        {"POST /app/installations/42/access_tokens", NULL, "*", 201, NULL, token_answer(first, "ghs_old", 60)},
        {"GET /repos/octo/hello", "Authorization: token ghs_old", NULL, 401, NULL, "{\"message\":\"Bad credentials\"}"},
        {"POST /app/installations/42/access_tokens", NULL, "*", 201, NULL, token_answer(second, "ghs_new", 60)},
        {"GET /repos/octo/hello", "Authorization: token ghs_new", NULL, 401, NULL, "{\"message\":\"Bad credentials\"}"},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    APP_FORGE(&it, script);
    assert_null(forge_default_branch(it.forge, &repo, &err));
    assert_int_equal(err.code, ERROR_DENIED);
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void a_clock_that_is_off_is_corrected_by_the_server_s(void **state)
{
    (void)state;
    const struct exchange script[] = {
        {"GET /app", NULL, NULL, 401, "Date: Sat, 01 Jan 2033 00:00:00 GMT\r\n",
         "{\"message\":\"'Expiration time' claim ('exp') is too far in the future\"}"},
        {"GET /app", NULL, NULL, 200, NULL, "{\"slug\":\"assay\",\"id\":12345}"},
    };
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    struct secret jwt = {0};
    APP_FORGE(&it, script);
    assert_string_equal(forge_login(it.forge, &err), "assay[bot]");
    assert_ok(auth_jwt(github_of(it.forge)->auth, clock_wall_ms(), &jwt, &err));
    char *dot = strchr(jwt.value, '.'), *last = strrchr(jwt.value, '.');
    json_auto_t *claims = app_decode_json(dot + 1, (size_t)(last - dot - 1));
    assert_in_range(json_integer_value(json_object_get(claims, "iat")), 1988150400 - 62, 1988150400);
    secret_release(&jwt);
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

static void a_fixed_token_is_used_as_it_is(void **state)
{
    (void)state;
    struct script_forge it = {0};
    struct error err = {0};
    struct secret token = {0};
    script_forge_open(&it, NULL, 0);
    assert_ok(forge_token(it.forge, &repo, &token, &err));
    assert_string_equal(token.value, "t0ken-for-tests");
    secret_release(&token);
    script_forge_close(&it);
}

static void tokens_of_many_repositories_push_out_the_oldest(void **state)
{
    (void)state;
    enum { COUNT = 34 };
    static struct exchange script[COUNT + 1];
    static char names[COUNT][16], text[256];
    for (int i = 0; i <= COUNT; i++)
        script[i] = (struct exchange){
            "POST /app/installations/1/access_tokens", NULL, "*", 201, NULL, token_answer(text, "ghs_x", 60)};
    EVP_PKEY *key = app_key_make();
    struct script_forge it = {0};
    struct error err = {0};
    struct secret token = {0};
    app_forge_open(&it, script, COUNT + 1);
    for (int i = 0; i < COUNT + 3; i++) {
        /* The last three: two that are still kept, and the first, which is not. */
        int which = i < COUNT ? i : i == COUNT ? COUNT - 1 : i == COUNT + 1 ? 5 : 0;
        snprintf(names[which], sizeof names[which], "r%d", which);
        const struct forge_repo one = {.owner = "o", .name = names[which], .installation = 1};
        assert_ok(forge_token(it.forge, &one, &token, &err));
        secret_release(&token);
    }
    script_forge_close(&it);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_jwt_is_signed_by_the_app_s_key_and_short_lived),
        cmocka_unit_test(credentials_that_cannot_work_are_refused_at_the_start),
        cmocka_unit_test(an_installation_token_is_for_one_repository_and_kept),
        cmocka_unit_test(a_token_near_its_end_is_replaced),
        cmocka_unit_test(an_unknown_installation_is_looked_up_once),
        cmocka_unit_test(an_app_that_is_not_installed_or_lacks_permission_is_denied),
        cmocka_unit_test(a_missing_installation_is_not_taken_for_a_missing_feature),
        cmocka_unit_test(a_revoked_token_is_replaced_once),
        cmocka_unit_test(a_clock_that_is_off_is_corrected_by_the_server_s),
        cmocka_unit_test(a_fixed_token_is_used_as_it_is),
        cmocka_unit_test(tokens_of_many_repositories_push_out_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
