/* Mustache: the public specification's cases, our own, and the embedded files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/digest.h"
#include "app/base/json.h"
#include "app/base/template.h"

static const char *from_view(void *context, const char *name)
{
    return json_string_value(json_object_get(context, name));
}

static int render(const char *text, enum template_escape escape, json_t *view, json_t *partials, struct buf *out,
                  struct error *err)
{
    struct template_source source = {"test", text, strlen(text)};
    return template_render(source, escape, view, from_view, partials, out, err);
}

/* The files of the specification whose features we promise. */
static const char *const spec_files[] = {"comments", "delimiters", "interpolation", "inverted", "partials", "sections"};

static size_t run_spec_file(const char *folder, const char *name, size_t *failures)
{
    char path[4096];
    json_error_t problem;
    size_t index;
    json_t *test;
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    json_auto_t *spec = json_load_file(path, 0, &problem);
    if (!spec)
        fail_msg("%s: %s", path, problem.text);
    json_array_foreach (json_object_get(spec, "tests"), index, test) {
        AUTO_BUF struct buf out = BUF_INIT(KiB(64));
        struct error err = {0};
        const char *expected = json_text_at(test, "expected", NULL);
        assert_non_null(expected);
        int result = render(json_text_at(test, "template", ""), TEMPLATE_HTML, json_object_get(test, "data"),
                            json_object_get(test, "partials"), &out, &err);
        if (result == 0 && strcmp(buf_text(&out), expected) == 0)
            continue;
        print_error("%s: %s\n expected [%s]\n got [%s] %s\n", name, json_text_at(test, "name", "?"), expected,
                    buf_text(&out), err.message);
        ++*failures;
    }
    return json_array_size(json_object_get(spec, "tests"));
}

static void test_passes_the_public_specification(void **state)
{
    (void)state;
    const char *folder = getenv("MUSTACHE_SPEC");
    size_t failures = 0;
    size_t count = 0;
    if (!folder) {
        print_message("skipped: MUSTACHE_SPEC does not name the folder with the specification's JSON files\n");
        skip();
    }
    for (size_t i = 0; i < sizeof spec_files / sizeof spec_files[0]; i++)
        count += run_spec_file(folder, spec_files[i], &failures);
    print_message("%zu cases of the Mustache specification\n", count);
    assert_in_range(count, 100, 10000);
    assert_int_equal(failures, 0);
}

struct render_case {
    const char *name, *text, *view, *expected;
    enum template_escape escape;
};

