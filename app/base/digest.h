/* Hashes and message authentication, over Nettle, and random identifiers.
 *
 * Nettle and not OpenSSL, which others of our libraries bring along: the receiver needs nothing else of that, and its
 * pages alone would be a third of its memory. */
#ifndef APP_BASE_DIGEST_H
#define APP_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_HEX_SIZE 65 /* 64 hexadecimal digits and the NUL */

/* SHA-256 in lower-case hexadecimal. */
const char *digest_sha256(const void *data, size_t len, char hex[static DIGEST_HEX_SIZE]);

/* The same as 32 bytes. */
#define DIGEST_SIZE 32
void digest_sha256_bytes(const void *data, size_t len, unsigned char digest[static DIGEST_SIZE]);

/* HMAC-SHA256 in lower-case hexadecimal (RFC 2104). */
const char *digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                               char hex[static DIGEST_HEX_SIZE]);

/* Compares in time that depends on `len` only. */
bool digest_equal(const void *a, const void *b, size_t len);

/* 32 random hexadecimal digits (128 bits). */
#define RANDOM_ID_SIZE 33
const char *random_id(char id[static RANDOM_ID_SIZE]);

#endif
