/* SPDX-License-Identifier: MIT */
/* fuzz_template.c - whatever an agent says who it is, it stays data in the URLs and headers of a
 * service. Input: a template, a line feed, an identity. */
#include "base/must.h"
#include "conf/template.h"
#include "conf/url.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(struct slice url)
{
    size_t path = 0;
    must(url_check(url, false, &path, NULL) == 0);
    must(path <= url.len);
    must(!memchr(url.ptr, '#', url.len) && !memchr(url.ptr, '@', path));
}

static void check_header(struct slice value)
{
    must(!value.len ||
         (!memchr(value.ptr, '\r', value.len) && !memchr(value.ptr, '\n', value.len) &&
          !memchr(value.ptr, '\0', value.len)));
}

/* The host that the operator wrote is the host that is reached. */
static void check_fixed(struct slice identity)
{
    static const char base[] = "https://api.example.com:8443/v1/";
    struct template_piece pieces[] = {{TEMPLATE_TEXT, {base, sizeof base - 1}},
                                      {TEMPLATE_USER, {NULL, 0}},
                                      {TEMPLATE_TEXT, {"/mcp", 4}}};
    struct template template = {{NULL, 0}, pieces, 3, TEMPLATE_IN_URL};
    struct buf out;
    buf_init(&out, 65536);
    if (template_expand(&template, identity, identity, &out, NULL) == 0) {
        struct slice rest = {out.data + sizeof base - 1, out.len - (sizeof base - 1)};
        must(slice_starts(buf_slice(&out), base));
        must(memchr(rest.ptr, '/', rest.len) == rest.ptr + rest.len - 4);
        must(!memchr(rest.ptr, '?', rest.len));
        check_url(buf_slice(&out));
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    struct slice source = {text, end ? (size_t)(end - text) : size};
    struct slice identity = {end ? end + 1 : "", end ? size - source.len - 1 : 0};
    for (int place = TEMPLATE_IN_HEADER; place <= TEMPLATE_IN_URL; place++) {
        struct arena arena;
        struct template template;
        struct buf out;
        arena_init(&arena, 1u << 20);
        buf_init(&out, 65536);
        if (template_parse(source, (enum template_place)place, &arena, &template, NULL) == 0 &&
            template_expand(&template, identity, identity, &out, NULL) == 0) {
            if (place == TEMPLATE_IN_URL) {
                check_url(buf_slice(&out));
            } else if (place == TEMPLATE_IN_HEADER) {
                check_header(buf_slice(&out));
            }
        }
        buf_done(&out);
        arena_done(&arena);
    }
    check_fixed(identity);
    return 0;
}
