/* What Python source defines, imports and means (pipeline/symbols.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/base/proc.h"
#include "pipeline/symbols.h"
#include "tests/unit/pipeline/python.h"

static struct symbols parse(const char *text)
{
    struct symbols symbols = {0};
    struct error err = {0};
    if (symbols_parse(python, text, strlen(text), &symbols, &err) < 0)
        fail_msg("%s", err.message);
    return symbols;
}

/* ---- definitions ---- */

/* "kind name|signature|documentation|text" of each symbol, one on a line; the kinds are f, c, m, v. */
static char *describe(const char *text, const struct symbols *symbols)
{
    AUTO_BUF struct buf out = BUF_INIT(KiB(64));
    for (size_t i = 0; i < symbols->count; i++) {
        const struct symbol *symbol = &symbols->items[i];
        buf_printf(&out, "%c%s%s %s|%s|%s|%u-%u|%.*s", "fcmv"[symbol->kind], symbol -> further ? "+" : "",
                   symbol->placeholder ? "-" : "", symbol->name, symbol->signature,
                   symbol->documentation ? symbol->documentation : "", symbol->first_line, symbol->last_line,
                   (int)(symbol->end - symbol->start), text + symbol->start);
    }
    return buf_steal(&out, NULL);
}

static const struct {
    const char *what, *text, *symbols;
} definitions[] = {
    {"a function", "def f(a, b=1):\n    return a\n", "f f|def f(a, b=1):||1-2|def f(a, b=1):\n    return a\n"},
    {"a function without a last line end", "def f(): return 1", "f f|def f():||1-1|def f(): return 1"},
    {"carriage returns", "def f():\r\n    return 1\r\n\r\nx = 1\r\n",
     "f f|def f():||1-2|def f():\r\n    return 1\r\nv x|x = 1||4-4|x = 1\r\n"},
    {"tabs", "class A:\n\tdef f(self):\n\t\treturn 1\n",
     "c A|class A:||1-3|class A:\n\tdef f(self):\n\t\treturn 1\nm A.f|def f(self):||2-3|\tdef f(self):\n\t\treturn "
     "1\n"},
    {"async, types and a signature over several lines",
     "async def f(\n    a: int,  # first\n    *b: str,\n    c: dict = {'a  b': 1},\n) -> None:\n    \"\"\"Doc.\"\"\"\n "
     "   await a\n",
     "f f|async def f(a: int, *b: str, c: dict = {'a  b': 1},) -> None:|Doc.|1-7|async def f(\n    a: int,  # first\n"
     "    *b: str,\n    c: dict = {'a  b': 1},\n) -> None:\n    \"\"\"Doc.\"\"\"\n    await a\n"},
    {"decorators and the comments that touch", "x = 1\n# far\n\n# near\n# nearer\n@a\n@b(1)\ndef f():\n    return 1\n",
     "v x|x = 1||1-1|x = 1\nf f|def f():||4-9|# near\n# nearer\n@a\n@b(1)\ndef f():\n    return 1\n"},
    {"a comment after code is not above", "x = 1  # of x\ndef f():\n    return 1  # of f\n",
     "v x|x = 1||1-1|x = 1  # of x\nf f|def f():||2-3|def f():\n    return 1  # of f\n"},
    {"what belongs to the file stays with it",
     "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n# of f\ndef f():\n    return 1\n",
     "f f|def f():||3-5|# of f\ndef f():\n    return 1\n"},
    {"nested definitions are not listed, members are",
     "def f():\n    def g():\n        pass\n    class H:\n        pass\n    return g\nclass A:\n    class B:\n        "
     "def c(self): ...\n",
     "f f|def f():||1-6|def f():\n    def g():\n        pass\n    class H:\n        pass\n    return g\n"
     "c A|class A:||7-9|class A:\n    class B:\n        def c(self): ...\n"
     "c A.B|class B:||8-9|    class B:\n        def c(self): ...\nm- A.B.c|def c(self):||9-9|        def c(self): "
     "...\n"},
    {"definitions under a condition are not top-level", "if x:\n    def f():\n        return 1\n", ""},
    {"overloads and accessors are further definitions", "@overload\ndef f(a: int): ...\ndef f(a): return a\n",
     "f+- f|def f(a: int):||1-2|@overload\ndef f(a: int): ...\nf f|def f(a):||3-3|def f(a): return a\n"},
    {"values with and without types", "a = 1\nb: int = 2\nc: str\nd = e = 3\nf, g = 1, 2\nh += 1\ntype T = int\n",
     "v a|a = 1||1-1|a = 1\nv b|b: int = 2||2-2|b: int = 2\nv c|c: str||3-3|c: str\nv d|d = e = 3||4-4|d = e = 3\n"
     "v T|type T = int||7-7|type T = int\n"},
    {"two values on one line", "a = 1; b = 2\n", "v a|a = 1||1-1|a = 1v b|b = 2||1-1|b = 2\n"},
    {"documentation loses its indentation and quotes",
     "def f():\n    r'''One.\n\n      Two\n    three \\n\n    '''\nclass A:\n    # note\n    \"Doc of A\"\n",
     "f- f|def f():|One.\n\n  Two\nthree \\n|1-6|def f():\n    r'''One.\n\n      Two\n    three \\n\n    '''\n"
     "c- A|class A:|Doc of A|7-9|class A:\n    # note\n    \"Doc of A\"\n"},
    {"unicode and a byte order mark",
     "\xef\xbb\xbf"
     "def größe(ä='ü'):\n    return 'ß'\n",
     "f größe|def größe(ä='ü'):||1-2|def größe(ä='ü'):\n    return 'ß'\n"},
    {"a comment inside the body belongs to it, one below does not",
     "def f():\n    # first\n    return 1\n    # last\n# below\n\nx = 1\n",
     "f f|def f():||1-4|def f():\n    # first\n    return 1\n    # last\nv x|x = 1||7-7|x = 1\n"},
    {"a text in a string is no comment", "x = '''\n# not a comment'''\ndef f():\n    return x\n",
     "v x|x = '''\n# not a comment'''||1-2|x = '''\n# not a comment'''\nf f|def f():||3-4|def f():\n    return x\n"},
    {"nothing", "", ""},
};

