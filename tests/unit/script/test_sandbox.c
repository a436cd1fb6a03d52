/* SPDX-License-Identifier: MIT */
/* test_sandbox.c - the ways out of a sandbox that are known, each of them shut. */
#include "script/sandbox.h"

#include "base/clock.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY    (16u << 20)
#define BUDGET_US 20000    /* for scripts that use it up */
#define AMPLE_US  20000000 /* for those that do not */
/* A sanitizer makes the interpreter slow, and the machine may be busy: what matters is that a
 * script ends at all, soon after its budget rather than when it likes. */
#define PATIENCE_US 30000000

static int run_for(struct sandbox *sandbox, const char *script, int64_t budget_us,
                   struct err *reterr)
{
    int result = sandbox_load(sandbox, slice_of(script), "@test.lua", reterr);
    if (!result) {
        result = sandbox_call(sandbox, 0, 0, budget_us, reterr);
    }
    assert_int_equal(lua_gettop(sandbox_lua(sandbox)), 0);
    return result;
}

static int run_in(struct sandbox *sandbox, const char *script, struct err *reterr)
{
    return run_for(sandbox, script, AMPLE_US, reterr);
}

static int run(const char *script, int64_t budget_us, struct err *reterr)
{
    struct sandbox *sandbox = sandbox_new(MEMORY);
    assert_non_null(sandbox);
    mono_us start = clock_mono();
    int result = run_for(sandbox, script, budget_us, reterr);
    assert_true(clock_mono() - start < PATIENCE_US);
    /* Whatever happened, the state goes on working. */
    if (result) {
        assert_int_equal(run_in(sandbox, "assert(1 + 1 == 2)", NULL), 0);
    }
    sandbox_free(sandbox);
    return result;
}

static void expect(const char *script, enum err_code code, const char *part)
{
    struct err err = {0};
    int result = run(script, code == ERR_TIMEOUT ? BUDGET_US : AMPLE_US, &err);
    if (result != -(int)code || (part && !strstr(err.text, part))) {
        fail_msg("%s\n  gave %s: %s", script, err_name((enum err_code)(-result)), err.text);
    }
}

static void expect_fine(const char *script)
{
    struct err err = {0};
    if (run(script, AMPLE_US, &err)) {
        fail_msg("%s\n  gave %s", script, err.text);
    }
}

static void what_could_lead_out_is_absent(void **state)
{
    (void)state;
    static const char *const absent[] = {"_G",           "collectgarbage",  "coroutine",
                                         "debug",        "dofile",          "io",
                                         "os",           "package",         "require",
                                         "load",         "loadfile",        "getmetatable",
                                         "setmetatable", "rawget",          "rawset",
                                         "rawlen",       "rawequal",        "xpcall",
                                         "loadstring",   "print",           "warn",
                                         "string.find",  "string.match",    "string.gmatch",
                                         "string.gsub",  "string.dump",     "string.pack",
                                         "math.random",  "utf8.charpattern"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        char script[128];
        (void)snprintf(script, sizeof script, "assert(%s == nil)", absent[i]);
        expect_fine(script);
    }
}

/* The allow-list itself, read from the state rather than from a list of suspects. */
static void no_other_global_is_there(void **state)
{
    (void)state;
    static const char *const known[] = {
        "assert", "error", "ipairs", "next",     "pairs", "pcall", "select",
        "type",   "utf8",  "string", "tonumber", "table", "math",  "tostring",
        "glob",   "ends",  "starts", "contains", "array", "null",  "_VERSION"};
    struct sandbox *sandbox = sandbox_new(MEMORY);
    lua_State *lua = sandbox_lua(sandbox);
    size_t count = 0;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            is_known |= strcmp(lua_tostring(lua, -2), known[i]) == 0;
        }
        assert_true(is_known);
        count++;
    }
    assert_int_equal(count, sizeof known / sizeof *known);
    sandbox_free(sandbox);
}

static void strings_lead_nowhere(void **state)
{
    (void)state;
    expect("return ('x'):find('x')", ERR_INTERNAL, "find");
    expect("return ('x').gsub('x', 'x', 'y')", ERR_INTERNAL, "gsub");
    expect("return ('x').__index", ERR_NONE, NULL);
    expect("assert(('x').__index == nil)", ERR_NONE, NULL);
    expect("return '10' + 1", ERR_INTERNAL, "arithmetic");
    expect_fine("assert(('abc'):upper() == 'ABC' and #('x'):rep(3) == 3)");
}

