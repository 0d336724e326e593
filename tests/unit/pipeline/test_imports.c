/* Where imports resolve, in a repository on disk with Python's own table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "pipeline/imports.h"

static const char *const files[] = {
    "src/shop/__init__.py",
    "src/shop/cart.py",
    "src/shop/tax/__init__.py",
    "src/shop/tax/rates.py",
    "tests/test_cart.py",
    "tests/helpers.py",
    "tools/deploy.py",
    "tools/common.py",
    "services/api/app/main.py",
    "services/api/tests/test.py",
    "namespace/part/mod.py",
    "notes/readme.txt",
    "services/web/handlers/user.py",
    "setup.py",
    "mathx.py",
};

static const char probe_text[] =
    "{\"stdlib\":[\"os\",\"json\",\"math\"],"
    "\"declared\":[\"PyYAML\",\"python_dateutil\",\"requests\",\"Typing.Extensions\",\"shop\",7],"
    "\"provides\":{\"attr\":[\"attrs\"],\"dateutil\":[\"python-dateutil\"],\"odd\":[3,\"requests\"],\"bad\":"
    "\"requests\"}}";

static char *allowed_names[] = {"numpy", "google.cloud"};
static const struct yaml_texts allowed = {allowed_names, 2};

struct world {
    char *tree;
    struct languages *languages;
    const struct language *python;
    struct import_rules *rules;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct error err = {0};
    json_auto_t *probe = json_loads(probe_text, 0, NULL);
    world->tree = fs_make_temp_dir("/tmp", "assay-imports-", NULL);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_int_equal(fs_write_beneath(world->tree, files[i], "", 0, false, NULL), 0);
    world->languages = languages_load(&err);
    if (!world->languages)
        fail_msg("%s", err.message);
    world->python = languages_by_name(world->languages, "python");
    world->rules = import_rules_new(world->python, probe, world->tree, &allowed, &err);
    if (!world->rules)
        fail_msg("%s", err.message);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    import_rules_free(world->rules);
    languages_free(world->languages);
    fs_remove_tree(world->tree, NULL);
    free(world->tree);
    free(world);
    return 0;
}

static const struct {
    const char *path, *module;
    int level;
    const char *name; /* one name taken from it, or NULL */
    bool in_test;
    const char *where; /* NULL: nowhere */
} imports[] = {
    {"src/shop/a.py", "os", 0, NULL, false, "stdlib"},
    {"src/shop/a.py", "os.path", 0, "join", false, "stdlib"},
    {"src/shop/a.py", "osx", 0, NULL, false, NULL},

    {"src/shop/a.py", "shop.cart", 0, NULL, false, "repository"},
    {"src/shop/a.py", "shop", 0, "anything", false, "repository"},
    {"src/shop/a.py", "shop.tax.rates", 0, "vat", false, "repository"},
    {"src/shop/a.py", "shop.invented", 0, NULL, false, NULL},
    {"src/shop/a.py", "shop.invented", 0, "x", false, NULL},
    {"src/shop/a.py", "shop.cart.total", 0, NULL, false, NULL},
    {"tests/test_cart.py", "src.shop.cart", 0, "total", true, "repository"},
    {"src/shop/a.py", "namespace.part", 0, "mod", false, "repository"},
    {"src/shop/a.py", "mathx", 0, NULL, false, "repository"},
    {"src/shop/a.py", "readme", 0, NULL, false, NULL},

    {"src/shop/a.py", "cart", 1, "total", false, "repository"},
    {"src/shop/a.py", "", 1, "cart", false, "repository"},
    {"src/shop/a.py", "", 1, "name_of_the_package", false, "repository"},
    {"src/shop/tax/b.py", "cart", 2, NULL, false, "repository"},
    {"src/shop/tax/b.py", "rates", 2, NULL, false, NULL},
    {"src/shop/a.py", "invented", 1, "x", false, NULL},
    {"src/shop/a.py", "cart", 9, "x", false, NULL},
    {"tools/deploy.py", "", 1, "common", false, "repository"},
    {"tools/deploy.py", "", 1, "invented", false, NULL},
    {"setup.py", "", 1, "mathx", false, "repository"},
    {"setup.py", "", 1, "invented", false, NULL},
    {"setup.py", "", 2, "mathx", false, NULL},

    {"tests/test_cart.py", "helpers", 0, "make", true, "repository"},
    {"src/shop/a.py", "helpers", 0, "make", false, NULL},
    {"tools/deploy.py", "common", 0, NULL, false, "repository"},
    {"services/api/tests/test.py", "app.main", 0, "serve", true, "repository"},
    {"services/api/tests/test.py", "handlers.user", 0, NULL, true, NULL},

    {"src/shop/a.py", "yaml", 0, NULL, false, "manifest"},
    {"src/shop/a.py", "dateutil.parser", 0, "parse", false, "manifest"},
    {"src/shop/a.py", "requests", 0, NULL, false, "manifest"},
    {"src/shop/a.py", "typing_extensions", 0, "Self", false, "manifest"},
    {"src/shop/a.py", "odd", 0, NULL, false, "manifest"},
    {"src/shop/a.py", "attr", 0, NULL, false, NULL}, /* installed, not declared */
    {"src/shop/a.py", "bad", 0, NULL, false, NULL},
    {"src/shop/a.py", "request", 0, NULL, false, NULL},
    {"src/shop/a.py", "requests2", 0, NULL, false, NULL},

    {"src/shop/a.py", "numpy.linalg", 0, "norm", false, "allowed"},
    {"src/shop/a.py", "google.cloud.storage", 0, NULL, false, "allowed"},
    {"src/shop/a.py", "google", 0, NULL, false, NULL},
    {"src/shop/a.py", "google.cloudx", 0, NULL, false, NULL},

    {"tests/test_cart.py", "pytest", 0, NULL, true, "test tool"},
    {"tests/test_cart.py", "hypothesis.strategies", 0, NULL, true, "test tool"},
    {"src/shop/a.py", "pytest", 0, NULL, false, NULL},
    {"tests/test_cart.py", "given", 0, NULL, true, NULL},
    {"tests/test_cart.py", "import", 0, NULL, true, NULL},
    {"src/shop/a.py", "", 0, NULL, false, NULL},
};

