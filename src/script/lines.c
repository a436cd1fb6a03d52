/* SPDX-License-Identifier: MIT */
/* lines.c - finds the line of a key by the nesting of the tables that a source writes out. */
#include "script/lines.h"

#include "script/token.h"

#include <stdio.h>

/* ---- walking the written table ------------------------------------------------------------ */

#define WALK_DEPTH  32
#define WALK_PATH   1024
#define WORD_LENGTH 256

struct walk {
    struct lexer lexer;
    struct token token; /* the one to look at */
    struct slice wanted;
    lines_key_fn *each; /* told of each key; may be NULL */
    bool is_assignment; /* the key is of a statement `table.key = value` */
    void *arg;
    char path[WALK_PATH];
    int line; /* of the last key that is the wanted one: in Lua the last one counts */
    /* The longest beginning of the wanted path that was found. */
    size_t near_length;
    int near_line;
    size_t near_from, near_to; /* the text of its value */
};

struct level {
    size_t path_length;
    unsigned position; /* in the list part */
    bool is_list;      /* a JSON array: no keys */
    size_t near_length;
};

static void step(struct walk *walk)
{
    walk->token = token_next(&walk->lexer);
}

static size_t add_key(struct walk *walk, size_t at, struct slice key, unsigned position)
{
    char number[16];
    if (!key.ptr) {
        (void)snprintf(number, sizeof number, "[%u]", position);
        key = slice_of(number);
    } else if (at && at < WALK_PATH) {
        walk->path[at++] = '.';
    }
    if (key.len >= WALK_PATH - at) {
        return at;
    }
    memcpy(walk->path + at, key.ptr, key.len);
    return at + key.len;
}

/* Whether the path so far is the wanted one or a beginning of it. */
static void compare(struct walk *walk, size_t length, int line)
{
    struct slice wanted = walk->wanted;
    if (walk->each) {
        walk->each(walk->arg, (struct slice){walk->path, length}, line, walk->is_assignment);
    }
    if (length > wanted.len || memcmp(walk->path, wanted.ptr, length) != 0) {
        return;
    }
    if (length == wanted.len) {
        walk->line = line;
    } else if ((wanted.ptr[length] == '.' || wanted.ptr[length] == '[') &&
               length >= walk->near_length) {
        walk->near_length = length;
        walk->near_line = line;
        walk->near_from = walk->lexer.at;
        walk->near_to = walk->lexer.source.len;
    }
}

/* Reads `name =`, `["name"] =` or `"name":` if the field starts so, and leaves the token behind
 * it; on no key everything is as before. */
static bool take_key(struct walk *walk, struct slice *ret)
{
    struct lexer before = walk->lexer;
    struct token first = walk->token;
    struct token key = first;
    bool is_key = key.kind == (before.is_json ? TOKEN_STRING : TOKEN_NAME);
    if (!before.is_json && token_is_symbol(&first, "[")) {
        key = token_next(&walk->lexer);
        struct token close = token_next(&walk->lexer);
        is_key = token_is_symbol(&close, "]") && key.kind == TOKEN_STRING;
    }
    struct token sign = token_next(&walk->lexer);
    if (is_key && token_is_symbol(&sign, before.is_json ? ":" : "=")) {
        *ret = key.text;
        step(walk);
        return true;
    }
    walk->lexer = before;
    walk->token = first;
    return false;
}

/* Passes over an expression up to the comma or bracket that ends its field. */
static void pass_value(struct walk *walk)
{
    for (int depth = 0; walk->token.kind != TOKEN_END; step(walk)) {
        int change = token_nesting(&walk->lexer, &walk->token);
        bool is_separator =
            token_is_symbol(&walk->token, ",") || token_is_symbol(&walk->token, ";");
        if (depth == 0 && (change < 0 || is_separator)) {
            return;
        }
        depth += change;
    }
}

static bool opens_table(const struct walk *walk)
{
    return token_is_symbol(&walk->token, "{") ||
           (walk->lexer.is_json && token_is_symbol(&walk->token, "["));
}