static void endless_loops_end(void **state)
{
    (void)state;
    static const char *const loops[] = {
        "while true do end",
        "repeat until false",
        "::again:: goto again",
        "pcall(function() while true do end end)",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(error) end",
        "local function f() return f() end f()",
        "local function f() pcall(f) return f() end while true do pcall(f) end",
        "for i = 1, math.huge do end",
        "for i = 1, math.maxinteger do local t = { i } end",
        "local t = {} while true do t = { t } end", /* memory or time, whichever is first */
        "table.sort({ 3, 2, 1 }, function() while true do end end)",
        "while true do pcall(table.sort, { 3, 2, 1, 5, 4 }, function() error('x') end) end",
        "local x <close> = nil while true do end",
    };
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        struct err err = {0};
        int result = run(loops[i], BUDGET_US, &err);
        if (result != -ERR_TIMEOUT && result != -ERR_OVERLOADED) {
            fail_msg("%s\n  gave %d: %s", loops[i], result, err.text);
        }
    }
    expect("while true do end", ERR_TIMEOUT, "test.lua:1: over its time budget of 20000");
}

static void long_work_in_library_functions_ends(void **state)
{
    (void)state;
    static const char *const loops[] = {
        "local s = ('x'):rep(1000000) while true do local t = s:lower() end",
        "local s = ('x'):rep(1000000) while true do local t = s .. 'y' end",
        ("local a = ('x'):rep(1000000) local b = a .. 'y' a = a .. 'y' "
         "while true do local c = a == b end"),
        "local a = ('x'):rep(1000000) while true do local c = a < a .. '' end",
        ("local t = {} for i = 1, 90000 do t[i] = i end while true do table.insert(t, 1, 0) "
         "table.remove(t, 1) end"),
        ("local t = {} for i = 1, 90000 do t[i] = i end while true do table.move(t, 1, 90000, "
         "2) "
         "end"),
        ("local t = {} for i = 1, 90000 do t['k' .. i] = 1 end for i = 1, 89999 do t['k' .. i] "
         "= "
         "nil end while true do next(t) end"),
        ("local t = {} for i = 1, 50000 do t[i] = ('x'):rep(100) .. i end while true do "
         "table.sort(t) end"),
        ("local a = ('a'):rep(4000) .. 'b' local p = ('*a'):rep(2000) while true do glob(p, a) "
         "end"),
        "local s = ('x'):rep(500000) while true do contains(s, s .. 'y') end",
        "while true do pcall(string.rep, 'x', 1000000) end",
        "local t = {} for i = 1, 90000 do t[i] = 'x' end while true do table.concat(t) end",
    };
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        expect(loops[i], ERR_TIMEOUT, NULL);
    }
}

static void bombs_are_refused(void **state)
{
    (void)state;
    expect("return ('x'):rep(1e9)", ERR_INTERNAL, "longer than");
    expect("return ('x'):rep(math.maxinteger)", ERR_INTERNAL, "longer than");
    expect("return (''):rep(math.maxinteger, 'xx')", ERR_INTERNAL, "longer than");
    expect("return ('x'):rep(math.mininteger)", ERR_NONE, NULL);
    expect("table.move({}, 1, 1e9, 2)", ERR_INTERNAL, "too many items");
    expect("table.move({}, math.mininteger, math.maxinteger, 2)", ERR_INTERNAL, "too many");
    expect("table.move({1}, 1, 1, math.maxinteger)", ERR_INTERNAL, "out of bounds");
    expect("table.unpack({}, 1, 1e8)", ERR_INTERNAL, "to unpack");
    expect("table.unpack({}, math.mininteger, math.maxinteger)", ERR_INTERNAL, "to unpack");
    expect("table.concat({}, 'x', 1, 1e9)", ERR_INTERNAL, "out of bounds");
    expect("table.concat({}, 'x', math.mininteger, 0)", ERR_INTERNAL, "out of bounds");
    expect("return string.format(('%d'):rep(5000))", ERR_INTERNAL, "format longer");
    expect("local t = {} for i = 1, 200 do t[i] = ('x'):rep(10000) end return table.concat(t)",
           ERR_INTERNAL, "longer than");
    expect("return table.concat({ {} })", ERR_INTERNAL, "item 1 is a table");
    expect("glob(('*'):rep(5000), 'x')", ERR_INTERNAL, "at most");
    expect("table.sort({ 1, 'x', {} })", ERR_INTERNAL, "compare");
}

static void memory_has_a_ceiling(void **state)
{
    (void)state;
    struct sandbox *sandbox = sandbox_new(2u << 20);
    struct err err = {0};
    assert_int_equal(run_in(sandbox, "local s = 'x' while true do s = s .. s end", &err),
                     -ERR_OVERLOADED);
    assert_non_null(strstr(err.text, "not enough memory"));
    assert_true(sandbox_memory(sandbox) <= 2u << 20);
    /* pcall sees it as an error like any other; the script cannot get beyond. */
    assert_int_equal(run_in(sandbox,
                            "local t = {} local ok, why = pcall(function() for i = 1, 1e6 do "
                            "t[i] = 'text ' .. i end end) t = nil assert(not ok)",
                            &err),
                     0);
    assert_true(sandbox_memory(sandbox) <= 2u << 20);
    assert_int_equal(run_in(sandbox, "local ok = 1", NULL), 0);
    sandbox_free(sandbox);
}

