/* Digests: the published test vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/digest.h"

/* FIPS 180-4 examples. */
static void test_sha256_matches_the_standard(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_SIZE];
    assert_string_equal(digest_sha256("abc", 3, hex),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(digest_sha256(NULL, 0, hex),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, and the example of GitHub's documentation on validating webhook deliveries. */
static void test_hmac_matches_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *key, *data, *hex;
    } cases[] = {
        {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"It's a Secret to Everybody", "Hello, World!",
         "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char hex[DIGEST_HEX_SIZE];
        assert_string_equal(
            digest_hmac_sha256(cases[i].key, strlen(cases[i].key), cases[i].data, strlen(cases[i].data), hex),
            cases[i].hex);
    }
}

static void test_long_keys_are_hashed_first(void **state)
{
    (void)state;
    char key[131];
    char hex[DIGEST_HEX_SIZE];
    const char *data = "Test Using Larger Than Block-Size Key - Hash Key First"; /* RFC 4231, case 6 */
    memset(key, 0xaa, sizeof key);
    assert_string_equal(digest_hmac_sha256(key, sizeof key, data, strlen(data), hex),
                        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_equal_compares_all_bytes(void **state)
{
    (void)state;
    assert_true(digest_equal("abc", "abc", 3));
    assert_false(digest_equal("abc", "abd", 3));
    assert_false(digest_equal("xbc", "abc", 3));
    assert_true(digest_equal("abc", "abd", 2));
    assert_true(digest_equal("a", "b", 0));
}

static void test_random_ids_differ_and_are_hex(void **state)
{
    (void)state;
    char a[RANDOM_ID_SIZE];
    char b[RANDOM_ID_SIZE];
    assert_string_not_equal(random_id(a), random_id(b));
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_matches_the_standard),   cmocka_unit_test(test_hmac_matches_the_standard),
        cmocka_unit_test(test_long_keys_are_hashed_first),    cmocka_unit_test(test_equal_compares_all_bytes),
        cmocka_unit_test(test_random_ids_differ_and_are_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
