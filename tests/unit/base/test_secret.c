/* Secrets: loading, and hiding them in text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/fs.h"
#include "app/base/secret.h"

#define PEM                                                                                                            \
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAtestline1\nsecondLineOfTheKey0123\n-----END RSA PRIVATE "        \
    "KEY-----"

static char *file_with(const char *text, size_t len)
{
    char path[] = "/tmp/assay-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    return text_format("file:%s", path);
}

static void assert_file_gives(const char *text, const char *value)
{
    AUTO_FREE char *reference = file_with(text, strlen(text));
    struct secret secret = {0};
    struct error err = {0};
    if (secret_load(reference, &secret, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(secret.value, value);
    assert_int_equal(secret.len, strlen(value));
    secret_release(&secret);
    assert_null(secret.value);
    unlink(reference + strlen("file:"));
}

static void test_files_lose_their_line_end_only(void **state)
{
    (void)state;
    assert_file_gives("hunter22\n", "hunter22");
    assert_file_gives("hunter22\r\n\r\n", "hunter22");
    assert_file_gives("hunter22", "hunter22");
    assert_file_gives(" with blanks \n", " with blanks ");
    assert_file_gives(PEM "\n", PEM);
    assert_file_gives("keep\\nthis", "keep\\nthis");
}

static void test_variables_may_hold_folded_keys(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *value;
    } cases[] = {
        {"plain-value", "plain-value"},
        {"back\\nslash", "back\\nslash"},
        {PEM, PEM},
        {"-----BEGIN X-----\\nabc\\n-----END X-----\\n", "-----BEGIN X-----\nabc\n-----END X-----"},
        /* the first lines of PEM in Base64, as Probot also accepts it */
        {"LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQphYmNkZWYKLS0tLS1FTkQgUlNBIFBSSVZBVEUgS0VZLS0tLS0=",
         "-----BEGIN RSA PRIVATE KEY-----\nabcdef\n-----END RSA PRIVATE KEY-----"},
        {"YWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVm",
         "YWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVm"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct secret secret = {0};
        struct error err = {0};
        setenv("ASSAY_TEST_SECRET", cases[i].stored, 1);
        if (secret_load("env:ASSAY_TEST_SECRET", &secret, &err) < 0)
            fail_msg("%s", err.message);
        assert_string_equal(secret.value, cases[i].value);
        assert_string_equal(getenv("ASSAY_TEST_SECRET"), cases[i].stored);
        secret_release(&secret);
    }
    unsetenv("ASSAY_TEST_SECRET");
}

