#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/context_pieces.h"
#include "pipeline/symbols_scan.h"

enum { MAX_WORDS = 2000, MAX_WORD = 128, MAX_PARTS = 16 };

/* Words that say nothing about what code is for. */
static const char *const empty_words[] = {
    "add",  "all",    "and",  "any",   "are",    "base", "but",      "can",  "class", "code", "create", "data",
    "def",  "does",   "each", "for",   "from",   "func", "function", "get",  "has",   "have", "helper", "init",
    "into", "item",   "its",  "list",  "main",   "make", "method",   "must", "name",  "new",  "not",    "object",
    "one",  "return", "self", "set",   "should", "str",  "string",   "test", "text",  "that", "the",    "then",
    "this", "type",   "use",  "value", "values", "when", "which",    "with",
};

static int by_word(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

static bool is_empty_word(const char *word)
{
    return bsearch(word, empty_words, sizeof empty_words / sizeof empty_words[0], sizeof empty_words[0], by_word);
}

static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name_character(char c)
{
    return is_name_start(c) || isdigit((unsigned char)c);
}

static bool looks_like_code(const char *text, const char *word, size_t len)
{
    bool camel = false;
    for (size_t i = 1; i < len; i++)
        camel = camel || (isupper((unsigned char)word[i]) && islower((unsigned char)word[i - 1]));
    char before = word > text ? word[-1] : ' ', after = word[len];
    return camel || memchr(word, '_', len) || after == '(' || before == '`' || after == '`' ||
           (after == '.' && is_name_start(word[len + 1])) ||
           (before == '.' && word - 1 > text && is_name_character(word[-2]));
}

const struct word *words_find(const struct words *words, const char *text, size_t len)
{
    for (size_t i = 0; i < words->count; i++)
        if (strncmp(words->items[i].text, text, len) == 0 && !words->items[i].text[len])
            return &words->items[i];
    return NULL;
}

static char *lower_case(const char *text, size_t len)
{
    char *lower = strndup(text, len);
    for (char *at = lower; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return lower;
}

static int add_word(struct words *words, const char *text, const char *word, size_t len, struct error *err)
{
    struct word *known = (struct word *)(uintptr_t)words_find(words, word, len);
    bool named = looks_like_code(text, word, len);
    if (known) {
        known->named = known->named || named;
        return 0;
    }
    if (scan_grow(&words->items, words->count, &words->size, sizeof *words->items, err) < 0)
        return -1;
    struct word new = {strndup(word, len), lower_case(word, len), named};
    words->items[words->count++] = new;
    return new.text &&new.lower ? 0 : error_system(err, ENOMEM, "read the request's words");
}

int words_read(const char *text, struct words *out, struct error *err)
{
    for (const char *at = text; *at && out->count < MAX_WORDS;) {
        size_t len = 0;
        while (is_name_character(at[len]))
            len++;
        if (len >= 3 && len <= MAX_WORD && is_name_start(*at) && add_word(out, text, at, len, err) < 0)
            return -1;
        at += len ? len : 1;
    }
    return 0;
}

void words_release(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i].text);
        free(words->items[i].lower);
    }
    free(words->items);
    *words = (struct words){0};
}

/* Splits snake_case and CamelCase into parts in lower case; those without meaning are left out. */
static size_t split_name(const char *name, char parts[static MAX_PARTS][32])
{
    size_t count = 0, len = 0;
    for (const char *at = name; count < MAX_PARTS; at++) {
        bool boundary =
            !isalnum((unsigned char)*at) || (len && isupper((unsigned char)*at) && islower((unsigned char)at[-1]));
        if (boundary) {
            parts[count][len] = '\0';
            count += len >= 3 && !is_empty_word(parts[count]);
            len = 0;
        }
        if (!*at)
            break;
        if (isalnum((unsigned char)*at) && len < 31 && count < MAX_PARTS)
            parts[count][len++] = (char)tolower((unsigned char)*at);
    }
    return count;
}

/* "rates" is kin to "rate". */
static bool is_kin(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b), shorter = a_len < b_len ? a_len : b_len;
    return shorter >= 3 && strncmp(a, b, shorter) == 0 && a_len + b_len - 2 * shorter <= 2;
}

unsigned words_kinship(const struct words *words, const char *other, const char *name)
{
    char parts[MAX_PARTS][32], others[MAX_PARTS][32];
    size_t count = split_name(name, parts), other_count = other ? split_name(other, others) : 0;
    unsigned points = 0;
    for (size_t i = 0; i < count; i++) {
        bool in_name = false, in_text = false;
        for (size_t j = 0; j < other_count && !in_name; j++)
            in_name = is_kin(parts[i], others[j]);
        for (size_t j = 0; j < words->count && !in_text; j++)
            in_text = is_kin(parts[i], words->items[j].lower);
        points += in_name ? 14 : in_text ? 6 : 0;
    }
    return points < 40 ? points : 40;
}
