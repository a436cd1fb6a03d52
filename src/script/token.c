/* SPDX-License-Identifier: MIT */
/* token.c - reads tokens: white space, comments, strings of every kind, names, numbers, symbols. */
#include "script/token.h"

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

struct token token_next(struct lexer *lexer)
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

bool token_is_symbol(const struct token *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && slice_is(token->text, symbol);
}

bool token_is_name(const struct token *token, const char *name)
{
    return token->kind == TOKEN_NAME && slice_is(token->text, name);
}

int token_nesting(const struct lexer *lexer, const struct token *token)
{
    static const char *const openers[] = {"function", "if", "do", "repeat"};
    if (token_is_symbol(token, "{") || token_is_symbol(token, "(") ||
        token_is_symbol(token, "[")) {
        return 1;
    }
    if (token_is_symbol(token, "}") || token_is_symbol(token, ")") ||
        token_is_symbol(token, "]")) {
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