/* Reads one field of the table at `level`; true if its value is a table to go into. */
static bool walk_field(struct walk *walk, struct level *level, struct level *ret_inner)
{
    int line = walk->token.line;
    struct slice key = {NULL, 0};
    if (level->is_list || !take_key(walk, &key)) {
        level->position++;
    }
    size_t near_before = walk->near_length;
    size_t length = add_key(walk, level->path_length, key, level->position);
    compare(walk, length, line);
    if (opens_table(walk)) {
        *ret_inner = (struct level){.path_length = length,
                                    .is_list = token_is_symbol(&walk->token, "["),
                                    .near_length = near_before};
        return true;
    }
    pass_value(walk);
    if (walk->near_length == length && walk->near_length > near_before) {
        walk->near_to = walk->token.at;
    }
    return false;
}

/* The token is the opening bracket of the table that stands at the first `path_length` bytes of
 * the path; leaves the token behind its end. */
static void walk_table(struct walk *walk, size_t path_length)
{
    struct level levels[WALK_DEPTH];
    size_t depth = 0;
    levels[0] = (struct level){.path_length = path_length,
                               .is_list = token_is_symbol(&walk->token, "["),
                               .near_length = path_length ? path_length - 1 : 0};
    step(walk);
    while (walk->token.kind != TOKEN_END) {
        if (token_is_symbol(&walk->token, ",") || token_is_symbol(&walk->token, ";")) {
            step(walk);
        } else if (token_nesting(&walk->lexer, &walk->token) < 0) {
            if (walk->near_length == levels[depth].path_length &&
                walk->near_length > levels[depth].near_length) {
                walk->near_to = walk->token.at;
            }
            step(walk);
            if (depth-- == 0) {
                return;
            }
        } else if (depth + 1 == WALK_DEPTH) {
            pass_value(walk);
        } else if (walk_field(walk, &levels[depth], &levels[depth + 1])) {
            depth++;
            step(walk);
        }
    }
}

/* ---- where the table starts ---------------------------------------------------------------- */

/* The lexer right behind the last `return` outside of blocks and brackets. */
static bool find_return(struct lexer lexer, struct lexer *ret)
{
    bool found = false;
    int depth = 0;
    for (struct token token = token_next(&lexer); token.kind != TOKEN_END;
         token = token_next(&lexer)) {
        if (depth == 0 && token_is_name(&token, "return")) {
            *ret = lexer;
            found = true;
        }
        depth += token_nesting(&lexer, &token);
    }
    return found;
}

/* Behind the name of the table: `.key` or `["key"]`, which go to the path. */
static bool take_suffix(struct walk *walk, size_t *length)
{
    struct lexer ahead = walk->lexer;
    struct token key = token_next(&ahead);
    bool is_key = token_is_symbol(&walk->token, ".") && key.kind == TOKEN_NAME;
    if (token_is_symbol(&walk->token, "[") && key.kind == TOKEN_STRING) {
        struct token close = token_next(&ahead);
        is_key = token_is_symbol(&close, "]");
    }
    if (is_key) {
        *length = add_key(walk, *length, key.text, 0);
        walk->lexer = ahead;
        step(walk);
    }
    return is_key;
}

/* `name = {`, `name.key = value`, `name.key["key"] = {` and so on; the token is the name. */
static void walk_assignment(struct walk *walk)
{
    int line = walk->token.line;
    size_t length = 0;
    step(walk);
    while (take_suffix(walk, &length)) {
    }
    if (!token_is_symbol(&walk->token, "=")) {
        return;
    }
    step(walk);
    if (length) {
        walk->is_assignment = true;
        compare(walk, length, line);
        walk->is_assignment = false;
    }
    if (opens_table(walk)) {
        walk_table(walk, length);
    }
}