static void test_definitions_are_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
        struct symbols symbols = parse(definitions[i].text);
        AUTO_FREE char *described = describe(definitions[i].text, &symbols);
        if (strcmp(described, definitions[i].symbols) != 0)
            fail_msg("%s: got\n%s", definitions[i].what, described);
        if (symbols.error_line)
            fail_msg("%s: error in line %u", definitions[i].what, symbols.error_line);
        symbols_release(&symbols);
    }
}

static void test_find_gives_the_definition_that_counts(void **state)
{
    (void)state;
    struct symbols symbols =
        parse("def f(): return 1\ndef f(): return 2\nclass A:\n    @property\n    def x(self): return 1\n"
              "    @x.setter\n    def x(self, v): return 2\n");
    assert_int_equal(symbols_find(&symbols, "f")->first_line, 2);
    assert_int_equal(symbols_find(&symbols, "A.x")->first_line, 4);
    assert_null(symbols_find(&symbols, "x"));
    assert_null(symbols_find(&symbols, "A.y"));
    symbols_release(&symbols);
}

static void test_bodies_begin_after_the_header(void **state)
{
    (void)state;
    static const struct {
        const char *text, *body;
    } cases[] = {
        {"def f():\n    return 1\n", "    return 1\n"},
        {"def f():  # why\n    # first\n\n    return 1\n", "    # first\n\n    return 1\n"},
        {"def f(): return 1\n", "return 1\n"},
        {"class A:\n    x = 1\n", "    x = 1\n"},
        {"x = 1\n", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct symbols symbols = parse(cases[i].text);
        AUTO_FREE char *body = strndup(cases[i].text + symbols.items[0].body_start,
                                       symbols.items[0].body_end - symbols.items[0].body_start);
        assert_string_equal(body, cases[i].body);
        symbols_release(&symbols);
    }
}

/* ---- imports ---- */

static char *describe_imports(const struct symbols *symbols)
{
    AUTO_BUF struct buf out = BUF_INIT(KiB(16));
    for (size_t i = 0; i < symbols->import_count; i++) {
        const struct source_import *import = &symbols->imports[i];
        buf_printf(&out, "%s%u %d:%s%s%s%s", i ? "; " : "", import->line, import->level, import->module,
                   import->alias ? " as " : "", import->alias ? import->alias : "", import->name_count ? " (" : "");
        for (size_t j = 0; j < import->name_count; j++)
            buf_printf(&out, "%s%s%s%s", j ? "," : "", import->names[j], import->aliases[j] ? " as " : "",
                       import->aliases[j] ? import->aliases[j] : "");
        buf_printf(&out, "%s%s%s", import->name_count ? ")" : "", import->top_level ? " top" : "",
                   import->guarded ? " guarded" : "");
    }
    return buf_steal(&out, NULL);
}

static void test_imports_are_listed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *imports;
    } cases[] = {
        {"import os, sys as s\n", "1 0:os top; 1 0:sys as s top"},
        {"import os.path\n", "1 0:os.path top"},
        {"from a.b import c as d, e\n", "1 0:a.b (c as d,e) top"},
        {"from a import (\n    b,  # why\n    c,\n)\n", "1 0:a (b,c) top"},
        {"from . import x\nfrom ..a import y\nfrom ... import z\n", "1 1: (x) top; 2 2:a (y) top; 3 3: (z) top"},
        {"from a import *\n", "1 0:a (*) top"},
        {"from __future__ import annotations\n", "1 0:__future__ (annotations) top"},
        {"def f():\n    import a\n", "2 0:a"},
        {"try:\n    import a\nexcept ImportError:\n    a = None\n", "2 0:a guarded"},
        {"try:\n    import a\nexcept (ValueError, ModuleNotFoundError):\n    import b\n",
         "2 0:a guarded; 4 0:b guarded"},
        {"try:\n    import a\nexcept:\n    pass\n", "2 0:a guarded"},
        {"try:\n    import a\nexcept ValueError:\n    pass\n", "2 0:a"},
        {"if TYPE_CHECKING:\n    import a\nelse:\n    import b\nimport c\n", "2 0:a guarded; 4 0:b; 5 0:c top"},
        {"if typing.TYPE_CHECKING:\n    from a import b\n", "2 0:a (b) guarded"},
        {"x = __import__('a.b')\ny = importlib.import_module(\"c\")\nz = import_module('d')\n",
         "1 0:a.b; 2 0:c; 3 0:d"},
        {"x = f('a')\ny = __import__(name)\n", ""},
        {"import a; import b\n", "1 0:a top; 1 0:b top"},
        {"s = 'import a'\n# import b\n", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct symbols symbols = parse(cases[i].text);
        AUTO_FREE char *described = describe_imports(&symbols);
        if (strcmp(described, cases[i].imports) != 0)
            fail_msg("%s: got %s", cases[i].text, described);
        symbols_release(&symbols);
    }
}

