/* SPDX-License-Identifier: MIT */
/* host_ask.c - for decisions: the call at hand, its arguments, the states of services, answers. */
#include "policy/policy_internal.h"

#include "base/must.h"
#include "script/bridge.h"
#include "value/json.h"
#include "value/pack.h"

#include <lauxlib.h>

static struct question *question_of(lua_State *lua)
{
    struct question *question = host_policy(lua)->question;
    must(question != NULL);
    return question;
}

enum policy_service host_state(const struct policy_call *call, struct slice service)
{
    return call && call->service_state ? call->service_state(call->arg, service)
                                       : POLICY_SERVICE_USABLE;
}

/* state(service): enum policy_service as a number. */
static int state(lua_State *lua)
{
    struct slice service = bridge_text(lua, 1);
    lua_pushinteger(lua, host_state(question_of(lua)->call, service));
    return 1;
}

/* enter(stage): what follows is the operator's: its time is bounded, and errors are its own.
 * False: it failed before, leave it out. */
static int enter(lua_State *lua)
{
    struct question *question = question_of(lua);
    enum stage stage = (enum stage)luaL_checkinteger(lua, 1);
    must(stage > STAGE_NONE && stage < STAGE_COUNT);
    if (question->skipped & (1u << stage)) {
        lua_pushboolean(lua, false);
        return 1;
    }
    question->stage = stage;
    sandbox_watch(lua);
    lua_pushboolean(lua, true);
    return 1;
}

/* leave(): the operator's function returned. */
static int leave(lua_State *lua)
{
    sandbox_unwatch(lua);
    return 0;
}

static int arguments(lua_State *lua)
{
    view_push_arguments(lua, host_policy(lua));
    return 1;
}

static const struct schema *schema_at(lua_State *lua, const struct policy *policy, int index)
{
    lua_Integer number = luaL_checkinteger(lua, index);
    must(number >= 0 && (lua_Unsigned)number < policy->schema_count);
    return policy->schemas[number];
}

/* fits(schema): whether the arguments do. */
static int fits(lua_State *lua)
{
    const struct schema *schema = schema_at(lua, host_policy(lua), 1);
    lua_pushboolean(lua, schema_accepts(schema, question_of(lua)->arguments));
    return 1;
}

static void set_arguments(lua_State *lua, struct policy *policy, struct slice arguments)
{
    policy->question->arguments = arguments;
    policy->question->has_arguments = true;
    view_forget_arguments(lua, policy);
}

static struct slice pack_arguments(lua_State *lua, struct buf *into)
{
    struct err err;
    buf_clear(into);
    if (bridge_to_pack(lua, 1, into, &err)) {
        (void)luaL_error(lua, "the new arguments have %s", err.text);
    }
    if (pack_peek(pack_over(buf_slice(into))) != PACK_MAP) {
        (void)luaL_error(lua, "the new arguments are a list, not a table with keys");
    }
    return buf_slice(into);
}

/* rewrite(table): from now on these are the arguments of the call. */
static int rewrite(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    set_arguments(lua, policy, pack_arguments(lua, &policy->arguments));
    policy->question->own_arguments = policy->question->arguments;
    policy->question->has_own_arguments = true;
    return 0;
}

/* map(table): what the call's arguments become for one target. */
static int map(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    set_arguments(lua, policy, pack_arguments(lua, &policy->mapped));
    return 0;
}

/* unmap(): back to the call's arguments. */
static int unmap(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct question *question = policy->question;
    set_arguments(lua, policy, question->own_arguments);
    question->has_arguments = question->has_own_arguments;
    return 0;
}

static struct slice constant_at(lua_State *lua, const struct policy *policy, int index)
{
    lua_Integer number = luaL_checkinteger(lua, index);
    must(number >= 0 && (lua_Unsigned)number < policy->constant_count);
    return (struct slice){policy->constants[number].bytes, policy->constants[number].len};
}

static int map_constant(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    set_arguments(lua, policy, constant_at(lua, policy, 1));
    return 0;
}

/* keep_result(value, is_demo): the answer of the question. */
static int keep_result(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct question *question = question_of(lua);
    struct err err;
    struct buf value;
    buf_init(&value, policy->result.max / 4);
    buf_clear(&policy->result);
    int result = bridge_to_pack(lua, 1, &value, &err);
    if (!result) {
        result = result_put(buf_slice(&value), lua_toboolean(lua, 2), &policy->result, &err);
    }
    buf_done(&value);
    if (result || policy->result.overflow) {
        return luaL_error(lua, "the answer has %s", result ? err.text : "too many bytes");
    }
    question->result = buf_slice(&policy->result);
    return 0;
}

/* ---- writing to the asker's buffer ------------------------------------------------------------- */

static int put(lua_State *lua)
{
    struct slice text = bridge_text(lua, 1);
    sandbox_charge(lua, text.len + 64);
    buf_put_slice(question_of(lua)->out, text);
    return 0;
}

static int put_constant(lua_State *lua)
{
    buf_put_slice(question_of(lua)->out, constant_at(lua, host_policy(lua), 1));
    return 0;
}

static int put_json(lua_State *lua)
{
    struct question *question = question_of(lua);
    struct err err;
    struct buf value;
    buf_init(&value, question->out->max);
    int result = bridge_to_pack(lua, 1, &value, &err);
    if (!result) {
        result = json_from_pack(buf_slice(&value), "result", question->out, &err);
    }
    buf_done(&value);
    return result ? luaL_error(lua, "%s", err.text) : 0;
}

void host_add_asking(lua_State *lua, struct policy *policy)
{
    static const luaL_Reg functions[] = {{"state", state},      {"enter", enter},
                                         {"leave", leave},      {"arguments", arguments},
                                         {"fits", fits},        {"rewrite", rewrite},
                                         {"map", map},          {"map_constant", map_constant},
                                         {"unmap", unmap},      {"keep_result", keep_result},
                                         {"put", put},          {"put_constant", put_constant},
                                         {"put_json", put_json}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        host_add(lua, policy, functions[i].name, functions[i].func);
    }
}
