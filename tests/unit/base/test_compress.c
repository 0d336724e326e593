/* What is compressed comes back whole, and nothing else comes back at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/compress.h"

static void content_comes_back(void **state)
{
    (void)state;
    struct compressor *compressor = compressor_new();
    struct error err = {0};
    assert_non_null(compressor);
    const struct {
        const char *text;
        size_t len;
    } cases[] = {{"", 0}, {"a", 1}, {"{\"action\": \"labeled\"}\0more", 26}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_BUF struct buf frame = BUF_INIT(KiB(64)), content = BUF_INIT(KiB(64));
        assert_int_equal(compress_bytes(compressor, cases[i].text, cases[i].len, &frame, &err), 0);
        assert_int_equal(decompress_bytes(frame.data, frame.len, cases[i].len, &content, &err), 0);
        assert_int_equal(content.len, cases[i].len);
        assert_memory_equal(buf_text(&content), cases[i].text, cases[i].len);
    }
    compressor_free(compressor);
}

static void repetition_gets_smaller(void **state)
{
    (void)state;
    struct compressor *compressor = compressor_new();
    AUTO_BUF struct buf text = BUF_INIT(KiB(64)), frame = BUF_INIT(KiB(64));
    for (int i = 0; i < 500; i++)
        buf_printf(&text, "{\"id\": %d, \"login\": \"octocat\"}\n", i);
    assert_int_equal(compress_bytes(compressor, text.data, text.len, &frame, NULL), 0);
    assert_true(frame.len * 3 < text.len);
    compressor_free(compressor);
}

static void a_bomb_and_a_broken_frame_are_refused(void **state)
{
    (void)state;
    struct compressor *compressor = compressor_new();
    AUTO_BUF struct buf zeros = BUF_INIT(MiB(2)), frame = BUF_INIT(MiB(2)), content = BUF_INIT(MiB(2));
    struct error err = {0};
    while (zeros.len < MiB(1))
        buf_add(&zeros, "0000000000000000", 16);
    assert_int_equal(compress_bytes(compressor, zeros.data, zeros.len, &frame, NULL), 0);
    assert_true(frame.len < KiB(1));
    assert_int_equal(decompress_bytes(frame.data, frame.len, KiB(512), &content, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    for (size_t len = 0; len < frame.len; len++)
        assert_int_equal(decompress_bytes(frame.data, len, MiB(2), &content, &err), -1);
    buf_putc(&frame, 'x');
    assert_int_equal(decompress_bytes(frame.data, frame.len, MiB(2), &content, &err), -1);
    assert_int_equal(content.len, 0);
    compressor_free(compressor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_comes_back),
        cmocka_unit_test(repetition_gets_smaller),
        cmocka_unit_test(a_bomb_and_a_broken_frame_are_refused),
    };
    return cmocka_run_group_tests_name("compress", tests, NULL, NULL);
}