static void test_a_new_import_has_its_place(void **state)
{
    (void)state;
    /* "|" marks the place. */
    static const char *const cases[] = {
        "|",
        "|x = 1\n",
        "import a\n|x = 1\n",
        "import a\n\nfrom b import (\n    c,\n)\n|\nx = 1\n",
        "\"\"\"Doc.\"\"\"\n|\nx = 1\n",
        "#!/usr/bin/python\n# coding: utf-8\n|def f():\n    pass\n",
        "# Licence.\n# More.\n|\n# of f\ndef f():\n    pass\n",
        "# only a comment\n|",
        "# Licence.\n\n\"\"\"Doc.\"\"\"\nimport a\n|",
        "import a\nx = 1\nimport b\n|def f():\n    pass\nimport c\n",
        "import a; x = '''\ny'''\n|z = 1\n",
        "\xef\xbb\xbf|x = 1\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *mark = strchr(cases[i], '|');
        AUTO_FREE char *text = text_format("%.*s%s", (int)(mark - cases[i]), cases[i], mark + 1);
        struct symbols symbols = parse(text);
        if (symbols.import_end != (size_t)(mark - cases[i]))
            fail_msg("%s: got %zu", cases[i], symbols.import_end);
        symbols_release(&symbols);
    }
}

static void test_references_are_names_in_use(void **state)
{
    (void)state;
    struct symbols symbols = parse("import gone\ndef f(a):\n    return b.c(a, d=1) + b\nx = y\n");
    static const char *const expected[] = {"a", "b", "c", "d", "y"};
    assert_int_equal(symbols.reference_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(symbols.references[i], expected[i]);
    symbols_release(&symbols);
}

/* ---- errors ---- */

static void test_syntax_errors_have_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
        const char *shown;
    } cases[] = {
        {"x = 1\ndef f(:\n    return 1\n", 2, "def f(:"},
        {"def f():\n    s = 'abc\n    return s\n", 2, "    s = 'abc"},
        {"def f()\n    return 1\n", 1, "def f()"},
        {"def f():\n    if x\n        return 2\n    return 3\n", 2, "    if x"},
        {"def f():\n    return [1, 2\n", 2, "    return [1, 2"},
        {"def f():\n\ndef g():\n    return 1\n", 1, "def f():"},
        {"class A:\n", 1, "class A:"},
        {"def f():\n    x = 1\n     y = 2\n", 3, "     y = 2"},
        {"def f():\n    x = 1\n  return x\n", 3, "  return x"},
        {"  x = 1\n", 1, "  x = 1"},
        {"@a\n    def f(): pass\n", 2, "    def f(): pass"},
        {"def f():\n    return 1\n```\n", 3, "```"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct symbols symbols = parse(cases[i].text);
        if (symbols.error_line != cases[i].line || !symbols.error_text ||
            strcmp(symbols.error_text, cases[i].shown) != 0)
            fail_msg("%s: got line %u: %s", cases[i].text, symbols.error_line,
                     symbols.error_text ? symbols.error_text : "no error");
        symbols_release(&symbols);
    }
}

