/* SPDX-License-Identifier: MIT */
/* lines.c - finds the line of a key by reading a source's tokens and the nesting of its tables. */
#include "script/lines.h"

#include <stdbool.h>
#include <stdio.h>

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_SYMBOL };

struct token {
    enum token_kind kind;
    struct slice text; /* of a string: what is between the quotes, escapes as written */
    size_t at;         /* offset of its first byte */
    int line;
};

struct lexer {
    struct slice source;
    bool is_json;
    size_t at;
    int line;
};

/* ---- tokens ------------------------------------------------------------------------------ */

static int byte_at(const struct lexer *lexer, size_t at)
{
    return at < lexer->source.len ? (unsigned char)lexer->source.ptr[at] : -1;
}

static bool is_word_start(int byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static void advance(struct lexer *lexer, size_t to)
{
    for (; lexer->at < to && lexer->at < lexer->source.len; lexer->at++) {
        lexer->line += lexer->source.ptr[lexer->at] == '\n';
    }
}

/* At "[", "[=", ...: the number of equals signs of a long bracket, -1 if it is none. */
static int long_bracket(const struct lexer *lexer, size_t at)
{
    if (lexer->is_json || byte_at(lexer, at) != '[') {
        return -1;
    }
    int level = 0;
    while (byte_at(lexer, ++at) == '=') {
        level++;
    }
    return byte_at(lexer, at) == '[' ? level : -1;
}

/* Passes over a long bracket of this level and gives what is in it. */
static struct slice pass_long(struct lexer *lexer, int level)
{
    size_t start = lexer->at + (size_t)level + 2;
    for (size_t at = start; at < lexer->source.len; at++) {
        size_t end = at + 1;
        while (byte_at(lexer, at) == ']' && byte_at(lexer, end) == '=') {
            end++;
        }
        if (byte_at(lexer, at) == ']' && byte_at(lexer, end) == ']' &&
            end - at - 1 == (size_t)level) {
            advance(lexer, end + 1);
            return (struct slice){lexer->source.ptr + start, at - start};
        }
    }
    advance(lexer, lexer->source.len);
    return (struct slice){NULL, 0};
}

static bool pass_comment(struct lexer *lexer)
{
    if (lexer->is_json || byte_at(lexer, lexer->at) != '-' ||
        byte_at(lexer, lexer->at + 1) != '-') {
        return false;
    }
    int level = long_bracket(lexer, lexer->at + 2);
    if (level >= 0) {
        lexer->at += 2;
        (void)pass_long(lexer, level);
        return true;
    }
    while (lexer->at < lexer->source.len && lexer->source.ptr[lexer->at] != '\n') {
        lexer->at++;
    }
    return true;
}

static void pass_blanks(struct lexer *lexer)
{
    for (;;) {
        int byte = byte_at(lexer, lexer->at);
        if (byte == ' ' || (byte >= '\t' && byte <= '\r')) {
            advance(lexer, lexer->at + 1);
        } else if (!pass_comment(lexer)) {
            return;
        }
    }
}

static struct slice pass_quoted(struct lexer *lexer)
{
    int quote = byte_at(lexer, lexer->at);
    size_t start = lexer->at + 1;
    size_t end = start;
    while (end < lexer->source.len && byte_at(lexer, end) != quote) {
        end += byte_at(lexer, end) == '\\' ? 2 : 1;
    }
    end = end < lexer->source.len ? end : lexer->source.len;
    advance(lexer, end + 1);
    return (struct slice){lexer->source.ptr + start, end > start ? end - start : 0};
}

static void pass_word(struct lexer *lexer, bool is_number)
{
    int last = 0;
    for (;;) {
        int byte = byte_at(lexer, lexer->at);
        bool is_part = is_word_start(byte) || is_digit(byte) || (is_number && byte == '.') ||
                       (is_number && (byte == '+' || byte == '-') &&
                        (last == 'e' || last == 'E' || last == 'p' || last == 'P'));
        if (!is_part) {
            return;
        }
        last = byte;
        lexer->at++;
    }
}

/* A symbol of two characters is one token, so that "==" is never taken for "=". */
static size_t symbol_length(const struct lexer *lexer)
{
    int first = byte_at(lexer, lexer->at);
    int second = byte_at(lexer, lexer->at + 1);
    bool is_pair =
        (second == '=' && (first == '=' || first == '~' || first == '<' || first == '>')) ||
        (second == first && (first == ':' || first == '.' || first == '/'));
    return is_pair ? 2 : 1;
}

static struct token next_token(struct lexer *lexer)
{
    pass_blanks(lexer);
    struct token token = {.kind = TOKEN_END, .at = lexer->at, .line = lexer->line};
    int byte = byte_at(lexer, lexer->at);
    if (byte < 0) {
        return token;
    }
    int level = long_bracket(lexer, lexer->at);
    if (byte == '"' || (byte == '\'' && !lexer->is_json)) {
        token.kind = TOKEN_STRING;
        token.text = pass_quoted(lexer);
    } else if (level >= 0) {
        token.kind = TOKEN_STRING;
        token.text = pass_long(lexer, level);
    } else {
        if (is_word_start(byte) || is_digit(byte)) {
            token.kind = is_digit(byte) ? TOKEN_NUMBER : TOKEN_NAME;
            pass_word(lexer, is_digit(byte));
        } else {
            token.kind = TOKEN_SYMBOL;
            lexer->at += symbol_length(lexer);
        }
        token.text = (struct slice){lexer->source.ptr + token.at, lexer->at - token.at};
    }
    return token;
}

static bool is_symbol(const struct token *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && slice_is(token->text, symbol);
}

static bool is_name(const struct token *token, const char *name)
{
    return token->kind == TOKEN_NAME && slice_is(token->text, name);
}

/* ---- nesting ----------------------------------------------------------------------------- */

/* How a token changes the nesting of brackets and of blocks with an `end`. */
static int nesting(const struct lexer *lexer, const struct token *token)
{
    static const char *const openers[] = {"function", "if", "do", "repeat"};
    if (is_symbol(token, "{") || is_symbol(token, "(") || is_symbol(token, "[")) {
        return 1;
    }
    if (is_symbol(token, "}") || is_symbol(token, ")") || is_symbol(token, "]")) {
        return -1;
    }
    if (lexer->is_json || token->kind != TOKEN_NAME) {
        return 0;
    }
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) {
        if (slice_is(token->text, openers[i])) {
            return 1;
        }
    }
    return slice_is(token->text, "end") || slice_is(token->text, "until") ? -1 : 0;
}

