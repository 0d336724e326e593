/* The language table (pipeline/language.h) and what templates/languages/python.yml says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/base/proc.h"
#include "pipeline/grammar.h"
#include "pipeline/language.h"
#include "tests/unit/pipeline/python.h"

static char *tree;

static int make_tree(void **state)
{
    (void)state;
    tree = fs_make_temp_dir("/tmp", "language-", NULL);
    return tree ? 0 : -1;
}

static int remove_tree(void **state)
{
    (void)state;
    fs_remove_tree(tree, NULL);
    free(tree);
    return 0;
}

static void put(const char *path, const char *text)
{
    struct error err = {0};
    if (fs_write_beneath(tree, path, text, strlen(text), false, &err) < 0)
        fail_msg("%s", err.message);
}

/* ---- recognition ---- */

static void test_languages_are_found_by_name_and_path(void **state)
{
    (void)state;
    assert_ptr_equal(languages_by_name(languages, "Python"), python);
    assert_ptr_equal(languages_by_name(languages, "py3"), python);
    assert_ptr_equal(languages_by_path(languages, "src/a.py"), python);
    assert_ptr_equal(languages_by_path(languages, "A.PY"), python);
    assert_null(languages_by_name(languages, "cobol"));
    assert_null(languages_by_name(languages, NULL));
    assert_null(languages_by_path(languages, "py"));
    assert_null(languages_by_path(languages, ".py"));
    assert_null(languages_by_path(languages, "a.py/b"));
}

static void test_a_tree_has_a_language_by_markers_or_files(void **state)
{
    (void)state;
    assert_null(languages_of_tree(languages, tree));
    put("README.md", "");
    put("venv/lib/a.py", "");
    assert_null(languages_of_tree(languages, tree));
    put("a.py", "");
    assert_ptr_equal(languages_of_tree(languages, tree), python);
    assert_null(languages_of_tree(languages, "/does/not/exist"));
}

static void test_a_marker_alone_shows_the_language(void **state)
{
    (void)state;
    put("pyproject.toml", "");
    assert_ptr_equal(languages_of_tree(languages, tree), python);
}