static void test_a_long_line_with_an_error_is_cut_between_characters(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = BUF_INIT(KiB(4));
    buf_puts(&text, "def (");
    for (int i = 0; i < 200; i++)
        buf_puts(&text, "ä");
    struct symbols symbols = parse(buf_text(&text));
    assert_int_equal(symbols.error_line, 1);
    assert_int_equal(strlen(symbols.error_text), 119);
    symbols_release(&symbols);
}

static void test_symbols_of_a_broken_file_are_still_found(void **state)
{
    (void)state;
    struct symbols symbols = parse("def f():\n    return 1\n\nx = = 1\n\ndef g():\n    return 2\n");
    assert_true(symbols.error_line == 4);
    assert_non_null(symbols_find(&symbols, "f"));
    assert_non_null(symbols_find(&symbols, "g"));
    symbols_release(&symbols);
}

static int parse_repeated(const char *begin, const char *repeat, const char *end, size_t times, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(MiB(8));
    struct symbols symbols = {0};
    buf_puts(&text, begin);
    for (size_t i = 0; i < times; i++)
        buf_puts(&text, repeat);
    buf_puts(&text, end);
    int failed = symbols_parse(python, buf_text(&text), text.len, &symbols, err);
    symbols_release(&symbols);
    return failed;
}

static void test_hostile_texts_are_bounded_in_time_and_memory(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *repeat, *end;
        size_t times;
    } cases[] = {
        {"x = ", "(", "", 60000},      {"x = ", "[", "]", 60000},   {"", "a=1;", "\n", 16000},
        {"", "if x:\n ", "", 10000},   {"x = ", "-", "1", 60000},   {"", "#c\n", "", 12000},
        {"'''", "a\n", "", 16000},     {"", "@a\n", "", 12000},     {"x = f", "(f", "", 30000},
        {"", "import a\n", "", 12000}, {"x = a", ".a", "", 30000},  {"", "class A:", "", 20000},
        {"", "\"", "", 60000},         {"", "f'{", "", 20000},      {"", "lambda:", "", 30000},
        {"", "\xff", "", 4000000},     {"", "x = 1;\t", "", 16000}, {"", "def f():\n ", "", 8000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        int64_t start = clock_monotonic_ms();
        if (parse_repeated(cases[i].begin, cases[i].repeat, cases[i].end, cases[i].times, &err) < 0 &&
            err.code != ERROR_TIMEOUT && err.code != ERROR_LIMIT)
            fail_msg("%s...: %s", cases[i].repeat, err.message);
        if (clock_monotonic_ms() - start > 15000)
            fail_msg("%s...: %lld ms", cases[i].repeat, (long long)(clock_monotonic_ms() - start));
    }
}

/* The first three made tree-sitter free memory that was not its own. */
static void test_texts_that_are_too_large_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *repeat;
        size_t times;
    } cases[] = {{"(", 70000}, {"# c\n", 70000}, {"[ ", 70000}, {"a", (4 << 20) + 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_int_equal(parse_repeated("", cases[i].repeat, "", cases[i].times, &err), -1);
        assert_int_equal(err.code, ERROR_LIMIT);
    }
}

/* ---- expressions ---- */