static void recursion_has_a_depth(void **state)
{
    (void)state;
    expect("local function f() return 1 + f() end f()", ERR_OVERLOADED, "not enough memory");
    expect("local function f() table.sort({ 1, 2 }, f) end f()", ERR_INTERNAL,
           "C stack overflow");
    expect("local function f() return pcall(f) end while true do f() end", ERR_TIMEOUT, NULL);
    expect("local function f(...) return f(1, ...) end f()", ERR_TIMEOUT, NULL);
    char deep[4096] = "return ";
    for (int i = 0; i < 1000; i++) {
        strcat(deep, "((");
    }
    expect(deep, ERR_VALIDATION_ERROR, "overflow");
}

static void comparators_may_be_evil(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "local n = 0 table.sort({ 5, 3, 1, 4, 2 }, function() n = n + 1 return n % 2 == 0 end)",
        ("local t = { 5, 3, 1, 4, 2 } "
         "table.sort(t, function(a, b) t[1] = nil t[5] = nil return a < b end)"),
        ("local t = {} for i = 1, 1000 do t[i] = i end "
         "table.sort(t, function() return true end)"),
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        int result = run(scripts[i], AMPLE_US, NULL);
        assert_true(result == 0 || result == -ERR_INTERNAL);
    }
}

static void errors_may_be_anything(void **state)
{
    (void)state;
    expect("error({ code = 1 })", ERR_INTERNAL, "test.lua:1: raised a table");
    expect("error(nil)", ERR_INTERNAL, "raised a nil");
    expect("error(setmetatable)", ERR_INTERNAL, "raised a nil");
    expect("error(function() end)", ERR_INTERNAL, "raised a function");
    expect("error(('x'):rep(100000))", ERR_INTERNAL, "xxxx");
    expect("local x <close> = {}", ERR_INTERNAL, "non-closable");
}

static void bytecode_is_refused(void **state)
{
    (void)state;
    expect("\033Lua", ERR_VALIDATION_ERROR, "binary");
}

static void failures_have_a_place_and_a_traceback(void **state)
{
    (void)state;
    struct sandbox *sandbox = sandbox_new(MEMORY);
    struct err err = {0};
    assert_int_equal(
        run_in(sandbox, "local function inner()\n error('boom')\nend\ninner()", &err),
        -ERR_INTERNAL);
    assert_string_equal(err.text, "test.lua:2: boom");
    assert_non_null(strstr(sandbox_traceback(sandbox), "test.lua:4:"));
    char file[32];
    int line;
    assert_string_equal(sandbox_place(err.text, file, sizeof file, &line), "boom");
    assert_string_equal(file, "test.lua");
    assert_int_equal(line, 2);
    assert_string_equal(sandbox_place("no: place", file, sizeof file, &line), "no: place");
    assert_int_equal(line, 0);
    assert_int_equal(run_in(sandbox, "local x = = 2", &err), -ERR_VALIDATION_ERROR);
    (void)sandbox_place(err.text, file, sizeof file, &line);
    assert_int_equal(line, 1);
    sandbox_free(sandbox);
}

static int call_inside(lua_State *lua)
{
    struct sandbox *sandbox = sandbox_of(lua);
    struct err err;
    assert_int_equal(sandbox_load(sandbox, SLICE("while true do end"), "=in", &err), 0);
    assert_int_equal(sandbox_call(sandbox, 0, 0, INT32_MAX, &err), -ERR_TIMEOUT);
    return 0;
}

static void nested_calls_share_the_budget(void **state)
{
    (void)state;
    struct sandbox *sandbox = sandbox_new(MEMORY);
    struct err err;
    mono_us start = clock_mono();
    lua_pushcfunction(sandbox_lua(sandbox), call_inside);
    (void)sandbox_call(sandbox, 0, 0, BUDGET_US, &err);
    assert_true(clock_mono() - start < PATIENCE_US);
    sandbox_free(sandbox);
}

static int unwatch(lua_State *lua)
{
    sandbox_unwatch(lua);
    return 0;
}

/* What a trusted function of our own does: twice it calls what a script left as a global. */
static int call_twice(lua_State *lua)
{
    for (int i = 0; i < 2; i++) {
        sandbox_watch(lua);
        (void)lua_getglobal(lua, i ? "second" : "first");
        (void)lua_getglobal(lua, "argument");
        lua_call(lua, 1, 0);
        sandbox_unwatch(lua);
    }
    return 0;
}

