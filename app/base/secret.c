#include "app/base/secret.h"

#include <nettle/base64.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"

#define VALUE_MAX KiB(64)

static const char pem_mark[] = "-----BEGIN ";

enum {
    VALUE_MIN = 6,  /* shorter values would blank out ordinary words */
    LINE_MIN = 16,  /* a key's lines are known one by one as well */
    MIN_BASE64 = 64 /* no key is shorter */
};

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* "\n" written as two characters, as variables that hold a key often have it, becomes a line end. */
static void unfold_lines(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        bool folded = at[0] == '\\' && at[1] == 'n';
        *to++ = folded ? '\n' : *at;
        at += folded;
    }
    *to = '\0';
}

/* A PEM file may be put into a variable as one line of Base64. Decodes in place, or leaves the text alone. */
static void unfold_base64(char *text)
{
    size_t len = strlen(text);
    if (len < MIN_BASE64 || len % 4 != 0 || len > VALUE_MAX)
        return;
    struct base64_decode_ctx context;
    size_t got = 0, size = BASE64_DECODE_LENGTH(len) + 1;
    AUTO_FREE unsigned char *bytes = calloc(1, size);
    base64_decode_init(&context);
    bool whole = bytes && base64_decode_update(&context, &got, bytes, len, text) && base64_decode_final(&context);
    if (whole && starts_with((char *)bytes, pem_mark)) {
        explicit_bzero(text, len);
        memcpy(text, bytes, strlen((char *)bytes));
    }
    if (bytes)
        explicit_bzero(bytes, size);
}

static void cut_line_ends(char *text)
{
    for (size_t len = strlen(text); len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'); len--)
        text[len - 1] = '\0';
}

static char *from_variable(const char *name, struct error *err)
{
    const char *value = *name ? getenv(name) : NULL;
    if (!value) {
        error_set(err, ERROR_CONFIG, "env:%s: the environment has no such variable; set it", name);
        return NULL;
    }
    if (strlen(value) > VALUE_MAX) {
        error_set(err, ERROR_CONFIG, "env:%s: the value is longer than %zu bytes; is it the right variable?", name,
                  VALUE_MAX);
        return NULL;
    }
    char *copy = strdup(value);
    if (!copy) {
        error_set(err, ERROR_CONFIG, "env:%s: out of memory", name);
        return NULL;
    }
    unfold_base64(copy);
    if (starts_with(copy, pem_mark))
        unfold_lines(copy);
    return copy;
}

static char *from_file(const char *path, struct error *err)
{
    struct error inner = {0};
    struct buf text = BUF_INIT(VALUE_MAX);
    text.size = VALUE_MAX + 1; /* all at once: growing would leave copies of the secret behind */
    text.data = calloc(1, text.size);
    if (text.data && fs_read(path, &text, &inner) == 0 && !memchr(text.data, '\0', text.len))
        return text.data;
    if (!text.data)
        error_set(&inner, ERROR_IO, "out of memory");
    else if (!inner.code)
        error_set(&inner, ERROR_INPUT, "it is not text");
    if (text.data)
        explicit_bzero(text.data, text.size);
    buf_release(&text);
    error_set(err, ERROR_CONFIG, "file:%s: %s; give the path of a readable file that holds the secret", path,
              inner.message);
    return NULL;
}

int secret_load(const char *reference, struct secret *out, struct error *err)
{
    char *value = NULL;
    if (starts_with(reference, "file:"))
        value = from_file(reference + strlen("file:"), err);
    else if (starts_with(reference, "env:"))
        value = from_variable(reference + strlen("env:"), err);
    else /* it may well be the secret itself, so it is not repeated */
        return error_set(err, ERROR_CONFIG,
                         "a secret is named as file:PATH or env:NAME, never written out; put the value there");
    if (!value)
        return -1;
    cut_line_ends(value);
    if (!*value) {
        free(value);
        return error_set(err, ERROR_CONFIG, "%s: the value is empty; put the secret there", reference);
    }
    *out = (struct secret){.value = value, .len = strlen(value)};
    return 0;
}

void secret_release(struct secret *secret)
{
    if (secret->value)
        explicit_bzero(secret->value, secret->len);
    free(secret->value);
    *secret = (struct secret){0};
}

struct secrets {
    char **values; /* longest first, so that one that contains another goes whole */
    size_t count;
};

struct secrets *secrets_new(void)
{
    return calloc(1, sizeof(struct secrets));
}

void secrets_free(struct secrets *secrets)
{
    if (!secrets)
        return;
    for (size_t i = 0; i < secrets->count; i++) {
        explicit_bzero(secrets->values[i], strlen(secrets->values[i]));
        free(secrets->values[i]);
    }
    free(secrets->values);
    free(secrets);
}

static int longest_first(const void *a, const void *b)
{
    size_t first = strlen(*(char *const *)a);
    size_t second = strlen(*(char *const *)b);
    return first < second ? 1 : first > second ? -1 : 0;
}

static bool is_known(const struct secrets *secrets, const char *value, size_t len)
{
    for (size_t i = 0; i < secrets->count; i++)
        if (strlen(secrets->values[i]) == len && memcmp(secrets->values[i], value, len) == 0)
            return true;
    return false;
}

static void add_value(struct secrets *secrets, const char *value, size_t len)
{
    if (is_known(secrets, value, len))
        return;
    char *copy = strndup(value, len);
    char **values = copy ? reallocarray(secrets->values, secrets->count + 1, sizeof *values) : NULL;
    if (values) {
        secrets->values = values;
        secrets->values[secrets->count++] = copy;
        qsort(values, secrets->count, sizeof *values, longest_first);
    } else {
        free(copy);
    }
}

void secrets_add(struct secrets *secrets, const char *value)
{
    if (!value || strlen(value) < VALUE_MIN)
        return;
    add_value(secrets, value, strlen(value));
    if (!strchr(value, '\n'))
        return;
    for (const char *line = value; *line; line += strspn(line, "\r\n")) {
        size_t len = strcspn(line, "\r\n");
        if (len >= LINE_MIN && !starts_with(line, "-----"))
            add_value(secrets, line, len);
        line += len;
    }
}

/* Needs no memory and no room: what hides a value when the replacement does not fit the buffer. */
static void blot(struct buf *text, const char *value, size_t len)
{
    char *end = text->data + text->len;
    for (char *at = text->data; (at = memmem(at, (size_t)(end - at), value, len)); at += len)
        memset(at, '*', len);
}

static void redact_value(struct buf *text, const char *value, size_t len)
{
    const char *at = text->data;
    const char *end = text->data + text->len;
    const char *hit = memmem(at, text->len, value, len);
    if (!hit)
        return;
    struct buf out = BUF_INIT(text->max);
    for (; hit; hit = memmem(at, (size_t)(end - at), value, len)) {
        buf_add(&out, at, (size_t)(hit - at));
        buf_puts(&out, "[redacted]");
        at = hit + len;
    }
    buf_add(&out, at, (size_t)(end - at));
    if (out.failed) {
        buf_release(&out);
        blot(text, value, len);
        return;
    }
    out.failed = text->failed;
    explicit_bzero(text->data, text->len);
    buf_release(text);
    *text = out;
}

void secrets_redact(const struct secrets *secrets, struct buf *text)
{
    for (size_t i = 0; secrets && text->data && i < secrets->count; i++)
        redact_value(text, secrets->values[i], strlen(secrets->values[i]));
}
