/* Any bytes as a template that is also its own partial, under each escape: no crash, and the cap holds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/markdown.h"
#include "app/base/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *partial(void *context, const char *name)
{
    return *name == 'p' ? context : NULL;
}

static void check_markdown(const char *text, size_t len)
{
    AUTO_BUF struct buf out = BUF_INIT(MiB(1));
    if (markdown_text(&out, text, len) < 0)
        abort();
    for (size_t i = 0; i < out.len; i++)
        if ((unsigned char)out.data[i] < ' ' || out.data[i] == '<')
            abort();
    buf_clear(&out);
    if (markdown_code(&out, text) < 0 || markdown_block(&out, "", text) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    AUTO_FREE char *text = calloc(1, size + 1);
    memcpy(text, data, size);
    json_auto_t *view = json_pack("{s:s, s:i, s:f, s:n, s:[i,i], s:{s:s, s:[{s:s}]}}", "a", "<*@x*>", "b", 1, "c", 0.5,
                                  "d", "e", 1, 2, "f", "a", "in", "g", "h", "deep");
    for (int escape = TEMPLATE_PLAIN; escape <= TEMPLATE_MARKDOWN; escape++) {
        AUTO_BUF struct buf out = BUF_INIT(64 * 1024);
        struct error err = {0};
        struct template_source source = {"fuzz", text, size};
        int result = template_render(source, (enum template_escape)escape, view, partial, text, &out, &err);
        if (out.len > out.max || (result < 0 && err.code != ERROR_INPUT && err.code != ERROR_LIMIT))
            abort();
    }
    check_markdown(text, strlen(text));
    return 0;
}
