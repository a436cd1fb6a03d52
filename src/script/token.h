/* SPDX-License-Identifier: MIT */
/*
 * token.h - the tokens of a Lua chunk or a JSON document, for lines.c alone.
 *
 * Errors:  none: any bytes give tokens, and TOKEN_END at the end.
 */
#ifndef SCRIPT_TOKEN_H
#define SCRIPT_TOKEN_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_SYMBOL };

struct token {
    enum token_kind kind;
    struct slice text; /* of a string: what is between the quotes, escapes as written */
    size_t at;         /* offset of its first byte */
    int line;
};

/* Copied freely: a copy reads on from where it was made. */
struct lexer {
    struct slice source;
    bool is_json;
    size_t at;
    int line; /* from 1 */
};

struct token token_next(struct lexer *lexer);
bool token_is_symbol(const struct token *token, const char *symbol);
bool token_is_name(const struct token *token, const char *name);

/* How a token changes the nesting of brackets and of blocks with an `end`: -1, 0 or 1. */
int token_nesting(const struct lexer *lexer, const struct token *token);

#endif
