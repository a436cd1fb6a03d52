/* SPDX-License-Identifier: MIT */
/* url.c - a strict reader of http and https URLs: what it refuses, no other parser gets to see. */
#include "conf/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_hex(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* ---- host and port ----------------------------------------------------------------------- */

static bool parse_address(struct slice host, int family, void *address)
{
    char text[INET6_ADDRSTRLEN];
    if (host.len == 0 || host.len >= sizeof text) {
        return false;
    }
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return inet_pton(family, text, address) == 1;
}

static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        char byte = label.ptr[i];
        if (!is_letter(byte) && !is_digit(byte) && byte != '-' && byte != '_') {
            return false;
        }
    }
    return true;
}

/* A DNS name. One whose last label starts with a digit would be read as an address by others, in
 * forms like 127.1 and 0x7f.1, which are refused. */
static bool is_name(struct slice host)
{
    struct slice label = {host.ptr, 0};
    for (size_t i = 0; i <= host.len; i++) {
        if (i == host.len || host.ptr[i] == '.') {
            label.len = (size_t)(host.ptr + i - label.ptr);
            if (!is_label(label)) {
                return false;
            }
            if (i < host.len) {
                label.ptr = host.ptr + i + 1;
            }
        }
    }
    return host.len <= 253 && !is_digit(label.ptr[0]);
}

static int check_host(struct slice host, bool *ret_is_here, struct err *reterr)
{
    unsigned char address[16];
    static const unsigned char here[16] = {[15] = 1};
    if (host.len && host.ptr[0] == '[') {
        struct slice inner = {host.ptr + 1, host.len - 2};
        if (host.len < 4 || host.ptr[host.len - 1] != ']' ||
            !parse_address(inner, AF_INET6, address)) {
            return err_set(reterr, ERR_VALIDATION_ERROR, "its IPv6 address is malformed");
        }
        *ret_is_here = memcmp(address, here, sizeof here) == 0;
        return 0;
    }
    if (parse_address(host, AF_INET, address)) {
        *ret_is_here = address[0] == 127;
        return 0;
    }
    if (!is_name(host)) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "its host is neither a DNS name nor an address");
    }
    *ret_is_here = host.len == 9 && strncasecmp(host.ptr, "localhost", 9) == 0;
    return 0;
}

static int check_port(struct slice port, struct err *reterr)
{
    unsigned number = 0;
    for (size_t i = 0; i < port.len; i++) {
        if (!is_digit(port.ptr[i]) || port.len > 5) {
            return err_set(reterr, ERR_VALIDATION_ERROR, "its port is not a number");
        }
        number = number * 10 + (unsigned)(port.ptr[i] - '0');
    }
    if (number < 1 || number > 65535) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "its port is not from 1 to 65535");
    }
    return 0;
}

static int check_authority(struct slice authority, bool *ret_is_here, struct err *reterr)
{
    if (memchr(authority.ptr, '@', authority.len)) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "it holds a user name or password: use auth or headers instead");
    }
    size_t host = 0;
    if (authority.ptr[0] == '[') {
        const char *close = memchr(authority.ptr, ']', authority.len);
        host = close ? (size_t)(close - authority.ptr) + 1 : authority.len;
    } else {
        while (host < authority.len && authority.ptr[host] != ':') {
            host++;
        }
    }
    int result = check_host((struct slice){authority.ptr, host}, ret_is_here, reterr);
    if (result == 0 && host < authority.len) {
        if (authority.ptr[host] != ':') {
            return err_set(reterr, ERR_VALIDATION_ERROR, "its host is malformed");
        }
        struct slice port = {authority.ptr + host + 1, authority.len - host - 1};
        result = check_port(port, reterr);
    }
    return result;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int check_rest(struct slice rest, struct err *reterr)
{
    for (size_t i = 0; i < rest.len; i++) {
        char byte = rest.ptr[i];
        if (byte == '#') {
            return err_set(reterr, ERR_VALIDATION_ERROR,
                           "it holds a fragment (#), which is never sent");
        }
        bool is_escape = byte == '%' && rest.len - i > 2 && is_hex(rest.ptr[i + 1]) &&
                         is_hex(rest.ptr[i + 2]);
        bool is_plain =
            is_letter(byte) || is_digit(byte) || (byte && strchr("-._~!$&'()*+,;=:@/?", byte));
        if (!is_escape && !is_plain) {
            return err_set(reterr, ERR_VALIDATION_ERROR,
                           "it holds a character (byte 0x%02x) that must be percent-encoded",
                           (unsigned)(unsigned char)byte);
        }
    }
    return 0;
}

int url_check(struct slice url, bool may_be_plain, size_t *ret_path, struct err *reterr)
{
    bool is_https = slice_starts(url, "https://");
    if (!is_https && !slice_starts(url, "http://")) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "it does not begin with https:// or http://");
    }
    if (url.len > URL_BYTES) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "it is longer than %u bytes", URL_BYTES);
    }
    size_t start = is_https ? 8 : 7;
    size_t end = start;
    while (end < url.len && !strchr("/?#\\", url.ptr[end])) {
        end++;
    }
    bool is_here = false;
    if (end == start) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "it names no host");
    }
    int result =
        check_authority((struct slice){url.ptr + start, end - start}, &is_here, reterr);
    if (result == 0) {
        result = check_rest((struct slice){url.ptr + end, url.len - end}, reterr);
    }
    if (result == 0 && !is_https && !is_here && !may_be_plain) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "plain http is only for this host: use https, or set "
                       "allow_insecure_http = true for this service");
    }
    if (result == 0) {
        *ret_path = end;
    }
    return result;
}
