/* SPDX-License-Identifier: MIT */
/* sandbox.c - a bounded Lua state: the allocator's ceiling, the budget's hook, the one door. */
#include "script/sandbox.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/library.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Instructions between two looks at the clock. One instruction can compare or copy a whole
 * string, or walk a table's empty slots: from the first large block on, we look oftener. */
#define STEPS           1000
#define STEPS_LARGE     16
#define LARGE_BYTES     (64u << 10)
#define WORK_MAX        (64u << 10)

#define TRACEBACK_BYTES 4096

struct sandbox {
    lua_State *lua;
    size_t used, ceiling;
    mono_us deadline; /* 0: not counted yet */
    int64_t budget_us;
    size_t work;
    unsigned depth;  /* of sandbox_call */
    int steps;       /* between two looks at the clock; 0: nobody looks */
    bool is_over;    /* the budget */
    bool is_trusted; /* what was called is our own */
    char traceback[TRACEBACK_BYTES];
};

static void on_count(lua_State *lua, lua_Debug *at);

static void watch(struct sandbox *sandbox, int steps)
{
    sandbox->steps = steps;
    lua_sethook(sandbox->lua, steps ? on_count : NULL, steps ? LUA_MASKCOUNT : 0, steps);
}

static void *allocate(void *arg, void *ptr, size_t old_size, size_t size)
{
    struct sandbox *sandbox = arg;
    size_t had = ptr ? old_size : 0; /* without ptr, Lua passes a type there */
    if (!size) {
        mem_free(ptr);
        sandbox->used -= had;
        return NULL;
    }
    if (size > had && size - had > sandbox->ceiling - sandbox->used) {
        return NULL;
    }
    void *block = ptr ? mem_resize(ptr, size) : mem_try(size);
    if (!block) {
        return size <= had ? ptr : NULL; /* Lua relies on shrinking never to fail */
    }
    sandbox->used = sandbox->used - had + size;
    if (size >= LARGE_BYTES && size > had && sandbox->lua &&
        (!sandbox->steps || sandbox->steps > STEPS_LARGE)) {
        watch(sandbox, STEPS_LARGE);
    }
    return block;
}

static int on_panic(lua_State *lua)
{
    (void)lua;
    must_failed("every Lua function that may fail is called below sandbox_call", __FILE__,
                __LINE__);
}

struct sandbox *sandbox_of(lua_State *lua)
{
    struct sandbox *sandbox;
    memcpy(&sandbox, lua_getextraspace(lua), sizeof(void *));
    return sandbox;
}

/* Pushes "FILE:LINE: " of the innermost Lua function, which a hook, a C function and a message
 * handler have on different levels. */
static void push_where(lua_State *lua)
{
    lua_Debug at;
    for (int level = 0; level < 8 && lua_getstack(lua, level, &at); level++) {
        (void)lua_getinfo(lua, "Sl", &at);
        if (at.currentline > 0) {
            lua_pushfstring(lua, "%s:%d: ", at.short_src, at.currentline);
            return;
        }
    }
    lua_pushliteral(lua, "");
}

/* Once the time is over, every further instruction raises: a script's pcall catches one error
 * and is hit by the next before it can go on. */
static void look_at_clock(lua_State *lua)
{
    struct sandbox *sandbox = sandbox_of(lua);
    mono_us now = clock_mono();
    sandbox->work = 0;
    if (!sandbox->deadline) {
        sandbox->deadline = now + sandbox->budget_us;
    }
    if (now < sandbox->deadline) {
        return;
    }
    if (!sandbox->is_over) {
        sandbox->is_over = true;
        watch(sandbox, 1);
    }
    push_where(lua);
    lua_pushfstring(lua, "%sover its time budget of %d microseconds", lua_tostring(lua, -1),
                    (int)sandbox->budget_us);
    (void)lua_error(lua);
}

static void on_count(lua_State *lua, lua_Debug *at)
{
    (void)at;
    look_at_clock(lua);
}

void sandbox_charge(lua_State *lua, size_t work)
{
    struct sandbox *sandbox = sandbox_of(lua);
    sandbox->work += work < WORK_MAX ? work : WORK_MAX;
    if (sandbox->work >= WORK_MAX) {
        look_at_clock(lua);
    }
}

struct sandbox *sandbox_new(size_t memory_bytes)
{
    struct sandbox *sandbox = mem_new(sizeof *sandbox);
    sandbox->ceiling = memory_bytes;
    lua_State *lua = lua_newstate(allocate, sandbox);
    if (!lua) {
        mem_free(sandbox);
        return NULL;
    }
    memcpy(lua_getextraspace(lua), &sandbox, sizeof(void *));
    sandbox->lua = lua;
    (void)lua_atpanic(lua, on_panic);
    watch(sandbox, STEPS); /* before anything is loaded */
    lua_pushcfunction(lua, library_open);
    if (sandbox_call(sandbox, 0, 0, INT_MAX, NULL)) {
        sandbox_free(sandbox);
        return NULL;
    }
    return sandbox;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (sandbox) {
        lua_close(sandbox->lua);
        mem_free(sandbox);
    }
}

lua_State *sandbox_lua(struct sandbox *sandbox)
{
    return sandbox->lua;
}

size_t sandbox_memory(const struct sandbox *sandbox)
{
    return sandbox->used;
}

const char *sandbox_traceback(const struct sandbox *sandbox)
{
    return sandbox->traceback;
}