static void test_tests_are_told_from_code(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool test;
    } cases[] = {
        {"test_a.py", true},        {"src/test_a.py", true}, {"a_test.py", true},       {"conftest.py", true},
        {"tests/helpers.py", true}, {"a/test/b.py", true},   {"tests/data.txt", false}, {"src/a.py", false},
        {"testing/a.py", false},    {"latest.py", false},    {"src/tests.py", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (language_is_test(python, cases[i].path) != cases[i].test)
            fail_msg("%s is taken wrongly", cases[i].path);
}

static void test_modules_are_named_from_their_source_root(void **state)
{
    (void)state;
    static const struct {
        const char *path, *module, *root;
    } cases[] = {
        {"a.py", "a", "."},
        {"src/shop/cart.py", "shop.cart", "src"},
        {"src/shop/__init__.py", "shop", "src"},
        {"src/shop/new/deep.py", "shop.new.deep", "src"},
        {"src/fresh/x.py", "fresh.x", "src"},
        {"lib/__init__.py", "lib", "."},
        {"lib/a.py", "lib.a", "."},
        {"packages/one/src/one/a.py", "one.a", "packages/one/src"},
        {"packages/one/src/one/new/a.py", "one.new.a", "packages/one/src"},
        {"tools/run.py", "tools.run", "."},
        {"__init__.py", "__init__", "."},
    };
    put("src/shop/__init__.py", "");
    put("lib/__init__.py", "");
    put("packages/one/src/one/__init__.py", "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_FREE char *module = language_module_of(python, tree, cases[i].path);
        AUTO_FREE char *root = language_source_root(python, tree, cases[i].path);
        if (strcmp(module, cases[i].module) != 0 || strcmp(root, cases[i].root) != 0)
            fail_msg("%s is %s below %s", cases[i].path, module, root);
    }
}

/* ---- commands ---- */

static void test_arguments_are_expanded_and_files_are_spread(void **state)
{
    (void)state;
    char *items[] = {(char *)"{{tools}}/run", (char *)"-x={{report}}", (char *)"{{files}}", (char *)"a {{files}}",
                     (char *)"{{missing}}"};
    struct yaml_texts argv = {items, 5};
    json_auto_t *view = json_pack("{s:s,s:s,s:[s,s]}", "tools", "/t", "report", "r.xml", "files", "a b.py", "{{c}}.py");
    struct error err = {0};
    char **out = language_argv(&argv, view, &err);
    static const char *const expected[] = {"/t/run", "-x=r.xml", "a b.py", "{{c}}.py"};
    assert_non_null(out);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(out[i], expected[i]);
    assert_string_equal(out[5], "");
    assert_null(out[6]);
    argv_free(out);
    argv.count = 0;
    out = language_argv(&argv, view, &err);
    assert_null(out[0]);
    argv_free(out);
    items[0] = (char *)"{{#open}}";
    argv.count = 1;
    assert_null(language_argv(&argv, view, &err));
    assert_true(err.code != ERROR_NONE);
}

static void test_every_command_of_python_expands(void **state)
{
    (void)state;
    const struct language_command *const commands[] = {
        &python->commands.test, &python->commands.collect, &python->commands.lint,
        &python->commands.fix,  &python->commands.format,  &python->commands.types,
    };
    json_auto_t *view = json_pack("{s:s,s:s,s:s,s:[s]}", "tools", "/t", "report", "r.xml", "source_root", "src",
                                  "files", "tests/test_a.py");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct error err = {0};
        char **argv = language_argv(&commands[i]->argv, view, &err);
        char **environment = language_argv(&commands[i]->environment, view, &err);
        if (!argv || !environment)
            fail_msg("%s", err.message);
        assert_true(strncmp(argv[0], "/t/bin/", 7) == 0);
        size_t count = 0;
        for (; argv[count]; count++)
            if (strstr(argv[count], "{{"))
                fail_msg("%s is left in %s", argv[count], argv[0]);
        assert_string_equal(argv[count - 1], "tests/test_a.py");
        argv_free(argv);
        argv_free(environment);
    }
}

/* ---- failures ---- */

static void test_failures_are_right_or_broken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool missing, broken;
    } cases[] = {
        {"ImportError: cannot import name 'total' from 'shop.cart' (/workspace/src/shop/cart.py)", true, true},
        {"ModuleNotFoundError: No module named 'shop.cart'", true, true},
        {"E   ModuleNotFoundError: No module named 'shop'", true, true},
        {"ModuleNotFoundError: No module named 'shopxcart'", false, true},
        {"ModuleNotFoundError: No module named 'numpy'", false, true},
        {"ImportError: cannot import name 'x' from 'numpy' (a.py)", false, true},
        {"AttributeError: module 'shop.cart' has no attribute 'total'", true, false},
        {"AttributeError: 'Cart' object has no attribute 'total'", true, false},
        {"AttributeError: type object 'Cart' has no attribute 'total'", true, false},
        {"AttributeError: 'Cart' object has no attribute 'other'", false, false},
        {"NameError: name 'Cart' is not defined", true, true},
        {"NameError: name 'helper' is not defined", false, true},
        {"TypeError: Cart.total() got an unexpected keyword argument 'vat'", true, false},
        {"TypeError: other() takes 1 positional argument but 2 were given", false, false},
        {"NotImplementedError", true, false},
        {"assert 1 == 2\n +  where 1 = f()", true, false},
        {"def test():\n>   x\nE   assert 1 == 2", true, false},
        {"AssertionError: no", true, false},
        {"Failed: DID NOT RAISE <class 'ValueError'>", true, false},
        {"  File \"test_a.py\", line 2\nSyntaxError: invalid syntax", false, true},
        {"IndentationError: unexpected indent", false, true},
        {"fixture 'client' not found", false, true},
        {"KeyError: 'x'", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool missing = language_error_matches(&python->errors.missing, "shop.cart", "Cart.total", cases[i].text);
        bool broken = language_error_matches(&python->errors.broken, "shop.cart", "Cart.total", cases[i].text);
        if (missing != cases[i].missing || broken != cases[i].broken)
            fail_msg("%s: missing %d, broken %d", cases[i].text, missing, broken);
    }
    assert_false(language_error_matches(&python->errors.missing, NULL, NULL, "No module named 'numpy'"));
    assert_false(language_error_matches(&python->errors.missing, "", "", "name '' is not defined"));
    assert_false(language_error_matches(&python->errors.missing, "a(b", "*[", "No module named 'ab'"));
}

