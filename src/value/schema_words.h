/* SPDX-License-Identifier: MIT */
/*
 * schema_words.h - what is said about a value or a schema, in few words. Inside value/ only.
 *
 * Each appends to terminated text of `room` bytes and cuts, at a character, what does not fit.
 */
#ifndef VALUE_SCHEMA_WORDS_H
#define VALUE_SCHEMA_WORDS_H

#include "value/schema_program.h"

void words_put(char *text, size_t room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text of others: control characters become spaces, bytes that are not UTF-8 question marks. */
void words_put_text(char *text, size_t room, struct slice from, size_t most);

void words_put_types(char *text, size_t room, uint8_t types); /* "string or null" */
void words_put_values(char *text, size_t room, const struct schema_values *values);
void words_put_number(char *text, size_t room, const struct schema_number *number);
void words_put_decimal(char *text, size_t room, const struct schema_decimal *decimal);
void words_put_node(char *text, size_t room, const struct schema_node *node);
void words_put_received(char *text, size_t room, struct pack at); /* "integer 7" */

#endif
