/* Any bytes as a model's stream: the events do not depend on how it is split, and each provider's reader takes any JSON
 * in them. The first byte says where to split. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "pipeline/model_anthropic.h"
#include "pipeline/model_openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_event(const struct model_provider *provider, struct model_reply *reply, const json_t *value)
{
    provider->on_event(reply, value);
    if (reply->usage.in < 0 || reply->usage.out < 0 || reply->usage.cached < 0 || reply->usage.written < 0)
        abort();
}

static void read_reply(const struct model_provider *provider, const char *text, size_t len)
{
    struct model_reply reply = {.text = BUF_INIT(KiB(16)), .refusal = BUF_INIT(KiB(16)), .problem = BUF_INIT(KiB(4))};
    json_auto_t *value = json_read(text, len, JSON_LIMITS_MODEL, NULL);
    if (value) {
        read_event(provider, &reply, value);
        read_event(provider, &reply, value);
        provider->on_whole(&reply, value);
    }
    buf_release(&reply.text);
    buf_release(&reply.refusal);
    buf_release(&reply.problem);
    free(reply.version);
}

static int note(void *context, const struct sse_event *event)
{
    if (strlen(event->data) > event->len)
        abort();
    buf_puts(context, event->name);
    buf_putc(context, '=');
    buf_add(context, event->data, event->len);
    buf_putc(context, '|');
    read_reply(&model_openai, event->data, event->len);
    read_reply(&model_anthropic, event->data, event->len);
    return 0;
}

static int feed(const char *text, size_t len, size_t step, struct buf *seen)
{
    struct sse sse = SSE_INIT(512);
    int result = 0;
    for (size_t at = 0; result == 0 && at < len; at += step)
        result = sse_feed(&sse, text + at, step < len - at ? step : len - at, note, seen, NULL);
    if (result == 0)
        result = sse_end(&sse, note, seen, NULL);
    sse_release(&sse);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 14)
        return 0;
    AUTO_BUF struct buf whole = BUF_INIT(MiB(1)), split = BUF_INIT(MiB(1));
    int first = feed((const char *)data + 1, size - 1, size, &whole);
    int second = feed((const char *)data + 1, size - 1, (size_t)data[0] % 17 + 1, &split);
    if (first != second || whole.len != split.len || memcmp(buf_text(&whole), buf_text(&split), whole.len) != 0)
        abort();
    return 0;
}
