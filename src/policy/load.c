/* SPDX-License-Identifier: MIT */
/* load.c - builds a policy: the embedded Lua files, then the operator's, then what they declared. */
#include "policy/policy_internal.h"

#include "base/text.h"
#include "policy/embedded.h"
#include "policy/load.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 64

static const char *const entry_names[] = {
#define ENTRY(name, key) key,
    POLICY_ENTRIES(ENTRY)
#undef ENTRY
};

/* ---- sources -------------------------------------------------------------------------------------- */

static struct policy_source *add_source(struct loading *loading, const char *name)
{
    struct policy_source *source = &loading->sources[loading->source_count++];
    source->name = mem_dup(slice_of(name));
    return source;
}

static const struct embedded *find_embedded(const char *name)
{
    const struct embedded *file = embedded_files;
    while (file->name && strcmp(file->name, name) != 0) {
        file++;
    }
    return file->name ? file : NULL;
}

static void load_chunk(lua_State *lua, struct slice bytes, const char *name, const char *mode)
{
    char chunk[NAME_BYTES + 16];
    (void)snprintf(chunk, sizeof chunk, "=%s", name);
    if (luaL_loadbufferx(lua, bytes.ptr, bytes.len, chunk, mode) != LUA_OK) {
        (void)lua_error(lua);
    }
}

static struct slice text_of(const struct embedded *file)
{
    return (struct slice){(const char *)file->text, file->text_len};
}

static void load_embedded(lua_State *lua, const struct embedded *file)
{
    if (strcmp(lua_ident, (const char *)embedded_ident) == 0) {
        load_chunk(lua, (struct slice){(const char *)file->code, file->code_len}, file->chunk,
                   "b");
    } else {
        load_chunk(lua, text_of(file), file->chunk, "t");
    }
}

/* Runs the source on top of the list, `file` if it is that, and leaves its value, true if it has
 * none, in `loaded`. */
static void run_source(lua_State *lua, struct loading *loading, const struct embedded *file)
{
    const struct policy_source *source = &loading->sources[loading->source_count - 1];
    const char *name = source->name;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->loaded);
    lua_pushboolean(lua, false);
    lua_setfield(lua, -2, name);
    if (file) {
        load_embedded(lua, file);
    } else {
        load_chunk(lua, buf_slice(&source->source.text), name, "t");
    }
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        lua_pushboolean(lua, true);
    }
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, name);
    lua_remove(lua, -2);
}

static struct loading *loading_of(lua_State *lua)
{
    struct loading *loading = host_policy(lua)->loading;
    if (!loading) {
        (void)luaL_error(lua, "files are read only while the policy is loaded");
    } else if (loading->source_count == POLICY_SOURCES_MAX) {
        (void)luaL_error(lua, "a policy has at most %d files", POLICY_SOURCES_MAX);
    }
    return loading;
}

/* True, with its value pushed, if the source is there already. */
static bool push_loaded(lua_State *lua, const struct loading *loading, const char *name)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->loaded);
    lua_getfield(lua, -1, name);
    lua_remove(lua, -2);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        return false;
    }
    if (lua_isboolean(lua, -1) && !lua_toboolean(lua, -1)) {
        (void)luaL_error(lua, "`%s` is being loaded already: it needs itself", name);
    }
    return true;
}

static bool is_plain(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < NAME_BYTES - 16 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
               len;
}

/* require "name": NAME.lua beside policy.lua, once. */
static int require(lua_State *lua)
{
    struct loading *loading = loading_of(lua);
    const char *name = luaL_checkstring(lua, 1);
    char file[NAME_BYTES];
    if (!is_plain(name)) {
        return luaL_error(lua, "require takes the name of a file beside policy.lua, without "
                               "folder and `.lua`");
    }
    if (!loading->options->folder) {
        return luaL_error(lua, "there is no folder to require `%s` from", name);
    }
    (void)snprintf(file, sizeof file, "%s.lua", name);
    if (push_loaded(lua, loading, file)) {
        return 1;
    }
    int result = load_file(loading, file);
    if (result) {
        return luaL_error(lua,
                          result == -ERR_NOT_FOUND ? "there is no file `%s` beside policy.lua"
                                                   : "`%s` cannot be used",
                          file);
    }
    run_source(lua, loading, NULL);
    return 1;
}