/* All assignments outside of blocks to the table of this name. */
static void walk_statements(struct walk *walk, struct slice name)
{
    int depth = 0;
    bool is_field = false;
    step(walk);
    while (walk->token.kind != TOKEN_END) {
        if (depth == 0 && !is_field && walk->token.kind == TOKEN_NAME &&
            slice_equal(walk->token.text, name)) {
            walk_assignment(walk);
        } else {
            is_field = token_is_symbol(&walk->token, ".");
            depth += token_nesting(&walk->lexer, &walk->token);
            step(walk);
        }
    }
}

/* The table that the source is or returns. */
static void walk_source(struct walk *walk)
{
    struct lexer value;
    if (walk->lexer.is_json) {
        value = walk->lexer;
    } else if (!find_return(walk->lexer, &value)) {
        return;
    }
    struct lexer start = walk->lexer;
    walk->lexer = value;
    step(walk);
    if (opens_table(walk)) {
        walk_table(walk, 0);
    } else if (walk->token.kind == TOKEN_NAME) {
        struct slice name = walk->token.text;
        walk->lexer = start;
        walk_statements(walk, name);
    }
}

static struct slice last_key(struct slice path)
{
    size_t at = path.len;
    while (at && path.ptr[at - 1] != '.') {
        at--;
    }
    struct slice key = {path.ptr + at, path.len - at};
    const char *bracket = key.len ? memchr(key.ptr, '[', key.len) : NULL;
    key.len = bracket ? (size_t)(bracket - key.ptr) : key.len;
    return key;
}

/* The first line on which `word` is given a value between two offsets, else the first on which it
 * is a name or a whole string. */
static int find_word(struct lexer lexer, struct slice word, size_t from, size_t to)
{
    int line = 0;
    if (!word.len || word.len > WORD_LENGTH) {
        return 0;
    }
    for (struct token token = token_next(&lexer); token.kind != TOKEN_END && token.at < to;
         token = token_next(&lexer)) {
        bool is_word = token.kind == TOKEN_NAME || token.kind == TOKEN_STRING;
        if (token.at >= from && is_word && slice_equal(token.text, word)) {
            struct lexer ahead = lexer;
            struct token sign = token_next(&ahead);
            if (token_is_symbol(&sign, "=") || token_is_symbol(&sign, "]")) {
                return token.line;
            }
            line = line ? line : token.line;
        }
    }
    return line;
}

static int find_line(struct slice source, struct slice path, bool is_json)
{
    struct walk walk = {.lexer = {.source = source, .is_json = is_json, .line = 1},
                        .wanted = path};
    struct lexer start = walk.lexer;
    if (path.len) {
        walk_source(&walk);
    }
    int line = walk.line;
    if (!line && walk.near_line) {
        line = find_word(start, last_key(path), walk.near_from, walk.near_to);
    }
    if (!line && !is_json) {
        line = find_word(start, last_key(path), 0, source.len);
    }
    return line ? line : walk.near_line;
}

static void each_key(struct slice source, bool is_json, lines_key_fn *each, void *arg)
{
    struct walk walk = {
        .lexer = {.source = source, .is_json = is_json, .line = 1}, .each = each, .arg = arg};
    walk_source(&walk);
}

void lines_each_lua_key(struct slice source, lines_key_fn *each, void *arg)
{
    each_key(source, false, each, arg);
}

void lines_each_json_key(struct slice source, lines_key_fn *each, void *arg)
{
    each_key(source, true, each, arg);
}

int lines_of_lua_key(struct slice source, struct slice path)
{
    return find_line(source, path, false);
}

int lines_of_json_key(struct slice source, struct slice path)
{
    return find_line(source, path, true);
}

int lines_of_offset(struct slice source, size_t offset, int *ret_column)
{
    int line = 1;
    int column = 1;
    for (size_t at = 0; at < offset && at < source.len; at++) {
        unsigned char byte = (unsigned char)source.ptr[at];
        if (byte == '\n') {
            line++;
            column = 1;
        } else if ((byte & 0xc0u) != 0x80u) {
            column++;
        }
    }
    if (ret_column) {
        *ret_column = column;
    }
    return line;
}
