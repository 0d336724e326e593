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
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/yaml.h"

struct language_command {
    struct yaml_texts argv;        /* empty: the language has no such tool */
    struct yaml_texts environment; /* "NAME=value" */
    char *report; /* path of the report file it writes, relative to the workspace; "" when it prints it */
    char *format; /* how to read it: junit, ruff-json, mypy, … (see findings.h and report.h) */
};

struct grammar;

struct language {
    char *name;                   /* "python" */
    struct yaml_texts aliases;    /* fence names and spec values: python3, py */
    struct yaml_texts extensions; /* ".py" */
    struct yaml_texts markers;    /* files that show the language is in use: pyproject.toml, setup.py */
    char *grammar;                /* tree-sitter grammar's name */
    char *comment;                /* line comment prefix: "#" */
    struct {                      /* node types of the grammar */
        struct yaml_texts kinds;  /* … that are functions */
        struct yaml_texts classes;
        struct yaml_texts imports;
        struct yaml_texts first_imports; /* imports that must stand before all others */
        struct yaml_texts wrappers;      /* belong to the definition inside them: decorated_definition */
        struct yaml_texts hoist;         /* definitions nested in these bodies are not top-level (block) */
        struct yaml_texts names;         /* identifiers: what counts as a reference */
        struct yaml_texts comments;
        struct yaml_texts strings;      /* may span lines whose indentation is data */
        struct yaml_texts statements;   /* a statement that is one expression */
        struct yaml_texts calls;        /* f(x): the function is the first child */
        struct yaml_texts chains;       /* a.b, a[0]: what it is taken from is the first child */
        struct yaml_texts literals;     /* all that a constant may be built of */
        struct yaml_texts floats;       /* literals that are compared with a tolerance */
        struct yaml_texts sequences;    /* literals whose elements can be compared with a tolerance */
        struct yaml_texts refused;      /* may not stand in an example's call or value: await, yield, := */
        struct yaml_texts only_inside;  /* expressions only as a part of others: *a */
        struct yaml_texts placeholders; /* statements that stand for a body: pass, ... */
        struct yaml_texts checks;       /* statements that are a test by themselves: assert */
    } nodes;
    struct {                 /* tree-sitter queries beside the grammar's own tags.scm */
        char *definitions;   /* more @definition.* with @name */
        char *imports;       /* @import with @module, @level, @submodule, @name or @alias */
        char *guards;        /* @guarded: an import inside may fail */
        char *documentation; /* @definition with @documentation */
        char *mutants;       /* what a mutant replaces, captured by its kind, with @inner for a part of it */
    } queries;
    struct {                         /* how edits are laid out */
        int64_t blank_lines;         /* around a top-level definition */
        int64_t member_blanks;       /* around a member of a class */
        bool aligned;                /* statements of one body must begin in one column */
        char *indent;                /* one step of it, where a file shows none */
        char *placeholder;           /* what an empty body holds: pass */
        char *omitted_body;          /* what stands for a body that a prompt does not show: ... */
        char *import_module;         /* a statement that takes a whole module: view: module, alias */
        char *import_names;          /* a statement that takes names: view: module, names */
        char *lazy_annotations;      /* an import that keeps a file's annotations from being evaluated. NULL: none */
        struct yaml_texts receivers; /* first parameters that show a method: self, cls */
        char *file_comment;          /* regular expressions (POSIX extended): first lines that belong to the file */
        char *further;               /* … on decorators: one more definition of the same name, as an overload */
        char *elision;               /* … on comments: "the rest stays as it is" */
    } layout;
    struct {                       /* small faults (mutants.h) */
        struct yaml_map tokens;    /* what stands there → what takes its place: "<" → "<=" */
        struct yaml_map forms;     /* for all else, by kind; view: text, inner */
        struct yaml_texts outside; /* node types without mutants inside: types, imports */
    } mutants;
    struct yaml_texts source_roots;    /* "src", "lib", ".": folders that do not appear in module names */
    struct yaml_texts ignored_folders; /* hold other people's or generated files: venv, build */
    char *package_file;                /* "__init__.py": its folder is a package and the module's name ends there */
    char *module_separator;            /* "." */
    struct {
        struct yaml_texts folders;  /* where tests live, best first: tests, test */
        char *file;                 /* "test_{{name}}.py" */
        struct yaml_texts patterns; /* globs that say a file is a test: test_*.py, *_test.py, conftest.py */
        char *function_prefix;      /* "test_" */
        char *header;               /* text at the top of a generated test file; view: module, symbols[] {name} */
        char *property_header;      /* imports that properties need */
        char *property_notes;       /* what these are made of, as a sentence without its end */
        char *property_example;     /* properties as a model is asked to write them */
        /* A worked example of how a model is asked to write tests: a made-up function, and checks on a line each. */
        char *worked_symbol;
        char *worked_definition; /* with its documentation */
        char *worked_answer;     /* view: errors */
        char *check;             /* one check as a test function; view: name, documentation, lines[] */
        /* One test function each; view as example_render() makes it (example.h): name, setup[] and docs[] (lines),
         * call, expected, expected_text (a quoted literal), exception. */
        char *example_equal;
        char *example_approx; /* where the expected value is a float or a flat sequence with one */
        char *example_raises;
        char *example_output;    /* printed text, or a value known by its printed form only */
        char *error_expectation; /* regular expression (POSIX extended) of a test that expects an error; group 1 is its
                                    name */
        struct yaml_texts prelude_imports; /* import lines that generated tests may use without asking: import pytest */
    } tests;
    struct yaml_texts definitions; /* how people write a signature, made a definition; view: text; tried in order:
                                      "{{text}}", "def {{text}}:" */
    struct yaml_map literal_words; /* how people write literals in prose → the language's: true → True */
    char *documented;              /* a definition with its documentation; view: signature, lines[]. NULL: none */
    char *stub;                    /* a body that fails when called; view: signature. NULL: none */
    struct {
        struct language_command test;     /* view: files[], report, tools, source_root, seconds (for one test) */
        struct language_command cover;    /* runs tests; its report says which lines each ran: {"tests": [[id, passed]],
                                             "lines": {path: [[first, last, [index of a test]]]}} */
        struct language_command coverage; /* runs tests; its report says which lines and branches of the changed files
                                             they ran (coverage.h); more view: changed (array of paths) */
        struct language_command
            mutate; /* runs tests on each mutant of a plan; view: files, plan, report (mutation.h) */
        struct language_command property; /* runs properties; more view: files (one), seed, examples; writes [{name,
                                             status: passed, failed, broken or "no property", message, and for one that
                                             failed: example, test (a plain test of it) and test_name}] */
        struct language_command collect;  /* lists test ids without running */
        struct language_command lint;
        struct language_command observe; /* what a function does on inputs like its tests'; view: files, module, symbol,
                                            report, source_root; writes an array of texts */
        struct language_command expand;  /* imports that are forgotten or taken by a wildcard, in place; read back */
        struct language_command fix;     /* safe automatic fixes in place; read back */
        struct language_command format;  /* formats in place; read back */
        struct language_command types;
        struct language_command hidden; /* calls check(candidate) of an evaluation's hidden test (files[0]); more view:
                                           module, symbol, token, which it prints after it */
    } commands;
    struct {
        struct yaml_texts files; /* manifests: pyproject.toml, requirements*.txt, setup.cfg, setup.py */
        char *probe; /* a script, run in the sandbox by `probe_argv`, that prints {"stdlib":[…],"declared":[…],
                        "provides":{"module":["distribution",…]},"errors":[…]} for the tree it stands in */
        struct yaml_texts probe_argv; /* view: tools, probe */
        struct yaml_map
            import_names; /* module → distributions that provide it, for what is not installed here: yaml: [PyYAML] */
    } manifests;
    struct {
        struct yaml_texts missing; /* regular expressions (POSIX extended, by line; Mustache view of
                                      language_error_matches()) of messages that mean "the behaviour is not there yet":
                                      right reasons to be red. Ask these before `broken`. */
        struct yaml_texts broken;  /* … that mean the test itself is broken: SyntaxError, fixture not found */
    } errors;
    char *prompt_notes;     /* a few lines for prompts that ask for code: idioms */
    char *test_notes;       /* … for tests: style */
    struct grammar *parser; /* the grammar with its queries, ready for use (grammar.h); made by languages_load() */
};