/* Takes the message off the stack. */
static int fail(struct sandbox *sandbox, enum err_code code, struct err *reterr)
{
    const char *text =
        lua_type(sandbox->lua, -1) == LUA_TSTRING ? lua_tostring(sandbox->lua, -1) : "unknown";
    (void)err_set(reterr, code, "%.300s", text);
    lua_pop(sandbox->lua, 1);
    return -(int)code;
}

int sandbox_load(struct sandbox *sandbox, struct slice chunk, const char *chunkname,
                 struct err *reterr)
{
    sandbox->traceback[0] = '\0';
    if (chunk.len > SANDBOX_CHUNK_BYTES) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "%.100s:0: longer than %u bytes",
                       chunkname + 1, SANDBOX_CHUNK_BYTES);
    }
    if (!lua_checkstack(sandbox->lua, 4)) {
        return err_set(reterr, ERR_OVERLOADED, "no room on the Lua stack");
    }
    int status =
        luaL_loadbufferx(sandbox->lua, chunk.ptr ? chunk.ptr : "", chunk.len, chunkname, "t");
    if (status != LUA_OK) {
        return fail(sandbox, status == LUA_ERRMEM ? ERR_OVERLOADED : ERR_VALIDATION_ERROR,
                    reterr);
    }
    return 0;
}

/* The message handler: keeps the traceback while the stack still stands, makes text of whatever
 * was raised. It may run inside the hook, where no hook fires: nothing here may be long. */
static int keep_traceback(lua_State *lua)
{
    struct sandbox *sandbox = sandbox_of(lua);
    if (lua_type(lua, 1) != LUA_TSTRING) {
        const char *type = luaL_typename(lua, 1);
        push_where(lua);
        lua_pushfstring(lua, "%sraised a %s instead of a text", lua_tostring(lua, -1), type);
        lua_replace(lua, 1);
    }
    lua_settop(lua, 1);
    luaL_traceback(lua, lua, NULL, 1);
    (void)snprintf(sandbox->traceback, sizeof sandbox->traceback, "%s", lua_tostring(lua, 2));
    lua_settop(lua, 1);
    return 1;
}

static enum err_code code_of(const struct sandbox *sandbox, int status)
{
    if (sandbox->is_over) {
        return ERR_TIMEOUT;
    }
    return status == LUA_ERRMEM ? ERR_OVERLOADED : ERR_INTERNAL;
}

static int call(struct sandbox *sandbox, int nargs, int nresults, struct err *reterr)
{
    lua_State *lua = sandbox->lua;
    int handler = lua_gettop(lua) - nargs;
    lua_pushcfunction(lua, keep_traceback);
    lua_insert(lua, handler);
    sandbox->depth++;
    int status = lua_pcall(lua, nargs, nresults, handler);
    sandbox->depth--;
    lua_remove(lua, handler);
    return status == LUA_OK ? 0 : fail(sandbox, code_of(sandbox, status), reterr);
}

static int enter(struct sandbox *sandbox, int nargs, int nresults, int64_t budget_us,
                 struct err *reterr)
{
    if (!lua_checkstack(sandbox->lua, 4)) {
        lua_pop(sandbox->lua, nargs + 1);
        return err_set(reterr, ERR_OVERLOADED, "no room on the Lua stack");
    }
    if (sandbox->depth) { /* a nested call lives on what the outer one has left */
        return call(sandbox, nargs, nresults, reterr);
    }
    sandbox->budget_us = budget_us;
    sandbox->deadline = 0;
    sandbox->work = 0;
    sandbox->is_over = false;
    sandbox->traceback[0] = '\0';
    return call(sandbox, nargs, nresults, reterr);
}

int sandbox_call(struct sandbox *sandbox, int nargs, int nresults, int64_t budget_us,
                 struct err *reterr)
{
    if (!sandbox->depth) {
        sandbox->is_trusted = false;
        if (sandbox->steps != STEPS) {
            watch(sandbox, STEPS);
        }
    }
    return enter(sandbox, nargs, nresults, budget_us, reterr);
}

int sandbox_call_trusted(struct sandbox *sandbox, int nargs, int nresults, int64_t budget_us,
                         struct err *reterr)
{
    if (!sandbox->depth) {
        sandbox->is_trusted = true;
        if (sandbox->steps) {
            watch(sandbox, 0);
        }
    }
    return enter(sandbox, nargs, nresults, budget_us, reterr);
}

void sandbox_watch(lua_State *lua)
{
    struct sandbox *sandbox = sandbox_of(lua);
    if (!sandbox->steps) {
        watch(sandbox, STEPS);
    }
}

void sandbox_unwatch(lua_State *lua)
{
    struct sandbox *sandbox = sandbox_of(lua);
    if (sandbox->is_trusted && sandbox->steps && !sandbox->is_over) {
        watch(sandbox, 0);
    }
}

const char *sandbox_place(const char *text, char *file, size_t file_bytes, int *ret_line)
{
    *ret_line = 0;
    file[0] = '\0';
    for (const char *at = strchr(text, ':'); at; at = strchr(at + 1, ':')) {
        char *end;
        long line = strtol(at + 1, &end, 10);
        if (end > at + 1 && *end == ':' && line >= 0 && line < INT_MAX) {
            (void)snprintf(file, file_bytes, "%.*s", (int)(at - text), text);
            *ret_line = (int)line;
            return end + strspn(end, ": ");
        }
    }
    return text;
}
