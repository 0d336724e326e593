#include "forge/webhook.h"

#include <string.h>

#include "app/base/digest.h"

#define SIGNATURE_PREFIX "sha256="

bool webhook_signature_is_right(const char *secret, size_t secret_len, const void *body, size_t body_len,
                                const char *signature)
{
    /* An empty key would let anybody sign. */
    if (!secret || !secret_len || !signature)
        return false;
    if (strncmp(signature, SIGNATURE_PREFIX, strlen(SIGNATURE_PREFIX)) != 0)
        return false;
    const char *claimed = signature + strlen(SIGNATURE_PREFIX);
    if (strlen(claimed) != DIGEST_HEX_SIZE - 1)
        return false;
    char right[DIGEST_HEX_SIZE];
    digest_hmac_sha256(secret, secret_len, body, body_len, right);
    return digest_equal(right, claimed, DIGEST_HEX_SIZE - 1);
}

static bool consists_of(const char *text, const char *alphabet, size_t max)
{
    size_t len = text ? strnlen(text, max + 1) : 0;
    return len > 0 && len <= max && strspn(text, alphabet) == len;
}

bool webhook_delivery_id_is_clean(const char *id)
{
    return consists_of(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", 128);
}

bool webhook_event_name_is_clean(const char *name)
{
    return consists_of(name, "abcdefghijklmnopqrstuvwxyz0123456789_", 64);
}