static const struct expression {
    const char *text;
    bool expression, literal, approximable, simple;
    const char *callee;
} expressions[] = {
    {"f(2)", true, false, false, true, "f"},
    {"f()", true, false, false, true, "f"},
    {"Cart().total(3)", true, false, false, true, "Cart"},
    {"shop.cart.total(3)", true, false, false, true, "shop"},
    {"f(2)[0].x", true, false, false, true, "f"},
    {"f(2) + 1", true, false, false, false, NULL},
    {"a.b", true, false, false, true, NULL},
    {"(f)(2)", true, false, false, true, NULL},
    {"lambda: 3", true, false, false, false, NULL},
    {"a if b else c", true, false, false, false, NULL},
    {"a == b", true, false, false, false, NULL},
    {"[x for x in y]", true, false, false, false, NULL},
    {"f(*a, **b)", true, false, false, true, "f"},
    {"1", true, true, false, true, NULL},
    {"-1.5e3", true, true, true, true, NULL},
    {"(1.0)", true, true, true, true, NULL},
    {"'a' \"b\"", true, true, false, true, NULL},
    {"b'\\x00'", true, true, false, true, NULL},
    {"f'{x}'", true, false, false, true, NULL},
    {"[1, 2.5, None]", true, true, true, true, NULL},
    {"{'a': 0.1}", true, true, true, true, NULL},
    {"{0.1, 0.2}", true, true, false, true, NULL},
    {"[[0.1], 0.2]", true, true, false, true, NULL},
    {"1, 2.0", true, true, true, false, NULL},
    {"(1, [2, {3: (4,)}])", true, true, false, true, NULL},
    {"True", true, true, false, true, NULL},
    {"...", true, false, false, false, NULL},
    {"Decimal('0.1')", true, false, false, true, "Decimal"},
    {"  f(2)  \n", true, false, false, true, "f"},
    {"f(\n  2)", true, false, false, true, "f"},
    {"", false, false, false, false, NULL},
    {" ", false, false, false, false, NULL},
    {"x = 1", false, false, false, false, NULL},
    {"x := 1", false, false, false, false, NULL},
    {"f(x := 1)", false, false, false, false, NULL},
    {"f(2); g(3)", false, false, false, false, NULL},
    {"f(2);", false, false, false, false, NULL},
    {"f(2)\ng(3)", false, false, false, false, NULL},
    {"\nf(2)", false, false, false, false, NULL},
    {"f(2)  # two", false, false, false, false, NULL},
    {"f(2", false, false, false, false, NULL},
    {"f(2))", false, false, false, false, NULL},
    {"1) + (2", false, false, false, false, NULL},
    {"1 2", false, false, false, false, NULL},
    {"*a", false, false, false, false, NULL},
    {"await f()", false, false, false, false, NULL},
    {"(yield 1)", false, false, false, false, NULL},
    {"print 1", false, false, false, false, NULL},
    {"return 1", false, false, false, false, NULL},
    {"import os", false, false, false, false, NULL},
    {"def f(): pass", false, false, false, false, NULL},
    {"f(2) -> 4", false, false, false, false, NULL},
};

static void test_expressions_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        const struct expression *expected = &expressions[i];
        AUTO_FREE char *callee = symbols_callee(python, expected->text);
        if (symbols_is_expression(python, expected->text) != expected->expression ||
            symbols_is_literal(python, expected->text) != expected->literal ||
            symbols_is_approximable(python, expected->text) != expected->approximable ||
            symbols_is_simple(python, expected->text) != expected->simple ||
            (callee ? !expected->callee || strcmp(callee, expected->callee) != 0 : expected->callee != NULL))
            fail_msg("\"%s\" is taken wrongly: expression %d, literal %d, approximable %d, simple %d, callee %s",
                     expected->text, symbols_is_expression(python, expected->text),
                     symbols_is_literal(python, expected->text), symbols_is_approximable(python, expected->text),
                     symbols_is_simple(python, expected->text), callee ? callee : "none");
    }
    assert_true(symbols_has_float(python, "f(1.5)"));
    assert_false(symbols_has_float(python, "f(15)"));
}

/* ---- against Python itself ---- */

static const char helper[] = "import ast, glob, os\n"
                             "for path in sorted(glob.glob('/usr/lib/python3.11/*.py')):\n"
                             "    if os.path.islink(path):\n"
                             "        continue\n"
                             "    print('FILE', path)\n"
                             "    for node in ast.parse(open(path, 'rb').read()).body:\n"
                             "        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):\n"
                             "            print(node.name, node.lineno)\n"
                             "        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):\n"
                             "            print(node.targets[0].id, node.lineno)\n"
                             "        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):\n"
                             "            print(node.target.id, node.lineno)\n";

