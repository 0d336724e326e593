#include "pipeline/grammar.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/clock.h"
#include "app/base/template.h"

/* Every grammar that is compiled in (grammars/grammars.mk), by the name that language tables use. */
const TSLanguage *tree_sitter_python(void);

static const struct {
    const char *name;
    const TSLanguage *(*language)(void);
} grammars[] = {
    {"python", tree_sitter_python},
};

/* The grammars' own queries, made by grammars.mk: "python/tags.scm". */
extern const struct template_file grammar_query_table[];
extern const size_t grammar_query_table_count;

enum { MAX_CAPTURES = 32, MAX_SEARCHED = 4096 };

struct query {
    TSQuery *query;   /* NULL: the language has none */
    regex_t *regexes; /* by string id; compiled where `used` says so */
    bool *used;
    uint32_t string_count;
};

struct grammar {
    const TSLanguage *language;
    unsigned *flags; /* by node symbol */
    struct query queries[QUERY_COUNT];
    regex_t patterns[PATTERN_COUNT];
    bool has_pattern[PATTERN_COUNT];
};

/* ---- building ---- */

static const TSLanguage *find_language(const char *name)
{
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++)
        if (strcmp(grammars[i].name, name) == 0)
            return grammars[i].language();
    return NULL;
}

static const char *find_tags(const char *grammar)
{
    AUTO_FREE char *path = text_format("%s/tags.scm", grammar);
    for (size_t i = 0; path && i < grammar_query_table_count; i++)
        if (strcmp(grammar_query_table[i].path, path) == 0)
            return grammar_query_table[i].data;
    return NULL;
}

static bool holds(const struct yaml_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], text) == 0)
            return true;
    return false;
}

static unsigned flags_of(const struct language *language, const char *type)
{
    const struct {
        const struct yaml_texts *types;
        unsigned flag;
    } lists[] = {
        {&language->nodes.kinds, NODE_FUNCTION},
        {&language->nodes.classes, NODE_CLASS},
        {&language->nodes.imports, NODE_IMPORT},
        {&language->nodes.first_imports, NODE_FIRST_IMPORT},
        {&language->nodes.wrappers, NODE_WRAPPER},
        {&language->nodes.hoist, NODE_HOIST},
        {&language->nodes.names, NODE_NAME},
        {&language->nodes.comments, NODE_COMMENT},
        {&language->nodes.strings, NODE_STRING},
        {&language->nodes.statements, NODE_STATEMENT},
        {&language->nodes.calls, NODE_CALL},
        {&language->nodes.chains, NODE_CHAIN},
        {&language->nodes.literals, NODE_LITERAL},
        {&language->nodes.floats, NODE_FLOAT},
        {&language->nodes.sequences, NODE_SEQUENCE},
        {&language->nodes.refused, NODE_REFUSED},
        {&language->nodes.placeholders, NODE_PLACEHOLDER},
        {&language->nodes.only_inside, NODE_ONLY_INSIDE},
        {&language->nodes.checks, NODE_CHECK},
    };
    unsigned flags = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (holds(lists[i].types, type))
            flags |= lists[i].flag;
    return flags;
}

static int fill_flags(struct grammar *grammar, const struct language *language, struct error *err)
{
    uint32_t count = ts_language_symbol_count(grammar->language);
    grammar->flags = calloc(count, sizeof *grammar->flags);
    if (!grammar->flags)
        return error_system(err, ENOMEM, "make grammar %s ready", language->grammar);
    for (uint32_t i = 0; i < count; i++)
        if (ts_language_symbol_type(grammar->language, (TSSymbol)i) == TSSymbolTypeRegular)
            grammar->flags[i] = flags_of(language, ts_language_symbol_name(grammar->language, (TSSymbol)i));
    return 0;
}

