/* SPDX-License-Identifier: MIT */
/*
 * crypto.h - digests: the one wrapper of OpenSSL's libcrypto.
 *
 * Owns:    struct digest its context, from digest_init to digest_end.
 * Thread:  any; a digest belongs to one at a time.
 * Errors:  none: without memory for a context the process ends.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/slice.h"

#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_TEXT  65 /* hexadecimal, terminated */

struct digest {
    void *context;
};

void digest_init(struct digest *digest); /* SHA-256 */
void digest_add(struct digest *digest, struct slice bytes);
/* With its length before it, so that "ab" "c" and "a" "bc" differ. */
void digest_add_field(struct digest *digest, struct slice bytes);
void digest_end(struct digest *digest, uint8_t out[SHA256_BYTES]);

void sha256(struct slice bytes, uint8_t out[SHA256_BYTES]);
void sha256_text(const uint8_t hash[SHA256_BYTES], char text[SHA256_TEXT]);

#endif