static const char *resolve(const struct world *world, size_t i)
{
    char *name = (char *)imports[i].name;
    struct source_import import = {
        .module = (char *)imports[i].module, .level = imports[i].level, .names = &name, .name_count = name != NULL};
    return import_resolve(world->rules, imports[i].path, &import, imports[i].in_test);
}

static void test_imports_resolve_where_they_exist_and_nowhere_else(void **state)
{
    const struct world *world = *state;
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++) {
        const char *where = resolve(world, i);
        if (!where != !imports[i].where || (where && strcmp(where, imports[i].where) != 0))
            fail_msg("%s in %s (level %d, %s): %s instead of %s", imports[i].module, imports[i].path, imports[i].level,
                     imports[i].name ? imports[i].name : "no name", where ? where : "nowhere",
                     imports[i].where ? imports[i].where : "nowhere");
    }
}

static void test_new_files_may_import_each_other(void **state)
{
    struct world *world = *state;
    char *name = "discount";
    struct source_import whole = {.module = "shop.discounts"};
    struct source_import relative = {.module = "discounts", .level = 1, .names = &name, .name_count = 1};
    assert_null(import_resolve(world->rules, "src/shop/a.py", &whole, false));
    import_rules_add_file(world->rules, "src/shop/discounts.py");
    import_rules_add_file(world->rules, "src/shop/discounts.md");
    assert_string_equal(import_resolve(world->rules, "src/shop/a.py", &whole, false), "repository");
    assert_string_equal(import_resolve(world->rules, "src/shop/a.py", &relative, false), "repository");
}

static void test_a_probe_without_its_lists_is_refused(void **state)
{
    const struct world *world = *state;
    static const char *const probes[] = {"{}", "[]", "{\"stdlib\":[],\"declared\":[]}",
                                         "{\"stdlib\":{},\"declared\":[],\"provides\":{}}",
                                         "{\"stdlib\":[],\"declared\":[],\"provides\":[]}"};
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        struct error err = {0};
        json_auto_t *probe = json_loads(probes[i], 0, NULL);
        assert_null(import_rules_new(world->python, probe, world->tree, NULL, &err));
        assert_int_equal(err.code, ERROR_INPUT);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_imports_resolve_where_they_exist_and_nowhere_else),
        TEST(test_new_files_may_import_each_other),
        TEST(test_a_probe_without_its_lists_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
