/* The keys of a language table (templates/languages/<name>.yml), in the order in which they stand there. */
#include "pipeline/language.h"

#define TEXT(member, key_, help_)                                                                                      \
    {                                                                                                                  \
        .key = (key_), .type = YAML_TEXT, .offset = offsetof(struct language, member), .help = (help_)                 \
    }
#define NEEDED(member, key_, help_)                                                                                    \
    {                                                                                                                  \
        .key = (key_), .type = YAML_TEXT, .offset = offsetof(struct language, member), .help = (help_),                \
        .required = true                                                                                               \
    }
#define TEXTS(member, key_, help_)                                                                                     \
    {                                                                                                                  \
        .key = (key_), .type = YAML_TEXTS, .offset = offsetof(struct language, member), .help = (help_)                \
    }
#define BLANKS(member, key_, help_)                                                                                    \
    {                                                                                                                  \
        .key = (key_), .type = YAML_INT, .offset = offsetof(struct language, member), .help = (help_), .min = 0,       \
        .max = 4                                                                                                       \
    }
/* The members of an inner struct are described by their offsets in struct language. */
#define SECTION(key_, fields_, help_)                                                                                  \
    {                                                                                                                  \
        .key = (key_), .type = YAML_OBJECT, .offset = 0, .help = (help_), .fields = (fields_)                          \
    }
#define COMMAND(member, key_, help_)                                                                                   \
    {                                                                                                                  \
        .key = (key_), .type = YAML_OBJECT, .offset = offsetof(struct language, member), .help = (help_),              \
        .fields = command_fields                                                                                       \
    }

static const struct yaml_field node_fields[] = {
    TEXTS(nodes.kinds, "kinds", "node types that are functions"),
    TEXTS(nodes.classes, "classes", "node types that are classes"),
    TEXTS(nodes.imports, "imports", "node types that are import statements"),
    TEXTS(nodes.first_imports, "first_imports", "imports that stand before all others"),
    TEXTS(nodes.wrappers, "wrappers", "nodes that belong to the definition inside them"),
    TEXTS(nodes.hoist, "hoist", "bodies whose definitions are not top-level"),
    TEXTS(nodes.names, "names", "identifiers"),
    TEXTS(nodes.comments, "comments", "comments"),
    TEXTS(nodes.strings, "strings", "strings that may span lines"),
    TEXTS(nodes.statements, "statements", "statements that are one expression"),
    TEXTS(nodes.calls, "calls", "calls"),
    TEXTS(nodes.chains, "chains", "member access and subscripts"),
    TEXTS(nodes.literals, "literals", "what constants are built of"),
    TEXTS(nodes.floats, "floats", "floating-point literals"),
    TEXTS(nodes.sequences, "sequences", "literals whose elements are compared with a tolerance"),
    TEXTS(nodes.refused, "refused", "what an example may not hold"),
    TEXTS(nodes.only_inside, "only_inside", "expressions only as a part of others"),
    TEXTS(nodes.placeholders, "placeholders", "statements that stand for a body"),
    TEXTS(nodes.checks, "checks", "statements that are a test by themselves"),
    {0},
};

static const struct yaml_field query_fields[] = {
    TEXT(queries.definitions, "definitions", "definitions that the grammar's tags.scm lacks"),
    TEXT(queries.imports, "imports", "what is imported"),
    TEXT(queries.guards, "guards", "where an import may fail"),
    TEXT(queries.documentation, "documentation", "docstrings"),
    TEXT(queries.mutants, "mutants", "what mutants replace"),
    {0},
};

static const struct yaml_field layout_fields[] = {
    BLANKS(layout.blank_lines, "blank_lines", "blank lines around a top-level definition"),
    BLANKS(layout.member_blanks, "member_blanks", "blank lines around a member"),
    {.key = "aligned", .type = YAML_BOOL, .offset = offsetof(struct language, layout.aligned), .help = "true or false"},
    NEEDED(layout.indent, "indent", "one step of indentation"),
    TEXT(layout.placeholder, "placeholder", "what an empty body holds"),
    TEXT(layout.omitted_body, "omitted_body", "what stands for a body that is not shown"),
    TEXT(layout.import_module, "import_module", "an import statement; view: module, alias"),
    TEXT(layout.lazy_annotations, "lazy_annotations", "an import that keeps annotations from being evaluated"),
    TEXT(layout.import_names, "import_names", "an import statement; view: module, names"),
    TEXTS(layout.receivers, "receivers", "first parameters of methods"),
    TEXT(layout.file_comment, "file_comment", "first lines that belong to the file"),
    TEXT(layout.further, "further", "decorators of overloads and accessors"),
    TEXT(layout.elision, "elision", "comments that stand for code left out"),
    {0},
};

#define MAP(member, key_, help_)                                                                                       \
    {                                                                                                                  \
        .key = (key_), .type = YAML_MAP, .offset = offsetof(struct language, member), .help = (help_)                  \
    }

static const struct yaml_field mutant_fields[] = {
    MAP(mutants.tokens, "tokens", "what takes the place of an operator or a word"),
    MAP(mutants.forms, "forms", "what takes the place of all else, by the capture's name"),
    TEXTS(mutants.outside, "outside", "node types without mutants inside"),
    {0},
};

