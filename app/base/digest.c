#include "app/base/digest.h"

#include <errno.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

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
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, len, data);
    sha256_digest(&context, DIGEST_SIZE, digest);
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
    struct hmac_sha256_ctx context;
    unsigned char bytes[DIGEST_SIZE];
    hmac_sha256_set_key(&context, key_len, key);
    hmac_sha256_update(&context, len, data);
    hmac_sha256_digest(&context, sizeof bytes, bytes);
    explicit_bzero(&context, sizeof context);
    return to_hex(bytes, sizeof bytes, hex);
}

bool digest_equal(const void *a, const void *b, size_t len)
{
    return memeql_sec(a, b, len);
}

const char *random_id(char id[static RANDOM_ID_SIZE])
{
    unsigned char bytes[(RANDOM_ID_SIZE - 1) / 2];
    ssize_t got;
    while ((got = getrandom(bytes, sizeof bytes, 0)) < 0 && errno == EINTR)
        continue;
    if (got != (ssize_t)sizeof bytes) { /* going on with a made-up identifier would be worse: leases rest on them */
        fprintf(stderr, "assay: the kernel gives no random numbers: %s\n", strerror(errno));
        abort();
    }
    return to_hex(bytes, sizeof bytes, id);
}