int load_file(struct loading *loading, const char *name)
{
    struct source source;
    struct buf path;
    buf_init(&path, 1u << 16);
    buf_printf(&path, "%s/%s", loading->options->folder, name);
    int result = source_read(buf_text(&path), &source, loading->faults);
    buf_done(&path);
    if (!result) {
        add_source(loading, name)->source = source;
    }
    return result;
}

/* A hook may be called demo_answer, like the declaration; an included file means the latter. */
static void keep_demo_answer(lua_State *lua, const struct loading *loading)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_getfield(lua, -1, "demo_answer");
    lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->host);
    lua_getfield(lua, -1, "declare_demo_answer");
    lua_setfield(lua, -4, "demo_answer");
    lua_pop(lua, 1);
}

/* include "name": a file that comes with the program; "default" is the default policy. */
static int include(lua_State *lua)
{
    struct loading *loading = loading_of(lua);
    const char *name = luaL_checkstring(lua, 1);
    const struct embedded *file = find_embedded(strcmp(name, "default") == 0 ? "policy" : name);
    if (!file || slice_starts(slice_of(name), "std/")) {
        return luaL_error(lua,
                          "the program has no file `%s` to include; it has `default`, and "
                          "`messages` and `demo/SERVICE`, of which that consists",
                          name);
    }
    if (push_loaded(lua, loading, file->chunk)) {
        return 1;
    }
    struct policy_source *source = add_source(loading, file->chunk);
    source_of_text(file->chunk, text_of(file), &source->source);
    source->is_embedded = true;
    keep_demo_answer(lua, loading);
    run_source(lua, loading, file);
    lua_insert(lua, -3); /* value, globals, the demo_answer of before */
    lua_setfield(lua, -2, "demo_answer");
    lua_pop(lua, 1);
    return 1;
}

/* ---- the globals while loading ------------------------------------------------------------------------ */

/* A misspelt declaration is one fault, not the end of the file: what it is given is swallowed. */
static int swallow(lua_State *lua)
{
    lua_pushcfunction(lua, swallow);
    return 1;
}

static int unknown_global(lua_State *lua)
{
    static const char *const declarations[] = {
        "agent",    "operation", "keep_local", "demo",    "demo_answer",
        "fallback", "locale",    "message",    "include", "require"};
    struct policy *policy = host_policy(lua);
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    struct slice name;
    lua_Debug at;
    if (!policy->loading || lua_type(lua, 2) != LUA_TSTRING) {
        return 0;
    }
    name.ptr = lua_tolstring(lua, 2, &name.len);
    for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
        text_nearest(name, slice_of(declarations[i]), &best, &distance);
    }
    if (!best.len || !lua_getstack(lua, 1, &at) || !lua_getinfo(lua, "Sl", &at)) {
        return 0;
    }
    faults_add(policy->loading->faults, load_file_of(policy->loading, at.short_src),
               at.currentline, "no declaration `%s`, did you mean `%s`?", name.ptr, best.ptr);
    lua_pushcfunction(lua, swallow);
    return 1;
}

static void watch_globals(lua_State *lua, struct policy *policy)
{
    lua_createtable(lua, 0, 1);
    host_add(lua, policy, "__index", unknown_global);
    lua_setmetatable(lua, -2);
}

const char *load_file_of(const struct loading *loading, const char *name)
{
    for (unsigned i = 0; i < loading->source_count; i++) {
        if (strcmp(loading->sources[i].name, name) == 0) {
            return loading->sources[i].source.file;
        }
    }
    return name;
}

