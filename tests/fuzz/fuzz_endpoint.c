/* SPDX-License-Identifier: MIT */
/*
 * fuzz_endpoint.c - the endpoint that a server of HTTP+SSE names: what is accepted leads to the
 * origin of its event stream, with the same credentials, and can be asked.
 */
#include "loop/http.h"

#include "base/must.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define ORIGIN "http://user:key@a.test:8080"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http *http;
    static struct http_target *base;
    struct http_target_options options = {.url = SLICE(ORIGIN "/x/sse?token=1")};
    if (!http) {
        http = http_new(loop_new());
        must(http_target_new(http, &options, &base, NULL) == 0);
    }
    struct slice url = {(const char *)data, size};
    struct http_target *target = NULL;
    struct buf whole;
    bool is_same_origin = false;
    buf_init(&whole, 65536);
    int r = http_resolve(&whole, base, url, &is_same_origin, NULL);
    must(r <= 0 && (r == 0 || !is_same_origin) && !whole.overflow);
    must((whole.len > 0) == is_same_origin);
    if (is_same_origin) {
        options.url = buf_slice(&whole);
        const size_t length = sizeof ORIGIN - 1;
        must(whole.len >= length && strncasecmp(whole.data, ORIGIN, length) == 0);
        must(whole.len == length || strchr("/?", whole.data[length]));
        for (size_t i = 0; i < whole.len; i++) {
            must((unsigned char)whole.data[i] >= ' ' && whole.data[i] != 0x7F);
        }
        if (http_target_new(http, &options, &target, NULL) == 0) { /* a long one may not fit */
            must(strncasecmp(http_target_name(target), "http://a.test:8080", 18) == 0);
        }
        http_target_free(target);
    }
    buf_done(&whole);
    return 0;
}
