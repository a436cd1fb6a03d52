/* SPDX-License-Identifier: MIT */
/* http_proxy.c - which proxy leads to a host, by the environment: asked once a target. */
#include "base/mem.h"
#include "loop/http_internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *environment(const char *lower, const char *upper)
{
    const char *value = getenv(lower);
    if ((!value || !*value) && upper) {
        value = getenv(upper);
    }
    return value && *value ? value : NULL;
}

/* An address of either family; the length of it in bytes, 0 if the text is none. */
static size_t read_address(struct slice text, unsigned char address[16])
{
    char copy[INET6_ADDRSTRLEN + 1];
    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        text = (struct slice){text.ptr + 1, text.len - 2};
    }
    if (text.len >= sizeof copy) {
        return 0;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, address) == 1) {
        return 4;
    }
    return inet_pton(AF_INET6, copy, address) == 1 ? 16 : 0;
}

static unsigned read_bits(struct slice text)
{
    unsigned bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 2) {
            return 0;
        }
        bits = bits * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return bits;
}

/* "10.0.0.0/8", "::1": whether the address lies in it. */
static bool is_in_network(struct slice entry, const unsigned char *address, size_t length)
{
    unsigned char network[16];
    unsigned bits = (unsigned)length * 8;
    const char *slash = memchr(entry.ptr, '/', entry.len);
    if (slash) {
        size_t before = (size_t)(slash - entry.ptr);
        bits = read_bits((struct slice){slash + 1, entry.len - before - 1});
        entry.len = before;
    }
    if (read_address(entry, network) != length || bits == 0 || bits > length * 8) {
        return false;
    }
    unsigned rest = bits % 8;
    unsigned char mask = (unsigned char)(0xFF00u >> rest);
    return memcmp(network, address, bits / 8) == 0 &&
           (!rest || (network[bits / 8] & mask) == (address[bits / 8] & mask));
}

/* "example.org" and ".example.org": that name and every name under it. */
static bool is_under(struct slice entry, struct slice host)
{
    if (entry.ptr[0] == '.') {
        entry.ptr++;
        entry.len--;
    }
    if (!entry.len || entry.len > host.len ||
        strncasecmp(host.ptr + host.len - entry.len, entry.ptr, entry.len) != 0) {
        return false;
    }
    return entry.len == host.len || host.ptr[host.len - entry.len - 1] == '.';
}

bool http_is_direct(const char *no_proxy, struct slice host)
{
    unsigned char address[16];
    size_t length = read_address(host, address);
    for (const char *at = no_proxy; *at;) {
        at += strspn(at, ", \t");
        struct slice entry = {at, strcspn(at, ", \t")};
        at += entry.len;
        if (!entry.len) {
            continue;
        }
        if (slice_is(entry, "*") ||
            (length ? is_in_network(entry, address, length) : is_under(entry, host))) {
            return true;
        }
    }
    return false;
}

/* HTTP_PROXY in capitals is not read, because a web server may have set it from a header. */
char *http_find_proxy(struct slice host, bool is_https)
{
    const char *proxy =
        is_https ? environment("https_proxy", "HTTPS_PROXY") : environment("http_proxy", NULL);
    const char *direct = environment("no_proxy", "NO_PROXY");
    if (!proxy) {
        proxy = environment("all_proxy", "ALL_PROXY");
    }
    return proxy && !(direct && http_is_direct(direct, host)) ? mem_dup(slice_of(proxy)) : NULL;
}

/* scheme://host:port; curl takes a proxy without a scheme as http. */
char *http_proxy_name(const char *proxy)
{
    CURLU *url = curl_url();
    struct buf name;
    buf_init(&name, 16384);
    if (url &&
        curl_url_set(url, CURLUPART_URL, proxy,
                     CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_PATH, NULL, 0) == CURLUE_OK) {
        http_put_name(&name, url);
        if (name.len && name.data[name.len - 1] == '/') {
            name.len--;
        }
    } else {
        buf_put_text(&name, "(not a URL)");
    }
    curl_url_cleanup(url);
    char *text = mem_dup(buf_slice(&name));
    buf_done(&name);
    return text;
}
