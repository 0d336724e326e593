/* YAML by tables: every type, every complaint with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/yaml.h"

struct inner {
    char *name;
    int64_t size;
    int64_t line;
};

struct outer {
    char *text;
    bool flag;
    int64_t count;
    double ratio;
    int64_t bytes;
    int64_t wait_ms;
    int choice;
    struct yaml_texts list;
    struct inner one;
    struct yaml_objects many;
    struct yaml_map map;
};

static const char *const choices[] = {"red", "green", "blue", NULL};

static const struct yaml_field inner_fields[] = {
    YAML_FIELD("name", YAML_TEXT, offsetof(struct inner, name), "what it is called", .required = true),
    YAML_FIELD("size", YAML_SIZE, offsetof(struct inner, size), "how large it is"),
    {0},
};

static const struct yaml_field outer_fields[] = {
    YAML_FIELD("text", YAML_TEXT, offsetof(struct outer, text), "some text"),
    YAML_FIELD("flag", YAML_BOOL, offsetof(struct outer, flag), "yes or no"),
    YAML_FIELD("count", YAML_INT, offsetof(struct outer, count), "how many", .min = 1, .max = 9),
    YAML_FIELD("ratio", YAML_NUMBER, offsetof(struct outer, ratio), "a share", .min = 0, .max = 1),
    YAML_FIELD("bytes", YAML_SIZE, offsetof(struct outer, bytes), "how large"),
    YAML_FIELD("wait", YAML_DURATION, offsetof(struct outer, wait_ms), "how long", .min = 1, .max = 1e9),
    YAML_FIELD("choice", YAML_CHOICE, offsetof(struct outer, choice), "which", .choices = choices),
    YAML_FIELD("list", YAML_TEXTS, offsetof(struct outer, list), "some texts"),
    YAML_FIELD("one", YAML_OBJECT, offsetof(struct outer, one), "one thing", .fields = inner_fields,
               .line = offsetof(struct inner, line) + 1),
    YAML_FIELD("many", YAML_OBJECTS, offsetof(struct outer, many), "things", .fields = inner_fields,
               .size = sizeof(struct inner), .line = offsetof(struct inner, line) + 1),
    YAML_FIELD("map", YAML_MAP, offsetof(struct outer, map), "names to texts"),
    {0},
};

static int read_outer(const char *text, struct outer *out, struct error *err)
{
    return yaml_read(text, strlen(text), "assay.yml", outer_fields, out, err);
}

static void test_reads_every_type(void **state)
{
    (void)state;
    struct outer out = {.text = strdup("default")};
    struct error err = {0};
    const char *text = "# a comment\n"
                       "text: \"a: b\"\n"
                       "flag: true\n"
                       "count: 7\n"
                       "ratio: 0.25\n"
                       "bytes: 1.5GiB\n"
                       "wait: 5m\n"
                       "choice: blue\n"
                       "list: [a, 'b c', 3]\n"
                       "one: {name: x, size: 100kB}\n"
                       "many:\n"
                       "  - name: first\n"
                       "    size: 4096\n"
                       "  - {name: second}\n"
                       "map:\n"
                       "  numpy: [numpy, np]\n"
                       "  yaml: pyyaml\n";
    if (read_outer(text, &out, &err) < 0)
        fail_msg("%s", err.message);
    const struct inner *many = out.many.items;
    assert_string_equal(out.text, "a: b");
    assert_true(out.flag);
    assert_int_equal(out.count, 7);
    assert_true(out.ratio == 0.25);
    assert_int_equal(out.bytes, 1610612736);
    assert_int_equal(out.wait_ms, 300000);
    assert_int_equal(out.choice, 2);
    assert_int_equal(out.list.count, 3);
    assert_string_equal(out.list.items[1], "b c");
    assert_string_equal(out.list.items[2], "3");
    assert_string_equal(out.one.name, "x");
    assert_int_equal(out.one.size, 100000);
    assert_int_equal(out.one.line, 10);
    assert_int_equal(out.many.count, 2);
    assert_int_equal(many[0].line, 12);
    assert_int_equal(many[0].size, 4096);
    assert_string_equal(many[1].name, "second");
    assert_int_equal(many[1].line, 14);
    assert_int_equal(out.map.count, 2);
    assert_string_equal(out.map.keys[0], "numpy");
    assert_string_equal(out.map.values[0].items[1], "np");
    assert_string_equal(out.map.values[1].items[0], "pyyaml");
    yaml_release(outer_fields, &out);
    assert_null(out.text);
    assert_int_equal(out.many.count, 0);
    assert_null(out.map.keys);
}

static void test_keeps_defaults_where_nothing_is_said(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# only a comment\n", "one:\n  # name: x\nlist:\nmany:\nmap:\n", "{}",
                                        "---\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct outer out = {.text = strdup("default"), .count = 3};
        struct error err = {0};
        if (read_outer(texts[i], &out, &err) < 0)
            fail_msg("%s", err.message);
        assert_string_equal(out.text, "default");
        assert_int_equal(out.count, 3);
        assert_null(out.one.name);
        yaml_release(outer_fields, &out);
    }
}

static void test_one_text_is_a_list_of_one(void **state)
{
    (void)state;
    struct outer out = {0};
    assert_int_equal(read_outer("list: alone\n", &out, NULL), 0);
    assert_int_equal(out.list.count, 1);
    assert_string_equal(out.list.items[0], "alone");
    yaml_release(outer_fields, &out);
}

static const struct {
    const char *text, *message;
} mistakes[] = {
    {"bytes: lots\n", "assay.yml:1: bytes: expected a size such as 2GiB, got \"lots\""},
    {"bytes: -1MiB\n", "assay.yml:1: bytes: expected a size such as 2GiB, got \"-1MiB\""},
    {"bytes: 1e300GiB\n", "assay.yml:1: bytes: expected a size such as 2GiB, got \"1e300GiB\""},
    {"wait: 5\n", "assay.yml:1: wait: expected a duration such as 120s, 5m or 2h, got \"5\""},
    {"wait: 0s\n", "assay.yml:1: wait: expected 1 to 1000000000 ms, got 0s"},
    {"wait: {}\n", "assay.yml:1: wait: expected a duration such as 120s, 5m or 2h, got a map"},
    {"\n\ncount: 10\n", "assay.yml:3: count: expected 1 to 9, got 10"},
    {"count: 1.5\n", "assay.yml:1: count: expected a whole number, got \"1.5\""},
    {"count: 99999999999999999999\n", "assay.yml:1: count: expected a whole number, got \"99999999999999999999\""},
    {"count:\n", "assay.yml:1: count: expected a whole number, got nothing"},
    {"ratio: nan\n", "assay.yml:1: ratio: expected a number, got \"nan\""},
    {"ratio: 0x1\n", "assay.yml:1: ratio: expected a number, got \"0x1\""},
    {"flag: yes\n", "assay.yml:1: flag: expected true or false, got \"yes\""},
    {"choice: pink\n", "assay.yml:1: choice: expected red, green or blue, got \"pink\""},
    {"text:\n", "assay.yml:1: text: expected text, got nothing"},
    {"text: [a]\n", "assay.yml:1: text: expected text, got a list"},
    {"text: \"a\\0b\"\n", "assay.yml:1: text: expected text, got \"a\""},
    {"list: {a: b}\n", "assay.yml:1: list: expected a list of texts, got a map"},
    {"list: [a, [b]]\n", "assay.yml:1: list[1]: expected text, got a list"},
    {"one: 7\n", "assay.yml:1: one: expected a map of keys and values, got \"7\""},
    {"one: {size: 1}\n", "assay.yml:1: one.name: this key is required: what it is called"},
    {"many:\n  - name: a\n  - size: 1\n", "assay.yml:3: many[1].name: this key is required: what it is called"},
    {"many: {name: a}\n", "assay.yml:1: many: expected a list (each entry begins with \"- \"), got a map"},
    {"many: [x]\n", "assay.yml:1: many[0]: expected a map of keys and values, got \"x\""},
    {"many: [{name: a}, ]\nmap: {a: {b: c}}\n", "assay.yml:2: map.a: expected a list of texts, got a map"},
    {"map: [a]\n", "assay.yml:1: map: expected a map of names to lists, got a list"},
    {"one: {name: a, nmae: b}\n", "assay.yml:1: one.nmae: unknown key; did you mean name?"},
    {"cuont: 1\n", "assay.yml:1: cuont: unknown key; did you mean count?"},
    {"zzzzzzzz: 1\n", "assay.yml:1: zzzzzzzz: unknown key; known here: text, flag, count, ratio, bytes, wait, choice, "
                      "list, one, many, map"},
    {"<<: 1\n", "assay.yml:1: <<: unknown key; known here: text, flag, count, ratio, bytes, wait, choice, list, one, "
                "many, map"},
    {"text: a\nflag: true\ntext: b\n", "assay.yml:3: text: this key was already given in line 1; remove one of them"},
    {"map: {a: b, a: c}\n", "assay.yml:1: map.a: this key was already given in line 1; remove one of them"},
    {"[a]: b\n", "assay.yml:1: expected the name of a key, got a list"},
    {"- a\n", "assay.yml:1: expected keys and values (\"key: value\"), got a list"},
    {"just text\n", "assay.yml:1: expected keys and values (\"key: value\"), got \"just text\""},
    {"text: &a b\n", "assay.yml:1: anchors (&name) are not supported here; write the values out"},
    {"text: a\nlist: [*b]\n", "assay.yml:2: aliases (*name) are not supported here; write the values out"},
    {"text: !!binary aGk=\n", "assay.yml:1: tags (!name) are not supported here; write the values out"},
    {"text: a\n---\ntext: b\n", "assay.yml:2: several documents (---) are not supported here; write the values out"},
    {"text: a\n\tflag: true\n",
     "assay.yml:2: not valid YAML: found a tab character that violates indentation (indent with spaces, put texts "
     "with special characters in quotes)"},
    {"text: a\n@b: c\n", "assay.yml:2: not valid YAML: found character that cannot start any token (indent with "
                         "spaces, put texts with special characters in quotes)"},
    {"text: \xff\n", "assay.yml:1: not valid YAML: invalid leading UTF-8 octet"},
    {"list: [a\n", "assay.yml:2: not valid YAML: did not find expected ',' or ']' (indent with spaces, put texts with "
                   "special characters in quotes)"},
};

static void test_complaints_name_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct outer out = {.text = strdup("default")};
        struct error err = {0};
        if (read_outer(mistakes[i].text, &out, &err) == 0)
            fail_msg("accepted: %s", mistakes[i].text);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_string_equal(err.message, mistakes[i].message);
        yaml_release(outer_fields, &out);
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    struct outer out = {0};
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    buf_puts(&text, "list: ");
    for (int i = 0; i < 900; i++)
        buf_putc(&text, '[');
    assert_int_equal(read_outer(buf_text(&text), &out, &err), -1);
    assert_string_equal(err.message, "assay.yml:1: so many nested levels are not supported here; write the values out");
    yaml_release(outer_fields, &out);
}

static void test_long_keys_and_paths_are_cut(void **state)
{
    (void)state;
    struct outer out = {0};
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    buf_puts(&text, "map:\n  ");
    for (int i = 0; i < 900; i++)
        buf_putc(&text, 'k');
    buf_puts(&text, ": {}\n");
    assert_int_equal(read_outer(buf_text(&text), &out, &err), -1);
    assert_non_null(strstr(err.message, "kkkk"));
    yaml_release(outer_fields, &out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_every_type),          cmocka_unit_test(test_keeps_defaults_where_nothing_is_said),
        cmocka_unit_test(test_one_text_is_a_list_of_one), cmocka_unit_test(test_complaints_name_line_and_key),
        cmocka_unit_test(test_deep_nesting_is_refused),   cmocka_unit_test(test_long_keys_and_paths_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
