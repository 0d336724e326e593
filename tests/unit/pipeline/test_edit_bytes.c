/* Edits by symbol over Python's own library: every byte outside of what is named stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/fs.h"
#include "pipeline/edit.h"
#include "pipeline/symbols.h"
#include "tests/unit/pipeline/python.h"

struct corpus {
    size_t files, edits;
};

/* Replaces the symbol by itself, then by a stub: the bytes outside its range must not change. */
static void check_symbol(const char *path, const struct buf *text, const struct symbol *symbol)
{
    AUTO_FREE char *code = strndup(text->data + symbol->start, symbol->end - symbol->start);
    struct edit edit = {EDIT_REPLACE, (char *)path, symbol->name, NULL, code};
    struct error err = {0};
    AUTO_BUF struct buf out = BUF_INIT(MiB(4));
    if (edit_apply(python, text->data, text->len, &edit, &out, &err) < 0)
        fail_msg("%s: %s: %s", path, symbol->name, err.message);
    if (out.len != text->len || memcmp(out.data, text->data, out.len) != 0)
        fail_msg("%s: %s is not the same after it is replaced by itself", path, symbol->name);
    if (symbol->kind != SYMBOL_FUNCTION && symbol->kind != SYMBOL_METHOD)
        return;
    const char *dot = strrchr(symbol->name, '.');
    AUTO_FREE char *stub = text_format("def %s():\n    return 'stub'\n", dot ? dot + 1 : symbol->name);
    edit.code = stub;
    buf_clear(&out);
    if (edit_apply(python, text->data, text->len, &edit, &out, &err) < 0)
        fail_msg("%s: %s: %s", path, symbol->name, err.message);
    size_t tail = text->len - symbol->end;
    if (out.len < tail || memcmp(out.data, text->data, symbol->code_start) != 0 ||
        memcmp(out.data + out.len - tail, text->data + symbol->end, tail) != 0)
        fail_msg("%s: bytes outside %s have changed", path, symbol->name);
}

static int check_file(void *context, const char *path)
{
    struct corpus *corpus = context;
    const char *ending = strrchr(path, '.');
    AUTO_BUF struct buf text = BUF_INIT(MiB(1));
    struct symbols symbols = {0};
    if (!ending || strcmp(ending, ".py") != 0 || strchr(path, '/') || corpus->files++ % 8 != 0 ||
        fs_read_beneath("/usr/lib/python3.11", path, &text, NULL) < 0 || text.len == 0)
        return 0;
    assert_int_equal(symbols_parse(python, text.data, text.len, &symbols, NULL), 0);
    AUTO_BUF struct buf out = BUF_INIT(MiB(4)), skipped = BUF_INIT(KiB(64));
    assert_int_equal(edit_apply_block(python, text.data, text.len, text.data, &out, &skipped, NULL), 0);
    if (out.len != text.len || memcmp(out.data, text.data, out.len) != 0)
        fail_msg("%s is not the same after it is merged into itself", path);
    if (skipped.len)
        fail_msg("%s: left out: %s", path, buf_text(&skipped));
    for (size_t i = corpus->files % 7; i < symbols.count; i += symbols.count / 2 + 1)
        if (symbols_find(&symbols, symbols.items[i].name) == &symbols.items[i]) {
            check_symbol(path, &text, &symbols.items[i]);
            corpus->edits++;
        }
    symbols_release(&symbols);
    return 0;
}

static void test_every_other_byte_stays_over_the_standard_library(void **state)
{
    (void)state;
    struct corpus corpus = {0};
    struct error err = {0};
    if (!fs_exists("/usr/lib/python3.11")) {
        print_message("skipped: there is no /usr/lib/python3.11 to read\n");
        skip();
    }
    if (fs_walk("/usr/lib/python3.11", 100000, check_file, &corpus, &err) != 0)
        fail_msg("%s", err.message);
    assert_true(corpus.files > 100 && corpus.edits > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_other_byte_stays_over_the_standard_library),
    };
    return cmocka_run_group_tests(tests, python_load, python_unload);
}
