#include "app/base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

/* Going on with a made-up digest or identifier would be worse than a crash: signatures rest on them. */
static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "assay: the OpenSSL library cannot do %s; check its installation\n", what);
    abort();
}

static const char *to_hex(const unsigned char *bytes, size_t len, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * len] = '\0';
    return hex;
}

void digest_sha256_bytes(const void *data, size_t len, unsigned char digest[static DIGEST_SIZE])
{
    must(EVP_Digest(len ? data : "", len, digest, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
}

const char *digest_sha256(const void *data, size_t len, char hex[static DIGEST_HEX_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    digest_sha256_bytes(data, len, bytes);
    return to_hex(bytes, sizeof bytes, hex);
}

const char *digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                               char hex[static DIGEST_HEX_SIZE])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    size_t bytes_len = 0;
    must(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key_len ? key : "", key_len, len ? data : (const void *)"", len,
                   bytes, sizeof bytes, &bytes_len) != NULL,
         "HMAC-SHA256");
    return to_hex(bytes, bytes_len, hex);
}

bool digest_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

const char *random_id(char id[static RANDOM_ID_SIZE])
{
    unsigned char bytes[(RANDOM_ID_SIZE - 1) / 2];
    must(RAND_bytes(bytes, sizeof bytes) == 1, "random numbers");
    return to_hex(bytes, sizeof bytes, id);
}
