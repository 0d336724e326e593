/* A webhook request's proof of origin: HMAC-SHA256 over the raw bytes, before anything is parsed.
 * (GitHub: "Validating webhook deliveries"; header X-Hub-Signature-256: sha256=<64 hexadecimal digits>.) */
#ifndef FORGE_WEBHOOK_H
#define FORGE_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>

/* True when `signature` (the header's value, or NULL) is right for these bytes; constant time in the digest. */
bool webhook_signature_is_right(const char *secret, size_t secret_len, const void *body, size_t body_len,
                                const char *signature);

/* True for a delivery id as GitHub sends it (a GUID) or another server may: 1 to 128 of [A-Za-z0-9._-]. */
bool webhook_delivery_id_is_clean(const char *id);

/* True for an event name: 1 to 64 of [a-z_]. */
bool webhook_event_name_is_clean(const char *name);

#endif
