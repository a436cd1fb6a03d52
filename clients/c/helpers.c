/* SPDX-License-Identifier: MIT */
/* helpers.c - names and conversions that need no client. */
#include "toolbroker/client.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "value/json.h"
#include "value/pack.h"

#include <stdio.h>

#define TEXT_MAX (SIZE_MAX / 2)

_Static_assert(TB_ERROR_TEXT >= sizeof((struct err *)NULL)->text, "an err's text must fit");

const char *tb_status_name(enum tb_status status)
{
    static const char *const names[] = {[TB_OK] = "ok",
                                        [TB_REMOTE] = "remote",
                                        [TB_UNREACHABLE] = "unreachable",
                                        [TB_LOST] = "lost",
                                        [TB_TIMEOUT] = "timeout",
                                        [TB_CANCELLED] = "cancelled",
                                        [TB_PROTOCOL] = "protocol",
                                        [TB_INVALID] = "invalid"};
    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

static enum tb_status give_away(int failed, struct buf *out, const struct err *err, char **ret,
                                size_t *ret_len, char *reterr)
{
    if (failed || out->overflow) {
        if (reterr) {
            (void)snprintf(reterr, TB_ERROR_TEXT, "%s", failed ? err->text : "no memory");
        }
        buf_done(out);
        return TB_INVALID;
    }
    *ret_len = out->len;
    (void)buf_text(out);
    *ret = out->data;
    return TB_OK;
}

enum tb_status tb_json_to_msgpack(const char *json, size_t len, char **ret, size_t *ret_len,
                                  char *reterr)
{
    struct err err = {0};
    struct buf out;
    buf_init(&out, TEXT_MAX);
    int failed = json_to_pack((struct slice){json, len}, JSON_DEPTH_MAX, &out, &err);
    return give_away(failed, &out, &err, ret, ret_len, reterr);
}

enum tb_status tb_msgpack_to_json(const char *bytes, size_t len, char **ret, size_t *ret_len,
                                  char *reterr)
{
    static const struct pack_limits limits = {
        .bytes = TEXT_MAX, .depth = PACK_DEPTH_MAX, .items = UINT32_MAX};
    struct err err = {0};
    struct buf out;
    struct pack_scan scan;
    struct slice value = {bytes, len};
    buf_init(&out, TEXT_MAX);
    PACK_SCAN_START(&scan);
    int failed =
        pack_scan(&scan, value, &limits) == PACK_SCAN_DONE && scan.at == len
            ? json_from_pack(value, "value", &out, &err)
            : err_set(&err, ERR_VALIDATION_ERROR, "these bytes are not one MessagePack value");
    return give_away(failed, &out, &err, ret, ret_len, reterr);
}

void tb_release(void *memory)
{
    mem_free(memory);
}
