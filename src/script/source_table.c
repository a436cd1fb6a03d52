/* SPDX-License-Identifier: MIT */
/* source_table.c - turns the text of a configuration file into one MessagePack table. */
#include "script/source.h"

#include "base/err.h"
#include "script/bridge.h"
#include "script/lines.h"
#include "script/sandbox.h"
#include "value/json.h"
#include "value/pack.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Configuration is data with a little logic: generous for that, fatal for a runaway loop. */
#define TABLE_MEMORY_BYTES (64u << 20)
#define TABLE_BUDGET_US    1000000

/* "what at path": the line of the path, if there is one in the text. */
static int line_of_place(const struct source *source, const char *text)
{
    const char *at = NULL;
    for (const char *next = strstr(text, " at "); next; next = strstr(next + 1, " at ")) {
        at = next;
    }
    return at ? source_line(source, slice_of(at + 4)) : 0;
}

static int lua_fault(const struct source *source, const struct err *err, struct faults *faults)
{
    char file[256];
    int line = 0;
    const char *what = sandbox_place(err->text, file, sizeof file, &line);
    if (!line) {
        what = err->text;
    }
    faults_add(faults, source->file, line, "%s", what);
    return -ERR_VALIDATION_ERROR;
}

static int take_result(const struct source *source, lua_State *lua, int base, struct buf *out,
                       struct faults *faults)
{
    int count = lua_gettop(lua) - base;
    if (count != 1 || lua_type(lua, -1) != LUA_TTABLE) {
        faults_add(faults, source->file, 0, "must return one table, not %s",
                   count == 0   ? "nothing"
                   : count == 1 ? lua_typename(lua, lua_type(lua, -1))
                                : "several values");
        return -ERR_VALIDATION_ERROR;
    }
    struct err err;
    if (bridge_to_pack(lua, base + 1, out, &err) != 0) {
        faults_add(faults, source->file, line_of_place(source, err.text),
                   "the table cannot be used: %s", err.text);
        return -ERR_VALIDATION_ERROR;
    }
    return 0;
}

static int refuse_unknown(lua_State *lua)
{
    return luaL_error(lua, "undefined variable `%s`", luaL_tolstring(lua, 2, NULL));
}

/* A misspelt variable would be nil, and its key silently as if it were not there. */
static int refuse_unknown_globals(lua_State *lua)
{
    lua_pushglobaltable(lua);
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, refuse_unknown);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    return 0;
}

static int run_lua(const struct source *source, struct sandbox *sandbox, struct buf *out,
                   struct faults *faults)
{
    struct err err;
    lua_State *lua = sandbox_lua(sandbox);
    int base = lua_gettop(lua);
    struct buf name;
    buf_init(&name, 4096);
    buf_printf(&name, "@%s", source->file);
    lua_pushcfunction(lua, refuse_unknown_globals);
    int result = sandbox_call(sandbox, 0, 0, TABLE_BUDGET_US, &err);
    if (result == 0) {
        result = sandbox_load(sandbox, buf_slice(&source->text), buf_text(&name), &err);
    }
    buf_done(&name);
    if (result == 0) {
        result = sandbox_call(sandbox, 0, LUA_MULTRET, TABLE_BUDGET_US, &err);
    }
    return result ? lua_fault(source, &err, faults)
                  : take_result(source, lua, base, out, faults);
}

static int read_lua(const struct source *source, struct buf *out, struct faults *faults)
{
    struct sandbox *sandbox = sandbox_new(TABLE_MEMORY_BYTES);
    if (!sandbox) {
        faults_add(faults, source->file, 0, "no memory to run it");
        return -ERR_VALIDATION_ERROR;
    }
    int result = run_lua(source, sandbox, out, faults);
    sandbox_free(sandbox);
    return result;
}

/* "... byte N: what": the byte as a line and a column. */
static int json_fault(const struct source *source, const struct err *err, struct faults *faults)
{
    const char *place = strstr(err->text, "byte ");
    if (!place) {
        faults_add(faults, source->file, 0, "%s", err->text);
        return -ERR_VALIDATION_ERROR;
    }
    char *what;
    int column = 0;
    size_t offset = strtoul(place + 5, &what, 10);
    int line = lines_of_offset(buf_slice(&source->text), offset, &column);
    faults_add(faults, source->file, line, "column %d: JSON is wrong%s", column, what);
    return -ERR_VALIDATION_ERROR;
}

static int read_json(const struct source *source, struct buf *out, struct faults *faults)
{
    struct slice text = buf_slice(&source->text);
    size_t before = out->len;
    struct err err;
    if (json_to_pack(text, JSON_DEPTH_MAX / 2, out, &err) != 0) {
        return json_fault(source, &err, faults);
    }
    struct slice value = {out->data + before, out->len - before};
    if (pack_peek(pack_over(value)) != PACK_MAP) {
        faults_add(faults, source->file, 1, "must be one JSON object");
        return -ERR_VALIDATION_ERROR;
    }
    return 0;
}

int source_table(const struct source *source, struct buf *out, struct faults *faults)
{
    size_t before = out->len;
    int result =
        source->is_json ? read_json(source, out, faults) : read_lua(source, out, faults);
    if (result == 0 && out->overflow) {
        faults_add(faults, source->file, 0, "its table is too large");
        result = -ERR_VALIDATION_ERROR;
    }
    if (result != 0) {
        out->len = before;
    }
    return result;
}