static const struct render_case render_cases[] = {
    {"plain text stays", "a < b & c", "{}", "a < b & c", TEMPLATE_HTML},
    {"HTML is escaped", "{{x}}", "{\"x\": \"<a href=\\\"b\\\" c='d'>&\"}",
     "&lt;a href=&quot;b&quot; c=&#39;d&#39;&gt;&amp;", TEMPLATE_HTML},
    {"Markdown is escaped", "{{x}}", "{\"x\": \"*hi* @you\"}", "\\*hi\\* @&#8203;you", TEMPLATE_MARKDOWN},
    {"plain is not escaped", "{{x}}", "{\"x\": \"<*>\"}", "<*>", TEMPLATE_PLAIN},
    {"three braces are never escaped", "{{{x}}}{{&x}}", "{\"x\": \"<*>\"}", "<*><*>", TEMPLATE_MARKDOWN},
    {"values are not templates", "{{x}}", "{\"x\": \"{{y}}\", \"y\": \"no\"}", "{{y}}", TEMPLATE_PLAIN},
    {"null prints nothing", "[{{x}}]", "{\"x\": null}", "[]", TEMPLATE_PLAIN},
    {"numbers print shortest", "{{a}} {{b}} {{c}}", "{\"a\": 12, \"b\": 0.1, \"c\": -1e300}", "12 0.1 -1e+300",
     TEMPLATE_PLAIN},
    {"booleans print", "{{a}}{{b}}", "{\"a\": true, \"b\": false}", "truefalse", TEMPLATE_PLAIN},
    {"objects print as JSON", "{{{a}}}", "{\"a\": {\"k\": [1]}}", "{\"k\": [1]}", TEMPLATE_PLAIN},
    {"a dotted name is not one key", "[{{a.b}}]", "{\"a.b\": 1}", "[]", TEMPLATE_PLAIN},
    {"the first part decides", "{{#a}}[{{b.c}}]{{/a}}", "{\"a\": {\"b\": {}}, \"b\": {\"c\": 1}}", "[]",
     TEMPLATE_PLAIN},
    {"an inner key hides an outer", "{{#a}}{{x}}{{/a}}{{x}}", "{\"a\": {\"x\": 1}, \"x\": 2}", "12", TEMPLATE_PLAIN},
    {"an outer key is found", "{{#a}}{{x}}{{/a}}", "{\"a\": {}, \"x\": 2}", "2", TEMPLATE_PLAIN},
    {"a list repeats", "{{#a}}{{.}},{{/a}}", "{\"a\": [1, 2, 0]}", "1,2,0,", TEMPLATE_PLAIN},
    {"lists nest", "{{#.}}({{#.}}{{.}}{{/.}}){{/.}}", "[[1, 2], [3]]", "(12)(3)", TEMPLATE_PLAIN},
    {"a text is a context", "{{#a}}<{{.}}>{{/a}}", "{\"a\": \"x\"}", "<x>", TEMPLATE_PLAIN},
    {"zero, empty text and null are empty", "{{^a}}a{{/a}}{{^b}}b{{/b}}{{^c}}c{{/c}}{{^d}}d{{/d}}",
     "{\"a\": 0, \"b\": \"\", \"c\": null, \"d\": 0.0}", "abcd", TEMPLATE_PLAIN},
    {"a standalone tag takes its line", "a\r\n  {{#x}}\r\nb\r\n  {{/x}}  \r\nc", "{\"x\": true}", "a\r\nb\r\nc",
     TEMPLATE_PLAIN},
    {"two tags on a line are not standalone", "{{#x}} {{/x}}\n", "{\"x\": true}", " \n", TEMPLATE_PLAIN},
    {"a comment hides braces", "a{{! {{x }}b", "{}", "ab", TEMPLATE_PLAIN},
    {"delimiters change", "{{=<% %>=}}<% x %>{{x}}<%={{ }}=%>{{x}}", "{\"x\": 1}", "1{{x}}1", TEMPLATE_PLAIN},
    {"a missing partial is empty", "[{{>none}}]", "{}", "[]", TEMPLATE_PLAIN},
};

static void test_renders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof render_cases / sizeof render_cases[0]; i++) {
        const struct render_case *row = &render_cases[i];
        AUTO_BUF struct buf out = BUF_INIT(KiB(4));
        struct error err = {0};
        json_auto_t *view = json_loads(row->view, 0, NULL);
        assert_non_null(view);
        if (render(row->text, row->escape, view, NULL, &out, &err) < 0)
            fail_msg("%s: %s", row->name, err.message);
        if (strcmp(buf_text(&out), row->expected) != 0)
            fail_msg("%s: expected [%s], got [%s]", row->name, row->expected, buf_text(&out));
    }
}

static const struct {
    const char *text, *message;
} mistakes[] = {
    {"a\n{{#x}}\n", "test:2: this section is never closed: x"},
    {"{{/x}}", "test:1: this closes a section that is not open: x"},
    {"{{#a}}{{#b}}{{/a}}{{/b}}", "test:1: this closes a section that is not open: a"},
    {"a\nb {{x", "test:2: this tag is never closed: {{x"},
    {"{{{x}}", "test:1: this tag is never closed: {{{x}}"},
    {"{{}}", "test:1: this tag has no name: {{}}"},
    {"{{=<%=}}", "test:1: expected two delimiters such as <% %>: <%"},
    {"{{=aaaaaaaaaaaaaaaaaaaaaaaaa b=}}", "test:1: expected two delimiters such as <% %>: aaaaaaaaaaaaaaaaaaaaaaaaa b"},
};

