/* SPDX-License-Identifier: MIT */
/* view.c - what hooks see of a call: one read-only object, whose fields are made when read. */
#include "base/text.h"
#include "policy/policy_internal.h"
#include "script/bridge.h"

#include <lauxlib.h>

static const struct question *asked(lua_State *lua)
{
    const struct view *view = lua_touserdata(lua, 1);
    const struct question *question = view->policy->question;
    if (!question || !question->call) {
        (void)luaL_error(lua, "this call is over: what of it is needed later must be copied");
        return NULL;
    }
    return question;
}

static void push_text(lua_State *lua, struct slice text)
{
    lua_pushlstring(lua, text.ptr ? text.ptr : "", text.len);
}

static void push_peer(lua_State *lua, const struct policy_peer *peer)
{
    lua_createtable(lua, 0, 5);
    lua_pushinteger(lua, (lua_Integer)peer->uid);
    lua_setfield(lua, -2, "uid");
    lua_pushinteger(lua, (lua_Integer)peer->gid);
    lua_setfield(lua, -2, "gid");
    lua_pushinteger(lua, (lua_Integer)peer->pid);
    lua_setfield(lua, -2, "pid");
    lua_pushboolean(lua, peer->is_trusted);
    lua_setfield(lua, -2, "trusted");
    lua_pushboolean(lua, peer->is_admin);
    lua_setfield(lua, -2, "admin");
}

/* The table is kept until the question ends or its arguments change. */
void view_push_arguments(lua_State *lua, struct policy *policy)
{
    struct slice arguments = policy->question->arguments;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->view);
    if (policy->view_data->has_arguments) {
        (void)lua_getiuservalue(lua, -1, 1);
    } else {
        if (!arguments.len) {
            lua_newtable(lua);
        } else if (!bridge_push(lua, arguments)) {
            (void)luaL_error(lua, "the arguments are nested too deeply for the policy");
        }
        lua_pushvalue(lua, -1);
        (void)lua_setiuservalue(lua, -3, 1);
        policy->view_data->has_arguments = true;
    }
    lua_remove(lua, -2);
}

void view_forget_arguments(lua_State *lua, struct policy *policy)
{
    if (policy->view_data->has_arguments) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->view);
        lua_pushnil(lua);
        (void)lua_setiuservalue(lua, -2, 1);
        lua_pop(lua, 1);
        policy->view_data->has_arguments = false;
    }
}

static int unknown_field(lua_State *lua, struct slice key)
{
    static const char *const fields[] = {"agent",  "user",      "service", "tool",
                                         "locale", "arguments", "peer",    "demo"};
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        text_nearest(key, slice_of(fields[i]), &best, &distance);
    }
    if (best.len) {
        return luaL_error(lua, "a call has no field `%s`, did you mean `%s`?", key.ptr,
                          best.ptr);
    }
    return luaL_error(lua, "a call has no field `%s`", key.ptr);
}

static int index_view(lua_State *lua)
{
    static const char *const demo_names[] = {"policy", "never", "only"};
    const struct question *question = asked(lua);
    struct slice key = bridge_text(lua, 2);
    if (slice_is(key, "agent")) {
        push_text(lua, question->call->agent);
    } else if (slice_is(key, "user")) {
        push_text(lua, question->call->user);
    } else if (slice_is(key, "tool")) {
        push_text(lua, question->tool);
    } else if (slice_is(key, "locale")) {
        push_text(lua, question->call->locale);
    } else if (slice_is(key, "arguments")) {
        view_push_arguments(lua, ((struct view *)lua_touserdata(lua, 1))->policy);
    } else if (slice_is(key, "peer")) {
        push_peer(lua, question->call->peer);
    } else if (slice_is(key, "demo")) {
        lua_pushstring(lua, demo_names[question->call->demo]);
    } else if (!slice_is(key, "service")) {
        return unknown_field(lua, key);
    } else if (question->service.len) {
        push_text(lua, question->service);
    } else {
        lua_pushnil(lua);
    }
    return 1;
}

static int refuse_change(lua_State *lua)
{
    return luaL_error(lua,
                      "a call is read-only: return rewrite(arguments) to change arguments");
}

void view_open(lua_State *lua, struct policy *policy)
{
    struct view *view = lua_newuserdatauv(lua, sizeof *view, 1);
    *view = (struct view){policy, false};
    lua_createtable(lua, 0, 2);
    lua_pushcfunction(lua, index_view);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_change);
    lua_setfield(lua, -2, "__newindex");
    lua_setmetatable(lua, -2);
    policy->view_data = view;
    policy->view = luaL_ref(lua, LUA_REGISTRYINDEX);
}