/* ---- a table that is wrong ---- */

static void test_a_wrong_query_or_grammar_is_refused_with_its_place(void **state)
{
    (void)state;
    struct error err = {0};
    struct language wrong = *python;
    wrong.queries.imports = (char *)"(import_statement name: (no_such_node) @module) @import";
    assert_null(grammar_new(&wrong, &err));
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_non_null(strstr(err.message, "languages/python.yml: queries.imports: the query is wrong at \"no_such_node"));
    wrong = *python;
    wrong.queries.guards = (char *)"((identifier) @a (#match? @a \"[\"))";
    assert_null(grammar_new(&wrong, &err));
    assert_non_null(strstr(err.message, "regular expression"));
    wrong = *python;
    wrong.grammar = (char *)"cobol";
    assert_null(grammar_new(&wrong, &err));
    assert_non_null(strstr(err.message, "grammar \"cobol\" is not compiled in"));
    wrong = *python;
    wrong.layout.elision = (char *)"(";
    assert_null(grammar_new(&wrong, &err));
    assert_int_equal(err.code, ERROR_CONFIG);
}

/* ---- the probe, run by a real Python ---- */

static json_t *probe(void)
{
    const char *const argv[] = {"/usr/bin/python3", "-I", "-c", python->manifests.probe, NULL};
    struct proc_request request = {.argv = argv, .directory = tree, .timeout_ms = 60000};
    struct proc_result result = {.out = BUF_INIT(MiB(1)), .err = BUF_INIT(MiB(1))};
    struct error err = {0};
    if (!fs_exists("/usr/bin/python3")) {
        print_message("skipped: there is no /usr/bin/python3\n");
        skip();
    }
    if (proc_run(&request, &result, &err) < 0 || result.exit_status != 0)
        fail_msg("%s %s", err.message, buf_text(&result.err));
    json_t *value = json_read(buf_text(&result.out), result.out.len, JSON_LIMITS_MODEL, &err);
    if (!value)
        fail_msg("%s", err.message);
    proc_result_release(&result);
    return value;
}

static bool lists(const json_t *value, const char *key, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get(value, key), i, item)
        if (strcmp(json_string_value(item), text) == 0)
            return true;
    return false;
}

static void check_declared(const json_t *value, const char *const *expected)
{
    for (size_t i = 0; expected[i]; i++)
        if (!lists(value, "declared", expected[i]))
            fail_msg("%s is not declared: %s", expected[i], json_dumps(json_object_get(value, "declared"), 0));
}