static int compile_regex(regex_t *regex, const char *source, const char *where, struct error *err)
{
    int failed = regcomp(regex, source, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
    if (!failed)
        return 0;
    char reason[128];
    regerror(failed, regex, reason, sizeof reason);
    return error_set(err, ERROR_CONFIG, "%s: the regular expression \"%s\" is wrong: %s", where, source, reason);
}

/* Compiles the regular expressions that #match? predicates name. */
static int compile_predicates(struct query *query, const char *where, struct error *err)
{
    query->string_count = ts_query_string_count(query->query);
    query->regexes = calloc(query->string_count + 1, sizeof *query->regexes);
    query->used = calloc(query->string_count + 1, sizeof *query->used);
    if (!query->regexes || !query->used)
        return error_system(err, ENOMEM, "make %s ready", where);
    for (uint32_t i = 0; i < ts_query_pattern_count(query->query); i++) {
        uint32_t count = 0, len = 0;
        const TSQueryPredicateStep *step = ts_query_predicates_for_pattern(query->query, i, &count);
        for (; count >= 4; step++, count--) {
            if (step->type != TSQueryPredicateStepTypeString || step[2].type != TSQueryPredicateStepTypeString ||
                strcmp(ts_query_string_value_for_id(query->query, step->value_id, &len), "match?") != 0)
                continue;
            uint32_t id = step[2].value_id;
            if (!query->used[id] && compile_regex(&query->regexes[id],
                                                  ts_query_string_value_for_id(query->query, id, &len), where, err) < 0)
                return -1;
            query->used[id] = true;
        }
    }
    return 0;
}

static int compile_query(struct grammar *grammar, enum grammar_query which, const char *source, const char *where,
                         struct error *err)
{
    if (!source || !*source)
        return 0;
    uint32_t offset = 0;
    TSQueryError problem = TSQueryErrorNone;
    struct query *query = &grammar->queries[which];
    query->query = ts_query_new(grammar->language, source, (uint32_t)strlen(source), &offset, &problem);
    if (!query->query)
        return error_set(err, ERROR_CONFIG, "%s: the query is wrong at \"%.40s\" (problem %d)", where, source + offset,
                         (int)problem);
    return compile_predicates(query, where, err);
}

static int compile_queries(struct grammar *grammar, const struct language *language, struct error *err)
{
    const char *const sources[QUERY_COUNT] = {
        [QUERY_TAGS] = find_tags(language->grammar),
        [QUERY_DEFINITIONS] = language->queries.definitions,
        [QUERY_IMPORTS] = language->queries.imports,
        [QUERY_GUARDS] = language->queries.guards,
        [QUERY_DOCUMENTATION] = language->queries.documentation,
        [QUERY_MUTANTS] = language->queries.mutants,
    };
    static const char *const names[QUERY_COUNT] = {"tags.scm", "definitions",   "imports",
                                                   "guards",   "documentation", "mutants"};
    for (int i = 0; i < QUERY_COUNT; i++) {
        AUTO_FREE char *where = text_format("languages/%s.yml: queries.%s", language->name, names[i]);
        if (!where)
            return error_system(err, ENOMEM, "make grammar %s ready", language->grammar);
        if (compile_query(grammar, (enum grammar_query)i, sources[i], where, err) < 0)
            return -1;
    }
    return 0;
}

static int compile_patterns(struct grammar *grammar, const struct language *language, struct error *err)
{
    const char *const sources[PATTERN_COUNT] = {
        [PATTERN_FILE_COMMENT] = language->layout.file_comment,
        [PATTERN_FURTHER] = language->layout.further,
        [PATTERN_ELISION] = language->layout.elision,
    };
    for (int i = 0; i < PATTERN_COUNT; i++) {
        if (!sources[i] || !*sources[i])
            continue;
        AUTO_FREE char *where = text_format("languages/%s.yml: layout", language->name);
        if (compile_regex(&grammar->patterns[i], sources[i], where ? where : "layout", err) < 0)
            return -1;
        grammar->has_pattern[i] = true;
    }
    return 0;
}

struct grammar *grammar_new(const struct language *language, struct error *err)
{
    struct grammar *grammar = calloc(1, sizeof *grammar);
    if (!grammar) {
        error_system(err, ENOMEM, "make grammar %s ready", language->grammar);
        return NULL;
    }
    grammar->language = find_language(language->grammar);
    uint32_t version = grammar->language ? ts_language_version(grammar->language) : 0;
    if (!grammar->language)
        error_set(err, ERROR_CONFIG, "languages/%s.yml: grammar \"%s\" is not compiled in: add it to grammars.mk",
                  language->name, language->grammar);
    else if (version > TREE_SITTER_LANGUAGE_VERSION || version < TREE_SITTER_MIN_COMPATIBLE_LANGUAGE_VERSION)
        error_set(err, ERROR_CONFIG, "grammar \"%s\" has version %u, which this tree-sitter cannot read",
                  language->grammar, version);
    else if (fill_flags(grammar, language, err) == 0 && compile_queries(grammar, language, err) == 0 &&
             compile_patterns(grammar, language, err) == 0)
        return grammar;
    grammar_free(grammar);
    return NULL;
}

void grammar_free(struct grammar *grammar)
{
    if (!grammar)
        return;
    for (int i = 0; i < QUERY_COUNT; i++) {
        struct query *query = &grammar->queries[i];
        for (uint32_t j = 0; query->used && j < query->string_count; j++)
            if (query->used[j])
                regfree(&query->regexes[j]);
        free(query->regexes);
        free(query->used);
        if (query->query)
            ts_query_delete(query->query);
    }
    for (int i = 0; i < PATTERN_COUNT; i++)
        if (grammar->has_pattern[i])
            regfree(&grammar->patterns[i]);
    free(grammar->flags);
    free(grammar);
}

/* ---- using ---- */

unsigned grammar_flags(const struct grammar *grammar, TSNode node)
{
    TSSymbol symbol = ts_node_symbol(node);
    return symbol < ts_language_symbol_count(grammar->language) ? grammar->flags[symbol] : 0;
}

/* Of a long text only the start is searched: these expressions look at heads and comments. */
static bool regex_holds(const regex_t *regex, const char *text, size_t len)
{
    AUTO_FREE char *copy = strndup(text, len < MAX_SEARCHED ? len : MAX_SEARCHED);
    return copy && regexec(regex, copy, 0, NULL, 0) == 0;
}

bool grammar_matches(const struct grammar *grammar, enum grammar_pattern which, const char *text, size_t len)
{
    return grammar->has_pattern[which] && regex_holds(&grammar->patterns[which], text, len);
}

/* At least as many as the grammar will see, whatever it makes of the text: each word and each other character is one,
 * a line's end one more, and a line that is indented unlike the one before may begin and end a block. */
static size_t count_tokens(const char *text, size_t len)
{
    size_t count = 0, column = 0, last_column = 0;
    bool in_word = false, in_indent = true;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool word = isalnum(c) || c == '_' || c >= 0x80;
        if (c == '\n') {
            count += !in_indent;
            in_indent = true;
            column = 0;
        } else if (c == ' ' || c == '\t') {
            column += c == ' ' ? 1 : 8;
        } else if (c == '\r' || c == '\f') {
            column = 0;
        } else {
            count += in_indent && column != last_column ? 2 : 0;
            last_column = in_indent ? column : last_column;
            in_indent = false;
            count += !word || !in_word;
        }
        in_word = word;
    }
    return count;
}