static int run_trusted(struct sandbox *sandbox, const char *script)
{
    struct err err = {0};
    assert_int_equal(run_in(sandbox, script, &err), 0);
    lua_pushcfunction(sandbox_lua(sandbox), call_twice);
    return sandbox_call_trusted(sandbox, 0, 0, BUDGET_US, &err);
}

static void who_is_not_trusted_is_always_watched(void **state)
{
    (void)state;
    struct err err = {0};
    struct sandbox *sandbox = sandbox_new(MEMORY);
    assert_non_null(sandbox);
    lua_State *lua = sandbox_lua(sandbox);
    assert_int_equal(run_trusted(sandbox, "function first() end second = first"), 0);
    assert_int_equal(
        run_trusted(sandbox, "function second() while true do end end function first() end"),
        -ERR_TIMEOUT);
    assert_int_equal(run_trusted(sandbox, "first, second = second, first"), -ERR_TIMEOUT);
    /* An error that was caught does not make time for what follows. */
    assert_int_equal(run_trusted(sandbox, "first, argument = pcall, first"), -ERR_TIMEOUT);
    /* Not even by a call of it is a script let go. */
    lua_pushcfunction(lua, unwatch);
    lua_setglobal(lua, "unwatch");
    assert_int_equal(run_for(sandbox, "unwatch() while true do end", BUDGET_US, &err),
                     -ERR_TIMEOUT);
    assert_int_equal(run_trusted(sandbox, "function first() end second = first"), 0);
    assert_int_equal(
        run_for(sandbox, "pcall(function() while true do end end) unwatch() while true do end",
                BUDGET_US, &err),
        -ERR_TIMEOUT);
    sandbox_free(sandbox);
}

static void every_ceiling_gives_a_state_or_none(void **state)
{
    (void)state;
    unsigned made = 0;
    for (size_t bytes = 0; bytes < 64u << 10; bytes += 997) {
        struct sandbox *sandbox = sandbox_new(bytes);
        made += sandbox != NULL;
        sandbox_free(sandbox);
    }
    assert_in_range(made, 1, 64);
    for (unsigned long nth = 1; nth < 200; nth++) {
        mem_fail_at(nth);
        sandbox_free(sandbox_new(MEMORY));
    }
    mem_fail_at(0);
}

static void helpers_work(void **state)
{
    (void)state;
    expect_fine("assert(glob('*/*delete*', 'pipedrive/pipedrive-delete-lead'))");
    expect_fine("assert(not glob('a*', 'ba') and glob('', '') and glob('*', ''))");
    expect_fine("assert(starts('abc', 'ab') and not starts('a', 'ab') and ('abc'):ends('bc'))");
    expect_fine(
        "assert(contains('abc', 'b') and contains('abc', '') and not contains('a', '.'))");
    expect_fine("local t = { 3, 1, 2 } table.sort(t) assert(table.concat(t, ',') == '1,2,3')");
    expect_fine("local t = { 'b', 'a' } table.sort(t, function(a, b) return a > b end) "
                "assert(t[1] == 'b')");
    expect_fine("local t = { 1, 2, 3 } table.insert(t, 2, 9) assert(t[2] == 9 and #t == 4) "
                "assert(table.remove(t, 2) == 9 and #t == 3 and table.remove(t) == 3)");
    expect_fine("assert(table.remove({}) == nil)");
    expect_fine("local t = table.move({ 1, 2, 3 }, 1, 3, 2) assert(t[2] == 1 and t[4] == 3)");
    expect_fine("assert(select('#', table.unpack({ 1, 2, nil }, 1, 3)) == 3)");
    expect_fine("local p = table.pack(1, nil) assert(p.n == 2)");
    expect_fine("assert(string.format('%s %5.1f', 'x', 2) == 'x   2.0')");
    expect_fine("assert(utf8.len('\xc3\xa1') == 1 and utf8.char(225) == '\xc3\xa1')");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_lead_out_is_absent),
        cmocka_unit_test(no_other_global_is_there),
        cmocka_unit_test(strings_lead_nowhere),
        cmocka_unit_test(endless_loops_end),
        cmocka_unit_test(long_work_in_library_functions_ends),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(memory_has_a_ceiling),
        cmocka_unit_test(recursion_has_a_depth),
        cmocka_unit_test(comparators_may_be_evil),
        cmocka_unit_test(errors_may_be_anything),
        cmocka_unit_test(bytecode_is_refused),
        cmocka_unit_test(failures_have_a_place_and_a_traceback),
        cmocka_unit_test(nested_calls_share_the_budget),
        cmocka_unit_test(who_is_not_trusted_is_always_watched),
        cmocka_unit_test(every_ceiling_gives_a_state_or_none),
        cmocka_unit_test(helpers_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
