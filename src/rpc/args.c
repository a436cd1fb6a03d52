/* SPDX-License-Identifier: MIT */
/* args.c - the parameters of a request, checked against the table of its method. */
#include "base/text.h"
#include "base/word.h"
#include "rpc/rpc_internal.h"

#include <stdio.h>
#include <string.h>

/* Names, locales, paths: what calls and connections keep of them is bounded by this. */
#define TEXT_MAX_BYTES 4096u

#define PACK_NIL_BYTE  0xc0

static const char *const type_names[] = {"text", "an integer", "a boolean", "a map",
                                         "any value"};

static const char *const pack_names[] = {
    [PACK_END] = "nothing",    [PACK_NIL] = "nil",         [PACK_BOOL] = "a boolean",
    [PACK_INT] = "an integer", [PACK_UINT] = "an integer", [PACK_FLOAT] = "a number",
    [PACK_STR] = "text",       [PACK_BIN] = "binary data", [PACK_EXT] = "an extension value",
    [PACK_ARRAY] = "an array", [PACK_MAP] = "a map",
};

static int refuse(struct failure *failure, struct slice field, const char *expected,
                  const char *received)
{
    failure_set(failure, ERR_INVALID_REQUEST, "parameter `%.*s` must be %s, not %s",
                SLICE_ARG(field), expected, received);
    failure_detail_str(failure, "field", field);
    failure_detail_text(failure, "expected", expected);
    failure_detail_text(failure, "received", received);
    return -1;
}

static int unknown(const struct rpc_method *method, struct slice name, struct failure *failure)
{
    struct slice near = {NULL, 0};
    unsigned distance = TEXT_FAR;
    for (unsigned i = 0; i < method->param_count; i++) {
        text_nearest(name, method->params[i].name, &near, &distance);
    }
    failure_set(failure, ERR_INVALID_REQUEST, "`%s` has no parameter `%.*s`", method->name,
                SLICE_ARG(name));
    failure_detail_str(failure, "field", name);
    failure_detail_text(failure, "expected", "a parameter of this method");
    failure_detail_str(failure, "received", name);
    if (near.ptr) {
        failure_suggest(failure, "Did you mean `%.*s`?", SLICE_ARG(near));
    }
    return -1;
}

static bool is_choice(const char *choices, struct slice text)
{
    for (const char *at = choices; *at;) {
        size_t len = strcspn(at, "|");
        if (len == text.len && memcmp(at, text.ptr, len) == 0) {
            return true;
        }
        at += len + (at[len] == '|');
    }
    return false;
}

static int take_text(const struct rpc_param *param, const struct pack_item *item,
                     struct rpc_value *ret, struct failure *failure)
{
    struct slice name = param->name;
    if (item->type != PACK_STR) {
        return refuse(failure, name, "text", pack_names[item->type]);
    }
    if (!text_is_utf8(item->text)) {
        return refuse(failure, name, "text in UTF-8", "bytes that are not");
    }
    if (item->text.len > TEXT_MAX_BYTES) {
        return refuse(failure, name, "text of at most 4096 bytes", "a longer one");
    }
    if (param->choices && !is_choice(param->choices, item->text)) {
        char expected[160];
        (void)snprintf(expected, sizeof expected, "one of %s", param->choices);
        return refuse(failure, name, expected, "another text");
    }
    ret->text = item->text;
    return 0;
}

static int take_value(const struct rpc_param *param, struct pack *cursor, struct rpc_value *ret,
                      struct failure *failure)
{
    enum pack_type type = pack_peek(*cursor);
    if (param->type == RPC_MAP && type != PACK_MAP) {
        return refuse(failure, param->name, type_names[RPC_MAP], pack_names[type]);
    }
    (void)pack_take(cursor, &ret->text);
    return 0;
}

/* Takes the value that comes next. */
static int take(const struct rpc_param *param, struct pack *cursor, struct rpc_value *ret,
                struct failure *failure)
{
    struct pack_item item;
    if (cursor->at < cursor->end && *cursor->at == PACK_NIL_BYTE && !param->required) {
        cursor->at++; /* the same as not given: some languages cannot leave a key out */
        return 0;
    }
    ret->given = true;
    if (param->type == RPC_MAP || param->type == RPC_ANY) {
        return take_value(param, cursor, ret, failure);
    }
    (void)pack_next(cursor, &item);
    if (param->type == RPC_TEXT) {
        return take_text(param, &item, ret, failure);
    }
    if (param->type == RPC_BOOL && item.type == PACK_BOOL) {
        ret->number = item.b;
        return 0;
    }
    if (param->type == RPC_INT && pack_as_int(&item, &ret->number)) {
        return 0;
    }
    return refuse(failure, param->name, type_names[param->type], pack_names[item.type]);
}

static int missing(const struct rpc_request *request, struct failure *failure)
{
    const struct rpc_method *method = request->method;
    for (unsigned i = 0; i < method->param_count; i++) {
        const struct rpc_param *param = &method->params[i];
        if (param->required && !request->args[i].given) {
            failure_set(failure, ERR_INVALID_REQUEST, "`%s` needs the parameter `%.*s`",
                        method->name, SLICE_ARG(param->name));
            failure_detail_str(failure, "field", param->name);
            failure_detail_text(failure, "expected", type_names[param->type]);
            failure_detail_text(failure, "received", "nothing");
            return -1;
        }
    }
    return 0;
}

static int find(const struct rpc_method *method, struct slice name)
{
    for (unsigned i = 0; name.len && i < method->param_count; i++) {
        const struct slice *known = &method->params[i].name;
        if (known->len == name.len && word_equal(known->ptr, name.ptr, name.len)) {
            return (int)i;
        }
    }
    return -1;
}

static int parse(struct rpc_request *request, struct failure *failure)
{
    const struct rpc_method *method = request->method;
    struct pack cursor = pack_over(request->params);
    struct pack_item map;
    if (!pack_next(&cursor, &map)) {
        return missing(request, failure);
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice name;
        if (!pack_next_text(&cursor, &name)) {
            return refuse(failure, SLICE("params"), "a map with text keys", "another key");
        }
        int at = find(method, name);
        if (at < 0) {
            return unknown(method, name, failure);
        }
        if (request->args[at].given) {
            return refuse(failure, name, "given once", "given twice");
        }
        if (take(&method->params[at], &cursor, &request->args[at], failure) != 0) {
            return -1;
        }
    }
    return missing(request, failure);
}

bool rpc_take_args(struct rpc_request *request)
{
    const struct rpc_method *method = request->method;
    if (!method->param_count) {
        if (!request->params.len || (unsigned char)request->params.ptr[0] == 0x80) {
            return true;
        }
    } else if (!method->params[0].name.len) {
        /* One parameter without a name: a method that takes any map as it is. */
        request->args[0] = (struct rpc_value){request->params.len != 0, request->params, 0};
        return true;
    }
    memset(request->args, 0, method->param_count * sizeof request->args[0]);
    struct failure failure = {0};
    bool is_right = parse(request, &failure) == 0;
    if (!is_right) {
        rpc_fail(request, &failure);
        failure_done(&failure);
    }
    return is_right;
}
