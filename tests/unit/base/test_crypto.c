/* SPDX-License-Identifier: MIT */
/* test_crypto.c - digests against the vectors of FIPS 180, in one piece and in many. */
#include "base/crypto.h"
#include "base_test.h"

static void is_digest(const uint8_t hash[SHA256_BYTES], const char *expected)
{
    char text[SHA256_TEXT];
    sha256_text(hash, text);
    assert_string_equal(text, expected);
}

static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    uint8_t hash[SHA256_BYTES];
    sha256(SLICE(""), hash);
    is_digest(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256(SLICE("abc"), hash);
    is_digest(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256((struct slice){NULL, 0}, hash);
    is_digest(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct digest digest;
    digest_init(&digest);
    for (int i = 0; i < 1000; i++) {
        digest_add(&digest, SLICE("aaaaaaaaaa"));
        for (int j = 0; j < 99; j++) {
            digest_add(&digest, SLICE("aaaaaaaaaa"));
        }
    }
    digest_end(&digest, hash);
    is_digest(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void fields_do_not_run_together(void **state)
{
    (void)state;
    uint8_t a[SHA256_BYTES];
    uint8_t b[SHA256_BYTES];
    struct digest digest;
    digest_init(&digest);
    digest_add_field(&digest, SLICE("ab"));
    digest_add_field(&digest, SLICE("c"));
    digest_end(&digest, a);
    digest_init(&digest);
    digest_add_field(&digest, SLICE("a"));
    digest_add_field(&digest, SLICE("bc"));
    digest_end(&digest, b);
    assert_memory_not_equal(a, b, SHA256_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(fields_do_not_run_together),
    };
    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
