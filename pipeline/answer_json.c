/* The JSON object of an answer, wherever the model has put it. */
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "pipeline/answer.h"

enum { CANDIDATES_MAX = 64 };

/* What was found so far: one object, or a complaint. */
struct search {
    json_t *found;
    bool several; /* two that differ */
    bool broken;  /* something that is clearly meant as the object does not parse; `why` says where */
    struct error why;
};

/* A copy without the two faults that can be mended without guessing: a comma before a closing bracket, and control
 * characters (line ends above all) inside strings. */
static void mend(const char *text, size_t len, struct buf *out)
{
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string && (unsigned char)c < ' ') {
            buf_printf(out, "\\u%04x", (unsigned char)c);
        } else if (in_string && c == '\\' && i + 1 < len) {
            buf_putc(out, c);
            if ((unsigned char)text[i + 1] >= ' ')
                buf_putc(out, text[++i]);
        } else if (!in_string && c == ',') {
            size_t after = i + 1;
            while (after < len && strchr(" \t\r\n", text[after]))
                after++;
            if (after == len || (text[after] != '}' && text[after] != ']'))
                buf_putc(out, c);
        } else {
            in_string = c == '"' ? !in_string : in_string;
            buf_putc(out, c);
        }
    }
}

static json_t *parse(const char *text, size_t len, struct error *err)
{
    json_t *value = json_read(text, len, JSON_LIMITS_MODEL, err);
    if (value || len > JSON_LIMITS_MODEL.bytes)
        return value;
    AUTO_BUF struct buf mended = BUF_INIT(JSON_LIMITS_MODEL.bytes);
    mend(text, len, &mended);
    return mended.failed ? NULL : json_read(buf_text(&mended), mended.len, JSON_LIMITS_MODEL, NULL);
}

/* Takes a parsed value over. An empty object in prose is as good as none. */
static void offer(struct search *search, json_t *value)
{
    if (!json_is_object(value) || json_object_size(value) == 0) {
        json_decref(value);
    } else if (!search->found) {
        search->found = value;
    } else {
        search->several = search->several || !json_equal(search->found, value);
        json_decref(value);
    }
}

/* The end of the balanced object that begins here, or NULL when it never ends. */
static const char *object_end(const char *text)
{
    size_t depth = 0;
    bool in_string = false;
    for (const char *at = text; *at; at++) {
        if (in_string && *at == '\\' && at[1])
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else if (!in_string && (*at == '{' || *at == '['))
            depth++;
        else if (!in_string && (*at == '}' || *at == ']') && --depth == 0)
            return at + 1;
    }
    return NULL;
}

/* `{"`: what begins like this is JSON, not a set, a format or a placeholder. */
static bool begins_like_json(const char *text)
{
    return text[1 + strspn(text + 1, " \t\r\n")] == '"';
}

static void complain(struct search *search, const struct error *why)
{
    if (!search->broken)
        search->why = *why;
    search->broken = true;
}

/* Balanced objects in prose, the outermost ones only: what is inside a broken one is a part of it, not the answer. */
static void search_prose(struct search *search, const char *text)
{
    int candidates = 0;
    for (const char *at = strchr(text, '{'); at && candidates < CANDIDATES_MAX; at = strchr(at, '{'), candidates++) {
        struct error why = {0};
        const char *end = object_end(at);
        json_t *value = end ? parse(at, (size_t)(end - at), &why) : NULL;
        if (!end)
            error_set(&why, ERROR_INPUT, "it ends in the middle");
        if (!value && begins_like_json(at))
            complain(search, &why);
        offer(search, value);
        if (!end && begins_like_json(at))
            return;
        at = end ? end : at + 1;
    }
}

static void search_blocks(struct search *search, const char *text)
{
    struct answer_blocks blocks = {0};
    if (answer_blocks_read(text, &blocks, NULL) < 0)
        return;
    for (size_t i = 0; i < blocks.count; i++) {
        const char *code = blocks.items[i].code;
        bool is_json = strncmp(blocks.items[i].language, "json", 4) == 0;
        struct error why = {0};
        if (!is_json && *blocks.items[i].language)
            continue;
        json_t *value = parse(code, strlen(code), &why);
        if (!value && is_json)
            complain(search, &why);
        offer(search, value);
    }
    answer_blocks_release(&blocks);
}

/* One object, or the reason for a refusal, in words that a model can act on. */
static json_t *conclude(struct search *search, struct error *err)
{
    json_t *found = search->found;
    if (found && !search->several && !search->broken)
        return found;
    json_decref(found);
    if (search->several)
        error_set(err, ERROR_INPUT, "the answer holds several different JSON objects; answer with exactly one");
    else if (search->broken)
        error_set(err, ERROR_INPUT, "the JSON of the answer cannot be read: %s; answer with one complete JSON object",
                  search->why.message);
    else
        error_set(err, ERROR_INPUT, "the answer holds no JSON object; answer with one JSON object and nothing else");
    return NULL;
}

json_t *answer_json(const char *text, struct error *err)
{
    struct search search = {0};
    AUTO_FREE char *rest = answer_without_thinking(text);
    if (!rest) {
        error_set(err, ERROR_INTERNAL, "no memory");
        return NULL;
    }
    json_t *whole = parse(rest, strlen(rest), NULL);
    if (json_is_object(whole))
        return whole;
    json_decref(whole);
    search_blocks(&search, rest);
    if (!search.found) {
        bool broken = search.broken; /* by a fence inside a string, perhaps: then the braces still balance */
        search.broken = false;
        search_prose(&search, rest);
        search.broken = search.broken || (broken && !search.found);
    }
    return conclude(&search, err);
}
