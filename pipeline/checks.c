#include "pipeline/checks.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/grammar.h"

enum { MAX_CODE = 512 * 1024, MAX_NAME = 60, MAX_CHECKS = 64 };

struct unfolding {
    const struct language *language;
    const char *code;
    struct buf *out;
    size_t count; /* checks rendered so far */
};

static bool is(const struct unfolding *unfolding, TSNode node, unsigned flag)
{
    return (grammar_flags(unfolding->language->parser, node) & flag) != 0;
}

/* The comment behind a node on its last line: beside it in the tree, or the last thing inside it. */
static bool find_comment(const struct unfolding *unfolding, TSNode node, TSNode *comment)
{
    TSNode next = ts_node_next_sibling(node);
    if (!ts_node_is_null(next) && is(unfolding, next, NODE_COMMENT) &&
        ts_node_start_point(next).row == ts_node_end_point(node).row) {
        *comment = next;
        return true;
    }
    while (ts_node_named_child_count(node) && !is(unfolding, node, NODE_COMMENT))
        node = ts_node_named_child(node, ts_node_named_child_count(node) - 1);
    *comment = node;
    return is(unfolding, node, NODE_COMMENT);
}

/* Without its mark; "" when there is none. Heap. */
static char *comment_behind(const struct unfolding *unfolding, TSNode node)
{
    TSNode comment;
    if (!find_comment(unfolding, node, &comment))
        return strdup("");
    const char *text = unfolding->code + ts_node_start_byte(comment);
    size_t len = ts_node_end_byte(comment) - ts_node_start_byte(comment), mark = strlen(unfolding->language->comment);
    size_t skip = len >= mark ? mark : len;
    skip += strspn(text + skip, " \t");
    return strndup(text + skip, skip < len ? len - skip : 0);
}

/* "two positive numbers" → "test_two_positive_numbers" */
static char *name_of(const struct unfolding *unfolding, const char *words)
{
    AUTO_BUF struct buf name = BUF_INIT(KiB(1));
    buf_puts(&name, unfolding->language->tests.function_prefix);
    bool gap = false;
    for (const char *at = words; *at && name.len < MAX_NAME; at++) {
        if (!isalnum((unsigned char)*at)) {
            gap = true;
            continue;
        }
        if (gap && buf_text(&name)[name.len - 1] != '_')
            buf_putc(&name, '_');
        gap = false;
        buf_putc(&name, (char)tolower((unsigned char)*at));
    }
    if (name.len == strlen(unfolding->language->tests.function_prefix))
        buf_puts(&name, "case");
    return buf_steal(&name, NULL);
}

/* A node's lines, without the columns that its first line stands behind. */
static json_t *lines_of(const struct unfolding *unfolding, TSNode node)
{
    json_t *lines = json_array();
    const char *at = unfolding->code + ts_node_start_byte(node), *end = unfolding->code + ts_node_end_byte(node);
    size_t column = ts_node_start_point(node).column;
    for (bool first = true; at < end; first = false) {
        size_t blanks = first ? 0 : strspn(at, " \t");
        at += blanks < column ? blanks : first ? 0 : column;
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        json_array_append_new(lines, json_from_text(at, (size_t)(stop - at)));
        at = stop + 1;
    }
    return lines;
}

static int render(struct unfolding *unfolding, TSNode node, const char *words, struct error *err)
{
    const char *form = unfolding->language->tests.check;
    AUTO_FREE char *comment = comment_behind(unfolding, node);
    AUTO_FREE char *name = name_of(unfolding, comment && *comment ? comment : words);
    if (!comment || !name)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    const char *documentation = *comment && !strpbrk(comment, "\"\\") ? comment : NULL;
    json_auto_t *view =
        json_pack("{s:s, s:s*, s:o}", "name", name, "documentation", documentation, "lines", lines_of(unfolding, node));
    buf_putc(unfolding->out, '\n');
    unfolding->count++;
    return template_render((struct template_source){"tests.check", form, strlen(form)}, TEMPLATE_PLAIN, view, NULL,
                           NULL, unfolding->out, err);
}

/* The body of a test that takes nothing and holds two checks or more and nothing else; a null node otherwise. */
static TSNode body_of_checks(const struct unfolding *unfolding, TSNode node)
{
    TSNode none = {0}, body = ts_node_child_by_field_name(node, "body", 4);
    TSNode parameters = ts_node_child_by_field_name(node, "parameters", 10);
    if (!is(unfolding, node, NODE_FUNCTION) || ts_node_is_null(body) || ts_node_is_null(parameters) ||
        ts_node_named_child_count(parameters))
        return none;
    size_t checks = 0;
    for (uint32_t i = 0; i < ts_node_named_child_count(body); i++) {
        TSNode child = ts_node_named_child(body, i);
        bool documentation = i == 0 && is(unfolding, child, NODE_STATEMENT) && ts_node_named_child_count(child) == 1 &&
                             is(unfolding, ts_node_named_child(child, 0), NODE_STRING);
        if (!is(unfolding, child, NODE_CHECK | NODE_COMMENT) && !documentation)
            return none;
        checks += is(unfolding, child, NODE_CHECK);
    }
    return checks > 1 ? body : none;
}

static int unfold_body(struct unfolding *unfolding, TSNode function, TSNode body, struct error *err)
{
    TSNode name = ts_node_child_by_field_name(function, "name", 4);
    const char *prefix = unfolding->language->tests.function_prefix;
    AUTO_FREE char *full =
        strndup(unfolding->code + ts_node_start_byte(name), ts_node_end_byte(name) - ts_node_start_byte(name));
    const char *words = full && strncmp(full, prefix, strlen(prefix)) == 0 ? full + strlen(prefix) : "";
    for (uint32_t i = 0; i < ts_node_named_child_count(body); i++) {
        TSNode child = ts_node_named_child(body, i);
        if (is(unfolding, child, NODE_CHECK) && render(unfolding, child, words, err) < 0)
            return -1;
    }
    return 0;
}

static int unfold(struct unfolding *unfolding, TSNode root, struct error *err)
{
    uint32_t copied = 0;
    for (uint32_t i = 0; i < ts_node_child_count(root) && unfolding->count < MAX_CHECKS; i++) {
        TSNode node = ts_node_child(root, i), body = body_of_checks(unfolding, node);
        bool check = is(unfolding, node, NODE_CHECK);
        if (!check && ts_node_is_null(body))
            continue;
        buf_add(unfolding->out, unfolding->code + copied, ts_node_start_byte(node) - copied);
        if ((check ? render(unfolding, node, "", err) : unfold_body(unfolding, node, body, err)) < 0)
            return -1;
        copied = ts_node_end_byte(node);
    }
    buf_puts(unfolding->out, unfolding->code + copied);
    return buf_check(unfolding->out, "the tests", err);
}

char *checks_unfold(const struct language *language, const char *code, struct error *err)
{
    if (!language->tests.check)
        return strdup(code);
    AUTO_BUF struct buf out = BUF_INIT(MAX_CODE);
    struct unfolding unfolding = {language, code, &out, 0};
    AUTO_TREE TSTree *tree = grammar_parse(language->parser, code, strlen(code), err);
    if (!tree || unfold(&unfolding, ts_tree_root_node(tree), err) < 0)
        return NULL;
    return buf_steal(&out, NULL);
}
