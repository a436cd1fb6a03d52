/* SPDX-License-Identifier: MIT */
/* host.c - the table `host`: what the embedded Lua files can ask of C at any time. */
#include "policy/policy_internal.h"

#include "base/text.h"
#include "script/bridge.h"

#include <lauxlib.h>

struct policy *host_policy(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(1));
}

void host_add(lua_State *lua, struct policy *policy, const char *name, lua_CFunction function)
{
    lua_pushlightuserdata(lua, policy);
    lua_pushcclosure(lua, function, 1);
    lua_setfield(lua, -2, name);
}

/* near(name, list): the item that `name` was probably meant to be. */
static int near(lua_State *lua)
{
    struct slice name = bridge_text(lua, 1);
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    luaL_checktype(lua, 2, LUA_TTABLE);
    lua_Unsigned count = lua_rawlen(lua, 2);
    for (lua_Unsigned i = 1; i <= count; i++) {
        if (lua_rawgeti(lua, 2, (lua_Integer)i) == LUA_TSTRING) {
            sandbox_charge(lua, 256);
            text_nearest(name, bridge_text(lua, -1), &best, &distance);
        }
        lua_pop(lua, 1); /* the list holds the text */
    }
    if (!best.len || slice_equal(best, name)) {
        lua_pushnil(lua);
    } else {
        lua_pushlstring(lua, best.ptr, best.len);
    }
    return 1;
}

static int glob(lua_State *lua)
{
    struct slice pattern = bridge_text(lua, 1);
    struct slice name = bridge_text(lua, 2);
    bool fits = false;
    if (pattern.len <= 4096 && name.len <= 4096) {
        sandbox_charge(lua, name.len + pattern.len);
        fits = text_glob(pattern, name);
    }
    lua_pushboolean(lua, fits);
    return 1;
}

static int is_loading(lua_State *lua)
{
    lua_pushboolean(lua, host_policy(lua)->loading != NULL);
    return 1;
}

/* The numbers that both sides know, by name, so that they stand in one place. */
static void push_numbers(lua_State *lua)
{
    static const struct {
        const char *name;
        int number;
    } numbers[] = {
        {"CALL", RULING_CALL},
        {"DEMO", RULING_DEMO},
        {"ANSWER", RULING_ANSWER},
        {"FAIL", RULING_FAIL},
        {"INVALID", RULING_INVALID},
        {"UNKNOWN", POLICY_SERVICE_UNKNOWN},
        {"USABLE", POLICY_SERVICE_USABLE},
        {"NO_CREDENTIALS", POLICY_SERVICE_NO_CREDENTIALS},
        {"UNAVAILABLE", POLICY_SERVICE_UNAVAILABLE},
        {"DISABLED", POLICY_SERVICE_DISABLED},
        {"DEMO_BY_POLICY", POLICY_DEMO_BY_POLICY},
        {"DEMO_ONLY", POLICY_DEMO_ONLY},
        {"STAGE_PEER_MAY", STAGE_PEER_MAY},
        {"STAGE_BEFORE_CALL", STAGE_BEFORE_CALL},
        {"STAGE_DEMO_HOOK", STAGE_DEMO_HOOK},
        {"STAGE_DEMO_RESULT", STAGE_DEMO_RESULT},
        {"STAGE_ARGUMENTS", STAGE_ARGUMENTS},
        {"STAGE_ON_FAILURE", STAGE_ON_FAILURE},
        {"STAGE_AFTER_CALL", STAGE_AFTER_CALL},
        {"STAGE_MESSAGE_FOR", STAGE_MESSAGE_FOR},
    };
    lua_newtable(lua);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        lua_pushinteger(lua, numbers[i].number);
        lua_setfield(lua, -2, numbers[i].name);
    }
}

void host_open(lua_State *lua, struct policy *policy)
{
    lua_newtable(lua);
    lua_createtable(lua, 0, ERR_COUNT);
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        lua_pushinteger(lua, code);
        lua_setfield(lua, -2, err_name((enum err_code)code));
    }
    lua_setfield(lua, -2, "codes");
    push_numbers(lua);
    lua_setfield(lua, -2, "numbers");
    lua_pushstring(lua, policy->locale);
    lua_setfield(lua, -2, "locale");
    host_add(lua, policy, "near", near);
    host_add(lua, policy, "glob", glob);
    host_add(lua, policy, "is_loading", is_loading);
    host_add_loading(lua, policy);
    host_add_asking(lua, policy);
}
