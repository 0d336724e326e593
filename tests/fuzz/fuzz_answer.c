/* Any text as a model's answer: blocks, JSON and bare code are read or refused with a sentence for the model. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "pipeline/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_blocks(const char *text)
{
    struct answer_blocks blocks = {0};
    struct error err = {0};
    if (answer_blocks_read(text, &blocks, &err) < 0) {
        require(err.code == ERROR_INPUT && err.message[0] && !blocks.items);
        return;
    }
    require(blocks.count <= 64);
    for (size_t i = 0; i < blocks.count; i++) {
        const struct answer_block *block = &blocks.items[i];
        size_t len = strlen(block->code);
        require(len > 0 ? block->code[len - 1] == '\n' : block->path != NULL);
        require(!block->path || (*block->path && !strpbrk(block->path, " \t\r\n")));
        for (const char *at = block->language; *at; at++)
            require(!isupper((unsigned char)*at) && *at != '\n');
        answer_language_is(block->language, "python");
    }
    answer_blocks_release(&blocks);
}

static void check_json(const char *text)
{
    struct error err = {0};
    json_auto_t *value = answer_json(text, &err);
    require(value ? json_is_object(value) : err.code == ERROR_INPUT && err.message[0]);
    AUTO_FREE char *alone = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_auto_t *again = alone ? answer_json(alone, NULL) : NULL;
    require(!value || json_equal(value, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16)
        return 0;
    AUTO_FREE char *text = strndup((const char *)data, size);
    AUTO_FREE char *rest = answer_without_thinking(text);
    AUTO_FREE char *code = answer_bare_code(text);
    size_t len = strlen(text), rest_len = strlen(rest);
    require(rest_len <= len && strcmp(text + len - rest_len, rest) == 0);
    require(strlen(code) <= rest_len + 1);
    check_blocks(text);
    check_json(text);
    return 0;
}
