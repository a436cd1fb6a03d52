/* SPDX-License-Identifier: MIT */
/* test_lines.c - keys of Lua tables and JSON documents are found on the line they stand on. */
#include "script/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int lua_line(const char *source, const char *path)
{
    return lines_of_lua_key(slice_of(source), slice_of(path));
}

static int json_line(const char *source, const char *path)
{
    return lines_of_json_key(slice_of(source), slice_of(path));
}

static const char settings[] =
    "-- return { socket = 1 }\n"
    "--[[ return {\n"
    "  socket = 2 } ]]\n"
    "return {\n"
    "  socket = [==[\n"
    "    log = { level = 3 }, ]] ]=]\n"
    "  ]==],\n"
    "  log = { format = \"level = {\",\n"
    "    level = 'a\\'b, level = 1' },\n"
    "  [\"drain_ms\"] = 7;\n"
    "  limits = {\n"
    "    -- calls = 1\n"
    "    calls = 2 + (function(a, b) if a == b then return 1, 2 end\n"
    "      for i = 1, 2 do local t = { inflight = i, 2 } end\n"
    "      return 1 end)(),\n"
    "    inflight = 1,\n"
    "  },\n"
    "}\n";

static void finds_written_keys(void **state)
{
    (void)state;
    assert_int_equal(lua_line(settings, "socket"), 5);
    assert_int_equal(lua_line(settings, "log"), 8);
    assert_int_equal(lua_line(settings, "log.format"), 8);
    assert_int_equal(lua_line(settings, "log.level"), 9);
    assert_int_equal(lua_line(settings, "drain_ms"), 10);
    assert_int_equal(lua_line(settings, "limits"), 11);
    assert_int_equal(lua_line(settings, "limits.calls"), 13);
    assert_int_equal(lua_line(settings, "limits.inflight"), 16);
    assert_int_equal(lua_line(settings, "nowhere"), 0);
}

static void finds_list_items(void **state)
{
    (void)state;
    const char *source = "return { echo = {\n"
                         "  command = \"echo\", args = {\n"
                         "    \"one\",\n"
                         "    { x = 1 },\n"
                         "    f(1, 2), \"three\" } } }\n";
    assert_int_equal(lua_line(source, "echo.args[1]"), 3);
    assert_int_equal(lua_line(source, "echo.args[2]"), 4);
    assert_int_equal(lua_line(source, "echo.args[2].x"), 4);
    assert_int_equal(lua_line(source, "echo.args[4]"), 5);
}

static void follows_a_named_table(void **state)
{
    (void)state;
    const char *source = "local t = { a = 0 }\n"
                         "local settings = {\n"
                         "  a = 1,\n"
                         "}\n"
                         "return settings\n";
    assert_int_equal(lua_line(source, "a"), 3);
}

static void follows_assignments(void **state)
{
    (void)state;
    const char *source = "local t = {\n"
                         "  a = { x = 1 } }\n"
                         "t.b = { y = 1,\n"
                         "  z = { 1, 2 } }\n"
                         "t[\"c-d\"] = f(1)\n"
                         "t.a.k, u = 1, t\n"
                         "t.a.x =\n  2\n"
                         "function g() t.q = 1 end\n"
                         "other.b = { y = 2 }\nother.t.b = 3\n"
                         "return t\n";
    assert_int_equal(lua_line(source, "a"), 2);
    assert_int_equal(lua_line(source, "a.x"), 7);
    assert_int_equal(lua_line(source, "b"), 3);
    assert_int_equal(lua_line(source, "b.y"), 3);
    assert_int_equal(lua_line(source, "b.z[2]"), 4);
    assert_int_equal(lua_line(source, "c-d"), 5);
    assert_int_equal(lua_line(source, "c-d.nowhere"), 5);
}

struct keys {
    unsigned count, assignments;
    int last_line;
};

static void count_key(void *arg, struct slice path, int line, bool is_assignment)
{
    struct keys *keys = arg;
    assert_true(path.len > 0);
    keys->count++;
    keys->assignments += is_assignment;
    keys->last_line = line;
}

