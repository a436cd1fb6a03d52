/* SPDX-License-Identifier: MIT */
/* host_load.c - for declarations: faults and their places, constants, schemas, shared rules. */
#include "policy/policy_internal.h"

#include "base/must.h"
#include "base/text.h"
#include "script/bridge.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#define CONSTANT_BYTES (1u << 20)
#define RESULT_BYTES   (4u << 20)
#define CONSTANTS_MAX  100000u

/* A place is one number: which source (from 1), and the line. */
#define PLACE(source, line)  (((lua_Integer)(source) << 32) | (line))
#define PLACE_SOURCE(place)  ((unsigned)((place) >> 32))
#define PLACE_LINE(place)    ((int)((place)&0x7fffffff))
#define KEY_SEARCH_LINES_MAX 400

static struct loading *loading_of(lua_State *lua)
{
    struct loading *loading = host_policy(lua)->loading;
    if (!loading) {
        (void)luaL_error(lua, "only while the policy is loaded");
    }
    return loading;
}

static unsigned source_number(const struct loading *loading, const char *name)
{
    for (unsigned i = 0; i < loading->source_count; i++) {
        if (strcmp(loading->sources[i].name, name) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* where(): the place in a policy file from which a declaration was called. */
static int where(lua_State *lua)
{
    const struct loading *loading = loading_of(lua);
    lua_Debug at;
    for (int level = 1; lua_getstack(lua, level, &at); level++) {
        (void)lua_getinfo(lua, "Sl", &at);
        unsigned source = at.source[0] == '=' ? source_number(loading, at.source + 1) : 0;
        if (source && at.currentline > 0) {
            lua_pushinteger(lua, PLACE(source, at.currentline));
            return 1;
        }
    }
    lua_pushinteger(lua, 0);
    return 1;
}

static const struct policy_source *source_at(const struct loading *loading, lua_Integer place)
{
    unsigned number = PLACE_SOURCE(place);
    return number && number <= loading->source_count ? &loading->sources[number - 1] : NULL;
}

static const char *file_at(const struct loading *loading, lua_Integer place)
{
    const struct policy_source *source = source_at(loading, place);
    return source ? source->source.file : "policy.lua";
}

static bool is_word(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_';
}

/* Whether `key` is given a value in this line: `key =`, or ["key"] =. */
static bool line_sets(struct slice line, struct slice key)
{
    for (size_t i = 0; i + key.len < line.len; i++) {
        if (memcmp(line.ptr + i, key.ptr, key.len) != 0 || (i && is_word(line.ptr[i - 1])) ||
            is_word(line.ptr[i + key.len])) {
            continue;
        }
        size_t at = i + key.len;
        while (at < line.len && strchr(" \t\"']", line.ptr[at])) {
            at++;
        }
        if (at < line.len && line.ptr[at] == '=' &&
            (at + 1 == line.len || line.ptr[at + 1] != '=')) {
            return true;
        }
    }
    return false;
}

/* The first line from `line` on that sets the key: within a declaration a good guess. */
static int line_of_key(struct slice text, int line, struct slice key)
{
    int at_line = 1;
    for (size_t at = 0; at < text.len && at_line < line + KEY_SEARCH_LINES_MAX; at_line++) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
        if (at_line >= line && line_sets((struct slice){text.ptr + at, len}, key)) {
            return at_line;
        }
        at += len + 1;
    }
    return line;
}

/* fault(place, text, key): key names what in the declaration is at fault. */
static int fault(lua_State *lua)
{
    struct loading *loading = loading_of(lua);
    lua_Integer place = luaL_checkinteger(lua, 1);
    const char *text = luaL_checkstring(lua, 2);
    int line = PLACE_LINE(place);
    const struct policy_source *source = source_at(loading, place);
    if (source && lua_type(lua, 3) == LUA_TSTRING) {
        struct slice key;
        key.ptr = lua_tolstring(lua, 3, &key.len);
        line = line_of_key(buf_slice(&source->source.text), line, key);
    }
    faults_add(loading->faults, file_at(loading, place), line, "%s", text);
    return 0;
}

static int place_text(lua_State *lua)
{
    const struct loading *loading = loading_of(lua);
    lua_Integer place = luaL_checkinteger(lua, 1);
    lua_pushfstring(lua, "%s:%d", file_at(loading, place), PLACE_LINE(place));
    return 1;
}

/* may_replace(place, before): what comes with the program may be said anew by the operator. */
static int may_replace(lua_State *lua)
{
    const struct loading *loading = loading_of(lua);
    const struct policy_source *now = source_at(loading, luaL_checkinteger(lua, 1));
    const struct policy_source *before = source_at(loading, luaL_checkinteger(lua, 2));
    lua_pushboolean(lua, now && before && before->is_embedded && !now->is_embedded);
    return 1;
}

/* ---- values that are packed once ---------------------------------------------------------------- */

static int fail(lua_State *lua, const struct err *err)
{
    lua_pushnil(lua);
    lua_pushstring(lua, err->text);
    return 2;
}

/* Room for one more item in a table that grows by doubling. */
static bool grow(void **table, unsigned count, size_t item)
{
    if (count >= 8 && (count & (count - 1)) != 0) {
        return true;
    }
    void *grown = mem_resize(*table, (count < 8 ? 8 : (size_t)count * 2) * item);
    if (grown) {
        *table = grown;
    }
    return grown != NULL;
}

/* What C keeps for a policy counts against the same ceiling as what Lua keeps. */
static bool may_keep(struct policy *policy, unsigned count, size_t bytes)
{
    size_t ceiling = policy->loading->options->memory_bytes;
    if (count >= CONSTANTS_MAX || bytes > ceiling || policy->kept_bytes > ceiling - bytes) {
        return false;
    }
    policy->kept_bytes += bytes;
    return true;
}

static int too_much(struct err *reterr)
{
    return err_set(reterr, ERR_OVERLOADED, "too much for limits.policy_bytes");
}

static int keep_constant(struct policy *policy, const struct buf *bytes, struct err *reterr)
{
    if (bytes->overflow || !may_keep(policy, policy->constant_count, bytes->len) ||
        !grow((void **)&policy->constants, policy->constant_count, sizeof(struct constant))) {
        return too_much(reterr);
    }
    policy->constants[policy->constant_count++] =
        (struct constant){mem_dup(buf_slice(bytes)), bytes->len};
    return 0;
}

/* The number of what was kept last, or nil and why nothing was. Nothing else is held any more
 * when this raises. */
static int give_kept(lua_State *lua, const struct policy *policy, int result,
                     const struct err *err)
{
    if (result) {
        return fail(lua, err);
    }
    lua_pushinteger(lua, (lua_Integer)policy->constant_count - 1);
    return 1;
}

/* constant(value): its number, or nil and why not. */
static int constant(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct err err;
    struct buf bytes;
    buf_init(&bytes, CONSTANT_BYTES);
    int result = bridge_to_pack(lua, 1, &bytes, &err);
    if (!result) {
        result = keep_constant(policy, &bytes, &err);
    }
    buf_done(&bytes);
    return give_kept(lua, policy, result, &err);
}

/* demo_result(value): the number of the MCP result that it makes. */
static int demo_result(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct err err;
    struct buf value;
    struct buf bytes;
    buf_init(&value, CONSTANT_BYTES);
    buf_init(&bytes, RESULT_BYTES);
    int result = bridge_to_pack(lua, 1, &value, &err);
    if (!result) {
        result = result_put(buf_slice(&value), true, &bytes, &err);
    }
    if (!result) {
        result = keep_constant(policy, &bytes, &err);
    }
    buf_done(&value);
    buf_done(&bytes);
    return give_kept(lua, policy, result, &err);
}

/* demo(result, schema): the number of a demo answer that needs no Lua any more. */
static int demo(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct demo added = {(unsigned)luaL_checkinteger(lua, 1),
                         (unsigned)luaL_checkinteger(lua, 2)};
    must(added.result < policy->constant_count && added.schema < policy->schema_count);
    if (!grow((void **)&policy->demos, policy->demo_count, sizeof(struct demo))) {
        return luaL_error(lua, "no memory for demo answers");
    }
    policy->demos[policy->demo_count] = added;
    lua_pushinteger(lua, (lua_Integer)policy->demo_count++);
    return 1;
}

/* schema(value): the number of the compiled schema, or nil and why not. */
static int schema(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct err err;
    struct buf bytes;
    struct schema *compiled = NULL;
    buf_init(&bytes, CONSTANT_BYTES);
    int result = bridge_to_pack(lua, 1, &bytes, &err);
    if (!result &&
        (!may_keep(policy, policy->schema_count, bytes.len) ||
         !grow((void **)&policy->schemas, policy->schema_count, sizeof(struct schema *)))) {
        result = too_much(&err);
    }
    if (!result) {
        result = schema_compile(buf_slice(&bytes), &compiled, &err);
    }
    buf_done(&bytes);
    if (result) {
        return fail(lua, &err);
    }
    policy->schemas[policy->schema_count] = compiled;
    lua_pushinteger(lua, (lua_Integer)policy->schema_count++);
    return 1;
}

static int intern_bytes(struct policy *policy, struct slice bytes, uintptr_t *ret,
                        struct err *reterr)
{
    *ret = (uintptr_t)map_get(&policy->interned, bytes);
    if (!*ret) {
        if (!may_keep(policy, policy->interned_count, bytes.len)) {
            return too_much(reterr);
        }
        *ret = ++policy->interned_count;
        map_set(&policy->interned, bytes, (void *)*ret); // NOLINT(performance-no-int-to-ptr)
    }
    return 0;
}

/* intern(value): a number that equal values share. */
static int intern(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct err err;
    struct buf bytes;
    uintptr_t number = 0;
    buf_init(&bytes, CONSTANT_BYTES);
    int result = bridge_to_pack(lua, 1, &bytes, &err);
    if (!result) {
        result = intern_bytes(policy, buf_slice(&bytes), &number, &err);
    }
    buf_done(&bytes);
    if (result) {
        return fail(lua, &err);
    }
    lua_pushinteger(lua, (lua_Integer)number);
    return 1;
}

/* remember(agent, role): what is decided for this agent holds for all of this role (memo.h). */
static int remember(lua_State *lua)
{
    struct policy *policy = host_policy(lua);
    struct slice agent = bridge_text(lua, 1);
    lua_Integer role = luaL_checkinteger(lua, 2);
    must(loading_of(lua) && role > 0 && role <= UINT32_MAX);
    size_t count = policy->memo.agents.count;
    if (may_keep(policy, (unsigned)count, agent.len + MEMO_AGENT_BYTES)) {
        memo_add_agent(&policy->memo, agent, (unsigned)role);
    }
    return 0;
}

/* split(text): { text, placeholder, text, ... } of "text {placeholder} text"; nil and why not. */
static int split(lua_State *lua)
{
    struct slice text = bridge_text(lua, 1);
    if (!text_is_utf8(text) || text.len > 4096) {
        lua_pushnil(lua);
        lua_pushliteral(lua, "must be UTF-8 and at most 4096 bytes");
        return 2;
    }
    lua_newtable(lua);
    lua_Integer count = 0;
    while (true) {
        const char *open = text.len ? memchr(text.ptr, '{', text.len) : NULL;
        size_t before = open ? (size_t)(open - text.ptr) : text.len;
        lua_pushlstring(lua, text.ptr, before);
        lua_rawseti(lua, -2, ++count);
        if (!open) {
            return 1;
        }
        const char *close = memchr(open, '}', text.len - before);
        if (!close) {
            lua_pushnil(lua);
            lua_pushliteral(lua, "a `{` without its `}`");
            return 2;
        }
        lua_pushlstring(lua, open + 1, (size_t)(close - open) - 1);
        lua_rawseti(lua, -2, ++count);
        text.len -= (size_t)(close + 1 - text.ptr);
        text.ptr = close + 1;
    }
}

void host_add_loading(lua_State *lua, struct policy *policy)
{
    static const luaL_Reg functions[] = {{"where", where},
                                         {"fault", fault},
                                         {"place_text", place_text},
                                         {"may_replace", may_replace},
                                         {"constant", constant},
                                         {"demo_result", demo_result},
                                         {"demo", demo},
                                         {"schema", schema},
                                         {"intern", intern},
                                         {"remember", remember},
                                         {"split", split}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        host_add(lua, policy, functions[i].name, functions[i].func);
    }
}
