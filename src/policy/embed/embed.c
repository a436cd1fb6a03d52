/* SPDX-License-Identifier: MIT */
/*
 * embed.c - a program of the build: makes the C source of the embedded Lua files, each as its text
 * and as what Lua compiles it to.
 *     embed OUT FOLDER NAME...       NAME without ".lua", below FOLDER
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES (1u << 20)

static char text[FILE_BYTES];
static FILE *out;
static unsigned column;

static int put_bytes(lua_State *lua, const void *bytes, size_t len, void *arg)
{
    const unsigned char *byte = bytes;
    (void)lua;
    (void)arg;
    for (size_t i = 0; i < len; i++) {
        (void)fprintf(out, "%u,%s", byte[i], ++column % 24 ? "" : "\n");
    }
    return 0;
}

static size_t read_text(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.lua", folder, name);
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(text, 1, sizeof text, file) : 0;
    if (!file || ferror(file) || len == sizeof text) {
        (void)fprintf(stderr, "embed: cannot read %s, or it is too long\n", path);
        exit(1);
    }
    (void)fclose(file);
    return len;
}

static void put_file(lua_State *lua, const char *folder, const char *name, int number)
{
    size_t len = read_text(folder, name);
    const char *chunk = lua_pushfstring(lua, "=builtin/%s.lua", name);
    if (luaL_loadbufferx(lua, text, len, chunk, "t") != LUA_OK) {
        (void)fprintf(stderr, "embed: %s\n", lua_tostring(lua, -1));
        exit(1);
    }
    (void)fprintf(out, "static const unsigned char text%d[] = {\n", number);
    (void)put_bytes(lua, text, len, NULL);
    (void)fprintf(out, "0};\nstatic const unsigned char code%d[] = {\n", number);
    (void)lua_dump(lua, put_bytes, NULL, 0);
    (void)fprintf(out, "0};\n");
    lua_settop(lua, 0);
}

int main(int argc, char **argv)
{
    lua_State *lua = luaL_newstate();
    out = lua && argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        (void)fprintf(stderr, "embed: wants OUT FOLDER NAME...\n");
        return 1;
    }
    (void)fprintf(out, "/* Made by embed.c. */\n#include \"policy/embedded.h\"\n\n");
    for (int i = 3; i < argc; i++) {
        put_file(lua, argv[2], argv[i], i);
    }
    (void)fprintf(out, "const unsigned char embedded_ident[] = {\n");
    for (const char *at = lua_ident; *at; at++) {
        (void)put_bytes(lua, at, 1, NULL);
    }
    (void)fprintf(out, "0};\nconst struct embedded embedded_files[] = {\n");
    for (int i = 3; i < argc; i++) {
        (void)fprintf(out,
                      "    {\"%s\", \"builtin/%s.lua\", text%d, sizeof text%d - 1, code%d, "
                      "sizeof code%d - 1},\n",
                      argv[i], argv[i], i, i, i, i);
    }
    (void)fprintf(out, "    {0}};\n");
    lua_close(lua);
    int failed = ferror(out);
    return fclose(out) != 0 || failed ? 1 : 0;
}