/* The table of templates/languages/<name>.yml. */
extern const struct yaml_field language_fields[];

struct languages;

/* Loads every file of templates/languages/. */
struct languages *languages_load(struct error *err);
void languages_free(struct languages *languages);

/* By name or alias (any case), by a path's extension; NULL when unknown. Borrowed. */
const struct language *languages_by_name(const struct languages *languages, const char *name);
const struct language *languages_by_path(const struct languages *languages, const char *path);
/* The language most of the tree is written in, markers first; NULL when none is known. */
const struct language *languages_of_tree(const struct languages *languages, const char *tree);

/* True below one of the folders that hold other people's or generated files. */
bool language_ignores(const struct language *language, const char *path);

/* True when the path is a test by the language's folders and patterns. */
bool language_is_test(const struct language *language, const char *path);

/* The body that the language's stub has, one line without indentation ("raise NotImplementedError"). Heap; NULL: none.
 */
char *language_failing_body(const struct language *language);

/* "src/shop/cart.py" → "shop.cart"; "pkg/__init__.py" → "pkg". Heap. */
char *language_module_of(const struct language *language, const char *tree, const char *path);

/* The folder that module names are counted from: "src" for "src/shop/cart.py", "." for the tree's top. Heap. */
char *language_source_root(const struct language *language, const char *tree, const char *path);

/* Does one of the patterns (errors.missing or errors.broken) occur in a failure's text? View of the patterns, all safe
 * inside a regular expression: module, packages ("shop\.cart|shop"), symbol, owner ("Cart" of Cart.total), member
 * ("total"). module and symbol may be NULL. */
bool language_error_matches(const struct yaml_texts *patterns, const char *module, const char *symbol,
                            const char *text);

/* Expands a command's arguments (or its environment); heap array of heap texts ending in NULL. `view` holds report,
 * tools, …; files is an array of texts in it. */
char **language_argv(const struct yaml_texts *argv, const json_t *view, struct error *err);
void argv_free(char **argv);

#endif