/* Searching takes time by the square of an error's length, so a text with a long one is not worth it. */
static bool has_long_error(TSNode root)
{
    bool found = false;
    TSTreeCursor cursor = ts_tree_cursor_new(root);
    for (bool more = ts_node_has_error(root); more && !found;) {
        TSNode node = ts_tree_cursor_current_node(&cursor);
        found = ts_node_symbol(node) == (TSSymbol)-1 && ts_node_child_count(node) > GRAMMAR_MAX_ERROR;
        if (ts_node_has_error(node) && ts_tree_cursor_goto_first_child(&cursor))
            continue;
        while (!(more = ts_tree_cursor_goto_next_sibling(&cursor)) && ts_tree_cursor_goto_parent(&cursor))
            ;
    }
    ts_tree_cursor_delete(&cursor);
    return found;
}

TSTree *grammar_parse(const struct grammar *grammar, const char *text, size_t len, struct error *err)
{
    if (len > GRAMMAR_MAX_BYTES) {
        error_set(err, ERROR_LIMIT, "the source has %zu bytes, more than the %d that are parsed", len,
                  GRAMMAR_MAX_BYTES);
        return NULL;
    }
    if (count_tokens(text, len) > GRAMMAR_MAX_TOKENS) {
        error_set(err, ERROR_LIMIT, "the source has more than the %d words and signs that are parsed",
                  GRAMMAR_MAX_TOKENS);
        return NULL;
    }
    TSParser *parser = ts_parser_new();
    ts_parser_set_timeout_micros(parser, (uint64_t)GRAMMAR_TIMEOUT_MS * 1000);
    TSTree *tree = ts_parser_set_language(parser, grammar->language)
                       ? ts_parser_parse_string(parser, NULL, text, (uint32_t)len)
                       : NULL;
    ts_parser_delete(parser);
    if (!tree) {
        error_set(err, ERROR_TIMEOUT, "the source takes more than %d s to parse", GRAMMAR_TIMEOUT_MS / 1000);
    } else if (has_long_error(ts_tree_root_node(tree))) {
        error_set(err, ERROR_LIMIT, "the source does not parse over more than %d words and signs", GRAMMAR_MAX_ERROR);
        ts_tree_delete(tree);
        return NULL;
    }
    return tree;
}

