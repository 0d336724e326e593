#include "pipeline/answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/base/buf.h"
#include "pipeline/answer_internal.h"

enum {
    BLOCKS_MAX = 64,
    FENCES_MAX = 4 * BLOCKS_MAX, /* empty blocks are not kept, but each costs a look through the text */
    DEEPER = 4,                  /* a fence indented by so much more than the one it could close belongs to the code */
};

/* ---- fences ---- */

struct fence {
    char mark; /* '`' or '~' */
    size_t len, indent;
    bool in_list; /* after a list marker: can only open */
    struct line info;
};

static bool read_fence(const struct line *line, struct fence *out)
{
    size_t i = 0;
    while (i < line->len && is_blank(line->start[i]))
        i++;
    size_t marker = list_marker(line->start + i, line->len - i);
    for (i += marker; marker && i < line->len && is_blank(line->start[i]);)
        i++;
    struct fence fence = {.indent = i, .in_list = marker > 0, .mark = i < line->len ? line->start[i] : ' '};
    if (fence.mark != '`' && fence.mark != '~')
        return false;
    while (i < line->len && line->start[i] == fence.mark) {
        fence.len++;
        i++;
    }
    while (i < line->len && is_blank(line->start[i]))
        i++;
    fence.info = (struct line){line->start + i, line->len - i};
    while (fence.info.len > 0 && is_blank(fence.info.start[fence.info.len - 1]))
        fence.info.len--;
    if (fence.len < 3 || (fence.mark == '`' && memchr(fence.info.start, '`', fence.info.len)))
        return false; /* ```code``` inside a line is no fence */
    *out = fence;
    return true;
}

/* ---- blocks ---- */

/* Where a block's code ends and where reading goes on. */
struct extent {
    const char *end;  /* after the last code line */
    const char *next; /* after the closing fence, or at the fence that opens the next block */
    bool closed;
};

static bool is_markdown(const struct fence *fence)
{
    return fence->info.len >= 2 && (strncasecmp(fence->info.start, "md", 2) == 0 ||
                                    strncasecmp(fence->info.start, "markdown", fence->info.len < 8 ? 2 : 8) == 0);
}

/* Looks for the end of a block. A fence with a language where the closing one should be means that the latter was
 * forgotten, except in Markdown, which may show fences of its own. `any_depth`: a closing fence may be indented. */
static struct extent find_end(const char *code, const struct fence *open, bool any_depth)
{
    size_t nested = 0;
    struct line line;
    for (const char *at = code; *at;) {
        const char *next = line_next(at, &line);
        struct fence fence;
        if (read_fence(&line, &fence) && fence.mark == open->mark && fence.len >= open->len &&
            (any_depth || fence.indent < open->indent + DEEPER)) {
            bool opens = fence.in_list || fence.info.len > 0;
            if (opens && !is_markdown(open))
                return (struct extent){at, at, true};
            if (!opens && nested == 0)
                return (struct extent){at, next, true};
            nested += opens ? 1 : (size_t)-1;
        }
        at = next;
    }
    return (struct extent){code + strlen(code), code + strlen(code), false};
}

/* "…return x```": the closing fence of an unclosed block stands at the end of its last line. */
static const char *without_glued_fence(const char *from, const char *end, const struct fence *open)
{
    const char *at = end;
    while (at > from && strchr(" \t\r\n", at[-1]))
        at--;
    const char *last = at;
    while (at > from && at[-1] == open->mark)
        at--;
    return (size_t)(last - at) >= 3 ? at : end;
}

static void block_release(struct answer_block *block)
{
    free(block->language);
    free(block->path);
    free(block->code);
}

static void too_many(struct error *err)
{
    error_set(err, ERROR_INPUT, "the answer has more than %d code blocks; answer with fewer", BLOCKS_MAX);
}

static int add_block(struct answer_blocks *blocks, struct answer_block *block, struct error *err)
{
    struct answer_block *items = NULL;
    if (block->language && block->code && !block->code[0] && !block->path) {
        block_release(block);
        return 0;
    }
    if (blocks->count >= BLOCKS_MAX)
        too_many(err);
    else if (!block->language || !block->code || !(items = realloc(blocks->items, (blocks->count + 1) * sizeof *items)))
        error_set(err, ERROR_INTERNAL, "no memory");
    if (!items) {
        block_release(block);
        return -1;
    }
    blocks->items = items;
    items[blocks->count++] = *block;
    return 0;
}

/* Reads the block whose fence is given; `code` is the line after it. Returns where to go on, NULL on failure. */
static const char *read_block(const char *code, const struct fence *open, struct line before,
                              struct answer_blocks *blocks, struct error *err)
{
    struct answer_block block = {0};
    struct extent extent = find_end(code, open, false);
    if (!extent.closed)
        extent = find_end(code, open, true);
    if (!extent.closed)
        extent.end = without_glued_fence(code, extent.end, open);
    answer_read_info(&open->info, &block);
    block.code = answer_copy_code(code, extent.end, open->indent);
    if (!block.path)
        block.path = answer_path_of_line(before);
    if (!block.path && block.code)
        block.path = answer_path_of_comment(block.code);
    return add_block(blocks, &block, err) < 0 ? NULL : extent.next;
}

int answer_blocks_read(const char *text, struct answer_blocks *blocks, struct error *err)
{
    struct answer_blocks read = {0};
    const struct line none = {"", 0};
    struct line line, before = none;
    size_t blank = 0, fences = 0; /* blank lines since `before` */
    AUTO_FREE char *rest = answer_without_thinking(text);
    if (!rest)
        return error_set(err, ERROR_INTERNAL, "no memory");
    for (const char *at = rest; *at;) {
        const char *next = line_next(at, &line);
        struct fence fence;
        if (read_fence(&line, &fence)) {
            next = ++fences > FENCES_MAX ? NULL : read_block(next, &fence, blank <= 1 ? before : none, &read, err);
            before = none;
            if (!next) {
                if (fences > FENCES_MAX)
                    too_many(err);
                answer_blocks_release(&read);
                return -1;
            }
        } else if (!line_is_empty(line)) {
            before = line;
            blank = 0;
        } else {
            blank++;
        }
        at = next;
    }
    *blocks = read;
    return 0;
}

void answer_blocks_release(struct answer_blocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++)
        block_release(&blocks->items[i]);
    free(blocks->items);
    *blocks = (struct answer_blocks){0};
}