static void assert_refused(const char *reference, const char *part)
{
    struct secret secret = {.len = 77};
    struct error err = {0};
    assert_int_equal(secret_load(reference, &secret, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_int_equal(secret.len, 77);
    if (!strstr(err.message, part))
        fail_msg("%s: expected \"%s\" in \"%s\"", reference, part, err.message);
}

static void test_mistakes_name_the_reference_and_the_fix(void **state)
{
    (void)state;
    unsetenv("ASSAY_TEST_NONE");
    setenv("ASSAY_TEST_EMPTY", "\n", 1);
    assert_refused("env:ASSAY_TEST_NONE", "env:ASSAY_TEST_NONE: the environment has no such variable; set it");
    assert_refused("env:", "no such variable");
    assert_refused("env:ASSAY_TEST_EMPTY", "env:ASSAY_TEST_EMPTY: the value is empty");
    assert_refused("file:/nonexistent/key", "file:/nonexistent/key: read /nonexistent/key: there is no such file");
    assert_refused("file:/tmp", "not a regular file");
    AUTO_FREE char *binary = file_with("a\0b", 3);
    assert_refused(binary, "it is not text");
    AUTO_FREE char *empty = file_with("\n", 1);
    assert_refused(empty, "the value is empty");
    AUTO_FREE char *big = calloc(1, KiB(64) + 2);
    memset(big, 'x', KiB(64) + 1);
    AUTO_FREE char *large = file_with(big, KiB(64) + 1);
    assert_refused(large, "larger than the 65536 bytes allowed");
    setenv("ASSAY_TEST_EMPTY", big, 1);
    assert_refused("env:ASSAY_TEST_EMPTY", "longer than 65536 bytes");
    unsetenv("ASSAY_TEST_EMPTY");
    unlink(binary + 5);
    unlink(empty + 5);
    unlink(large + 5);
}

static void test_a_value_in_place_of_a_reference_is_not_repeated(void **state)
{
    (void)state;
    static const char *const values[] = {"ghp_abcdef123456", PEM, "", "File:x", "/etc/key"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct secret secret = {0};
        struct error err = {0};
        assert_int_equal(secret_load(values[i], &secret, &err), -1);
        assert_string_equal(err.message,
                            "a secret is named as file:PATH or env:NAME, never written out; put the value there");
    }
}

static void assert_redacts(const struct secrets *secrets, const char *text, size_t cap, const char *expected)
{
    struct buf buf = BUF_INIT(cap);
    assert_int_equal(buf_puts(&buf, text), 0);
    secrets_redact(secrets, &buf);
    assert_string_equal(buf_text(&buf), expected);
    assert_int_equal(buf.len, strlen(expected));
    assert_true(buf.len <= buf.max);
    assert_false(buf.failed);
    buf_release(&buf);
}

static void test_known_values_disappear(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    secrets_add(secrets, "hunter22");
    secrets_add(secrets, "hunter22-and-more"); /* added later, but has to go first */
    secrets_add(secrets, "hunter22");
    secrets_add(secrets, "short");
    secrets_add(secrets, NULL);
    assert_redacts(secrets, "nothing here", 100, "nothing here");
    assert_redacts(secrets, "", 100, "");
    assert_redacts(secrets, "hunter22", 100, "[redacted]");
    assert_redacts(secrets, "a hunter22hunter22 b", 100, "a [redacted][redacted] b");
    assert_redacts(secrets, "x=hunter22-and-more;", 100, "x=[redacted];");
    assert_redacts(secrets, "short words stay", 100, "short words stay");
    assert_redacts(secrets, "hunter2", 100, "hunter2");
    secrets_free(secrets);
}

static void test_a_full_buffer_is_blotted_instead(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    secrets_add(secrets, "hunter22");
    assert_redacts(secrets, "a hunter22 hunter22 z", 21, "a ******** ******** z");
    secrets_free(secrets);
}

static void test_a_keys_lines_are_known_too(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    secrets_add(secrets, PEM);
    assert_redacts(secrets, "key: " PEM "!", 1000, "key: [redacted]!");
    assert_redacts(secrets, "only secondLineOfTheKey0123 leaked", 1000, "only [redacted] leaked");
    assert_redacts(secrets, "-----BEGIN RSA PRIVATE KEY-----", 1000, "-----BEGIN RSA PRIVATE KEY-----");
    secrets_free(secrets);
}

static void test_binary_text_is_searched_whole(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    struct buf buf = BUF_INIT(100);
    secrets_add(secrets, "hunter22");
    buf_add(&buf, "a\0hunter22\0b", 12);
    secrets_redact(secrets, &buf);
    assert_int_equal(buf.len, 14);
    assert_memory_equal(buf.data, "a\0[redacted]\0b", 15);
    secrets_redact(NULL, &buf);
    buf_release(&buf);
    secrets_free(secrets);
    secrets_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_lose_their_line_end_only),
        cmocka_unit_test(test_variables_may_hold_folded_keys),
        cmocka_unit_test(test_mistakes_name_the_reference_and_the_fix),
        cmocka_unit_test(test_a_value_in_place_of_a_reference_is_not_repeated),
        cmocka_unit_test(test_known_values_disappear),
        cmocka_unit_test(test_a_full_buffer_is_blotted_instead),
        cmocka_unit_test(test_a_keys_lines_are_known_too),
        cmocka_unit_test(test_binary_text_is_searched_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