/* ---- steps of policy_load, each below sandbox_call ------------------------------------------------------- */

/* Where load_open keeps them on the stack, above the policy. */
enum { GLOBALS = 2, OWN_GLOBALS };

static void push_copy(lua_State *lua, int table)
{
    lua_newtable(lua);
    for (lua_pushnil(lua); lua_next(lua, table); lua_pop(lua, 1)) {
        lua_pushvalue(lua, -2);
        lua_pushvalue(lua, -2);
        lua_rawset(lua, -5);
    }
}

/* The runtime keeps the library as it was, strings their methods: a policy that gives `type` or
 * `table.concat` another meaning has it for itself alone. Leaves the globals on top. */
static void push_own_globals(lua_State *lua)
{
    push_copy(lua, GLOBALS);
    for (lua_pushnil(lua); lua_next(lua, OWN_GLOBALS); lua_pop(lua, 1)) {
        if (lua_istable(lua, -1)) {
            lua_pushvalue(lua, -2);
            push_copy(lua, lua_gettop(lua) - 1);
            lua_rawset(lua, GLOBALS);
        }
    }
    lua_pushvalue(lua, GLOBALS);
}

/* The embedded runtime, each file called with the host table and the globals. */
int load_open(lua_State *lua)
{
    static const char *const files[] = {"std/shape", "std/verdict", "std/declare",
                                        "std/admit", "std/decide",  "std/after",
                                        "std/lists", "std/words",   "std/hooks"};
    struct policy *policy = lua_touserdata(lua, 1);
    struct loading *loading = policy->loading;
    view_open(lua, policy);
    lua_newtable(lua);
    loading->loaded = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    push_own_globals(lua);
    host_add(lua, policy, "require", require);
    host_add(lua, policy, "include", include);
    host_open(lua, policy);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const struct embedded *file = find_embedded(files[i]);
        load_embedded(lua, file);
        lua_pushvalue(lua, OWN_GLOBALS);
        (void)lua_setupvalue(lua, -2, 1);
        lua_pushvalue(lua, -2);
        lua_pushvalue(lua, GLOBALS);
        lua_call(lua, 2, 0);
    }
    loading->host = luaL_ref(lua, LUA_REGISTRYINDEX);
    watch_globals(lua, policy);
    return 0;
}

int load_run(lua_State *lua)
{
    struct policy *policy = lua_touserdata(lua, 1);
    lua_settop(lua, 0);
    if (policy->loading->source_count) {
        run_source(lua, policy->loading, NULL);
    } else {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
        lua_getfield(lua, -1, "include");
        lua_pushliteral(lua, "default");
        lua_call(lua, 1, 0);
    }
    return 0;
}

int load_finish(lua_State *lua)
{
    struct policy *policy = lua_touserdata(lua, 1);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushnil(lua);
    lua_setmetatable(lua, -2);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, policy->loading->host);
    lua_getfield(lua, -1, "finish");
    lua_call(lua, 0, 2);
    policy->agents = (uint64_t)lua_tointeger(lua, -2);
    policy->operations = (uint64_t)lua_tointeger(lua, -1);
    lua_pop(lua, 2);
    lua_getfield(lua, -1, "settle");
    lua_pushvalue(lua, -3);
    lua_call(lua, 1, 2);
    policy->has_after_call = lua_toboolean(lua, -2);
    policy->has_peer_may = lua_toboolean(lua, -1);
    lua_pop(lua, 2);
    for (int i = 0; i < ENTRY_COUNT; i++) {
        lua_getfield(lua, -1, entry_names[i]);
        luaL_checktype(lua, -1, LUA_TFUNCTION);
        policy->entries[i] = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    return 0;
}

int load_selftest(lua_State *lua)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_getfield(lua, -1, "selftest");
    if (lua_isfunction(lua, -1)) {
        lua_call(lua, 0, 0);
    }
    return 0;
}