/* The same list, made by us. */
static int list_file(void *context, const char *path)
{
    struct buf *out = context;
    size_t len = strlen(path);
    AUTO_BUF struct buf text = BUF_INIT(MiB(2));
    struct symbols symbols = {0};
    if (strchr(path, '/') || len < 3 || strcmp(path + len - 3, ".py") != 0 ||
        fs_read_beneath("/usr/lib/python3.11", path, &text, NULL) < 0)
        return 0;
    buf_printf(out, "FILE /usr/lib/python3.11/%s\n", path);
    assert_int_equal(symbols_parse(python, buf_text(&text), text.len, &symbols, NULL), 0);
    if (symbols.error_line)
        fail_msg("%s: line %u: %s", path, symbols.error_line, symbols.error_text);
    for (size_t i = 0; i < symbols.count; i++) {
        unsigned line = 1;
        for (size_t at = 0; at < symbols.items[i].head_start; at++)
            line += buf_text(&text)[at] == '\n';
        if (!strchr(symbols.items[i].name, '.'))
            buf_printf(out, "%s %u\n", symbols.items[i].name, line);
    }
    symbols_release(&symbols);
    return 0;
}

static void test_the_standard_library_reads_as_python_reads_it(void **state)
{
    (void)state;
    const char *const argv[] = {"/usr/bin/python3", "-I", "-c", helper, NULL};
    struct proc_request request = {.argv = argv, .timeout_ms = 120000};
    struct proc_result result = {.out = BUF_INIT(MiB(4)), .err = BUF_INIT(MiB(1))};
    AUTO_BUF struct buf ours = BUF_INIT(MiB(4));
    struct error err = {0};
    if (!fs_exists("/usr/bin/python3") || !fs_exists("/usr/lib/python3.11/ast.py")) {
        print_message("skipped: there is no /usr/bin/python3 with its library\n");
        skip();
    }
    if (proc_run(&request, &result, &err) < 0 || result.exit_status != 0)
        fail_msg("%s %s", err.message, buf_text(&result.err));
    if (fs_walk("/usr/lib/python3.11", 100000, list_file, &ours, &err) != 0)
        fail_msg("%s", err.message);
    assert_true(ours.len > 10000);
    for (const char *a = buf_text(&ours), *b = buf_text(&result.out); *a || *b;) {
        size_t a_len = strcspn(a, "\n"), b_len = strcspn(b, "\n");
        if (a_len != b_len || memcmp(a, b, a_len) != 0)
            fail_msg("we read \"%.*s\", Python reads \"%.*s\"", (int)a_len, a, (int)b_len, b);
        a += a_len + (a[a_len] == '\n');
        b += b_len + (b[b_len] == '\n');
    }
    proc_result_release(&result);
}

static void a_definition_without_a_body_is_there_to_be_written(void **state)
{
    static const struct {
        const char *text;
        bool unwritten;
    } cases[] = {
        {"def f(x):\n    pass\n", true},
        {"def f(x): ...\n", true},
        {"def f(x):\n    \"\"\"Adds one.\"\"\"\n", true},
        {"def f(x):\n    raise NotImplementedError\n", true},
        {"def f(x):\n    \"\"\"Adds one.\"\"\"\n    raise NotImplementedError(\"soon\")\n\n\ny = 1\n", true},
        {"def f(x):\n    \"\"\"Adds one.\"\"\"\n    return x + 1\n", false},
        {"def f(x):\n    raise NotImplementedError\n    return x\n", false},
        {"def f(x):\n    if x: raise NotImplementedError\n", false},
        {"f = 1\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct symbols symbols = parse(cases[i].text);
        if (symbols_is_unwritten(python, cases[i].text, symbols_find(&symbols, "f")) != cases[i].unwritten)
            fail_msg("%s", cases[i].text);
        symbols_release(&symbols);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions_are_listed),
        cmocka_unit_test(test_find_gives_the_definition_that_counts),
        cmocka_unit_test(test_bodies_begin_after_the_header),
        cmocka_unit_test(test_imports_are_listed),
        cmocka_unit_test(test_a_new_import_has_its_place),
        cmocka_unit_test(test_references_are_names_in_use),
        cmocka_unit_test(test_syntax_errors_have_a_line),
        cmocka_unit_test(test_a_long_line_with_an_error_is_cut_between_characters),
        cmocka_unit_test(test_symbols_of_a_broken_file_are_still_found),
        cmocka_unit_test(test_hostile_texts_are_bounded_in_time_and_memory),
        cmocka_unit_test(test_texts_that_are_too_large_are_refused),
        cmocka_unit_test(test_expressions_are_told_apart),
        cmocka_unit_test(test_the_standard_library_reads_as_python_reads_it),
        cmocka_unit_test(a_definition_without_a_body_is_there_to_be_written),
    };
    return cmocka_run_group_tests(tests, python_load, python_unload);
}
