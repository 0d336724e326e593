/* A GitHub App for tests: a fresh RSA key in the environment, and the check of what is signed with it. */
#ifndef TESTS_APP_FIXTURE_H
#define TESTS_APP_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/unit/forge/script_server.h"

#define APP_ID 12345

static inline EVP_PKEY *app_key_make(void)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *pem = BIO_new(BIO_s_mem());
    char *text;
    assert_non_null(key);
    assert_int_equal(PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL), 1);
    long len = BIO_get_mem_data(pem, &text);
    char *copy = strndup(text, (size_t)len);
    setenv("ASSAY_TEST_KEY", copy, 1);
    free(copy);
    BIO_free(pem);
    return key;
}

/* Base64url without padding (RFC 7515); bytes and the NUL, heap. */
static inline unsigned char *app_decode(const char *text, size_t text_len, size_t *len)
{
    size_t padded = (text_len + 3) / 4 * 4;
    char *copy = malloc(padded + 1);
    for (size_t i = 0; i < padded; i++)
        copy[i] = i >= text_len ? '=' : text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    copy[padded] = '\0';
    unsigned char *out = calloc(1, padded + 1);
    assert_true(EVP_DecodeBlock(out, (unsigned char *)copy, (int)padded) >= 0);
    *len = text_len * 3 / 4;
    out[*len] = '\0';
    free(copy);
    return out;
}

static inline json_t *app_decode_json(const char *text, size_t text_len)
{
    size_t len;
    unsigned char *bytes = app_decode(text, text_len, &len);
    json_t *json = json_loadb((char *)bytes, len, 0, NULL);
    free(bytes);
    assert_non_null(json);
    return json;
}

static inline bool app_signature_is_right(EVP_PKEY *key, const char *jwt, size_t signed_len, const char *signature)
{
    size_t len;
    unsigned char *bytes = app_decode(signature, strlen(signature), &len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                 EVP_DigestVerify(context, bytes, len, (const unsigned char *)jwt, signed_len) == 1;
    EVP_MD_CTX_free(context);
    free(bytes);
    return right;
}

static inline void app_forge_open(struct script_forge *it, const struct exchange *script, size_t count)
{
    it->config.app_id = APP_ID;
    it->config.private_key = "env:ASSAY_TEST_KEY";
    script_forge_open(it, script, count);
}

#define APP_FORGE(it, script) app_forge_open(it, script, sizeof(script) / sizeof((script)[0]))

#define APP_WISH(name)                                                                                                 \
    "{\"repositories\":[\"" name "\"],\"permissions\":{\"contents\":\"write\",\"issues\":\"write\","                   \
    "\"pull_requests\":\"write\",\"checks\":\"write\",\"metadata\":\"read\"}}"

#endif