static void test_the_probe_reads_every_manifest(void **state)
{
    (void)state;
    put("pyproject.toml",
        "[project]\nname = 'My_Shop'\ndependencies = ['Requests[socks]>=2 ; python_version > \"3\"', 'a.b_c']\n"
        "[project.optional-dependencies]\ndev = ['pytest-x']\n[dependency-groups]\nlint = ['ruff', "
        "{include-group = 'dev'}]\n[tool.poetry.dependencies]\npython = '^3.9'\nFlask = '*'\n"
        "[tool.poetry.group.test.dependencies]\nmoto = '*'\n");
    put("requirements.txt", "numpy==1.0  # why\n-r more/base.txt\n-r /etc/passwd\n--index-url https://example.com\n"
                            "-e git+https://example.com/x#egg=from_egg\nlocal @ file:///x\n./local-path\n");
    put("more/base.txt", "pandas\n-r ../requirements.txt\n-r ../../outside.txt\n");
    put("setup.cfg",
        "[metadata]\nname = cfg-name\n[options]\ninstall_requires =\n    attrs>=1\n    toml; python_version < '3.11'\n"
        "[options.extras_require]\nx = one; python_version < '3'\n");
    put("setup.py", "from setuptools import setup\nREQ = ['six']\nopen('/tmp/assay-probe-ran', 'w')\n"
                    "setup(name='s', install_requires=REQ + ['click>=1'], extras_require={'d': ['sphinx']})\n");
    put("Pipfile", "[packages]\nboto3 = '*'\n[dev-packages]\nblack = '*'\n");
    put("environment.yml",
        "name: x\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.9\n  - scipy=1.0\n  - pip:\n    - rich\n");
    json_auto_t *value = probe();
    static const char *const expected[] = {"my-shop", "requests", "a-b-c", "pytest-x", "ruff", "flask", "moto", "numpy",
                                           "pandas",  "from-egg", "local", "attrs",    "toml", "one",   "six",  "click",
                                           "sphinx",  "boto3",    "black", "scipy",    "rich", NULL};
    check_declared(value, expected);
    static const char *const others[] = {"python", "conda-forge", "python-version", "local-path", "include-group", "x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (lists(value, "declared", others[i]))
            fail_msg("%s is declared", others[i]);
    assert_true(lists(value, "stdlib", "json") && lists(value, "stdlib", "tomllib"));
    assert_true(json_is_object(json_object_get(value, "provides")));
    assert_false(fs_exists("/tmp/assay-probe-ran"));
    assert_int_equal(json_array_size(json_object_get(value, "errors")), 2); /* the two paths outside the tree */
}

static void test_the_probe_survives_broken_manifests(void **state)
{
    (void)state;
    put("pyproject.toml", "[project\n");
    put("requirements.txt", "\xff\xfe\n===\nrequests\n-r missing.txt\n-r requirements.txt\n");
    put("setup.cfg", "no section\n");
    put("setup.py", "setup(install_requires=[\nx = \nsetup(\n");
    put("Pipfile", "= = =");
    put("environment.yml", "dependencies: [a, b]\n- \n");
    json_auto_t *value = probe();
    static const char *const expected[] = {"requests", NULL};
    check_declared(value, expected);
    assert_true(json_array_size(json_object_get(value, "errors")) >= 4);
}

static void test_the_probe_reads_setup_py_that_builds_its_lists_in_circles(void **state)
{
    (void)state;
    put("setup.py", "A = B + ['x']\nB = A\nsetup(install_requires=A + A)\n");
    put("pyproject.toml", "project = 3\n[tool]\npoetry = []\n");
    json_auto_t *value = probe();
    assert_non_null(json_object_get(value, "declared"));
}

static void test_an_empty_tree_declares_nothing(void **state)
{
    (void)state;
    json_auto_t *value = probe();
    assert_int_equal(json_array_size(json_object_get(value, "declared")), 0);
    assert_int_equal(json_array_size(json_object_get(value, "errors")), 0);
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages_are_found_by_name_and_path),
        IN_TREE(test_a_tree_has_a_language_by_markers_or_files),
        IN_TREE(test_a_marker_alone_shows_the_language),
        cmocka_unit_test(test_tests_are_told_from_code),
        IN_TREE(test_modules_are_named_from_their_source_root),
        cmocka_unit_test(test_arguments_are_expanded_and_files_are_spread),
        cmocka_unit_test(test_every_command_of_python_expands),
        cmocka_unit_test(test_failures_are_right_or_broken),
        cmocka_unit_test(test_a_wrong_query_or_grammar_is_refused_with_its_place),
        IN_TREE(test_the_probe_reads_every_manifest),
        IN_TREE(test_the_probe_survives_broken_manifests),
        IN_TREE(test_the_probe_reads_setup_py_that_builds_its_lists_in_circles),
        IN_TREE(test_an_empty_tree_declares_nothing),
    };
    return cmocka_run_group_tests(tests, python_load, python_unload);
}