static void tells_every_key(void **state)
{
    (void)state;
    struct keys keys = {0};
    lines_each_lua_key(slice_of(settings), count_key, &keys);
    assert_int_equal(keys.count, 8);
    assert_int_equal(keys.assignments, 0);
    assert_int_equal(keys.last_line, 16);
    keys = (struct keys){0};
    lines_each_lua_key(SLICE("local t = {}\nt.a = { b = 1 }\nreturn t"), count_key, &keys);
    assert_int_equal(keys.count, 2);
    assert_int_equal(keys.assignments, 1);
    keys = (struct keys){0};
    lines_each_json_key(SLICE("{ \"a\": { \"b\": [1, 2] } }"), count_key, &keys);
    assert_int_equal(keys.count, 4);
}

static void takes_the_last_of_two(void **state)
{
    (void)state;
    assert_int_equal(lua_line("return { a = 1,\n a = 2 }", "a"), 2);
}

static void guesses_within_what_is_known(void **state)
{
    (void)state;
    const char *source = "local function service(slug, extra)\n"
                         "  return { url = 1, headers = { slug = slug } }\n"
                         "end\n"
                         "return {\n"
                         "  one = service(\"one\", { timeout_ms = 1 }),\n"
                         "  two = service(\"two\", {\n"
                         "    timeout_ms = 1 }),\n"
                         "}\n";
    assert_int_equal(lua_line(source, "one.timeout_ms"), 5);
    assert_int_equal(lua_line(source, "two.timeout_ms"), 7);
    assert_int_equal(lua_line(source, "two.url"), 2);
    assert_int_equal(lua_line(source, "two.headers.slug"), 2);
    assert_int_equal(lua_line(source, "two.nowhere"), 6);
    assert_int_equal(lua_line("local t = {}\nt.late = 1\nreturn t", "late"), 2);
    assert_int_equal(lua_line("local k = 'x'\nreturn { [k] = 1 }", "x"), 1);
}

static void comparisons_are_no_keys(void **state)
{
    (void)state;
    assert_int_equal(lua_line("return {\n a == b,\n a = 1 }", "a"), 3);
}

static void finds_json_keys(void **state)
{
    (void)state;
    const char *source = "{\n"
                         " \"mcpServers\": {\n"
                         "  \"fs\": { \"command\": \"mcpServers\",\n"
                         "   \"args\": [\"--\", [[1], 2],\n"
                         "    \"x\"],\n"
                         "   \"env\": { \"a.b\": \"\\\"}\" } },\n"
                         "  \"web\": { \"url\": 1 } } }\n";
    assert_int_equal(json_line(source, "mcpServers"), 2);
    assert_int_equal(json_line(source, "mcpServers.fs.command"), 3);
    assert_int_equal(json_line(source, "mcpServers.fs.args"), 4);
    assert_int_equal(json_line(source, "mcpServers.fs.args[3]"), 5);
    assert_int_equal(json_line(source, "mcpServers.fs.env.a.b"), 6);
    assert_int_equal(json_line(source, "mcpServers.web.url"), 7);
    assert_int_equal(json_line(source, "mcpServers.web.nowhere"), 7);
}

static void survives_any_bytes(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "",
        "return",
        "return {",
        "return { a",
        "return { a =",
        "return { [",
        "}}}}",
        "return }",
        "--[[",
        "return { \"",
        "return { '\\",
        "return {[==[",
        "[[",
        "{\"a\":",
        "return {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{ a = 1 }",
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        for (size_t length = 0; length <= strlen(sources[i]); length++) {
            struct slice cut = {sources[i], length};
            assert_true(lines_of_lua_key(cut, SLICE("a.b[1]")) >= 0);
            assert_true(lines_of_json_key(cut, SLICE("a.b[1]")) >= 0);
        }
    }
    assert_int_equal(lua_line("return { a = 1 }", ""), 0);
}

static void counts_columns_in_characters(void **state)
{
    (void)state;
    int column = 0;
    assert_int_equal(lines_of_offset(SLICE("a\n\xc3\xb1x"), 4, &column), 2);
    assert_int_equal(column, 2);
    assert_int_equal(lines_of_offset(SLICE("a"), 99, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_written_keys),
        cmocka_unit_test(finds_list_items),
        cmocka_unit_test(follows_a_named_table),
        cmocka_unit_test(follows_assignments),
        cmocka_unit_test(tells_every_key),
        cmocka_unit_test(takes_the_last_of_two),
        cmocka_unit_test(guesses_within_what_is_known),
        cmocka_unit_test(comparisons_are_no_keys),
        cmocka_unit_test(finds_json_keys),
        cmocka_unit_test(survives_any_bytes),
        cmocka_unit_test(counts_columns_in_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