static const struct yaml_field test_fields[] = {
    TEXTS(tests.folders, "folders", "where tests live, best first"),
    NEEDED(tests.file, "file", "a test file's name; view: name"),
    TEXTS(tests.patterns, "patterns", "globs of test files"),
    TEXT(tests.function_prefix, "function_prefix", "how test functions begin"),
    TEXT(tests.error_expectation, "error_expectation", "regular expression of a test that expects an error"),
    TEXT(tests.header, "header", "the top of a test file; view: module, symbols"),
    TEXT(tests.property_header, "property_header", "imports that properties need"),
    TEXT(tests.property_notes, "property_notes", "what properties are made of"),
    TEXT(tests.property_example, "property_example", "properties as a model is asked to write them"),
    TEXT(tests.worked_symbol, "worked_symbol", "a made-up function, to show how a model is asked for tests"),
    TEXT(tests.worked_definition, "worked_definition", "its definition with its documentation"),
    TEXT(tests.worked_answer, "worked_answer", "the tests that a model would write of it; view: errors"),
    TEXT(tests.check, "check", "one check as a test; view: name, documentation, lines"),
    TEXT(tests.example_equal, "example_equal", "an example as a test"),
    TEXT(tests.example_approx, "example_approx", "the same with a tolerance"),
    TEXT(tests.example_raises, "example_raises", "an example that raises"),
    TEXT(tests.example_output, "example_output", "an example that prints"),
    TEXTS(tests.prelude_imports, "prelude_imports", "imports that tests may use without asking"),
    {0},
};

static const struct yaml_field command_fields[] = {
    {.key = "argv",
     .type = YAML_TEXTS,
     .offset = offsetof(struct language_command, argv),
     .help = "program and arguments",
     .required = true},
    {.key = "environment",
     .type = YAML_TEXTS,
     .offset = offsetof(struct language_command, environment),
     .help = "NAME=value"},
    {.key = "report",
     .type = YAML_TEXT,
     .offset = offsetof(struct language_command, report),
     .help = "the file it writes; \"\" when it prints"},
    {.key = "format",
     .type = YAML_TEXT,
     .offset = offsetof(struct language_command, format),
     .help = "how its output is read"},
    {0},
};

static const struct yaml_field commands_fields[] = {
    COMMAND(commands.test, "test", "runs tests"),
    COMMAND(commands.cover, "cover", "runs tests and notes which lines each of them ran"),
    COMMAND(commands.coverage, "coverage", "runs tests and notes which lines and branches of a change they ran"),
    COMMAND(commands.mutate, "mutate", "runs tests on mutants"),
    COMMAND(commands.property, "property", "runs properties on random inputs"),
    COMMAND(commands.collect, "collect", "lists tests"),
    COMMAND(commands.lint, "lint", "finds faults"),
    COMMAND(commands.observe, "observe", "shows what a function does on inputs like those of its tests"),
    COMMAND(commands.expand, "expand", "names what wildcard imports take"),
    COMMAND(commands.fix, "fix", "fixes what is safe to fix"),
    COMMAND(commands.format, "format", "formats in place"),
    COMMAND(commands.types, "types", "checks types"),
    COMMAND(commands.hidden, "hidden", "runs the hidden test of an evaluation's task"),
    {0},
};

static const struct yaml_field manifest_fields[] = {
    TEXTS(manifests.files, "files", "manifests"),
    TEXT(manifests.probe, "probe", "prints what may be imported"),
    TEXTS(manifests.probe_argv, "probe_argv", "runs the probe; view: tools, probe"),
    {.key = "import_names",
     .type = YAML_MAP,
     .offset = offsetof(struct language, manifests.import_names),
     .help = "module: the distributions that provide it"},
    {0},
};

static const struct yaml_field error_fields[] = {
    TEXTS(errors.missing, "missing", "failures that show missing behaviour"),
    TEXTS(errors.broken, "broken", "failures that show a broken test"),
    {0},
};

const struct yaml_field language_fields[] = {
    NEEDED(name, "name", "the language's name"),
    TEXTS(aliases, "aliases", "other names"),
    TEXTS(extensions, "extensions", "file name endings"),
    TEXTS(markers, "markers", "files that show the language is in use"),
    NEEDED(grammar, "grammar", "the tree-sitter grammar"),
    NEEDED(comment, "comment", "what begins a line comment"),
    SECTION("nodes", node_fields, "node types of the grammar"),
    SECTION("queries", query_fields, "tree-sitter queries"),
    SECTION("layout", layout_fields, "how edits are laid out"),
    SECTION("mutants", mutant_fields, "small faults, to see whether tests find them"),
    TEXTS(source_roots, "source_roots", "folders that module names leave out"),
    TEXTS(ignored_folders, "ignored_folders", "folders of other people's or generated files"),
    TEXT(package_file, "package_file", "makes a folder a package"),
    NEEDED(module_separator, "module_separator", "between the steps of a module's name"),
    SECTION("tests", test_fields, "test layout"),
    TEXTS(definitions, "definitions", "how people write a signature; view: text"),
    {.key = "literal_words",
     .type = YAML_MAP,
     .offset = offsetof(struct language, literal_words),
     .help = "how people write a literal: how the language does"},
    TEXT(documented, "documented", "a definition with its documentation; view: signature, lines"),
    TEXT(stub, "stub", "a definition that fails when called; view: signature"),
    SECTION("commands", commands_fields, "the language's tools"),
    SECTION("manifests", manifest_fields, "what may be imported"),
    SECTION("errors", error_fields, "what failures mean"),
    TEXT(prompt_notes, "prompt_notes", "lines for prompts that ask for code"),
    TEXT(test_notes, "test_notes", "lines for prompts that ask for tests"),
    {0},
};
