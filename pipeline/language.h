/* Languages: one file each, templates/languages/<name>.yml, and a grammar.
 *
 * The table says how to recognise the language, where tests live, which commands run, which reports they write,
 * which manifests declare imports, and what errors mean. C code holds no language's name. Commands are lists of
 * arguments; each is a Mustache template; an argument that is exactly "{{files}}" becomes one argument for each file.
 */
#ifndef PIPELINE_LANGUAGE_H
#define PIPELINE_LANGUAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"
#include "app/base/yaml.h"

struct language_command {
    struct yaml_texts argv;        /* empty: the language has no such tool */
    struct yaml_texts environment; /* "NAME=value" */
    char *report; /* path of the report file it writes, relative to the workspace; "" when it prints it */
    char *format; /* how to read it: junit, ruff-json, mypy, … (see findings.h and report.h) */
};

struct language {
    char *name;                   /* "python" */
    struct yaml_texts aliases;    /* fence names and spec values: python3, py */
    struct yaml_texts extensions; /* ".py" */
    struct yaml_texts markers;    /* files that show the language is in use: pyproject.toml, setup.py */
    char *grammar;                /* tree-sitter grammar's name */
    char *comment;                /* line comment prefix: "#" */
    struct {
        struct yaml_texts kinds; /* node types that are functions */
        struct yaml_texts classes;
        struct yaml_texts imports;
        struct yaml_texts wrappers; /* nodes that belong to the definition inside them: decorated_definition */
        struct yaml_texts hoist;    /* definitions nested in these bodies are not top-level (block) */
    } nodes;
    struct yaml_texts source_roots; /* "src", "lib", ".": folders that do not appear in module names */
    char *module_separator;         /* "." */
    struct {
        struct yaml_texts folders;  /* where tests live, best first: tests, test */
        char *file;                 /* "test_{{name}}.py" */
        struct yaml_texts patterns; /* globs that say a file is a test: test_*.py, *_test.py, conftest.py */
        char *function_prefix;      /* "test_" */
        char *header;               /* text at the top of a generated test file; view: module, symbols[] {name} */
        char *example_equal;        /* view: name, call, expected, docs; one test function each */
        char *example_approx;       /* the same where the expected value is a float */
        char *example_raises;       /* view: name, call, exception */
        char *example_output;       /* view: name, call, expected (text printed) */
        struct yaml_texts prelude_imports; /* import lines that generated tests may use without asking: import pytest */
    } tests;
    struct yaml_texts definitions; /* how people write a signature, made a definition; view: text; tried in order:
                                      "{{text}}", "def {{text}}:" */
    char *stub;                    /* a body that fails when called; view: signature. NULL: none */
    struct {
        struct language_command test;    /* view: files[], report, tools */
        struct language_command collect; /* lists test ids without running */
        struct language_command lint;
        struct language_command fix;    /* safe automatic fixes in place; read back */
        struct language_command format; /* formats in place; read back */
        struct language_command types;
    } commands;
    struct {
        struct yaml_texts files; /* manifests: pyproject.toml, requirements*.txt, setup.cfg, setup.py */
        char *probe; /* a script, run in the sandbox by `probe_argv`, that prints {"stdlib":[…],"declared":[…],
                        "provides":{"module":["distribution",…]}} for the tree it stands in */
        struct yaml_texts probe_argv;
        struct yaml_map
            import_names; /* module → distributions that provide it, for what is not installed here: yaml: [PyYAML] */
    } manifests;
    struct {
        struct yaml_texts missing; /* regular expressions (POSIX extended, Mustache view: module, symbol) of messages
                                      that mean "the behaviour is not there yet": right reasons to be red */
        struct yaml_texts broken;  /* … that mean the test itself is broken: SyntaxError, fixture not found */
    } errors;
    char *prompt_notes; /* a few lines for the prompts: idioms, test style */
};

struct languages;

/* Loads every file of templates/languages/. */
struct languages *languages_load(struct error *err);
void languages_free(struct languages *languages);

/* By name or alias (any case), by a path's extension; NULL when unknown. Borrowed. */
const struct language *languages_by_name(const struct languages *languages, const char *name);
const struct language *languages_by_path(const struct languages *languages, const char *path);
/* The language most of the tree is written in, markers first; NULL when none is known. */
const struct language *languages_of_tree(const struct languages *languages, const char *tree);

/* True when the path is a test by the language's folders and patterns. */
bool language_is_test(const struct language *language, const char *path);

/* "src/shop/cart.py" → "shop.cart"; "pkg/__init__.py" → "pkg". Heap. */
char *language_module_of(const struct language *language, const char *tree, const char *path);

/* Expands a command's arguments; heap array of heap texts ending in NULL. `view` holds report, tools, …; files is an
 * array of texts in it. */
char **language_argv(const struct yaml_texts *argv, const json_t *view, struct error *err);
void argv_free(char **argv);

#endif