static void test_mistakes_name_the_line(void **state)
{
    (void)state;
    json_auto_t *view = json_object();
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        AUTO_BUF struct buf out = BUF_INIT(KiB(4));
        struct error err = {0};
        assert_int_equal(render(mistakes[i].text, TEMPLATE_PLAIN, view, NULL, &out, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_string_equal(err.message, mistakes[i].message);
    }
}

static void test_output_is_capped(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf out = BUF_INIT(10);
    json_auto_t *view = json_pack("{s:[i,i,i,i]}", "a", 1, 2, 3, 4);
    assert_int_equal(render("{{#a}}12345{{/a}}", TEMPLATE_PLAIN, view, NULL, &out, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_endless_partials_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf out = BUF_INIT(KiB(64));
    json_auto_t *view = json_object();
    json_auto_t *partials = json_pack("{s:s}", "loop", "x {{>loop}}");
    assert_int_equal(render("{{>loop}}", TEMPLATE_PLAIN, view, partials, &out, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
}

static void test_deep_sections_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    AUTO_BUF struct buf out = BUF_INIT(KiB(64));
    json_auto_t *view = json_object();
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "{{^a}}");
    for (int i = 0; i < 1000; i++)
        buf_puts(&text, "{{/a}}");
    assert_int_equal(render(buf_text(&text), TEMPLATE_PLAIN, view, NULL, &out, &err), -1);
    assert_non_null(strstr(err.message, "nested too deep"));
}

static void test_partials_keep_their_indentation(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf out = BUF_INIT(KiB(4));
    json_auto_t *view = json_pack("{s:s}", "x", "1\n2");
    json_auto_t *partials = json_pack("{s:s}", "p", "a\n{{x}}\nb");
    assert_int_equal(render("[\n  {{>p}}\n]", TEMPLATE_PLAIN, view, partials, &out, &err), 0);
    assert_string_equal(buf_text(&out), "[\n  a\n  1\n2\n  b]");
}

static void test_embedded_files_are_found_and_hashed(void **state)
{
    (void)state;
    size_t count = 0;
    const struct template_file *files = template_files(&count);
    for (size_t i = 0; i < count; i++) {
        char hex[DIGEST_HEX_SIZE];
        assert_ptr_equal(template_find(files[i].path), &files[i]);
        assert_int_equal(strlen(files[i].data), files[i].len);
        assert_string_equal(files[i].digest, digest_sha256(files[i].data, files[i].len, hex));
    }
    assert_null(template_find("prompts/there-is-none.mustache"));
}

/* A template that somebody broke should fail here, not in the middle of a job. */
static void test_every_embedded_template_parses(void **state)
{
    (void)state;
    size_t count = 0;
    const struct template_file *files = template_files(&count);
    json_auto_t *view = json_object();
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF struct buf out = BUF_INIT(MiB(1));
        struct error err = {0};
        if (strstr(files[i].path, ".mustache") && template_render_file(files[i].path, view, &out, &err) < 0)
            fail_msg("%s", err.message);
    }
}

static void test_a_missing_template_is_named(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_BUF struct buf out = BUF_INIT(KiB(1));
    json_auto_t *view = json_object();
    assert_int_equal(template_render_file("replies/none.mustache", view, &out, &err), -1);
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(err.message, "replies/none.mustache"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_the_public_specification),
        cmocka_unit_test(test_renders),
        cmocka_unit_test(test_mistakes_name_the_line),
        cmocka_unit_test(test_output_is_capped),
        cmocka_unit_test(test_endless_partials_are_refused),
        cmocka_unit_test(test_deep_sections_are_refused),
        cmocka_unit_test(test_partials_keep_their_indentation),
        cmocka_unit_test(test_embedded_files_are_found_and_hashed),
        cmocka_unit_test(test_every_embedded_template_parses),
        cmocka_unit_test(test_a_missing_template_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