struct slice {
    const char *data;
    size_t len;
};

/* What a predicate's argument stands for: the captured node's text, or the string itself. */
static struct slice argument(const TSQuery *query, const TSQueryMatch *match, TSQueryPredicateStep step,
                             const char *text)
{
    if (step.type == TSQueryPredicateStepTypeString) {
        uint32_t len = 0;
        const char *data = ts_query_string_value_for_id(query, step.value_id, &len);
        return (struct slice){data, len};
    }
    for (uint16_t i = 0; i < match->capture_count; i++) {
        if (match->captures[i].index != step.value_id)
            continue;
        uint32_t start = ts_node_start_byte(match->captures[i].node);
        return (struct slice){text + start, ts_node_end_byte(match->captures[i].node) - start};
    }
    return (struct slice){NULL, 0};
}

static bool same(struct slice a, struct slice b)
{
    return a.data && b.data && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool predicate_holds(const struct query *query, const TSQueryMatch *match, const TSQueryPredicateStep *steps,
                            uint32_t count, const char *text)
{
    if (count < 3 || steps[0].type != TSQueryPredicateStepTypeString)
        return true;
    uint32_t len = 0;
    const char *name = ts_query_string_value_for_id(query->query, steps[0].value_id, &len);
    struct slice subject = argument(query->query, match, steps[1], text);
    if (strcmp(name, "match?") == 0)
        return subject.data && query->used[steps[2].value_id] &&
               regex_holds(&query->regexes[steps[2].value_id], subject.data, subject.len);
    bool found = false;
    for (uint32_t i = 2; i < count && !found; i++)
        found = same(subject, argument(query->query, match, steps[i], text));
    if (strcmp(name, "eq?") == 0 || strcmp(name, "any-of?") == 0)
        return found;
    return strcmp(name, "not-eq?") != 0 || !found; /* predicates that we do not know are hints for editors */
}

static bool predicates_hold(const struct query *query, const TSQueryMatch *match, const char *text)
{
    uint32_t count = 0;
    const TSQueryPredicateStep *steps = ts_query_predicates_for_pattern(query->query, match->pattern_index, &count);
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        while (end < count && steps[end].type != TSQueryPredicateStepTypeDone)
            end++;
        if (!predicate_holds(query, match, steps + i, end - i, text))
            return false;
        i = end + 1;
    }
    return true;
}

static int report_match(const struct query *query, const TSQueryMatch *match, grammar_match *each, void *context)
{
    struct grammar_capture captures[MAX_CAPTURES];
    size_t count = 0;
    for (; count < match->capture_count && count < MAX_CAPTURES; count++) {
        uint32_t len = 0;
        captures[count].name = ts_query_capture_name_for_id(query->query, match->captures[count].index, &len);
        captures[count].node = match->captures[count].node;
    }
    return each(context, captures, count);
}

int grammar_query(const struct grammar *grammar, enum grammar_query which, TSNode root, const char *text,
                  grammar_match *each, void *context, struct error *err)
{
    const struct query *query = &grammar->queries[which];
    if (!query->query)
        return 0;
    int64_t deadline = clock_monotonic_ms() + GRAMMAR_TIMEOUT_MS;
    TSQueryCursor *cursor = ts_query_cursor_new();
    ts_query_cursor_exec(cursor, query->query, root);
    TSQueryMatch match;
    int result = 0;
    while (result == 0 && ts_query_cursor_next_match(cursor, &match)) {
        if (predicates_hold(query, &match, text))
            result = report_match(query, &match, each, context);
        if (result == 0 && clock_monotonic_ms() > deadline)
            result =
                error_set(err, ERROR_TIMEOUT, "the source takes more than %d s to search", GRAMMAR_TIMEOUT_MS / 1000);
    }
    ts_query_cursor_delete(cursor);
    return result;
}

void auto_tree(TSTree **tree)
{
    if (*tree)
        ts_tree_delete(*tree);
}
