/* The proof of a delivery's origin, and the names that come in its headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "forge/webhook.h"

/* From GitHub's documentation, "Validating webhook deliveries". */
static const char secret[] = "It's a Secret to Everybody";
static const char body[] = "Hello, World!";
static const char right[] = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

static bool check(const char *signature)
{
    return webhook_signature_is_right(secret, strlen(secret), body, strlen(body), signature);
}

static void github_s_own_example_is_right(void **state)
{
    (void)state;
    assert_true(check(right));
}

static void anything_else_is_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        NULL,
        "",
        "sha256=",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e177",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18",
        "sha256=857107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        " sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha256=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (check(wrong[i]))
            fail_msg("accepted %s", wrong[i]);
}

static void one_changed_byte_of_body_or_secret_is_noticed(void **state)
{
    (void)state;
    assert_false(webhook_signature_is_right(secret, strlen(secret), "Hello, World?", strlen(body), right));
    assert_false(webhook_signature_is_right(secret, strlen(secret), body, strlen(body) - 1, right));
    assert_false(webhook_signature_is_right("It's a secret to Everybody", strlen(secret), body, strlen(body), right));
}

static void without_a_secret_nothing_is_right(void **state)
{
    (void)state;
    /* HMAC-SHA256 with the empty key over the empty body. */
    static const char empty[] = "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    assert_false(webhook_signature_is_right("", 0, "", 0, empty));
    assert_false(webhook_signature_is_right(NULL, 0, "", 0, empty));
}

static void header_values_are_taken_only_when_clean(void **state)
{
    (void)state;
    char longest[130];
    memset(longest, 'a', sizeof longest);
    longest[128] = '\0';
    assert_true(webhook_delivery_id_is_clean("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
    assert_true(webhook_delivery_id_is_clean(longest));
    assert_true(webhook_event_name_is_clean("pull_request_review_comment"));
    assert_true(webhook_event_name_is_clean("projects_v2_item"));
    longest[128] = 'a';
    longest[129] = '\0';
    static const char *const ids[] = {NULL, "", "a b", "../x/", "a\nb", "é"};
    static const char *const names[] = {NULL, "", "Issues", "issues\n", "a-b", "issue.comment"};
    assert_false(webhook_delivery_id_is_clean(longest));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_false(webhook_delivery_id_is_clean(ids[i]));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(webhook_event_name_is_clean(names[i]));
    assert_false(webhook_event_name_is_clean(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(github_s_own_example_is_right),
        cmocka_unit_test(anything_else_is_wrong),
        cmocka_unit_test(one_changed_byte_of_body_or_secret_is_noticed),
        cmocka_unit_test(without_a_secret_nothing_is_right),
        cmocka_unit_test(header_values_are_taken_only_when_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