/* ---- walking the written table ------------------------------------------------------------ */

#define WALK_DEPTH  32
#define WALK_PATH   1024
#define WORD_LENGTH 256

struct walk {
    struct lexer lexer;
    struct token token; /* the one to look at */
    struct slice wanted;
    lines_key_fn *each; /* told of each key; may be NULL */
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
    walk->token = next_token(&walk->lexer);
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
        walk->each(walk->arg, (struct slice){walk->path, length}, line);
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
    if (!before.is_json && is_symbol(&first, "[")) {
        key = next_token(&walk->lexer);
        struct token close = next_token(&walk->lexer);
        is_key = is_symbol(&close, "]") && key.kind == TOKEN_STRING;
    }
    struct token sign = next_token(&walk->lexer);
    if (is_key && is_symbol(&sign, before.is_json ? ":" : "=")) {
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
        int change = nesting(&walk->lexer, &walk->token);
        bool is_separator = is_symbol(&walk->token, ",") || is_symbol(&walk->token, ";");
        if (depth == 0 && (change < 0 || is_separator)) {
            return;
        }
        depth += change;
    }
}

static bool opens_table(const struct walk *walk)
{
    return is_symbol(&walk->token, "{") ||
           (walk->lexer.is_json && is_symbol(&walk->token, "["));
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
                                    .is_list = is_symbol(&walk->token, "["),
                                    .near_length = near_before};
        return true;
    }
    pass_value(walk);
    if (walk->near_length == length && walk->near_length > near_before) {
        walk->near_to = walk->token.at;
    }
    return false;
}

/* The token is the opening bracket of the table. */
static void walk_table(struct walk *walk)
{
    struct level levels[WALK_DEPTH];
    size_t depth = 0;
    levels[0] = (struct level){.is_list = is_symbol(&walk->token, "[")};
    step(walk);
    while (walk->token.kind != TOKEN_END) {
        if (is_symbol(&walk->token, ",") || is_symbol(&walk->token, ";")) {
            step(walk);
        } else if (nesting(&walk->lexer, &walk->token) < 0) {
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
    for (struct token token = next_token(&lexer); token.kind != TOKEN_END;
         token = next_token(&lexer)) {
        if (depth == 0 && is_name(&token, "return")) {
            *ret = lexer;
            found = true;
        }
        depth += nesting(&lexer, &token);
    }
    return found;
}

/* The lexer right behind the equals sign of the last `name = {` outside of blocks. */
static bool find_assignment(struct lexer lexer, struct slice name, struct lexer *ret)
{
    bool found = false;
    int depth = 0;
    struct token last = {.kind = TOKEN_END};
    for (struct token token = next_token(&lexer); token.kind != TOKEN_END;
         last = token, token = next_token(&lexer)) {
        struct lexer ahead = lexer;
        struct token brace = next_token(&ahead);
        if (depth == 0 && last.kind == TOKEN_NAME && slice_equal(last.text, name) &&
            is_symbol(&token, "=") && is_symbol(&brace, "{")) {
            *ret = lexer;
            found = true;
        }
        depth += nesting(&lexer, &token);
    }
    return found;
}

/* The lexer right before the brace of the table that the chunk returns. */
static bool find_returned(struct lexer start, struct lexer *ret)
{
    struct lexer value;
    if (!find_return(start, &value)) {
        return false;
    }
    struct lexer ahead = value;
    struct token token = next_token(&ahead);
    if (is_symbol(&token, "{")) {
        *ret = value;
        return true;
    }
    return token.kind == TOKEN_NAME && find_assignment(start, token.text, ret);
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
    for (struct token token = next_token(&lexer); token.kind != TOKEN_END && token.at < to;
         token = next_token(&lexer)) {
        bool is_word = token.kind == TOKEN_NAME || token.kind == TOKEN_STRING;
        if (token.at >= from && is_word && slice_equal(token.text, word)) {
            struct lexer ahead = lexer;
            struct token sign = next_token(&ahead);
            if (is_symbol(&sign, "=") || is_symbol(&sign, "]")) {
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
    if (path.len && (is_json || find_returned(start, &walk.lexer))) {
        step(&walk);
        if (opens_table(&walk)) {
            walk_table(&walk);
        }
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
    struct walk walk = {.lexer = {.source = source, .is_json = is_json, .line = 1},
                        .each = each,
                        .arg = arg};
    if (is_json || find_returned(walk.lexer, &walk.lexer)) {
        step(&walk);
        if (opens_table(&walk)) {
            walk_table(&walk);
        }
    }
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
