/* SPDX-License-Identifier: MIT */
/* crypto.c - SHA-256 through OpenSSL's EVP. */
#include "base/crypto.h"

#include "base/must.h"

#include <openssl/evp.h>

void digest_init(struct digest *digest)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    must(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    digest->context = context;
}

void digest_add(struct digest *digest, struct slice bytes)
{
    if (bytes.len) {
        must(EVP_DigestUpdate(digest->context, bytes.ptr, bytes.len) == 1);
    }
}

void digest_add_field(struct digest *digest, struct slice bytes)
{
    uint64_t len = bytes.len;
    char prefix[sizeof len];
    for (size_t i = 0; i < sizeof len; i++) {
        prefix[i] = (char)(len >> (8 * i) & 0xff);
    }
    digest_add(digest, (struct slice){prefix, sizeof prefix});
    digest_add(digest, bytes);
}

void digest_end(struct digest *digest, uint8_t out[SHA256_BYTES])
{
    unsigned len = 0;
    must(EVP_DigestFinal_ex(digest->context, out, &len) == 1 && len == SHA256_BYTES);
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}

void sha256(struct slice bytes, uint8_t out[SHA256_BYTES])
{
    struct digest digest;
    digest_init(&digest);
    digest_add(&digest, bytes);
    digest_end(&digest, out);
}

void sha256_text(const uint8_t hash[SHA256_BYTES], char text[SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    text[SHA256_TEXT - 1] = '\0';
}
